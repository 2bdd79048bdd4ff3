"""Tables of objects: sums swept over blocks, and measures of whole crops, in one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from chunkseg.api.given import Given
from chunkseg.errors import ParameterError
from chunkseg.passes.extra import Extra
from chunkseg.passes.measure import Measures
from chunkseg.runner.execution import Execution
from chunkseg.runner.measuring import measure_frames
from chunkseg.runner.progress import Progress, silent
from chunkseg.runner.sweep import Input


@dataclass(frozen=True)
class Measurement:
    """The objects of a label image, and what is to be measured of them.

    Attributes
    ----------
    given
        The label image.
    images
        Intensity images of its shape, one per channel.
    measures
        The properties.
    extras
        The user's functions.
    memory_limit
        Bytes that measuring whole objects may take at one time.
    folder
        Where the records of the sweep are kept, in files; None for memory.
    progress
        Who is told how far it is.
    """

    given: Given
    images: Sequence[Any]
    measures: Measures
    extras: Sequence[Extra] = ()
    memory_limit: int | None = None
    folder: Path | None = None
    progress: Progress = silent

    def table(self) -> pd.DataFrame:
        """Measure: one row per object, frame by frame, after a column for each looped axis."""
        given = self.given
        frames = measure_frames(
            Input.of(given.data, given.layout),
            [Input.of(image, given.layout) for image in self.images],
            self.measures,
            grid=given.grid,
            frames=range(given.layout.frames),
            execution=Execution(),
            progress=self.progress,
            extras=self.extras,
            memory_limit=self.memory_limit,
            folder=self.folder,
        )
        counts = [len(frame) for frame in frames]
        table = self._with_frames(pd.concat(frames, ignore_index=True), counts)
        return table if len(table.columns) else table[:0]

    def _with_frames(self, table: pd.DataFrame, counts: Sequence[int]) -> pd.DataFrame:
        """Put the frames' positions along the looped axes first."""
        named, layout = self.given.named, self.given.layout
        for at, axis in enumerate(layout.looped):
            assert named is not None
            dim = str(named.dims[axis])
            index = np.unravel_index(np.arange(len(counts)), layout.loop_shape)[at]
            values = index.astype(np.int64)
            if dim == "c" and "c" in named.coords:
                values = named.coords["c"].values[index]
            table.insert(at, dim, np.repeat(values, counts))
        return table


def intensities(given: Given, image: Any) -> tuple[list[Any], list[str] | None]:
    """Split the intensity image into one array per channel, of the shape of the labels."""
    if image is None:
        return [], None
    if given.named is None or not isinstance(image, xr.DataArray):
        return _unnamed(given, image)
    _check_coordinates(given.named, image)
    if "c" in image.dims and "c" not in given.named.dims:
        parts = [image.isel(c=i) for i in range(image.sizes["c"])]
        names = image.coords["c"].values if "c" in image.coords else range(len(parts))
        channels: list[str] | None = [str(name) for name in names]
    else:
        parts, channels = [image], None
    return [given.aligned(part, "intensity image") for part in parts], channels


def _unnamed(given: Given, image: Any) -> tuple[list[Any], list[str] | None]:
    """Split an array without names: as in scikit-image, one more axis at the end is channels."""
    shape: tuple[int, ...] = getattr(image, "shape", ())
    if isinstance(image, xr.DataArray) or not shape or shape[:-1] != given.data.shape:
        return [given.aligned(image, "intensity image")], None
    parts = [image[..., channel] for channel in range(shape[-1])]
    names = [str(channel) for channel in range(shape[-1])]
    return [given.aligned(part, "intensity image") for part in parts], names


def _check_coordinates(labels: xr.DataArray, image: xr.DataArray) -> None:
    for dim in labels.dims:
        ours, theirs = labels.coords.get(dim), image.coords.get(dim)
        if ours is None or theirs is None or ours.shape != theirs.shape or dim == "c":
            continue
        exact = "f" not in ours.dtype.kind + theirs.dtype.kind
        same = np.array_equal if exact else np.allclose
        if not same(ours.values, theirs.values):
            raise ParameterError(
                f"labels and intensity image have different coordinates along {dim!r} (in "
                f"{ours.attrs.get('units')} and {theirs.attrs.get('units')}): they do not show the "
                "same place. Where a file is not calibrated give both the same spacing= and unit=, "
                "else drop or correct the coordinates of one."
            )
