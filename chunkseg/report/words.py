"""Numbers, units and names of columns in words for people."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from chunkseg.errors import ChunksegError
from chunkseg.geometry.units import PIXEL, unit_symbol
from chunkseg.passes.tables import column_unit

_POWERS = {"2": "²", "3": "³"}
_NAMES = {
    "area": "size",
    "intensity_mean": "mean intensity",
    "intensity_min": "lowest intensity",
    "intensity_max": "highest intensity",
}


def number(value: float) -> str:
    """Return a number with two decimals, or with four digits where it is small.

    Examples
    --------
    >>> number(855.9812), number(0.012345), number(0.0), number(float("nan"))
    ('855.98', '0.01235', '0.00', '-')
    """
    if math.isnan(value):
        return "-"
    return f"{value:.4g}" if 0 < abs(value) < 1 else f"{value:.2f}"


def count_text(count: int) -> str:
    """Return a whole number, its thousands apart by thin spaces that do not break.

    Examples
    --------
    >>> count_text(2250000) == "2\u202f250\u202f000"
    True
    """
    return f"{count:,}".replace(",", "\u202f")


def pretty_unit(symbol: str) -> str:
    """Return the symbol of a unit as it is printed.

    Examples
    --------
    >>> pretty_unit("um3"), pretty_unit("voxel"), pretty_unit("min")
    ('µm³', 'voxel', 'min')
    """
    found = re.fullmatch(r"([a-z]+?)([23]?)", symbol)
    if found is None:
        return symbol
    base, power = found.groups()
    return ("µ" + base[1:] if base in ("um", "us") else base) + _POWERS.get(power, "")


def length_unit(unit: str) -> str:
    """Return the printed symbol of a unit of length by its name; ``px`` where it is not known.

    Examples
    --------
    >>> length_unit("micrometer"), length_unit("pixel"), length_unit("")
    ('µm', 'px', 'px')
    """
    try:
        return pretty_unit(unit_symbol(unit or PIXEL))
    except ChunksegError:
        return unit


def column_title(column: str, size_unit: str = "voxel") -> str:
    """Name a column of a table, with its unit.

    Examples
    --------
    >>> column_title("volume_um3"), column_title("area"), column_title("intensity_mean-DAPI")
    ('volume (µm³)', 'size (voxel)', 'mean intensity, DAPI')
    """
    name, _, channel = column.partition("-")
    unit = column_unit(column, size_unit)
    plain = re.sub(r"^(volume|area|centroid)_[a-z]+[23]?$", r"\1", name)
    words = _NAMES.get(name, plain.replace("_", " "))
    return words + (f", {channel}" if channel else "") + (f" ({pretty_unit(unit)})" if unit else "")


def part_text(region: Mapping[str, Sequence[int]]) -> str:
    """Tell which voxels a part of an image has, along each axis, from 0 on.

    Examples
    --------
    >>> part_text({"z": [0, 64], "x": [512, 1024]})
    'z 0 to 63, x 512 to 1023'
    """
    return ", ".join(f"{dim} {start} to {stop - 1}" for dim, (start, stop) in region.items())


def round_length(most: float) -> float:
    """Return the largest of 1, 2, 5, 10, ... (and their tenths) that is not above a length.

    Examples
    --------
    >>> round_length(37.0), round_length(0.7), round_length(5.0)
    (20.0, 0.5, 5.0)
    """
    power = 10.0 ** math.floor(math.log10(most))
    return max(step * power for step in (1, 2, 5) if step * power <= most * (1 + 1e-9))


def seconds_text(seconds: float) -> str:
    """Return a duration in words.

    Examples
    --------
    >>> seconds_text(0.24), seconds_text(75), seconds_text(7300)
    ('0.2 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes} min {int(seconds % 60)} s"
    return f"{minutes // 60} h {minutes % 60} min"


def memory_text(size: float) -> str:
    """Return an amount of memory for people; a dash where it is 0, since nobody looked.

    Examples
    --------
    >>> memory_text(802_000_000.0), memory_text(0)
    ('0.80 GB', '-')
    """
    return size_text(int(size)) if size else "-"


def size_text(size: int) -> str:
    """Return a number of bytes for people, in decimal units.

    Examples
    --------
    >>> size_text(576312), size_text(64_000_000_000)
    ('0.58 MB', '64.00 GB')
    """
    return f"{size / 1e9:.2f} GB" if size >= 1e8 else f"{size / 1e6:.2f} MB"
