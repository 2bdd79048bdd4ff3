"""The leaves among the sources: a zarr array, a stretch of a raw file, a page of a TIFF.

A source knows its shape, its native dtype and its *chunks* (the smallest unit that has to be read
and decoded as a whole), can be pickled, and reads just the region that it is asked for. Nothing is
opened for writing, and nothing stays open between two reads but a zarr array's metadata.
"""

from __future__ import annotations

import math
import os
from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
import tifffile
import zarr
from zarr.storage import LocalStore

from chunkseg.errors import FormatError
from chunkseg.geometry.boxes import Box, Shape, Slices
from chunkseg.storage.cache import CHUNKS, file_state, read_through
from chunkseg.storage.damage import check_page, naming_chunk, naming_part
from chunkseg.storage.decoding import ChunkReader

Array = np.ndarray[Any, Any]
DType = np.dtype[Any]


@runtime_checkable
class Source(Protocol):
    """Anything that reads a region: basic indexing in, a NumPy array in native byte order out."""

    @property
    def shape(self) -> Shape:
        """Shape in voxels."""

    @property
    def dtype(self) -> DType:
        """Dtype of what is read, in native byte order."""

    @property
    def ndim(self) -> int:
        """Number of axes."""

    @property
    def chunks(self) -> Shape:
        """Shape of the unit that is decoded as a whole."""

    def __getitem__(self, index: Any) -> Array:
        """Read a region."""


class _Readable(Protocol):
    @property
    def shape(self) -> Shape: ...

    @property
    def dtype(self) -> DType: ...

    def _read(self, spans: Slices) -> Array: ...


class Region:
    """Basic indexing on top of ``_read``, which gets one contiguous slice per axis."""

    @property
    def ndim(self: _Readable) -> int:
        """Number of axes."""
        return len(self.shape)

    def __getitem__(self: _Readable, index: Any) -> Array:
        spans, rest = _split(index, self.shape)
        if any(s.start == s.stop for s in spans):
            return np.empty([s.stop - s.start for s in spans], self.dtype)[rest]
        return self._read(spans)[rest]


def _split(index: Any, shape: Shape) -> tuple[Slices, tuple[Any, ...]]:
    """Split a basic index into contiguous slices to be read and what to take of them."""
    parts = list(index) if isinstance(index, tuple) else [index]
    if Ellipsis in parts:
        at = parts.index(Ellipsis)
        parts[at : at + 1] = [slice(None)] * (len(shape) - len(parts) + 1)
    parts += [slice(None)] * (len(shape) - len(parts))
    pairs = [_split_axis(part, n) for part, n in zip(parts, shape, strict=True)]
    return tuple(p[0] for p in pairs), tuple(p[1] for p in pairs)


def _split_axis(part: Any, n: int) -> tuple[slice, Any]:
    wanted = range(n)[part]
    if isinstance(wanted, int):
        return slice(wanted, wanted + 1), 0
    if not wanted:
        return slice(0, 0), slice(None)
    low, high = min(wanted[0], wanted[-1]), max(wanted[0], wanted[-1])
    return slice(low, high + 1), slice(None, None, wanted.step)


def _box(spans: Slices) -> Box:
    return Box(tuple(s.start for s in spans), tuple(s.stop for s in spans))


def _native(dtype: Any) -> DType:
    return np.dtype(dtype).newbyteorder("=")


@dataclass(frozen=True)
class ZarrSource(Region):
    """A zarr array of version 2 or 3; only its chunks (of shards: the inner ones) are read.

    Pickled, it is the array's metadata and the store's address, not its pixels.
    """

    array: zarr.Array[Any]

    @property
    def shape(self) -> Shape:
        """Shape in voxels."""
        return tuple(self.array.shape)

    @property
    def dtype(self) -> DType:
        """Dtype in native byte order."""
        return _native(self.array.dtype)

    @property
    def chunks(self) -> Shape:
        """Shape of a chunk."""
        return tuple(self.array.chunks)

    def _read(self, spans: Slices) -> Array:
        box = _box(spans)
        if self._folder is None or self._whole_chunks(box):
            return self._decode(spans)
        return read_through(
            CHUNKS, box, self.shape, self.chunks, self.dtype, self._key, self._decode_chunk
        )

    def _decode(self, spans: Slices) -> Array:
        with naming_chunk(self.array, spans):
            found = self.array[spans] if self._reader is None else self._reader.read(spans)
            return np.asarray(found, dtype=self.dtype)

    def _decode_chunk(self, spans: Slices) -> Array:
        """Decode one chunk, given by the part of the array that it holds."""
        if self._reader is None:
            return self._decode(spans)
        cell = tuple(s.start // c for s, c in zip(spans, self.chunks, strict=True))
        with naming_chunk(self.array, spans):
            there = tuple(slice(0, s.stop - s.start) for s in spans)
            return np.asarray(self._reader.chunk(cell)[there], dtype=self.dtype)

    @cached_property
    def _reader(self) -> ChunkReader | None:
        return ChunkReader.of(self.array)

    @cached_property
    def _folder(self) -> str | None:
        """The array's folder; None if the array does not lie in one."""
        store = self.array.store
        return str(store.root / self.array.path) if isinstance(store, LocalStore) else None

    def _whole_chunks(self, box: Box) -> bool:
        axes = zip(box.start, box.stop, self.chunks, self.shape, strict=True)
        return all(a % c == 0 and (b % c == 0 or b == n) for a, b, c, n in axes)

    def _key(self, cell: Shape) -> Hashable:
        """Key of a chunk: where it is, and the state of the file that holds it."""
        stored = self.array.shards or self.chunks
        file = tuple(i * c // s for i, c, s in zip(cell, self.chunks, stored, strict=True))
        name = self.array.metadata.encode_chunk_key(file)
        return self._folder, cell, file_state(f"{self._folder}/{name}")


@dataclass(frozen=True)
class FileSource(Region):
    """A contiguous, uncompressed array in C order within a file.

    The file is mapped for the time of one read only, so that its pages do not count as resident
    memory afterwards.

    Attributes
    ----------
    path
        The file.
    offset
        Where the array begins, in bytes.
    stored
        Dtype in the file's byte order.
    shape
        Shape in voxels.
    """

    path: str
    offset: int
    stored: DType
    shape: Shape

    def __post_init__(self) -> None:
        needed = self.offset + math.prod(self.shape) * self.stored.itemsize
        found = os.path.getsize(self.path)
        if found < needed:
            raise FormatError(
                f"{self.path} is cut short: its header announces {needed} bytes, it has {found}; "
                "copy the file again"
            )

    @property
    def dtype(self) -> DType:
        """Dtype in native byte order."""
        return _native(self.stored)

    @property
    def chunks(self) -> Shape:
        """Return 1 along each axis: any voxel can be read alone."""
        return (1,) * self.ndim

    def _read(self, spans: Slices) -> Array:
        mapped = np.memmap(self.path, self.stored, "r", self.offset, self.shape)
        return np.array(mapped[spans], dtype=self.dtype, order="C")


@dataclass(frozen=True)
class TiffSource(Region):
    """One page of a TIFF, to be decoded as a whole.

    Attributes
    ----------
    path
        The file.
    offset
        Where the page's directory (IFD) begins, in bytes: no walk over the pages before it.
    dtype, shape
        Of the decoded page.
    """

    path: str
    offset: int
    dtype: DType
    shape: Shape

    @property
    def chunks(self) -> Shape:
        """Shape of the page."""
        return self.shape

    def _read(self, spans: Slices) -> Array:
        box = _box(spans)
        return read_through(
            CHUNKS, box, self.shape, self.chunks, self.dtype, self._key, self._decode
        )

    def _decode(self, spans: Slices) -> Array:
        what = f"the page at byte {self.offset} of {self.path}"
        with naming_part(what, spans), tifffile.TiffFile(self.path) as tif:
            tif.filehandle.seek(self.offset)
            page = tifffile.TiffPage(tif, index=0)
            check_page(self.path, page, self.shape)
            pixels = page.asarray(maxworkers=1).reshape(self.shape)
            return np.array(pixels[spans], dtype=self.dtype, order="C")

    def _key(self, cell: Shape) -> Hashable:
        return self.path, self.offset, file_state(self.path)


@dataclass(frozen=True)
class MemorySource(Region):
    """An array in memory."""

    array: Array

    @property
    def shape(self) -> Shape:
        """Shape in voxels."""
        return self.array.shape

    @property
    def dtype(self) -> DType:
        """Dtype in native byte order."""
        return _native(self.array.dtype)

    @property
    def chunks(self) -> Shape:
        """Return 1 along each axis: any voxel can be read alone."""
        return (1,) * self.ndim

    def _read(self, spans: Slices) -> Array:
        return np.array(self.array[spans], dtype=self.dtype, order="C")
