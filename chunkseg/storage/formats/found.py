"""What a reader hands over: an image found in a file, nothing of it read yet but metadata."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import xarray as xr

from chunkseg.errors import ChunksegError, FormatError, ParameterError, PathError
from chunkseg.geometry.calibration import Calibration
from chunkseg.storage.formats.asked import Asked
from chunkseg.storage.sources import Source


@dataclass(frozen=True, slots=True)
class Found:
    """An image in a file, before the user's wishes are heard.

    Attributes
    ----------
    source
        Reads the pixels.
    dims
        Name of each axis among ``t c z y x``; None where the file does not tell.
    calibration
        What the file says, units in its own spelling.
    channels
        Names along ``c``, or of the only channel; None if the file has none.
    name
        Of the image.
    fixed_layout
        Whether the format always has all of ``t c z y x``, so that a ``z`` of length 1 is a 2-D
        image.
    doubt
        Why ``dims=`` is needed, if it is.
    remark
        What to tell beside a missing spacing: why what the file says was not used.
    coordinates
        Coordinates by axis that are stored voxel by voxel (xarray does so): kept as they are,
        whether falling or uneven.
    series
        Names of the images in the file, where it may hold several.
    levels
        How many resolution levels there are.
    is_labels
        Whether the file says that the pixels are labels.
    """

    source: Source
    dims: tuple[str | None, ...]
    calibration: Calibration = field(default_factory=Calibration)
    channels: tuple[str, ...] | None = None
    name: str | None = None
    fixed_layout: bool = False
    doubt: str = ""
    remark: str = ""
    coordinates: Mapping[str, xr.Variable] = field(default_factory=dict)
    series: tuple[str, ...] = ()
    levels: int = 1
    is_labels: bool = False


@contextmanager
def reading(path: str, kind: str) -> Iterator[None]:
    """Turn whatever damaged metadata raise in a parser into an error that names the file."""
    try:
        yield
    except ChunksegError:
        raise
    except OSError as error:
        raise PathError(f"{path} can't be read: {error}") from error
    except Exception as error:
        raise FormatError(
            f"{path} can't be read as {kind}: {error} ({type(error).__name__}); "
            "its metadata may be damaged"
        ) from error


def check_level(path: str, level: int, count: int) -> None:
    """Refuse a resolution level that the file does not have."""
    if not 0 <= level < count:
        raise ParameterError(
            f"{path} has {count} resolution level(s), numbered from 0; level={level} is not there"
        )


def number_of(kind: str, wanted: str | int, names: Sequence[str]) -> int:
    """Position of what is wanted by its name or number, as a channel or a series.

    Raises
    ------
    ParameterError
        If there is no such, or several of that name.

    Examples
    --------
    >>> number_of("channel", "GFP", ["DAPI", "GFP"]), number_of("channel", "0", ["DAPI", "GFP"])
    (1, 0)
    """
    if isinstance(wanted, str) and names.count(wanted) == 1:
        return names.index(wanted)
    number = int(wanted) if str(wanted).isdecimal() else -1
    ambiguous = isinstance(wanted, str) and names.count(wanted) > 1
    if ambiguous or not 0 <= number < len(names):
        listed = ", ".join(f"{i}: {name}" for i, name in enumerate(names)) or "(none)"
        raise ParameterError(f"{kind}={wanted!r} does not name one of {kind} {listed}")
    return number


def only_series(asked: Asked) -> None:
    """Refuse ``series=`` other than 0 where a place holds one image by its nature."""
    if asked.series is not None:
        number_of("series", asked.series, (asked.stem,))


def known_axes(names: tuple[str | None, ...]) -> bool:
    """Whether these are distinct names among ``t c z y x``."""
    return len(set(names)) == len(names) and all(n is not None and n in "tczyx" for n in names)
