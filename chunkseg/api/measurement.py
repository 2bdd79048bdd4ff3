"""Measuring label images, and summaries of what was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from chunkseg.api.given import Given
from chunkseg.api.objects import Measurement, intensities
from chunkseg.api.sweeping import Scratch, kept, written
from chunkseg.errors import KindError
from chunkseg.geometry.calibration import unit_of
from chunkseg.geometry.units import PIXEL, unit_symbol
from chunkseg.passes import tables
from chunkseg.passes.extra import extras_of
from chunkseg.passes.measure import KINDS, choose
from chunkseg.plan.memory import bytes_of
from chunkseg.runner.progress import Progress, silent
from chunkseg.storage.sources import source_of


def regionprops_table(
    label_image: Any,
    intensity_image: Any = None,
    properties: str | Sequence[str] = ("label", "bbox"),
    *,
    spacing: Any = None,
    extra_properties: Iterable[Callable[..., Any]] | None = None,
    scratch: Scratch = None,
    memory_limit: int | str | None = None,
) -> pd.DataFrame:
    """Measure the regions of a label image, region by region of blocks.

    Parameters
    ----------
    label_image : DataArray, dask or NumPy array of integers
        2-D or 3-D frames; 0 is background. Axes named ``t`` and ``c`` are looped over.
    intensity_image : DataArray, dask or NumPy array, optional
        Of the shape of ``label_image``; it may have one axis more, named ``c`` (without names: the
        last), and then each intensity gets a column per channel, as ``intensity_mean-DAPI``.
    properties : str or sequence of str
        Names of properties, groups of them, or both. Properties are scikit-image's, but for those
        that give an object per region (``coords``, ``image``, ``slice``), and
        ``axis_intermediate_length``, ``surface_area`` and ``sphericity`` of 3-D labels,
        ``aspect_ratio``, ``roundness`` and ``circularity`` of 2-D labels. Groups are ``"size"``,
        ``"intensity"``, ``"perimeter"``, ``"shape"``, ``"position"``, ``"moments"`` and ``"all"``;
        ``"perimeter"`` and ``"moments"`` mean the group if given alone, the property in a list. A
        group leaves out what is not defined for the input and logs a warning that says so.
    spacing : float, sequence of float or "coords", optional
        Voxel size along the spatial axes, 1 by default; ``"coords"`` takes the DataArray's own.
    extra_properties : iterable of functions, optional
        ``f(mask)`` or ``f(mask, intensities)`` of an object's bounding box, as in scikit-image;
        each fills columns of its own name, after the properties.
    scratch : path, None or False
        Where to keep the labels, so that lazily computed ones are computed only once although
        objects' crops read them again. None does so for such labels above 2**28 voxels in a
        temporary folder, False never.
    memory_limit : int or str, optional
        Memory that measuring whole objects (hulls, Feret diameters, filled areas, medians and
        ``extra_properties``) may take at one time in a process: bytes, or text as ``"2GiB"``. By
        default a quarter of what the machine, its container or a cluster's worker gives. Each
        thread has its share. An object that needs more is measured piece by piece where that
        gives the same (hulls, Feret diameters, medians of integers of up to 16 bits); else it has
        NaN there (None where a function gives no numbers), and a warning names the object and the
        size that it needs.

    Returns
    -------
    pandas.DataFrame
        One row per label, ascending; columns named as in scikit-image (``bbox-0``,
        ``centroid-2``), after a column for each looped axis. ``area`` is in units of the spacing
        (voxels by default; ``attrs["size_unit"]`` tells), ``bbox`` in voxels. Without any label: no
        rows, all columns.

    Raises
    ------
    KindError
        For labels that are not integers, frames that are neither 2-D nor 3-D, and a property asked
        for by name that is not defined for their number of axes.
    ParameterError
        For an unknown property, negative labels, an intensity without an image, images of
        different shape or coordinates, a property that is not defined for the spacing, a
        function that can't be used, or a memory limit that is no amount of memory.

    Notes
    -----
    Equal to :func:`skimage.measure.regionprops_table` on the whole frame: whole numbers exactly,
    floats to 1e-9 of the property's natural scale (for a moment the sum of its terms' absolute
    values, for a length the object's box), with these exceptions:

    - intensity means and standard deviations of float32 images to 1e-6 of the largest intensity
      (scikit-image adds in single precision, chunkseg in double), ``surface_area`` to 1e-6 (single
      precision vertices in scikit-image);
    - axis lengths, ``eccentricity`` and ``intensity_std`` are roots, of which the squares are held
      to that tolerance: of a flat or round object the root is that of rounding noise;
    - ``orientation`` where the axes differ, else any angle;
    - NaN where scikit-image or the definition gives infinity or raises: ``aspect_ratio`` of a line,
      ``roundness`` and ``circularity`` of a single pixel, normalized weighted moments of
      intensities that add up to 0, ``feret_diameter_max`` of a flat object in 3-D.

    Properties that are sums come from one sweep over the blocks, whatever the labels; convex hulls,
    Feret diameters, filled areas, medians and ``extra_properties`` from the objects' crops.

    Examples
    --------
    >>> import numpy as np, chunkseg as cs
    >>> labels = np.array([[1, 1, 0], [0, 0, 2]])
    >>> cs.regionprops_table(labels, properties=("label", "area", "centroid"))
       label  area  centroid-0  centroid-1
    0      1   2.0         0.0         0.5
    1      2   1.0         1.0         2.0
    """
    asked = (spacing, extra_properties, scratch, memory_limit)
    return measured(label_image, intensity_image, properties, *asked)


def measured(
    label_image: Any,
    intensity_image: Any,
    properties: str | Sequence[str],
    spacing: Any = None,
    extra_properties: Iterable[Callable[..., Any]] | None = None,
    scratch: Scratch = None,
    memory_limit: int | str | None = None,
    folder: Path | None = None,
    progress: Progress = silent,
) -> pd.DataFrame:
    """Do :func:`regionprops_table`, with the sweep's records in files of a folder if one is given.

    The driver then holds some of the records at a time, and a sweep takes up those it finds there.
    ``progress`` is told of each block; what it raises ends the measurement.
    """
    limit = None if memory_limit is None else bytes_of(memory_limit)
    given = Given.of(label_image, "label image")
    if given.data.dtype.kind not in "ui":
        raise KindError(
            f"regionprops_table needs integer labels; got dtype {given.data.dtype}. A mask is made "
            "into labels by chunkseg.label."
        )
    lengths = given.spacing(1 if spacing is None else spacing)
    images, channels = intensities(given, intensity_image)
    measures = choose(properties, lengths, channels, bool(images))
    extras = extras_of(extra_properties, KINDS, bool(images))
    again = bool(measures.wholes or extras) and source_of(given.data) is None
    if scratch is not None or again:
        into = kept(given, scratch, given.data.dtype, "regionprops_table")
        given = given if into is None else replace(given, data=written(given, into))
    table = Measurement(given, images, measures, extras, limit, folder, progress).table()
    table.attrs["size_unit"] = _size_unit(given, spacing, lengths)
    return table


def _size_unit(given: Given, spacing: Any, lengths: tuple[float, ...]) -> str:
    """Name the unit of areas and volumes; the user's own numbers have none."""
    if not isinstance(spacing, str):
        return "voxel" if set(lengths) == {1.0} else ""
    assert given.named is not None
    unit = unit_of(given.named, [given.named.dims[axis] for axis in given.layout.spatial])
    return "voxel" if unit == PIXEL else f"{unit_symbol(unit)}{len(lengths)}"


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
