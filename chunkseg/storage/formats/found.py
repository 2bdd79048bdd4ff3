"""What a reader hands over: an image found in a file, nothing of it read yet but metadata."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from chunkseg.errors import ChunksegError, FormatError, ParameterError, PathError
from chunkseg.geometry.calibration import Calibration
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
    """

    source: Source
    dims: tuple[str | None, ...]
    calibration: Calibration = field(default_factory=Calibration)
    channels: tuple[str, ...] | None = None
    name: str | None = None
    fixed_layout: bool = False
    doubt: str = ""


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


def stem(path: str) -> str:
    """Name of an image after its file: the last part of the path without its endings."""
    return os.path.basename(path.rstrip(os.sep)).split(".")[0]


def known_axes(names: tuple[str | None, ...]) -> bool:
    """Whether these are distinct names among ``t c z y x``."""
    return len(set(names)) == len(names) and all(n is not None and n in "tczyx" for n in names)
