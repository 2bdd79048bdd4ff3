"""Zarr of version 2 and 3: plain arrays, and OME-Zarr image groups through ``omezarr``.

An array that chunkseg stored carries its calibration in its attributes. An array's axes are named
by ``dimension_names`` (v3) or xarray's ``_ARRAY_DIMENSIONS`` (v2); one without names has the
default ones. Only metadata documents are read.
"""

from __future__ import annotations

import os
from typing import Any, cast

import zarr
from zarr.storage import LocalStore

from chunkseg.errors import FormatError
from chunkseg.geometry.calibration import Calibration
from chunkseg.storage.formats import omezarr
from chunkseg.storage.formats.found import Found, check_level, known_axes, reading, stem
from chunkseg.storage.formats.npy import default_dims, no_names
from chunkseg.storage.sources import ZarrSource

CALIBRATION = "calibration"
CHANNELS = "channels"
_MARKS = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")


def claims(path: str, head: bytes) -> bool:
    """Whether the folder is a zarr array or group, or is named like one."""
    if not os.path.isdir(path):
        return False
    marked = any(os.path.exists(os.path.join(path, mark)) for mark in _MARKS)
    return marked or path.rstrip(os.sep).endswith(".zarr")


def read(path: str, level: int) -> Found:
    """Find the image of a zarr array or group.

    Parameters
    ----------
    path
        The folder of the array or group.
    level
        Resolution level of an OME-Zarr image, 0 the finest.

    Raises
    ------
    FormatError
        If it is no zarr, or a group that does not hold exactly one image.
    ParameterError
        If the level does not exist.
    """
    with reading(path, "zarr"):
        return _read(path, level)


def _read(path: str, level: int) -> Found:
    node = _open(path)
    if isinstance(node, zarr.Array):
        check_level(path, level, 1)
        return of_array(node, stem(path))
    attrs = omezarr.ome_attributes(node)
    if "multiscales" in attrs:
        return omezarr.read(path, node, attrs, level)
    return _read(_only_member(path, node, attrs), level)


def of_array(array: zarr.Array[Any], name: str | None = None) -> Found:
    """Describe a plain zarr array."""
    source = ZarrSource(array)
    names = _dimension_names(array)
    if names is None:
        dims = default_dims(source.ndim)
        return Found(source, dims, name=name, doubt=no_names(source))
    doubt = "" if known_axes(names) else f"its axes are named {names}"
    stored = cast("dict[str, Any]", array.attrs.get(CALIBRATION) or {})
    channels = cast("list[str] | None", array.attrs.get(CHANNELS))
    return Found(
        source,
        names,
        Calibration(**stored),
        tuple(channels) if channels else None,
        name=name,
        doubt=doubt,
    )


def _dimension_names(array: zarr.Array[Any]) -> tuple[str | None, ...] | None:
    names = getattr(array.metadata, "dimension_names", None)
    names = names or cast("list[str] | None", array.attrs.get("_ARRAY_DIMENSIONS"))
    if not names or all(n is None or n.startswith("dim_") for n in names):
        return None
    lower = [n.lower() if n else None for n in names]
    return tuple(lower)


def _open(path: str) -> zarr.Array[Any] | zarr.Group:
    try:
        return zarr.open(LocalStore(path, read_only=True), mode="r")
    except FileNotFoundError as error:
        raise FormatError(
            f"{path} is named like a zarr, but has no metadata of one; the copy may be incomplete"
        ) from error


def _only_member(path: str, group: zarr.Group, attrs: dict[str, Any]) -> str:
    """Path of the one image in a group that is none itself."""
    if "plate" in attrs or "well" in attrs:
        kind = "plate" if "plate" in attrs else "well"
        raise FormatError(
            f"{path} is a {kind} of a screen, not one image; open one field of it, "
            "for example PATH/A/1/0"
        )
    names = omezarr.series(group, attrs) or _arrays(group)
    if len(names) != 1:
        seen = ", ".join(sorted(names)) or "none"
        raise FormatError(
            f"{path} is a zarr group with {len(names)} images ({seen}); "
            f"open one of them by its own path, for example {os.path.join(path, 'NAME')}"
        )
    return os.path.join(path, names[0])


def _arrays(group: zarr.Group) -> list[str]:
    """Names of the arrays of two or more axes (xarray keeps coordinates as 1-D arrays)."""
    return [name for name, array in group.arrays() if array.ndim >= 2]
