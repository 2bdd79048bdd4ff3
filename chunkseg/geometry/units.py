"""Units of length and time: the canonical names of OME-Zarr, and the spellings found in files.

One table holds, for each unit, the symbol that goes into column names and what else is written
for it. A spelling that is not in the table is an error, never a guess.
"""

from __future__ import annotations

import re
import unicodedata

from chunkseg.errors import FormatError

PIXEL = "pixel"

# canonical name: symbol for column names, further spellings
_UNITS: dict[str, tuple[str, ...]] = {
    "pixel": ("px", "pixels", "pix", "voxel", "voxels", "reference frame", ""),
    "picometer": ("pm", "picometre", "picometers", "picometres"),
    "angstrom": ("angstrom", "angstroms", "å", "a", "ångström"),
    "nanometer": ("nm", "nanometre", "nanometers", "nanometres"),
    "micrometer": ("um", "micrometre", "micrometers", "micrometres", "micron", "microns", "umeter"),
    "millimeter": ("mm", "millimetre", "millimeters", "millimetres"),
    "centimeter": ("cm", "centimetre", "centimeters", "centimetres"),
    "decimeter": ("dm", "decimetre", "decimeters", "decimetres"),
    "meter": ("m", "metre", "meters", "metres"),
    "kilometer": ("km", "kilometre", "kilometers", "kilometres"),
    "inch": ("in", "inches"),
    "nanosecond": ("ns", "nanoseconds", "nsec"),
    "microsecond": ("us", "microseconds", "usec"),
    "millisecond": ("ms", "milliseconds", "msec"),
    "second": ("s", "sec", "secs", "seconds"),
    "minute": ("min", "mins", "minutes"),
    "hour": ("h", "hr", "hrs", "hours"),
    "day": ("d", "days"),
}
_TIMES = ("nanosecond", "microsecond", "millisecond", "second", "minute", "hour", "day")
_CANONICAL = {word: unit for unit, words in _UNITS.items() for word in (unit, *words)}


def normalise_unit(text: str) -> str:
    r"""Canonical (OME-Zarr) name of a unit.

    Parameters
    ----------
    text
        A unit as files and people write it. Both micro signs, the literal escape ``\u00B5m`` that
        ImageJ writes and a micro sign read in the wrong encoding are understood. Upper and lower
        case are not told apart.

    Returns
    -------
    str
        ``"micrometer"``, ``"second"``, ``"pixel"`` (also for an empty text), ...

    Raises
    ------
    FormatError
        If the text is no known unit.

    Examples
    --------
    >>> normalise_unit("µm"), normalise_unit("microns"), normalise_unit("sec")
    ('micrometer', 'micrometer', 'second')
    """
    plain = re.sub(r"\\+u(00b5|03bc)", "u", text, flags=re.IGNORECASE)
    plain = unicodedata.normalize("NFKC", plain).replace("Âμ", "u").replace("μ", "u")
    plain = plain.strip(" \t\r\n\0").casefold()
    try:
        return _CANONICAL[plain]
    except KeyError:
        raise FormatError(
            f"the unit {text!r} is not known; pass unit=, for example unit='micrometer'"
        ) from None


def is_unit(text: str, *units: str) -> bool:
    """Whether a text is a spelling of one of some units (canonical names).

    Examples
    --------
    >>> is_unit("micron", "micrometer"), is_unit("furlong", "micrometer")
    (True, False)
    """
    try:
        return normalise_unit(text) in units
    except FormatError:
        return False


def is_time(text: str) -> bool:
    """Whether a text is a spelling of a unit of time.

    Examples
    --------
    >>> is_time("sec"), is_time("micron"), is_time("furlong")
    (True, False, False)
    """
    return is_unit(text, *_TIMES)


def unit_symbol(unit: str) -> str:
    """ASCII symbol of a unit, for the names of columns.

    Examples
    --------
    >>> unit_symbol("micrometer"), unit_symbol("pixel"), unit_symbol("minute")
    ('um', 'px', 'min')
    """
    return _UNITS[normalise_unit(unit)][0]
