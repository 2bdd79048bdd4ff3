"""A sweep: one task per block over all blocks of some frames, region by region, keeping records.

The runner knows nothing of what a task does. A task says which box of which input it needs for a
block; inputs that can be read by coordinates are read inside the task, lazy dask arrays are
computed by dask and handed in. A block's record is the sign that it is done: a sweep that was
interrupted takes up the records that it left, after a look at what their blocks wrote.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from chunkseg.geometry.boxes import Block, Box, Grid, Slices
from chunkseg.geometry.layout import Layout
from chunkseg.runner.allocator import give_back_freed_memory
from chunkseg.runner.execution import Call, Execution, Failure
from chunkseg.runner.failures import FailedBlock, FailedBlocksError, where
from chunkseg.runner.progress import Progress, silent
from chunkseg.storage.leaves import MemorySource, Source
from chunkseg.storage.records import Records
from chunkseg.storage.sources import source_of

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

Skip = Collection[tuple[int, int]]
"""Blocks of which nothing is read: frame and number."""

REGION_BLOCKS = 128
LAZY_REGION_BYTES = 2**28


class Task(Protocol[R_co]):
    """What a sweep does with each block."""

    @property
    def name(self) -> str:
        """Name of the pass, seen in progress bars and on dask's dashboard."""

    def reads(self, block: Block) -> Sequence[Box | None]:
        """Box to read of each input; None where an input is not needed."""

    def __call__(self, block: Block, *arrays: Any) -> R_co:
        """Do the work of one block and return its record."""


class Written(Protocol):
    """Where a task writes blocks."""

    def intact(self, frame: int, box: Box) -> bool:
        """Whether what was written of a block is there whole."""


@dataclass(frozen=True, slots=True)
class Input:
    """An array to sweep over: one that can be read by coordinates, or a lazy dask array."""

    data: Source | da.Array
    layout: Layout

    @classmethod
    def of(cls, array: Any, layout: Layout) -> Input:
        """Take an array as input; of a dask array over a stored one, the stored one is taken."""
        if isinstance(array, da.Array):
            return cls(source_of(array) or array, layout)
        return cls(array, layout)

    @property
    def lazy(self) -> bool:
        """Whether dask has to compute what is read."""
        return isinstance(self.data, da.Array)


@dataclass(frozen=True, slots=True)
class _Read:
    """A part of a stored array, read where the task runs."""

    data: Source
    slices: Slices
    layout: Layout

    def __call__(self) -> NDArray[Any]:
        return self.layout.take_frame(np.asarray(self.data[self.slices]))


@dataclass(frozen=True, slots=True)
class _BlockCall:
    """A task bound to its block: reads what can be read, takes the rest as arguments."""

    task: Callable[..., Any]
    block: Block
    inputs: tuple[_Read | Layout | None, ...]

    def __call__(self, *computed: NDArray[Any]) -> Any:
        rest = iter(computed)
        arrays: list[NDArray[Any] | None] = []
        for piece in self.inputs:
            if isinstance(piece, _Read):
                arrays.append(piece())
            elif isinstance(piece, Layout):
                arrays.append(piece.take_frame(np.asarray(next(rest))))
            else:
                arrays.append(None)
        return self.task(self.block, *arrays)


@dataclass(frozen=True)
class Sweeper(Generic[R]):
    """Runs tasks over the blocks of a set of frames.

    Attributes
    ----------
    grid
        The blocks of a frame.
    frames
        Numbers of the frames.
    execution
        Where tasks run.
    progress
        Who is told.
    """

    grid: Grid
    frames: range
    execution: Execution
    progress: Progress = silent

    def run(
        self,
        task: Task[R],
        inputs: Sequence[Input],
        records: Records[R],
        skip: Skip = (),
        sinks: Sequence[Written] = (),
    ) -> Records[R]:
        """Sweep, region by region, and return the records.

        Blocks whose records an interrupted run left are done, if what they wrote to the ``sinks``
        is whole. For the blocks in ``skip`` (frame, number) nothing is read: the task is given
        None for each input.

        Raises
        ------
        FailedBlocksError
            If blocks could not be done; all the others are, and their records are kept.
        """
        total = len(self.grid) * len(self.frames)
        done = 0
        failed: list[FailedBlock] = []

        def advance(n: int) -> None:
            nonlocal done
            done += n
            self.progress(task.name, done, total)

        self.progress(task.name, 0, total)
        for number, region in enumerate(self._regions(inputs)):
            known = self._known(records.known(number), region, sinks)
            advance(len(known))
            rest = [block for block in region if _key(block) not in known]
            calls = [block_call(task, block, inputs, _key(block) in skip) for block in rest]
            for block, result in zip(rest, self.execution.compute(calls, advance), strict=True):
                if isinstance(result, Failure):
                    failed.append(FailedBlock(task.name, block, result))
                else:
                    known[_key(block)] = result
            there = [block for block in region if _key(block) in known]
            if rest:
                records.append(number, there, [known[_key(block)] for block in there])
                give_back_freed_memory()
        if failed:
            raise FailedBlocksError(failed, total)
        return records

    def whole(self, sinks: Sequence[Written]) -> bool:
        """Whether all that the blocks wrote to the sinks is there and passes its checksums."""
        return all(len(self._intact(region, sinks)) == len(region) for region in self._regions([]))

    def _known(
        self, found: dict[tuple[int, int], R], region: Sequence[Block], sinks: Sequence[Written]
    ) -> dict[tuple[int, int], R]:
        """Of the records that were found, those of blocks whose arrays are whole."""
        blocks = [block for block in region if _key(block) in found]
        return {_key(block): found[_key(block)] for block in self._intact(blocks, sinks)}

    def _intact(self, blocks: Sequence[Block], sinks: Sequence[Written]) -> Sequence[Block]:
        """Those of some blocks whose arrays are whole."""
        if not blocks or not sinks:
            return blocks
        calls = [Call(partial(_intact, tuple(sinks), b), "check") for b in blocks]
        whole = self.execution.compute(calls, lambda n: None)
        return [block for block, intact in zip(blocks, whole, strict=True) if intact is True]

    def _regions(self, inputs: Sequence[Input]) -> Any:
        for region in self.grid.regions(len(self.frames), self._region_limit(inputs)):
            yield [Block(self.frames[b.frame], b.number, b.index, b.core) for b in region]

    def _region_limit(self, inputs: Sequence[Input]) -> int:
        """Blocks per region: fewer where dask keeps what blocks of a region share.

        The number must not depend on the workers: records are merged region by region, and float
        sums with them.
        """
        lazy = [i.data for i in inputs if i.lazy]
        if not lazy:
            return REGION_BLOCKS
        largest = math.prod(max(lengths) for lengths in self.grid.chunks)
        size = largest * max(8, *(array.dtype.itemsize for array in lazy))
        return min(REGION_BLOCKS, max(8, LAZY_REGION_BYTES // max(size, 1)))


def _key(block: Block) -> tuple[int, int]:
    return block.frame, block.number


def _intact(sinks: Sequence[Written], block: Block) -> bool:
    return all(sink.intact(block.frame, block.core) for sink in sinks)


def block_call(
    task: Task[Any], block: Block, inputs: Sequence[Input], skipped: bool = False
) -> Call:
    """Bind a task to its block: what is read in the task, and what dask has to compute for it."""
    pieces: list[_Read | Layout | None] = []
    arrays = []
    for source, box in zip(inputs, task.reads(block), strict=True):
        if box is None or skipped:
            pieces.append(None)
            continue
        slices = source.layout.slices(block.frame, box)
        if isinstance(source.data, da.Array):
            arrays.append(source.data[slices])
            pieces.append(source.layout)
        else:
            pieces.append(_read(source.data, slices, source.layout))
    bound = _BlockCall(task, block, tuple(pieces))
    return Call(bound, task.name, tuple(arrays), where(block))


def _read(source: Source, slices: Slices, layout: Layout) -> _Read:
    """Of an array in memory, a task carries the part that it reads, not the whole."""
    if isinstance(source, MemorySource):
        part = MemorySource(source.array[slices])
        return _Read(part, (slice(None),) * len(slices), layout)
    return _Read(source, slices, layout)
