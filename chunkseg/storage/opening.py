"""Opening images: what is at a path becomes a DataArray with named axes and coordinates.

A reader finds the image and what its metadata say; here the user's wishes are put on top, axes of
no extent and the other channels are taken away, and the rest is wrapped lazily. Only metadata are
read, and the input is never opened for writing.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from chunkseg.errors import FormatError, ParameterError
from chunkseg.geometry.calibration import Calibration, Spacing, Unit, spacing_of, with_coordinates
from chunkseg.geometry.dims import example_dims, parse_dims
from chunkseg.geometry.layout import LOOPED
from chunkseg.geometry.units import PIXEL, is_time, is_unit
from chunkseg.storage.formats import READERS
from chunkseg.storage.formats.asked import ask, place
from chunkseg.storage.formats.found import Found, number_of
from chunkseg.storage.identity import canonical
from chunkseg.storage.parts import Chunks, Spans, chunk_lengths, parse_spans, part_of
from chunkseg.storage.sources import Source, View, as_dask
from chunkseg.storage.wrapping import Dims, from_array, replaced_axes

__all__ = ["find_image", "from_array", "image_of", "open_image"]

LABELS = "labels"
OPENED_WITH = "opened_with"
REGION = "region"
LONGEST_AXIS = 2**24

logger = logging.getLogger("chunkseg")


def open_image(
    path: str | os.PathLike[str],
    *,
    channel: str | int | None = None,
    level: int = 0,
    series: str | int | None = None,
    dims: Dims | None = None,
    spacing: Spacing | None = None,
    unit: Unit | None = None,
    chunks: Chunks | None = None,
    region: Spans | None = None,
) -> xr.DataArray:
    """Open an image lazily, with named axes and physical coordinates.

    Parameters
    ----------
    path
        A zarr array or OME-Zarr image (a folder, a zip file, or an address such as
        ``s3://bucket/cells.zarr``), a TIFF, a folder or pattern of TIFFs (in which ``{t}``,
        ``{c}`` and ``{z}`` may stand for the numbers that count these axes), an ``.npy``, an HDF5
        data set (``stack.h5:/volumes/raw``), an Imaris file, or what bioio opens. A file at an
        address is downloaded first if ``simplecache::`` stands before it.
    channel
        Name or number of the one channel to be taken; ``c`` is dropped.
    level
        Resolution level of a multiscale image, 0 the finest.
    series
        Name or number of the image, where the file or group holds several: series of a TIFF or of
        a bioformats2raw collection, fields of a well, arrays of a group, data sets, scenes.
    dims
        Names of the file's axes, one letter of ``t c z y x`` each, instead of what it says. The
        calibration of an axis thereby renamed is not used.
    spacing, unit
        Physical spacing and unit instead of what the file says: a mapping by axis, a number per
        spatial axis, or one for all. ``unit`` alone renames the unit of the file's own spacing.
    chunks
        Block length by axis or for each axis of the result; by default about 2 million voxels,
        in whole stored chunks.
    region
        The part to be taken: by axis a slice or two numbers, the first voxel and the one after the
        last, None for the image's own end. The part's coordinates are those of the whole.

    Returns
    -------
    DataArray
        Dask array in native byte order, axes in the file's order. ``t`` and ``c`` of length 1 are
        dropped, and so is such a ``z`` where the format has five axes for any image; not if
        ``dims`` names them. Where spacing or unit is missing, an axis has spacing 1 in
        ``"pixel"``, and a warning is logged; a resolution for printing does not count. ``t``
        without calibration counts frames and has no unit. Coordinates that xarray stored are kept
        as they are, falling or uneven; uneven ones are refused by what needs a spacing.
        ``attrs["source"]`` is the path; ``attrs["kind"]`` is ``"labels"`` where the file says so;
        ``attrs["channel"]`` is the name of the one channel, where ``c`` was dropped;
        ``attrs["opened_with"]`` is JSON of the arguments, where any were given.

    Raises
    ------
    PathError
        If there is nothing at the path, or it can't be read.
    FormatError
        If it is not an image, is damaged, holds several images, or does not say what its axes are
        (pass ``dims``). A chunk that can't be decoded raises it when it is read.
    ParameterError
        If an argument does not fit the image, or an optional library is missing.

    Examples
    --------
    >>> import tempfile
    >>> file = os.path.join(tempfile.mkdtemp(), "stack.npy")
    >>> np.save(file, np.zeros((4, 5, 6), np.uint16))
    >>> image = open_image(file, spacing=(0.29, 0.26, 0.26), unit="um")
    >>> image.dims, image.x.attrs["units"], image.chunks
    (('z', 'y', 'x'), 'micrometer', ((4,), (5,), (6,)))
    """
    where = place(path)
    found = find_image(where, level, series)
    whole = chunks if region is None else None
    image = image_of(where, found, channel, dims, spacing, unit, whole)
    asked: dict[str, Any] = {"level": level or None, "series": series, "dims": dims}
    asked |= {"spacing": spacing, "unit": unit}
    if channel is not None:
        channels = _all_channels(found, _names(where, found, dims))
        asked["channel"] = number_of("channel", channel, channels)
    if region is not None:
        asked[REGION] = parse_spans(region, [str(d) for d in image.dims], image.shape)
        image = part_of(image, asked[REGION], chunks)
    given = {name: value for name, value in asked.items() if value is not None}
    return image.assign_attrs({OPENED_WITH: canonical(given)}) if given else image


def region_of(image: xr.DataArray) -> dict[str, list[int]]:
    """Which part of the whole an image is: first voxel and the one after the last by axis.

    Empty where it is the whole, or nobody knows.
    """
    found: dict[str, list[int]] = opened_with(image).get(REGION, {})
    return found


def opened_with(image: xr.DataArray) -> dict[str, Any]:
    """Arguments that an image was opened with, as JSON has them; empty where nobody knows."""
    found: dict[str, Any] = json.loads(image.attrs.get(OPENED_WITH, "{}"))
    return found


def find_image(where: str, level: int = 0, series: str | int | None = None) -> Found:
    """Find the image at a place, with all that its metadata say; see :func:`open_image`."""
    asked = ask(where, level, series)
    for reader in READERS:
        if reader.claims(asked):
            found = reader.read(asked)
            break
    else:
        raise FormatError(
            f"{where} is not an image in a known format; known are zarr, OME-Zarr, TIFF, folders "
            "of TIFFs, .npy, HDF5, Imaris, and with bioio more"
        )
    source = found.source
    if 0 in source.chunks:
        raise FormatError(f"{where} is stored in chunks of {source.chunks}, which can't be right")
    if source.dtype.kind not in "biuf" or source.ndim < 2 or max(source.shape) > LONGEST_AXIS:
        raise FormatError(
            f"{where} has {source.ndim} axes of {source.dtype}, shape {source.shape}; an image has "
            f"at least two, of at most {LONGEST_AXIS} whole or real numbers each"
        )
    return found


def image_of(
    where: str,
    found: Found,
    channel: str | int | None = None,
    dims: Dims | None = None,
    spacing: Spacing | None = None,
    unit: Unit | None = None,
    chunks: Chunks | None = None,
) -> xr.DataArray:
    """Put the user's wishes on top of what was found; see :func:`open_image`."""
    names = _names(where, found, dims)
    kept = {n for n, m in zip(names, found.dims, strict=True) if n == m}
    index = _fixed(found, names, channel, keep_single=dims is not None)
    source, rest = _view(found.source, names, index)
    mine = found.calibration.only(kept)
    known = _without_pixel(mine, found).override(rest, spacing, unit)
    calibration, missing = known.complete(rest)
    if missing:
        _tell_missing(where, missing, known, found.remark)
    if dims is None:
        _tell_swapped(where, found, rest, missing)
    looped = [i for i, d in enumerate(rest) if d in LOOPED]
    image = with_coordinates(
        as_dask(source, chunk_lengths(chunks, rest, source.shape), looped),
        rest,
        calibration.spacing,
        calibration.units,
        calibration.origin,
        _channels(found, names, rest),
        found.name,
        {"source": where, **_told(found, names, index)},
    )
    return _with_stored(
        image, found, set(mine.spacing) - set(missing) - replaced_axes(rest, spacing)
    )


def _told(found: Found, names: Sequence[str], index: Mapping[str, int]) -> dict[str, str]:
    """Attributes: whether it is a label image, and what its one channel is called."""
    told = {"kind": LABELS} if found.is_labels else {}
    one = "c" in index or "c" not in names
    if one and found.channels and found.channels == _all_channels(found, names):
        told["channel"] = found.channels[index.get("c", 0)]
    return told


def _names(path: str, found: Found, dims: Dims | None) -> tuple[str, ...]:
    if dims is not None:
        return parse_dims(dims, found.source.shape)
    if found.doubt:
        raise FormatError(
            f"{path}: {found.doubt}; pass dims= with one letter of t c z y x for each of the "
            f"axes of shape {found.source.shape}, for example "
            f"dims='{example_dims(found.source.ndim)}'"
        )
    return tuple(str(d) for d in found.dims)


def _fixed(
    found: Found, names: Sequence[str], channel: str | int | None, keep_single: bool
) -> dict[str, int]:
    """Axes to be dropped, and the index that is taken there."""
    dropped = ("t", "c", "z") if found.fixed_layout else LOOPED
    single = [d for d, n in zip(names, found.source.shape, strict=True) if n == 1 and d in dropped]
    fixed = {} if keep_single else dict.fromkeys(single, 0)
    if channel is None:
        return fixed
    number = number_of("channel", channel, _all_channels(found, names))
    return {**fixed, "c": number} if "c" in names else fixed


def _all_channels(found: Found, names: Sequence[str]) -> tuple[str, ...]:
    """Names of the file's channels; an image without ``c`` has one."""
    n = found.source.shape[names.index("c")] if "c" in names else 1
    if found.channels is not None and len(found.channels) == n:
        return found.channels
    return tuple(str(i) for i in range(n))


def _view(
    source: Source, names: Sequence[str], fixed: Mapping[str, int]
) -> tuple[Source, tuple[str, ...]]:
    if not fixed:
        return source, tuple(names)
    rest = tuple(n for n in names if n not in fixed)
    index = tuple(fixed.get(n) for n in names)
    return View(source, index, tuple(names.index(n) for n in rest)), rest


def _without_pixel(known: Calibration, found: Found) -> Calibration:
    """Drop the axes that a file gives in pixels: those are not calibrated."""
    bare = {d for d, u in known.units.items() if is_unit(u, PIXEL) and d not in found.coordinates}
    return known.only(set(known.spacing) - bare)


def _with_stored(image: xr.DataArray, found: Found, dims: set[str]) -> xr.DataArray:
    """Give some axes the coordinates that the file has voxel by voxel; uneven ones no spacing."""
    for dim in dims & set(found.coordinates) & set(map(str, image.dims)):
        values = found.coordinates[dim].values.astype(np.float64)
        image = image.assign_coords({dim: (dim, values, dict(image[dim].attrs))})
        try:
            spacing_of(image, [dim])
        except ParameterError:
            del image[dim].attrs["spacing"]
    return image


def _tell_missing(path: str, missing: Sequence[str], known: Calibration, remark: str) -> None:
    stray = {d: known.spacing[d] for d in missing if d in known.spacing and d not in known.units}
    hint = f" (it gives {stray} without a unit: pass unit= if that is right)" if stray else ""
    logger.warning(
        "%s has no physical spacing along %s%s; taken as 1 pixel%s. Pass spacing= and unit= to set "
        "it, for example spacing={'%s': 0.26}, unit='micrometer'",
        path,
        ", ".join(missing),
        hint,
        f" ({remark})" if remark else "",
        missing[-1],
    )


def _tell_swapped(path: str, found: Found, rest: Sequence[str], missing: Sequence[str]) -> None:
    """Warn where an axis looks like another: depths in seconds, times in micrometers."""
    units = found.calibration.units
    odd = [d for d in rest if d not in LOOPED and is_time(units.get(d, ""))]
    if "t" in rest and not is_time(units.get("t", "s")) and not is_unit(units["t"], PIXEL):
        odd.append("t")
    for dim in odd:
        logger.warning(
            "%s gives its axis %s in %s; if the axis is not what it is called, name the axes by "
            "dims=, as dims='%s'",
            path,
            dim,
            units[dim],
            "".join({"t": "z", "z": "t"}.get(d, d) for d in rest),
        )
    timed = "t" in found.calibration.spacing and "t" not in found.dims
    if timed and "z" in missing and "z" not in odd:
        logger.warning(
            "%s has a time interval and no axis of time; if its z is time, pass dims='%s'",
            path,
            "".join({"z": "t"}.get(d, d) for d in rest),
        )


def _channels(found: Found, names: Sequence[str], rest: Sequence[str]) -> tuple[str, ...] | None:
    return _all_channels(found, names) if "c" in rest else None
