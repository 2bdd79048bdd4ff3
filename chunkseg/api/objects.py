"""Tables of objects: sums swept over blocks, and measures of whole crops, in one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from chunkseg.api.given import Given
from chunkseg.api.sweeping import by_frame, sweep
from chunkseg.errors import ParameterError
from chunkseg.passes import crops
from chunkseg.passes.extra import Extra
from chunkseg.passes.measure import MeasureRecord, Measures
from chunkseg.runner.crops import whole_object_columns
from chunkseg.runner.sweep import Input
from chunkseg.runner.tasks import MeasureTask

Columns = dict[str, NDArray[Any]]


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
    """

    given: Given
    images: Sequence[Any]
    measures: Measures
    extras: Sequence[Extra] = ()

    def table(self) -> pd.DataFrame:
        """Measure: one row per object, frame by frame, after a column for each looped axis."""
        whole = bool(self.measures.wholes or self.extras)
        frames = self._swept(self.measures.swept(with_boxes=whole))
        columns = {name: np.concatenate([f[name] for f in frames]) for name in frames[0]}
        counts = [len(frame["label"]) for frame in frames]
        names = [c for name in self.measures.properties for c in self.measures.column_names(name)]
        if whole:
            found = self._cropped(columns, counts)
            columns |= found
            names += [name for name in found if name not in names]
        table = pd.DataFrame({name: columns[name] for name in names})
        return self._with_frames(table, counts)

    def _swept(self, measures: Measures) -> list[Columns]:
        """Columns of each frame that are made of sums."""
        given = self.given
        task = MeasureTask(measures, len(self.images), given.grid.frame)
        records = sweep(given, task, [given.data, *self.images], MeasureRecord, given.grid)
        frames = []
        for _, parts in by_frame(records):
            _check_not_negative(parts)
            frames.append(measures.table(parts))
        return frames

    def _cropped(self, columns: Columns, counts: Sequence[int]) -> Columns:
        """Columns that are measured on whole objects."""
        given, ndim = self.given, self.given.layout.ndim
        box = np.stack([columns[f"bbox-{edge}"] for edge in range(2 * ndim)], axis=1)
        objects = crops.Objects(
            np.repeat(np.arange(len(counts)), counts),
            columns["label"],
            box[:, :ndim],
            box[:, ndim:],
        )
        return whole_object_columns(
            Input.of(given.data, given.layout),
            [Input.of(image, given.layout) for image in self.images],
            objects,
            self.measures.wholes,
            spacing=self.measures.spacing,
            extras=self.extras,
            channels=self.measures.channels,
        )

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


def _check_not_negative(records: Sequence[MeasureRecord]) -> None:
    smallest = min((int(r.label[0]) for r in records if len(r.label)), default=0)
    if smallest < 0:
        raise ParameterError(f"labels must not be negative; the smallest is {smallest}")


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
                f"labels and intensity image have different coordinates along {dim!r}: they do not "
                "show the same place. Drop or correct the coordinates of one."
            )
