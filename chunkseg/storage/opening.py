"""Opening images: what is at a path becomes a DataArray with named axes and coordinates.

A reader finds the image and what its metadata say; here the user's wishes are put on top, axes of
no extent and the other channels are taken away, and the rest is wrapped lazily. Only metadata are
read, and the input is never opened for writing.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence

import xarray as xr

from chunkseg.errors import FormatError, ParameterError, PathError
from chunkseg.geometry.calibration import (
    LOOPED,
    Calibration,
    Spacing,
    Unit,
    parse_dims,
    with_coordinates,
)
from chunkseg.geometry.units import PIXEL, normalise_unit
from chunkseg.storage.formats import READERS
from chunkseg.storage.formats.folder import is_pattern
from chunkseg.storage.formats.found import Found
from chunkseg.storage.sources import Source, View, as_dask
from chunkseg.storage.wrapping import Dims, from_array

Chunks = Sequence[int] | Mapping[str, int]

__all__ = ["from_array", "open_image"]

logger = logging.getLogger("chunkseg")


def open_image(
    path: str | os.PathLike[str],
    *,
    channel: str | int | None = None,
    level: int = 0,
    dims: Dims | None = None,
    spacing: Spacing | None = None,
    unit: Unit | None = None,
    chunks: Chunks | None = None,
) -> xr.DataArray:
    """Open an image lazily, with named axes and physical coordinates.

    Parameters
    ----------
    path
        A zarr array or OME-Zarr image, a TIFF, a folder or glob pattern of TIFFs, or an ``.npy``.
    channel
        Name or number of the one channel to be taken; ``c`` is dropped.
    level
        Resolution level of a multiscale image, 0 the finest.
    dims
        Names of the file's axes, one letter of ``t c z y x`` each, instead of what it says. The
        calibration of an axis thereby renamed is not used.
    spacing, unit
        Physical spacing and unit instead of what the file says: a mapping by axis, a number per
        spatial axis, or one for all. ``unit`` alone renames the unit of the file's own spacing.
    chunks
        Block length by axis or for each axis of the result; by default about 2 million voxels,
        in whole stored chunks.

    Returns
    -------
    DataArray
        Dask array in native byte order, axes in the file's order. ``t`` and ``c`` of length 1 are
        dropped, and so is such a ``z`` where the format has five axes for any image; not if
        ``dims`` names them. Where spacing or unit is missing, an axis has spacing 1 in
        ``"pixel"``, and a warning is logged; a resolution for printing does not count. ``t``
        without calibration counts frames and has no unit. ``attrs["source"]`` is the path.

    Raises
    ------
    PathError
        If there is nothing at the path, or it can't be read.
    FormatError
        If it is not an image, is damaged, or does not say what its axes are (pass ``dims``).
    ParameterError
        If an argument does not fit the image.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> file = os.path.join(tempfile.mkdtemp(), "stack.npy")
    >>> np.save(file, np.zeros((4, 5, 6), np.uint16))
    >>> image = open_image(file, spacing=(0.29, 0.26, 0.26), unit="um")
    >>> image.dims, image.x.attrs["units"], image.chunks
    (('z', 'y', 'x'), 'micrometer', ((4,), (5,), (6,)))
    """
    where = os.path.abspath(os.path.expanduser(os.fspath(path)))
    found = _find(where, level)
    names = _names(where, found, dims)
    kept = {n for n, m in zip(names, found.dims, strict=True) if n == m}
    index = _fixed(found, names, channel, keep_single=dims is not None)
    source, rest = _view(found.source, names, index)
    known = _without_pixel(found.calibration.only(kept)).override(rest, spacing, unit)
    calibration, missing = known.complete(rest)
    if missing:
        _tell_missing(where, missing, known)
    looped = [i for i, d in enumerate(rest) if d in LOOPED]
    return with_coordinates(
        as_dask(source, _lengths(chunks, rest, source.shape), looped),
        rest,
        calibration.spacing,
        calibration.units,
        calibration.origin,
        _channels(found, names, rest),
        found.name,
        {"source": where},
    )


def _find(path: str, level: int) -> Found:
    head = _head(path)
    for reader in READERS:
        if reader.claims(path, head):
            found = reader.read(path, level)
            break
    else:
        raise FormatError(
            f"{path} is not an image in a known format; known are zarr, OME-Zarr, TIFF, folders "
            "of TIFFs and .npy"
        )
    if found.source.dtype.kind not in "biuf" or found.source.ndim < 2:
        raise FormatError(
            f"{path} has {found.source.ndim} axes of {found.source.dtype}; an image has at least "
            "two, of whole or real numbers"
        )
    return found


def _head(path: str) -> bytes:
    """First bytes of a file; none for a folder or a pattern."""
    if is_pattern(path):
        return b""
    try:
        if os.path.isdir(path):
            os.listdir(path)
            return b""
        with open(path, "rb") as file:
            return file.read(16)
    except FileNotFoundError as error:
        raise PathError(f"there is nothing at {path}; check the path") from error
    except OSError as error:
        raise PathError(f"{path} can't be read: {error.strerror}") from error


def _names(path: str, found: Found, dims: Dims | None) -> tuple[str, ...]:
    if dims is not None:
        return parse_dims(dims, found.source.shape)
    if found.doubt:
        raise FormatError(
            f"{path}: {found.doubt}; pass dims= with one letter of t c z y x for each of the "
            f"axes of shape {found.source.shape}, for example dims='zyx'"
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
    number = _channel_number(channel, _all_channels(found, names))
    return {**fixed, "c": number} if "c" in names else fixed


def _all_channels(found: Found, names: Sequence[str]) -> tuple[str, ...]:
    """Names of the file's channels; an image without ``c`` has one."""
    n = found.source.shape[names.index("c")] if "c" in names else 1
    if found.channels is not None and len(found.channels) == n:
        return found.channels
    return tuple(str(i) for i in range(n))


def _channel_number(channel: str | int, names: tuple[str, ...]) -> int:
    if isinstance(channel, str) and names.count(channel) == 1:
        return names.index(channel)
    number = int(channel) if str(channel).isdecimal() else -1
    ambiguous = isinstance(channel, str) and names.count(channel) > 1
    if ambiguous or not 0 <= number < len(names):
        listed = ", ".join(f"{i}: {name}" for i, name in enumerate(names))
        raise ParameterError(f"channel={channel!r} does not name one of the channels {listed}")
    return number


def _view(
    source: Source, names: Sequence[str], fixed: Mapping[str, int]
) -> tuple[Source, tuple[str, ...]]:
    if not fixed:
        return source, tuple(names)
    rest = tuple(n for n in names if n not in fixed)
    index = tuple(fixed.get(n) for n in names)
    return View(source, index, tuple(names.index(n) for n in rest)), rest


def _without_pixel(known: Calibration) -> Calibration:
    """Drop the axes that a file gives in pixels: those are not calibrated."""
    real = {d for d in known.spacing if not _is_pixel(known.units.get(d, ""))}
    unnamed = {d for d in known.spacing if d not in known.units}
    return known.only(real | unnamed)


def _is_pixel(unit: str) -> bool:
    try:
        return normalise_unit(unit) == PIXEL
    except FormatError:
        return False


def _tell_missing(path: str, missing: Sequence[str], known: Calibration) -> None:
    stray = {d: known.spacing[d] for d in missing if d in known.spacing}
    hint = f" (it gives {stray} without a unit: pass unit= if that is right)" if stray else ""
    logger.warning(
        "%s has no physical spacing along %s%s; taken as 1 pixel. Pass spacing= and unit= to set "
        "it, for example spacing={'%s': 0.26}, unit='micrometer'",
        path,
        ", ".join(missing),
        hint,
        missing[-1],
    )


def _lengths(
    chunks: Chunks | None, dims: Sequence[str], shape: Sequence[int]
) -> tuple[int, ...] | None:
    if not isinstance(chunks, Mapping):
        return None if chunks is None else tuple(chunks)
    if not set(chunks) <= set(dims):
        raise ParameterError(f"chunks= names axes {sorted(chunks)}; the image has {tuple(dims)}")
    return tuple(int(chunks.get(d, max(n, 1))) for d, n in zip(dims, shape, strict=True))


def _channels(found: Found, names: Sequence[str], rest: Sequence[str]) -> tuple[str, ...] | None:
    return _all_channels(found, names) if "c" in rest else None
