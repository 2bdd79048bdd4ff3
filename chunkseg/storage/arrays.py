"""Zarr arrays that chunkseg writes: created and opened; ``sinks`` writes their blocks.

Blocks are made of whole chunks. Every chunk carries a CRC32C (of zarr 2 the checksum of Zstandard),
so that a flipped bit is an error when read and never a silent change.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import zarr
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.storage import FsspecStore, StorePath

from chunkseg.geometry.boxes import Shape
from chunkseg.geometry.layout import Layout
from chunkseg.storage.address import Address
from chunkseg.storage.commit import committed
from chunkseg.storage.places import Place

METADATA = {2: ".zarray", 3: "zarr.json"}
LARGEST_CHUNK_EDGE = {1: 2**18, 2: 1024, 3: 128}
MANY_CHUNKS = 1000
"""Chunks of a frame beyond which those of a block share a file."""


@dataclass(frozen=True, slots=True)
class Stored:
    """How an array is laid out in its store.

    Attributes
    ----------
    zarr_format
        Version of zarr.
    chunks, shards
        Along the spatial axes, as far as blocks allow: they are made of whole chunks, and of whole
        shards; by default chunks as blocks suggest them, and no shards.
    bundle
        Frames per file; if several, a file is a shard with chunks of single frames (zarr 2: a
        chunk of all of them), and ``shards`` does not count.
    """

    zarr_format: Literal[2, 3] = 3
    chunks: Shape | None = None
    shards: Shape | None = None
    bundle: int = 1

    @classmethod
    def suiting(
        cls, layout: Layout, block: Shape, zarr_format: Literal[2, 3], bundle: int = 1
    ) -> Stored:
        """How blocks are best stored: where a frame has very many chunks, a block is a shard.

        That follows from the frame alone, so that a movie to which frames are added goes on as it
        began.

        Examples
        --------
        >>> block = (256, 256, 256)
        >>> Stored.suiting(Layout.of((1280, 1280, 1280)), block, 3).shards
        >>> Stored.suiting(Layout.of((1281, 1280, 1280)), block, 3).shards
        (256, 256, 256)
        """
        chunks = chunk_shape(block)
        count = math.prod(-(-n // c) for n, c in zip(layout.frame_shape, chunks, strict=True))
        if zarr_format == 2 or bundle > 1 or chunks == block or count <= MANY_CHUNKS:
            return cls(zarr_format, bundle=bundle)
        return cls(zarr_format, chunks, block)

    def whole(self, layout: Layout, block: Shape) -> tuple[Shape, Shape | None]:
        """Shapes of the chunks and the shards of an array, along all of its axes.

        Examples
        --------
        >>> movie = Layout.of((1000, 300, 200), "tyx")
        >>> Stored().whole(movie, (150, 200))
        ((1, 150, 200), None)
        >>> Stored(bundle=64).whole(movie, (128, 200))
        ((1, 128, 200), (64, 384, 200))
        >>> Stored(2, bundle=64).whole(movie, (128, 200))
        ((64, 128, 200), None)
        """
        chunks, shards = self.shapes(block, layout.frame_shape)
        if self.bundle == 1:
            return layout.per_axis(chunks, 1), shards and layout.per_axis(shards, 1)
        if self.zarr_format == 2:
            return layout.per_axis(chunks, self.bundle), None
        covering = [-(-n // c) * c for n, c in zip(layout.frame_shape, chunks, strict=True)]
        return layout.per_axis(chunks, 1), layout.per_axis(covering, self.bundle)

    def shapes(self, block: Shape, frame: Shape) -> tuple[Shape, Shape | None]:
        """Shapes of the chunks and the shards that blocks of a frame are stored in.

        Examples
        --------
        >>> Stored().shapes((256, 200), (512, 200))
        ((256, 200), None)
        >>> Stored(chunks=(64, 60)).shapes((256, 90), (257, 90))
        ((64, 60), None)
        >>> Stored(chunks=(16, 16), shards=(64, 64)).shapes((128, 32), (1000, 1000))
        ((16, 16), (64, 32))
        """
        if self.chunks is None:
            return chunk_shape(block), None
        axes = list(zip(self.chunks, block, frame, strict=True))
        chunks = tuple(_unit(c, b, n) for c, b, n in axes)
        if self.shards is None:
            return chunks, None
        counts = [(-(-b // c), -(-n // c)) for c, (_, b, n) in zip(chunks, axes, strict=True)]
        pairs = zip(self.shards, chunks, counts, strict=True)
        return chunks, tuple(c * _unit(s // c, b, n) for s, c, (b, n) in pairs)


def _unit(asked: int, block: int, n: int) -> int:
    """Length up to the one asked for that blocks consist of; a single block may end within one."""
    most = max(1, min(asked, block, n))
    return most if block >= n else next(d for d in range(most, 0, -1) if block % d == 0)


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
    stored: Stored | None = None,
) -> zarr.Array[Any]:
    """Create a checksummed zarr array whose chunks divide blocks of a frame.

    What an earlier run left there in the same chunks and dtype is kept, with as many frames or
    fewer; anything else is removed. The metadata appear at once, by a rename.

    Parameters
    ----------
    path
        Folder of the array; its parents are made.
    layout
        Shape and roles of the axes; a chunk spans one frame only, unless frames are bundled.
    block
        Shape of the blocks that will be written, along the spatial axes.
    dtype
        Type of the voxels.
    dims
        Names of the axes, recorded as the array's dimension names (zarr 2: as xarray does).
    attributes
        Further attributes.
    stored
        Version of zarr, chunks and shards; by default version 3 in chunks that suit the block.
    """
    stored = stored or Stored()
    chunks, shards = stored.whole(layout, tuple(block))
    if not continues(path, chunks, dtype, shards, stored.zarr_format):
        _clear(path)
    documents: dict[str, Any] = {}
    zarr.create_array(
        store=documents,
        shape=layout.shape,
        chunks=chunks,
        dtype=np.dtype(dtype),
        fill_value=0,
        **_as_format(stored.zarr_format, shards, dims, dict(attributes or {})),
    )
    path.mkdir(parents=True, exist_ok=True)
    for name in sorted(documents, key=lambda name: name == METADATA[stored.zarr_format]):
        with committed(path / name) as partial:
            partial.write_bytes(documents[name].to_bytes())
    return checksummed(opened_array(path))


def _as_format(
    zarr_format: int, shards: Shape | None, dims: Sequence[str] | None, attributes: dict[str, Any]
) -> dict[str, Any]:
    """What the versions of zarr have in different ways; both with a checksum in every chunk."""
    if zarr_format == 3:
        return {
            "zarr_format": 3,
            "shards": shards,
            "compressors": [ZstdCodec(level=1), Crc32cCodec()],
            "dimension_names": list(dims) if dims is not None else None,
            "attributes": attributes,
        }
    named = {"_ARRAY_DIMENSIONS": list(dims)} if dims is not None else {}
    return {
        "zarr_format": 2,
        "compressors": {"id": "zstd", "level": 1},
        "chunk_key_encoding": {"name": "v2", "separator": "/"},
        "attributes": attributes | named,
    }


def checksummed(array: zarr.Array[Any]) -> zarr.Array[Any]:
    """Have the checksum of Zstandard written, which readers find in the data.

    In the metadata of zarr 2 some readers (zarrs) do not accept a word about it.
    """
    if array.metadata.zarr_format == 3:
        return array
    compressor = {"id": "zstd", "level": 1, "checksum": True}
    return rewritten(array, {"compressor": compressor}, array.store_path)


def rewritten(
    array: zarr.Array[Any], changes: Mapping[str, Any], where: StorePath
) -> zarr.Array[Any]:
    """Return an array with other metadata than are stored, or stored elsewhere."""
    content: Any = {**array.metadata.to_dict(), **changes}
    return zarr.Array(zarr.AsyncArray(content, where, array.async_array.config))


def _clear(path: Path) -> None:
    """Remove an array's metadata and its chunks."""
    for name in METADATA.values():
        (path / name).unlink(missing_ok=True)
    shutil.rmtree(path / "c", ignore_errors=True)
    for inside in path.glob("[0-9]*"):
        shutil.rmtree(inside, ignore_errors=True)


def chunk_folder(path: Path) -> Path:
    """Folder of an array's chunks."""
    return path / "c" if (path / METADATA[3]).exists() else path


def continues(
    path: Path, chunks: Shape, dtype: Any, shards: Shape | None = None, zarr_format: int = 3
) -> bool:
    """Whether an array of this layout and dtype is there and can be read."""
    if not (path / METADATA[zarr_format]).exists():
        return False
    try:
        former = opened_array(path)
    except Exception:
        return False
    return (former.chunks, former.shards, former.dtype) == (chunks, shards, np.dtype(dtype))


def opened_array(path: Place) -> zarr.Array[Any]:
    """Open an array that chunkseg wrote: of a folder, to be read and written; else to be read."""
    if isinstance(path, Address):
        return _strict(zarr.open_array(str(path), mode="r"))
    # open_array of zarr 3.1 takes a config, and drops it
    return zarr.open_array(str(path), mode="r+").with_config({"write_empty_chunks": True})


def _strict(array: zarr.Array[Any]) -> zarr.Array[Any]:
    """Return an array at an address of which a chunk that is not there is an error when read."""
    store = array.store_path.store
    assert isinstance(store, FsspecStore)
    strict = FsspecStore(store.fs, read_only=True, path=store.path, allowed_exceptions=())
    return rewritten(array, {}, StorePath(strict, array.store_path.path))
