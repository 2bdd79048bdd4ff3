"""Measuring label images, and summaries of what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from chunkseg.api.given import Given
from chunkseg.api.sweeping import by_frame, sweep
from chunkseg.errors import KindError, ParameterError
from chunkseg.passes import tables
from chunkseg.passes.measure import MeasureRecord, choose
from chunkseg.runner.tasks import MeasureTask


def regionprops_table(
    label_image: Any,
    intensity_image: Any = None,
    properties: str | Sequence[str] = ("label", "bbox"),
    *,
    spacing: Any = None,
) -> pd.DataFrame:
    """Measure the regions of a label image, region by region of blocks.

    Parameters
    ----------
    label_image : DataArray, dask or NumPy array of integers
        2-D or 3-D frames; 0 is background. Axes named ``t`` and ``c`` are looped over.
    intensity_image : DataArray, dask or NumPy array, optional
        Of the shape of ``label_image``; a DataArray may have an axis ``c`` more, and then each
        intensity gets a column per channel, as ``intensity_mean-DAPI``.
    properties : sequence of str
        ``label``, ``num_pixels``, ``area``, ``bbox``, ``area_bbox``, ``extent``,
        ``equivalent_diameter_area``, ``centroid``, ``intensity_mean``, ``intensity_min``,
        ``intensity_max``.
    spacing : float, sequence of float or "coords", optional
        Voxel size along the spatial axes, 1 by default; ``"coords"`` takes the DataArray's own.

    Returns
    -------
    pandas.DataFrame
        One row per label, ascending; columns named as in scikit-image (``bbox-0``,
        ``centroid-2``), after a column for each looped axis. ``area`` is in units of the spacing
        (voxels by default), ``bbox`` in voxels. Without any label: no rows, all columns.

    Raises
    ------
    KindError
        For labels that are not integers or frames that are neither 2-D nor 3-D.
    ParameterError
        For an unknown property, negative labels, an intensity without an image, or images of
        different shape or coordinates.

    Notes
    -----
    Equal to :func:`skimage.measure.regionprops_table` on the whole frame: whole numbers
    exactly, floats to 1e-9 of their scale, intensity means of float32 images to 1e-6 (scikit-image
    sums those in single precision, chunkseg in double).

    Examples
    --------
    >>> import numpy as np, chunkseg as cs
    >>> labels = np.array([[1, 1, 0], [0, 0, 2]])
    >>> cs.regionprops_table(labels, properties=("label", "area", "centroid"))
       label  area  centroid-0  centroid-1
    0      1   2.0         0.0         0.5
    1      2   1.0         1.0         2.0
    """
    given = Given.of(label_image, "label image")
    if given.data.dtype.kind not in "ui":
        raise KindError(
            f"regionprops_table needs integer labels; got dtype {given.data.dtype}. A mask is made "
            "into labels by chunkseg.label."
        )
    lengths = given.spacing(1 if spacing is None else spacing)
    images, channels = _intensities(given, intensity_image)
    measures = choose(properties, lengths, channels, intensity_image is not None)
    task = MeasureTask(measures, len(images), given.grid.frame)
    records = sweep(given, task, [given.data, *images], MeasureRecord, given.grid)
    tables_of_frames = []
    for frame, parts in by_frame(records):
        _check_not_negative(parts)
        table = pd.DataFrame(measures.table(parts))
        tables_of_frames.append(_with_frame(table, given, frame))
    return pd.concat(tables_of_frames, ignore_index=True)


def _check_not_negative(records: Sequence[MeasureRecord]) -> None:
    smallest = min((int(r.label[0]) for r in records if len(r.label)), default=0)
    if smallest < 0:
        raise ParameterError(f"labels must not be negative; the smallest is {smallest}")


def _with_frame(table: pd.DataFrame, given: Given, frame: int) -> pd.DataFrame:
    """Put the frame's position along the looped axes first."""
    where = np.unravel_index(frame, given.layout.loop_shape) if given.layout.looped else ()
    for at, (axis, index) in enumerate(zip(given.layout.looped, where, strict=True)):
        assert given.named is not None
        dim = given.named.dims[axis]
        value: Any = int(index)
        if dim == "c" and "c" in given.named.coords:
            value = given.named.coords["c"].values[index]
        table.insert(at, str(dim), value)
    return table


def _intensities(given: Given, image: Any) -> tuple[list[Any], list[str] | None]:
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


def summarize(table: pd.DataFrame, *, column: str | None = None) -> pd.DataFrame:
    """Summarise one column of a table of objects, per time point.

    Parameters
    ----------
    table : pandas.DataFrame
        As :func:`regionprops_table` or a workflow gives it.
    column : str, optional
        What to summarise: by default the physical volume or area if there is one, else ``area``.

    Returns
    -------
    pandas.DataFrame
        One row per time point (index ``t``), or a single row, with ``column``, ``unit``, ``count``,
        ``mean``, ``std`` (of the population, as :func:`numpy.std`), ``range`` (max - min), ``min``
        and ``max``. Without objects the count is 0 and the rest NaN.

    Raises
    ------
    ParameterError
        If the column is not in the table.

    Examples
    --------
    >>> import pandas as pd, chunkseg as cs
    >>> cs.summarize(pd.DataFrame({"label": [1, 2], "area": [2.0, 4.0]}))
      column   unit  count  mean  std  range  min  max
    0   area  voxel      2   3.0  1.0    2.0  2.0  4.0
    """
    return tables.summarize(table, column)
