"""Measuring a label image on disk into a folder of tables."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import pandas as pd
import xarray as xr

from chunkseg.api.facts import image_source, table_summary, versions
from chunkseg.api.given import Given
from chunkseg.api.measurement import measured
from chunkseg.api.result import Result
from chunkseg.errors import KindError, ParameterError, PixelError
from chunkseg.geometry.calibration import spacing_of, unit_of
from chunkseg.geometry.units import PIXEL
from chunkseg.passes.tables import with_physical
from chunkseg.storage.apart import refuse_input
from chunkseg.storage.claim import claim
from chunkseg.storage.identity import Identity, canonical
from chunkseg.storage.opening import open_image
from chunkseg.storage.places import place_of
from chunkseg.storage.wrapping import described

Image = str | os.PathLike[str] | Any


def measure(
    labels: Image,
    out: str | os.PathLike[str],
    image: Image = None,
    *,
    properties: str | Sequence[str] = ("label", "area", "bbox", "centroid", "intensity"),
    overwrite: bool = False,
    memory_limit: int | str | None = None,
) -> Result:
    """Measure a label image, of chunkseg or any other tool, and write the table to a folder.

    Parameters
    ----------
    labels : path, DataArray, dask, zarr or NumPy array
        Label image; 0 is background.
    out : path
        Folder or address for ``objects.parquet``, ``objects.csv``, ``summary.json`` and
        ``run.json``.
    image : path or array, optional
        Intensities; with an axis ``c`` more, each channel gets its columns.
    properties : str or sequence of str
        Properties and groups of them, as in :func:`chunkseg.regionprops_table`; ``"intensity"``
        is left out without an image.
    overwrite : bool
        Remove what chunkseg wrote to ``out`` before, and nothing else.
    memory_limit : int or str, optional
        Memory for measuring whole objects, as in :func:`chunkseg.regionprops_table`.

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
    path = place_of(out)
    opened = _opened(labels)
    intensity = None if image is None else _opened(image)
    refuse_input(path, map(image_source, (opened, intensity)))
    with claim(path, _identity(opened, intensity, properties), {}, None, overwrite) as output:
        if output.standing == "complete":
            return Result.open(path)
        try:
            asked = _without_image(properties, intensity)
            folder = output.scratch / "measure"
            table = measured(opened, intensity, asked, memory_limit=memory_limit, folder=folder)
            table = _with_physical(table, opened)
        except (ParameterError, KindError, PixelError):
            if output.standing == "new":
                output.abandon()
            raise
        output.finish(table, table_summary(table), _facts(opened, intensity, properties))
    return Result.open(path)


def _identity(labels: Any, image: Any, properties: str | Sequence[str]) -> Identity:
    """Who the measurement is: what its table depends on."""
    facts: dict[str, Any] = {"command": "measure", "properties": properties}
    digests: list[str] = []
    for name, array in (("labels", labels), ("image", image)):
        if array is None:
            continue
        given = Given.of(array)
        facts |= {name: image_source(array), f"shape of the {name}": given.layout.shape}
        if given.named is not None:
            facts |= {f"axes of the {name}": list(map(str, given.named.dims))}
            facts |= {f"{what} of the {name}": v for what, v in described(given.named).items()}
        digests += Identity.of({}, given.data, given.layout).frames
    return Identity(json.loads(canonical(facts)), tuple(digests))


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
    if unit == PIXEL:  # irregular coordinates are no matter then
        return table
    return with_physical(table, spacing_of(labels, spatial), unit)


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
