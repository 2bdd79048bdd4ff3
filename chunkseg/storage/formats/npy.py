"""NumPy's ``.npy``: one array without names, spacing or unit."""

from __future__ import annotations

import numpy as np

from chunkseg.storage.formats.asked import Asked
from chunkseg.storage.formats.found import Found, check_level, only_series, reading
from chunkseg.storage.sources import FileSource, Source, View

MAGIC = b"\x93NUMPY"


def claims(asked: Asked) -> bool:
    """Whether the file begins as an ``.npy`` does."""
    return asked.head.startswith(MAGIC)


def read(asked: Asked) -> Found:
    """Find the array of an ``.npy`` file; it has one level and one series.

    Raises
    ------
    FormatError
        If the file is cut short, empty or of Python objects.
    ParameterError
        If another level or series is asked for.
    """
    check_level(asked.name, asked.level, 1)
    only_series(asked)
    with reading(asked.name, "an array of numbers"):
        mapped = np.load(asked.path, mmap_mode="r", allow_pickle=False)
    source = _source(asked.path, mapped)
    return Found(source, default_dims(source.ndim), name=asked.stem, doubt=no_names(source))


def _source(path: str, mapped: np.memmap[tuple[int, ...], np.dtype[np.generic]]) -> Source:
    if mapped.flags.c_contiguous:
        return FileSource(path, mapped.offset, mapped.dtype, mapped.shape)
    turned = FileSource(path, mapped.offset, mapped.dtype, mapped.shape[::-1])
    return View(turned, (None,) * mapped.ndim, tuple(reversed(range(mapped.ndim))))


def default_dims(ndim: int) -> tuple[str | None, ...]:
    """Names of the axes of an array that has none: ``yx``, ``zyx``, else unknown."""
    return {2: ("y", "x"), 3: ("z", "y", "x")}.get(ndim, (None,) * ndim)


def no_names(source: Source) -> str:
    """What to tell where an array without names has no default ones."""
    if source.ndim in (2, 3):
        return ""
    return f"an array of shape {source.shape} without names for its axes"
