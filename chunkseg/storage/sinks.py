"""Writing blocks into zarr arrays: whole chunks, each by one task; and whether they are whole.

No two tasks ever touch one chunk and no chunk is read back to be completed: a block is made of
whole chunks, and where a file holds a bundle of frames, one task writes them together. Chunks of
background are stored like others, since an absent chunk is one that was not written; but what is
in them is encoded once, not block after block.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.storage import FsspecStore, LocalStore, MemoryStore, StorePath

from chunkseg.geometry.boxes import Box, Shape, Slices
from chunkseg.geometry.layout import Layout
from chunkseg.kernels.blank import is_blank
from chunkseg.storage.arrays import checksummed, chunk_folder, opened_array, rewritten
from chunkseg.storage.commit import committed, placed

_BLANK_FILES: dict[tuple[Any, ...], bytes] = {}
"""What a file of nothing but background holds, of each kind of array that this process writes."""


class BlockSink(Protocol):
    """Where a task writes blocks."""

    def write(self, frame: int, box: Box, data: NDArray[Any]) -> None:
        """Write a block of one frame."""

    def intact(self, frame: int, box: Box) -> bool:
        """Whether all that was written of a block is there whole."""


@dataclass(frozen=True, slots=True)
class Sink:
    """Where the blocks of one array go."""

    array: zarr.Array[Any]
    layout: Layout

    @property
    def bundle(self) -> int:
        """Frames per file; where it is more than one, the movie's axis is the first."""
        return write_unit(self.array)[self.layout.looped[0]] if self.layout.looped else 1

    def write(self, frame: int, box: Box, data: NDArray[Any]) -> None:
        """Write a block of one frame; of whole chunks (shards), and losing nothing by a cast."""
        units = write_unit(self.array)
        for axis, a, b in zip(self.layout.spatial, box.start, box.stop, strict=True):
            unit, end = units[axis], self.array.shape[axis]
            if a % unit or (b % unit and b != end) or self.bundle > 1:
                raise AssertionError(f"block {box} is not made of whole chunks {units}")
        slices = self.layout.slices(frame, box)
        if is_blank(data):
            self._write_blank(slices)
        else:
            data = data.astype(self.array.dtype, casting="safe", copy=False)
            self.array[slices] = self.layout.give_frame(data)

    def _write_blank(self, slices: Slices) -> None:
        content, folder = _blank_file(self.array), _folder(self.array)
        for key in _keys(self.array, slices):
            with placed(folder / key) as partial:
                partial.write_bytes(content)

    def write_bundle(self, first: int, frames: NDArray[Any]) -> None:
        """Write the frames of one bundle in place of what is there.

        They are encoded in memory, so that a file is replaced at once and nothing of it is read.
        """
        missing = self.bundle - len(frames)
        whole = np.pad(frames, [(0, missing), *[(0, 0)] * (frames.ndim - 1)]) if missing else frames
        folder = _folder(self.array)
        for key, content in _encoded(self.array, first, whole).items():
            (folder / key).parent.mkdir(parents=True, exist_ok=True)
            with committed(folder / key) as partial:
                partial.write_bytes(content)

    def intact(self, frame: int, box: Box) -> bool:
        """Whether every chunk of a block, or of the bundle that it begins, passes its checksum."""
        slices = self.layout.slices(frame, box)
        if self.bundle > 1:
            last = min(frame + self.bundle, self.array.shape[0])
            slices = (slice(frame, last), *slices[1:])
        if missing_chunks(self.array, slices):
            return False
        try:
            self.array[slices]
        except Exception:
            return False
        return True


def write_unit(array: zarr.Array[Any]) -> Shape:
    """Shape of what is stored as one file: a shard where there are any, else a chunk."""
    return array.shards or array.chunks


def _folder(array: zarr.Array[Any]) -> Path:
    """Folder of an array that lies in one."""
    store = array.store_path.store
    assert isinstance(store, LocalStore)
    return store.root / array.store_path.path


def missing_chunks(array: zarr.Array[Any], slices: Slices) -> list[str]:
    """Keys of the chunks (or shards) of a region that are not there, of an array in a folder.

    None of one at an address, where reading tells.
    """
    if isinstance(array.store_path.store, FsspecStore):
        return []
    folder = _folder(array)
    return [key for key in _keys(array, slices) if not (folder / key).exists()]


def _keys(array: zarr.Array[Any], slices: Slices) -> Iterator[str]:
    """Keys of the chunks (or shards) that a region has a part in."""
    units = zip(slices, write_unit(array), strict=True)
    spans = [range(s.start // c, -(-s.stop // c)) for s, c in units]
    return map(array.metadata.encode_chunk_key, itertools.product(*spans))


def _encoded(array: zarr.Array[Any], first: int, data: NDArray[Any]) -> dict[str, bytes]:
    """What the files hold of an array whose voxels from a place of its first axis are these."""
    documents: dict[str, Any] = {}
    shape = (first + len(data), *data.shape[1:])
    rewritten(array, {"shape": shape}, StorePath(MemoryStore(documents)))[first:] = data
    return {key: content.to_bytes() for key, content in documents.items()}


def _blank_file(array: zarr.Array[Any]) -> bytes:
    kind = (array.metadata.zarr_format, array.chunks, array.shards, array.dtype)
    if kind not in _BLANK_FILES:
        (content,) = _encoded(array, 0, np.zeros(write_unit(array), array.dtype)).values()
        _BLANK_FILES[kind] = content
    return _BLANK_FILES[kind]


def shorten(path: Path, frames: int) -> None:
    """Let an array of a movie have its first frames only; may be taken up again at any point."""
    array = opened_array(path)
    array.resize((frames, *array.shape[1:]))
    sink = Sink(checksummed(array), Layout(array.shape, (0,), tuple(range(1, array.ndim))))
    for folder in chunk_folder(path).iterdir():
        if folder.name.isdigit() and int(folder.name) * sink.bundle >= frames:
            shutil.rmtree(folder)
    last = frames - frames % sink.bundle
    if last < frames and sink.intact(last, Box.whole(sink.layout.frame_shape)):
        sink.write_bundle(last, np.asarray(array[last:]))
