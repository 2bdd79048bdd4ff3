"""Zarr of version 2 and 3: plain arrays, and OME-Zarr image groups through ``omezarr``.

A store is a folder, a zip file or whatever fsspec opens. An array that chunkseg stored carries its
calibration in its attributes; xarray's lies in arrays beside it. An array's axes are named by
``dimension_names`` (v3) or xarray's ``_ARRAY_DIMENSIONS`` (v2); one without names has the default
ones. Only metadata documents and coordinates are read.
"""

from __future__ import annotations

import os
import zipfile
from dataclasses import replace
from typing import Any, cast

import zarr
from zarr.storage import FsspecStore, LocalStore, ZipStore

from chunkseg.errors import FormatError, ParameterError
from chunkseg.geometry.calibration import Calibration
from chunkseg.storage.formats import coordinates, omezarr
from chunkseg.storage.formats.asked import Asked
from chunkseg.storage.formats.found import Found, check_level, known_axes, number_of, reading
from chunkseg.storage.formats.npy import default_dims, no_names
from chunkseg.storage.sources import ZarrSource

CALIBRATION = "calibration"
CHANNELS = "channels"
_MARKS = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")
_ZIP = b"PK\x03\x04"
_OPTIONS = {"s3": {"max_concurrency": 1}}
"""Of file systems: s3fs would else ask for the size of each chunk before it asks for the chunk."""
_FILES = (".tif", ".tiff", ".npy", ".h5", ".hdf5", ".ims", ".czi", ".nd2", ".lif", ".png", ".jpg")

Node = zarr.Array[Any] | zarr.Group


def claims(asked: Asked) -> bool:
    """Whether the place is a zarr array or group, is named like one, or is an address."""
    if asked.remote or asked.head.startswith(_ZIP):
        return True
    if not os.path.isdir(asked.path):
        return False
    marked = any(os.path.exists(os.path.join(asked.path, mark)) for mark in _MARKS)
    return marked or asked.path.rstrip(os.sep).endswith(".zarr")


def read(asked: Asked) -> Found:
    """Find the image of a zarr array or group.

    Raises
    ------
    FormatError
        If it is no zarr, or a group that holds several images of which none is asked for.
    ParameterError
        If the level or series does not exist, or a library for the address is missing.
    PathError
        If the store can't be read.
    """
    if asked.remote and asked.path.lower().endswith(_FILES):
        raise FormatError(
            f"{asked.path} is a file, and of remote images only zarr is read in place; put "
            f"simplecache:: before the address to have it downloaded first, as 'simplecache::"
            f"{asked.path}', or convert it to OME-Zarr"
        )
    with reading(asked.name, "zarr"):
        return _read(asked)


def _read(asked: Asked) -> Found:
    node = _open(asked)
    if isinstance(node, zarr.Array):
        check_level(asked.name, asked.level, 1)
        if asked.series is not None:
            number_of("series", asked.series, (asked.stem,))
        return _array(asked, node)
    attrs = omezarr.ome_attributes(node)
    if "multiscales" in attrs:
        return omezarr.read(asked, node, attrs)
    return _member(asked, node, attrs)


def of_array(
    array: zarr.Array[Any], name: str | None = None, group: zarr.Group | None = None
) -> Found:
    """Describe a plain zarr array, with the coordinates that the group around it may have."""
    source = ZarrSource(array)
    coordinates.check_unpacked(array)
    stored = _dimension_names(array)
    if stored is None:
        dims = default_dims(source.ndim)
        return Found(source, dims, name=name, doubt=no_names(source))
    names = tuple(n.lower() if n else None for n in stored)
    doubt = "" if known_axes(names) else f"its axes are named {names}"
    own = array.attrs.get(CALIBRATION)
    there = coordinates.beside(group, stored, array.shape) if group is not None else {}
    channels = cast("list[str] | None", array.attrs.get(CHANNELS))
    return Found(
        source,
        names,
        _stated(own) if own else coordinates.calibration(there),
        tuple(map(str, channels)) if channels else coordinates.channel_names(there),
        name=name,
        doubt=doubt,
        coordinates={} if own else {d: v for d, v in there.items() if d != "c"},
    )


def _stated(own: Any) -> Calibration:
    """Calibration that chunkseg stored with an array."""
    try:
        spacing, units, origin = (dict(own[key]) for key in ("spacing", "units", "origin"))
        return Calibration(
            {d: float(v) for d, v in spacing.items()},
            {d: str(v) for d, v in units.items()},
            {d: float(v) for d, v in origin.items()},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"the array's attribute {CALIBRATION!r} is damaged: {own!r}") from error


def _dimension_names(array: zarr.Array[Any]) -> tuple[str | None, ...] | None:
    names = getattr(array.metadata, "dimension_names", None)
    names = names or cast("list[str] | None", array.attrs.get("_ARRAY_DIMENSIONS"))
    if not names or all(n is None or n.startswith("dim_") for n in names):
        return None
    return tuple(names)


def _open(asked: Asked) -> Node:
    try:
        return _opened(asked)
    except FileNotFoundError as error:
        raise FormatError(
            f"{asked.name} is named like a zarr, but has no metadata of one; the copy may be "
            "incomplete"
        ) from error
    except ImportError as error:
        raise ParameterError(
            f"{asked.name} needs a library that is not there ({error}); "
            "pip install 'chunkseg[remote]' has those for s3 and http"
        ) from error


def _opened(asked: Asked) -> Node:
    """Open what is asked for, for reading."""
    if asked.remote:
        options = _OPTIONS.get(asked.path.split(":")[0].lower())
        return zarr.open(FsspecStore.from_url(asked.path, options, read_only=True), mode="r")
    if os.path.isfile(asked.path):
        inside = asked.inside or _top_of_zip(asked.path)
        return zarr.open(ZipStore(asked.path, mode="r", read_only=True), path=inside, mode="r")
    return zarr.open(LocalStore(asked.path, read_only=True), mode="r")


def _top_of_zip(path: str) -> str:
    """Folder of a zip file in which the zarr lies: the one nearest to its root."""
    with zipfile.ZipFile(path) as archive:
        documents = [n for n in archive.namelist() if os.path.basename(n) in _MARKS]
    return min(map(os.path.dirname, documents), key=lambda n: n.count("/") + bool(n), default="")


def _array(asked: Asked, array: zarr.Array[Any]) -> Found:
    """Describe an array opened by its own path, with what the group around it says of it.

    That is an OME-Zarr image of which it is a level, or xarray's data set whose variable it is.
    """
    around, name = asked.above()
    group = None if CALIBRATION in array.attrs else _group(around)
    if group is not None:
        attrs = omezarr.ome_attributes(group)
        number = omezarr.level_named(attrs, name)
        if number is not None:
            found = omezarr.read(replace(around, level=number), group, attrs)
            return replace(found, name=asked.stem, levels=1)
    return of_array(array, asked.stem, group)


def _group(asked: Asked) -> zarr.Group | None:
    """Group at a place, if there is one: whatever else is there, an array inside is fine alone."""
    try:
        node = _opened(asked)
    except Exception:
        return None
    return node if isinstance(node, zarr.Group) else None


def _member(asked: Asked, group: zarr.Group, attrs: dict[str, Any]) -> Found:
    """Find the image in a group that is none itself: the only one, or the one asked for."""
    if "plate" in attrs:
        raise FormatError(
            f"{asked.name} is a plate of a screen, not one image; open one field of it, "
            "for example PATH/A/1/0"
        )
    parts, names = omezarr.collected(group, attrs)
    if not parts:
        parts = names = _arrays(group)
    if asked.series is not None:
        part = parts[number_of("series", asked.series, names)]
    elif len(parts) == 1:
        part = parts[0]
    else:
        raise FormatError(
            f"{asked.name} is a zarr group with {len(parts)} images "
            f"({', '.join(names) or 'none'}); choose one by series=, or open it by its own path"
        )
    found = _read(replace(asked.within(part), series=None))
    return replace(found, series=tuple(names))


def _arrays(group: zarr.Group) -> list[str]:
    """Names of the arrays of two or more axes (xarray keeps coordinates as 1-D arrays)."""
    return sorted(name for name, array in group.arrays() if array.ndim >= 2)
