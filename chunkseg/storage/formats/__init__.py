"""Readers of image formats: one module each, with ``claims(asked)`` and ``read(asked)``.

To add a format, add its module and its name to the table :data:`READERS`, in which the first one
that claims a place reads it.
"""

from __future__ import annotations

from typing import Protocol

from chunkseg.storage.formats import bioio, folder, hdf5, imaris, npy, tiff, zarr
from chunkseg.storage.formats.asked import Asked
from chunkseg.storage.formats.found import Found


class Reader(Protocol):
    """A module that reads one format."""

    def claims(self, asked: Asked) -> bool:
        """Whether this reader is for the place that is asked for."""

    def read(self, asked: Asked) -> Found:
        """Find the image, reading metadata only."""


READERS: tuple[Reader, ...] = (zarr, npy, tiff, imaris, hdf5, folder, bioio)
