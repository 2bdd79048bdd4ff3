"""Imaris 5.5 files (``.ims``): HDF5 with a data set per level, time point and channel.

The data sets are padded to whole chunks; the size without padding stands with the channel. The
image's extent, in its unit, gives the size of a voxel. Times are not read: they may be uneven.
"""

from __future__ import annotations

from typing import Any

from chunkseg.errors import FormatError
from chunkseg.geometry.boxes import Shape
from chunkseg.geometry.calibration import Calibration
from chunkseg.storage.formats import hdf5
from chunkseg.storage.formats.asked import Asked
from chunkseg.storage.formats.found import Found, check_level, only_series, reading
from chunkseg.storage.hdf5 import Hdf5Source, open_hdf5
from chunkseg.storage.sources import Stack


def claims(asked: Asked) -> bool:
    """Whether the file is HDF5 named as Imaris does, and nothing inside it is asked for."""
    return hdf5.claims(asked) and asked.path.lower().endswith(".ims") and not asked.inside


def read(asked: Asked) -> Found:
    """Find one resolution level of an Imaris file; it has one series.

    Raises
    ------
    FormatError
        If the file is damaged or of another version.
    ParameterError
        If the level or series does not exist, or h5py is not installed.
    """
    only_series(asked)
    with reading(asked.name, "Imaris"), open_hdf5(asked.path) as file:
        levels = len(file["DataSet"])
        check_level(asked.name, asked.level, levels)
        times = _numbered(file[f"DataSet/ResolutionLevel {asked.level}"], "TimePoint")
        channels = [_numbered(time, "Channel") for time in times]
        info = file["DataSetInfo"]
        count = len(channels[0])
        shape = _shape(channels[0][0])
        if any(len(c) != count or _shape(one) != shape for c in channels for one in c):
            raise FormatError(f"{asked.name} has time points that differ in shape or channels")
        members = [Hdf5Source.of(asked.path, one["Data"], shape) for c in channels for one in c]
        return Found(
            Stack(tuple(members), (len(times), count)),
            ("t", "c", "z", "y", "x"),
            _calibration(info["Image"], shape),
            _names(info, count),
            asked.stem,
            fixed_layout=True,
            levels=levels,
        )


def _numbered(group: Any, word: str) -> list[Any]:
    return [group[f"{word} {i}"] for i in range(sum(name.startswith(word) for name in group))]


def _text(attribute: Any) -> str:
    """Imaris stores texts as arrays of single letters."""
    letters = [v if isinstance(v, bytes) else str(v).encode() for v in attribute]
    return b"".join(letters).decode(errors="replace").strip("\0 ")


def _shape(channel: Any) -> Shape:
    return tuple(int(_text(channel.attrs[f"ImageSize{a}"])) for a in "ZYX")


def _calibration(image: Any, shape: Shape) -> Calibration:
    spacing, units = {}, {}
    for dim, number, n in zip("zyx", (2, 1, 0), shape, strict=True):
        low, high = (float(_text(image.attrs[f"Ext{end}{number}"])) for end in ("Min", "Max"))
        spacing[dim] = abs(high - low) / n
        units[dim] = _text(image.attrs["Unit"]) if "Unit" in image.attrs else "um"
    return Calibration(spacing, units)


def _names(info: Any, count: int) -> tuple[str, ...] | None:
    there = [info.get(f"Channel {i}") for i in range(count)]
    names = [_text(c.attrs["Name"]) for c in there if c is not None and "Name" in c.attrs]
    return tuple(names) if len(names) == count and all(names) else None
