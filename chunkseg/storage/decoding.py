"""Chunks of a zarr array in a folder, read and decoded in the thread that wants them.

zarr reads on an event loop of its own, and has each chunk decoded by yet another thread. For chunks
of some hundred kilobytes handing them on costs more than decoding them, and so the codecs, which
are zarr's own, are called one after the other here. Arrays are left to zarr where that can't be:
those with shards, those elsewhere than in a folder, and where another pipeline is configured.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.abc.codec import SupportsSyncCodec
from zarr.codecs._v2 import V2Codec
from zarr.core.array_spec import ArraySpec
from zarr.core.buffer import default_buffer_prototype
from zarr.core.codec_pipeline import BatchedCodecPipeline
from zarr.storage import LocalStore

from chunkseg.geometry.boxes import Box, Shape, Slices

Array = NDArray[Any]
Decode = Callable[[bytes], Array]


@dataclass(frozen=True)
class ChunkReader:
    """Reads chunks of one array.

    Attributes
    ----------
    array
        The array.
    folder
        Where it lies.
    decode
        From a file's bytes to a whole chunk.
    """

    array: zarr.Array[Any]
    folder: Path
    decode: Decode

    @classmethod
    def of(cls, array: zarr.Array[Any]) -> ChunkReader | None:
        """Return the reader of an array; None where its chunks have to be read by zarr."""
        store = array.store
        if not isinstance(store, LocalStore) or 0 in array.chunks:
            return None
        decode = _decoding(array)
        return None if decode is None else cls(array, store.root / array.path, decode)

    def chunk(self, cell: Shape) -> Array:
        """Whole chunk at a position in the grid of chunks; nobody may write to it."""
        try:
            content = (self.folder / self.array.metadata.encode_chunk_key(cell)).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            fill = self.array.fill_value
            return np.full(self.array.chunks, 0 if fill is None else fill, self.array.dtype)
        return self.decode(content)

    def read(self, spans: Slices) -> Array:
        """Read a region, chunk by chunk."""
        wanted = Box(tuple(s.start for s in spans), tuple(s.stop for s in spans))
        out = np.empty(wanted.shape, self.array.dtype.newbyteorder("="))
        chunks = self.array.chunks
        grid = (range(s.start // c, -(-s.stop // c)) for s, c in zip(spans, chunks, strict=True))
        for cell in itertools.product(*grid):
            start = tuple(i * c for i, c in zip(cell, chunks, strict=True))
            there = Box(start, tuple(a + c for a, c in zip(start, chunks, strict=True)))
            common = there.intersect(wanted)
            out[common.slices(wanted.start)] = self.chunk(cell)[common.slices(start)]
        return out


def _decoding(array: zarr.Array[Any]) -> Decode | None:
    """Return what decodes the chunks of an array, if it can be done in one thread."""
    pipeline = array.async_array.codec_pipeline
    if not isinstance(pipeline, BatchedCodecPipeline):
        return None
    spec = array.metadata.get_chunk_spec(
        (0,) * array.ndim, array.async_array.config, default_buffer_prototype()
    )
    codecs = list(pipeline)
    if len(codecs) == 1 and isinstance(codecs[0], V2Codec) and array.dtype.kind in "biuf":
        return _Decoding2(codecs[0], spec, array.order)
    if not all(isinstance(codec, SupportsSyncCodec) for codec in codecs):
        return None
    steps = []
    for codec in codecs:
        steps.append((codec, spec))
        spec = codec.resolve_metadata(spec)
    return _Decoding3(tuple(reversed(steps)))


@dataclass(frozen=True)
class _Decoding3:
    """Codecs of zarr 3, in the order in which they are undone, each with what it makes."""

    steps: tuple[tuple[Any, ArraySpec], ...]

    def __call__(self, content: bytes) -> Array:
        data: Any = default_buffer_prototype().buffer.from_bytes(content)
        for codec, spec in self.steps:
            data = codec._decode_sync(data, spec)
        return np.asarray(data.as_numpy_array())


@dataclass(frozen=True)
class _Decoding2:
    """Compressor and filters of zarr 2."""

    codec: V2Codec
    spec: ArraySpec
    order: Literal["C", "F"]

    def __call__(self, content: bytes) -> Array:
        data: Any = content
        for codec in filter(None, (self.codec.compressor, *reversed(self.codec.filters or ()))):
            data = codec.decode(data)
        flat = np.frombuffer(np.asarray(data) if isinstance(data, np.ndarray) else data, np.uint8)
        values = flat.view(self.spec.dtype.to_native_dtype())
        return values.reshape(self.spec.shape, order=self.order)
