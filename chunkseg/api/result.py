"""The result of a run, read back from its folder."""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pandas as pd
import xarray as xr

import chunkseg
from chunkseg.errors import IncompleteError
from chunkseg.geometry.dims import spatial
from chunkseg.geometry.units import PIXEL
from chunkseg.passes.summaries import frames_summary
from chunkseg.passes.tables import summarize
from chunkseg.storage.damage import refuse_gaps
from chunkseg.storage.opening import open_image
from chunkseg.storage.output import read_histograms, read_run
from chunkseg.storage.places import Place, place_of
from chunkseg.storage.site import DROPPED, LABELS, TABLE

if TYPE_CHECKING:
    from chunkseg.api.checks import Verification


@dataclass(frozen=True)
class Result:
    """What a run has written.

    Attributes
    ----------
    path
        The folder, or the address.
    run
        The content of ``run.json``: versions, input, parameters, facts per frame, timings.
    """

    path: Place
    run: dict[str, Any]

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Open the folder of a finished run, or its address.

        Raises
        ------
        PathError
            If there is no such folder.
        IncompleteError
            If the run was not finished.
        """
        place = place_of(path)
        return cls(place, read_run(place))

    @property
    def labels(self) -> xr.DataArray:
        """The label image, lazily, with physical coordinates."""
        return self._image("labels", LABELS)

    @property
    def mask(self) -> xr.DataArray:
        """The mask, of a run with ``keep=("mask",)`` or ``until="mask"``."""
        return self._image("mask", "mask.ome.zarr")

    @property
    def seeds(self) -> xr.DataArray:
        """The labels after splitting, of a run with ``keep=("seeds",)``."""
        return self._image("seeds", "seeds.ome.zarr")

    @property
    def expanded(self) -> xr.DataArray:
        """The expanded labels before the border is cleared, of ``keep=("expanded",)``."""
        return self._image("expanded labels", "expanded.ome.zarr")

    def _image(self, what: str, name: str) -> xr.DataArray:
        if not (self.path / name).is_dir():
            self._refuse_lost(name)
            raise IncompleteError(
                f"{self.path} holds no {what}: the run was not asked for it (until=, keep=)"
            )
        if isinstance(self.path, Path):  # at an address a listing may take minutes
            refuse_gaps(self.path / name / "0")
        units = self.run["input"]["units"]
        if any(units[dim] != PIXEL for dim in spatial(units)):
            return open_image(self.path / name)
        # the run has warned of an image without spacing; what it wrote needs no second warning
        return open_image(self.path / name, spacing=1, unit=PIXEL)

    def _refuse_lost(self, name: str) -> None:
        if name in self.run.get("files", ()):
            raise IncompleteError(
                f"{self.path / name} was written by the run and is missing; copy it again, or run "
                "again with overwrite=True (--overwrite)"
            )

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per object."""
        if not (self.path / TABLE).is_file():
            self._refuse_lost(TABLE)
            raise IncompleteError(
                f"{self.path} holds no table: the run was to stop at {self.run.get('until')!r}"
            )
        try:
            return pd.read_parquet(self.path / TABLE)
        except (ValueError, OSError) as error:
            raise IncompleteError(f"{self.path / TABLE} is damaged ({error}); run again") from error

    @cached_property
    def dropped(self) -> pd.DataFrame:
        """One row per object that was dropped at the border or for its size.

        ``why`` is the faces of the image that it touches, as ``"z low, x high"``, or ``"size"``;
        ``area`` its number of voxels; ``first-0``, ... its first voxel in raster order.
        """
        if not (self.path / DROPPED).is_file():
            raise IncompleteError(f"{self.path} holds no list of dropped objects")
        return pd.read_parquet(self.path / DROPPED)

    @property
    def summary(self) -> pd.DataFrame:
        """What came out at each time point; one row where there is but one.

        Count, mean, standard deviation and range of the objects' sizes, percent of foreground,
        threshold, mean intensity of the objects' voxels, and the time since the first time point
        where that is known: see :func:`chunkseg.passes.summaries.frames_summary`.
        """
        facts = self.run["frames"]
        if not facts:
            return summarize(self.table)
        return frames_summary(self.table, facts, self.run["input"])

    @property
    def thresholds(self) -> pd.Series[float]:
        """Threshold of each frame, on the scale of the blurred image; NaN for a mask."""
        return pd.Series(
            [f["threshold"] for f in self.run["frames"]], dtype=float, name="threshold"
        )

    @property
    def foreground_fractions(self) -> pd.Series[float]:
        """Fraction of each frame's voxels that is foreground, 0 to 1."""
        fractions = [f["foreground_fraction"] for f in self.run["frames"]]
        return pd.Series(fractions, dtype=float, name="foreground_fraction")

    @property
    def counts(self) -> pd.DataFrame:
        """Per frame: components of the mask, after erosion, after expansion, and final objects."""
        return pd.DataFrame([f["counts"] for f in self.run["frames"]])

    @cached_property
    def histograms(self) -> pd.DataFrame:
        """Histograms that thresholds were found in: rows of ``frame``, bin ``value``, ``count``."""
        found = read_histograms(self.path)
        return pd.DataFrame(columns=["frame", "value", "count"]) if found is None else found

    def report(self, image: Any = None, *, seams: bool = False) -> Place:
        """Write ``report.html`` beside the result: see :func:`chunkseg.write_report`."""
        path: Place = chunkseg.write_report(self.path, image, seams=seams)
        return path

    def view(self, viewer: Any = None) -> Any:
        """Show it in napari and return the viewer: see :func:`chunkseg.napari.viewing.view`."""
        viewing = importlib.import_module("chunkseg.napari.viewing")  # a layer above
        return viewing.view(self.path, viewer)

    def verify(self, image: Any = None, **options: Any) -> Verification:
        """Verify the files, the label image and random regions: see :func:`chunkseg.verify`."""
        from chunkseg.api.verifying import verify

        return verify(self.path, image, **options)

    def _repr_html_(self) -> str:
        notebook = importlib.import_module("chunkseg.report.notebook")  # a layer above
        return str(notebook.result_html(self))

    def __repr__(self) -> str:
        frames = self.run["frames"]
        objects = sum(f["counts"].get("final", 0) for f in frames)
        return f"<chunkseg.Result {self.path}: {objects} objects in {len(frames)} frame(s)>"
