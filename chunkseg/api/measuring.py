"""Measuring a label image on disk into a folder of tables."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from chunkseg.api.facts import table_summary, versions
from chunkseg.api.given import Given
from chunkseg.api.measurement import regionprops_table
from chunkseg.api.result import Result
from chunkseg.errors import ChunksegError, KindError
from chunkseg.geometry.calibration import spacing_of, unit_of
from chunkseg.geometry.units import PIXEL, unit_symbol
from chunkseg.passes.tables import physical_columns
from chunkseg.storage.opening import open_image
from chunkseg.storage.output import Output

Image = str | os.PathLike[str] | Any


def measure(
    labels: Image,
    out: str | os.PathLike[str],
    image: Image = None,
    *,
    properties: str | Sequence[str] = ("label", "area", "bbox", "centroid", "intensity"),
    overwrite: bool = False,
) -> Result:
    """Measure a label image, of chunkseg or any other tool, and write the table to a folder.

    Parameters
    ----------
    labels : path, DataArray, dask, zarr or NumPy array
        Label image; 0 is background.
    out : path
        Folder for ``objects.parquet``, ``objects.csv``, ``summary.json`` and ``run.json``.
    image : path or array, optional
        Intensities; with an axis ``c`` more, each channel gets its columns.
    properties : str or sequence of str
        Properties and groups of them, as in :func:`chunkseg.regionprops_table`; ``"intensity"``
        is left out without an image.
    overwrite : bool
        Remove what chunkseg wrote to ``out`` before, and nothing else.

    Returns
    -------
    Result
        Its ``table`` has scikit-image's columns in voxels and, where the labels are calibrated, the
        volume (2-D: area) and the centroid with their unit in the names: ``volume_um3``,
        ``centroid_um-0``.

    Raises
    ------
    ParameterError, KindError, PathError, FormatError, OutputExistsError
        For what can't be measured; nothing is left behind then.

    Examples
    --------
    >>> import numpy as np, chunkseg as cs, tempfile
    >>> labels = cs.from_array(np.array([[1, 1, 0], [0, 0, 2]]), spacing=0.5, unit="um")
    >>> cs.measure(labels, tempfile.mkdtemp(), properties="area").table
       area  area_um2
    0   2.0      0.50
    1   1.0      0.25
    """
    opened = _opened(labels)
    intensity = None if image is None else _opened(image)
    output = Output.start(Path(out).expanduser(), None, overwrite)
    try:
        table = regionprops_table(opened, intensity, _without_image(properties, intensity))
        table = _with_physical(table, opened)
        output.finish(table, table_summary(table), _facts(opened, intensity, properties))
    except ChunksegError:
        output.abandon()
        raise
    return Result.open(output.path)


def _opened(image: Image) -> Any:
    if isinstance(image, str | os.PathLike):
        return open_image(image)
    if isinstance(image, list | tuple):
        raise KindError(f"an image must be a path or an array; got {type(image).__name__}")
    return image


def _without_image(properties: str | Sequence[str], image: Any) -> str | list[str]:
    if isinstance(properties, str):
        return properties
    return [name for name in properties if name != "intensity" or image is not None]


def _with_physical(table: pd.DataFrame, labels: Any) -> pd.DataFrame:
    """Add volume and centroid in the labels' unit, where they were asked for."""
    if not isinstance(labels, xr.DataArray):
        return table
    layout = Given.of(labels).layout
    spatial = [str(labels.dims[axis]) for axis in layout.spatial]
    unit = unit_of(labels, spatial)
    if unit == PIXEL:
        return table
    return table.assign(**physical_columns(table, spacing_of(labels, spatial), unit_symbol(unit)))


def _facts(labels: Any, image: Any, properties: str | Sequence[str]) -> dict[str, Any]:
    def source(array: Any) -> str | None:
        return array.attrs.get("source") if isinstance(array, xr.DataArray) else None

    return {
        "versions": versions(),
        "input": {"labels": source(labels), "image": source(image)},
        "properties": properties,
        "until": None,
        "frames": [],
    }
