"""Look-up tables from the local ids of blocks to values, for the frames of one sweep.

They are kept in memory, or as ``.npy`` files that every worker maps, so that no task carries a
table with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chunkseg.errors import ScratchError
from chunkseg.geometry.boxes import Box, Grid
from chunkseg.geometry.layout import Layout
from chunkseg.kernels.painting import paint
from chunkseg.passes.components import Lookup
from chunkseg.storage.commit import committed
from chunkseg.storage.leaves import Region
from chunkseg.storage.runs import RunStore


class _Tables(NamedTuple):
    """The tables of all frames end to end.

    Frame ``f``'s background is ``table[starts[f]]``; local id ``i`` (from 1) of its block ``b``
    stands at ``table[starts[f] + offsets[f, b] + i]``.
    """

    starts: NDArray[np.int64]
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    table: NDArray[Any]


@dataclass(frozen=True)
class Lookups:
    """Tables of several frames, in memory or in a folder.

    Attributes
    ----------
    first
        Number of the first frame.
    tables
        The tables, or the folder that holds them.
    """

    first: int
    tables: _Tables | Path

    @classmethod
    def of(cls, lookups: Mapping[int, Lookup], folder: Path | None = None) -> Lookups:
        """Gather the look-ups of consecutive frames, in memory or into a new ``folder``."""
        frames = sorted(lookups)
        members = [lookups[frame] for frame in frames]
        lengths = [len(member.table) for member in members]
        tables = _Tables(
            np.cumsum([0, *lengths[:-1]]),
            np.stack([member.offsets for member in members]),
            np.stack([member.sizes for member in members]),
            np.concatenate([member.table for member in members]),
        )
        if folder is None:
            return cls(frames[0], tables)
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in tables._asdict().items():
            _save(folder / f"{name}.npy", array)
        return cls(frames[0], folder)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values looked up."""
        return self._load().table.dtype

    def background(self, frame: int) -> Any:
        """Value of a frame's background."""
        tables = self._load()
        return tables.table[tables.starts[frame - self.first]]

    def of_block(self, frame: int, number: int) -> NDArray[Any]:
        """Table of one block, indexed by local id; entry 0 is the background's."""
        tables = self._load()
        row = frame - self.first
        background = int(tables.starts[row])
        begin = background + int(tables.offsets[row, number]) + 1
        own = tables.table[begin : begin + int(tables.sizes[row, number])]
        return np.concatenate([tables.table[background : background + 1], own])

    def _load(self) -> _Tables:
        if not isinstance(self.tables, Path):
            return self.tables
        try:
            state = (self.tables / "table.npy").stat()
            return _mapped(self.tables, (state.st_ino, state.st_mtime_ns))
        except (OSError, ValueError) as error:
            raise ScratchError(f"{self.tables} can't be read: {error}") from error


def _save(path: Path, array: NDArray[Any]) -> None:
    """Write a new file in place of an old one, which others may have mapped."""
    with committed(path) as partial, partial.open("wb") as file:
        np.save(file, array)


@lru_cache(maxsize=8)
def _mapped(folder: Path, version: tuple[int, int]) -> _Tables:
    """Map the tables of a folder; ``version`` tells one run's from those of the next."""
    return _Tables(*(np.load(folder / f"{name}.npy", mmap_mode="r") for name in _Tables._fields))


@dataclass(frozen=True)
class LookedUpRuns(Region):
    """The runs of blocks of local ids, read through the look-up tables of the blocks.

    Attributes
    ----------
    store
        The runs.
    layout
        Axes of the array that they make up.
    grid
        The blocks.
    lookups
        Their tables.
    """

    store: RunStore
    layout: Layout
    grid: Grid
    lookups: Lookups

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape in voxels."""
        return self.layout.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values looked up."""
        return self.lookups.dtype

    def _read(self, spans: tuple[slice, ...]) -> NDArray[Any]:
        loops = [spans[axis] for axis in self.layout.looped]
        box = Box(
            tuple(spans[axis].start for axis in self.layout.spatial),
            tuple(spans[axis].stop for axis in self.layout.spatial),
        )
        if not loops:
            return self._frame(0, box)
        result = np.empty([s.stop - s.start for s in spans], self.dtype)
        for position in np.ndindex(*[s.stop - s.start for s in loops]):
            index = [s.start + p for s, p in zip(loops, position, strict=True)]
            frame = int(np.ravel_multi_index(index, self.layout.loop_shape))
            where = [slice(None)] * len(spans)
            for axis, p in zip(self.layout.looped, position, strict=True):
                where[axis] = slice(p, p + 1)
            result[tuple(where)] = self.layout.give_frame(self._frame(frame, box))
        return result

    @property
    def chunks(self) -> tuple[int, ...]:
        """Shape of a block."""
        core = self.grid.core((0,) * self.grid.ndim)
        return tuple(self.layout.per_axis(core.shape, 1))

    def _frame(self, frame: int, box: Box) -> NDArray[Any]:
        result = np.full(box.shape, self.lookups.background(frame), self.dtype)
        for block in self.grid.overlapping(box):
            table = self.lookups.of_block(frame, block.number)
            if len(table) > 1:
                needed = block.core.intersect(box)
                planes = needed.start[0], needed.stop[0]
                part, runs = self.store.read(frame, block.core, planes)
                paint(runs, part, table, result, box)
        return result
