"""Readers of image formats: one module each, with ``claims(path, head)`` and ``read(path, level)``.

To add a format, add its module and its name to the table :data:`READERS`, in which the first one
that claims a path reads it.
"""

from __future__ import annotations

from typing import Protocol

from chunkseg.storage.formats import folder, npy, tiff, zarr
from chunkseg.storage.formats.found import Found


class Reader(Protocol):
    """A module that reads one format."""

    def claims(self, path: str, head: bytes) -> bool:
        """Whether this reader is for the path, whose file begins with ``head``."""

    def read(self, path: str, level: int) -> Found:
        """Find the image, reading metadata only."""


READERS: tuple[Reader, ...] = (zarr, npy, tiff, folder)
