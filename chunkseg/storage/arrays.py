"""Zarr arrays that chunkseg writes: whole chunks only, each by one task, with checksums.

A block is written by the one task that computes it and is made of whole chunks, so that no two
tasks ever touch one chunk and no chunk is ever read back to be completed. Every chunk carries a
CRC32C, so that a flipped bit is an error when read and never a silent change. Chunks of background
are stored like others: an absent chunk is a chunk that was not written.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.storage import LocalStore

from chunkseg.geometry.boxes import Box, Shape, Slices
from chunkseg.geometry.layout import Layout
from chunkseg.storage.commit import committed

METADATA = "zarr.json"
LARGEST_CHUNK_EDGE = {1: 2**18, 2: 1024, 3: 128}


def chunk_shape(block: Sequence[int]) -> Shape:
    """Shape of the chunks that a block of a frame is stored in: they divide the block's edges."""
    largest = LARGEST_CHUNK_EDGE.get(len(block), 32)
    return tuple(_largest_divisor(n, largest) for n in block)


def _largest_divisor(n: int, largest: int) -> int:
    """Largest divisor of ``n`` up to ``largest``, unless that is so small that ``n`` is better."""
    best = next(d for d in range(min(max(n, 1), largest), 0, -1) if n % d == 0)
    return best if best * 4 >= min(n, largest) else n


def create_array(
    path: Path,
    layout: Layout,
    block: Sequence[int],
    dtype: Any,
    dims: Sequence[str] | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> zarr.Array[Any]:
    """Create a checksummed zarr v3 array whose chunks divide blocks of a frame.

    What an earlier run left there in the same chunks and dtype is kept, with as many frames or
    fewer; anything else is removed. The metadata appear at once, by a rename.

    Parameters
    ----------
    path
        Folder of the array; its parents are made.
    layout
        Shape and roles of the axes; a chunk spans one frame only.
    block
        Shape of the blocks that will be written, along the spatial axes.
    dtype
        Type of the voxels.
    dims
        Names of the axes, recorded as the array's dimension names.
    attributes
        Further attributes.
    """
    chunks = layout.per_axis(chunk_shape(block), 1)
    if not continues(path, chunks, dtype):
        (path / METADATA).unlink(missing_ok=True)
        shutil.rmtree(path / "c", ignore_errors=True)
    store: dict[str, Any] = {}
    zarr.create_array(
        store=store,
        shape=layout.shape,
        chunks=chunks,
        dtype=np.dtype(dtype),
        compressors=[ZstdCodec(level=1), Crc32cCodec()],
        fill_value=0,
        dimension_names=list(dims) if dims is not None else None,
        attributes=dict(attributes or {}),
    )
    path.mkdir(parents=True, exist_ok=True)
    with committed(path / METADATA) as partial:
        partial.write_bytes(store[METADATA].to_bytes())
    return opened_array(path)


def continues(path: Path, chunks: Shape, dtype: Any) -> bool:
    """Whether an array of these chunks and this dtype is there and can be read."""
    if not (path / METADATA).exists():
        return False
    try:
        former = opened_array(path)
    except Exception:
        return False
    return bool((former.chunks, former.dtype) == (chunks, np.dtype(dtype)))


def opened_array(path: Path) -> zarr.Array[Any]:
    """Open an array that chunkseg wrote, to be read and written."""
    # open_array of zarr 3.1 takes a config, and drops it
    return zarr.open_array(str(path), mode="r+").with_config({"write_empty_chunks": True})


@dataclass(frozen=True, slots=True)
class Sink:
    """Where the blocks of one array go."""

    array: zarr.Array[Any]
    layout: Layout

    def write(self, frame: int, box: Box, data: NDArray[Any]) -> None:
        """Write a block of one frame; made of whole chunks, and losing nothing by a cast."""
        for axis, a, b in zip(self.layout.spatial, box.start, box.stop, strict=True):
            chunk, end = self.array.chunks[axis], self.array.shape[axis]
            if a % chunk or (b % chunk and b != end):
                raise AssertionError(f"block {box} is not made of whole chunks {self.array.chunks}")
        data = data.astype(self.array.dtype, casting="safe", copy=False)
        self.array[self.layout.slices(frame, box)] = self.layout.give_frame(data)

    def intact(self, frame: int, box: Box) -> bool:
        """Whether every chunk of a block is there and passes its checksum."""
        slices = self.layout.slices(frame, box)
        if missing_chunks(self.array, slices):
            return False
        try:
            self.array[slices]
        except Exception:
            return False
        return True


def checksum(data: NDArray[Any]) -> int:
    """CRC32C of the bytes of an array in C order.

    Examples
    --------
    >>> checksum(np.arange(3, dtype=np.uint8)) == checksum(np.array([[0, 1, 2]], np.uint8))
    True
    """
    whole = np.ascontiguousarray(data).reshape(-1).view(np.uint8)
    whole.flags.writeable = False
    return int(google_crc32c.value(whole))


def missing_chunks(array: zarr.Array[Any], slices: Slices) -> list[str]:
    """Keys of the chunks of a region that are not there, of an array in a local folder."""
    store = array.store_path.store
    assert isinstance(store, LocalStore)
    folder = store.root / array.store_path.path
    encode = array.metadata.encode_chunk_key
    spans = [
        range(s.start // c, -(-s.stop // c)) for s, c in zip(slices, array.chunks, strict=True)
    ]
    keys = [encode(index) for index in itertools.product(*spans)]
    return [key for key in keys if not (folder / key).exists()]
