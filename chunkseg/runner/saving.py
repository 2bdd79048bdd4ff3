"""The tasks that write an image and its levels, and that read them back to compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from chunkseg.errors import BlocksError
from chunkseg.geometry.boxes import Block, Box, Grid
from chunkseg.passes.copying import Differing, Extremes, differing, extremes
from chunkseg.runner.execution import Execution
from chunkseg.runner.progress import Progress
from chunkseg.runner.sweep import Input, Sweeper, Task
from chunkseg.storage.pyramids import Coarser, PyramidSink
from chunkseg.storage.records import Records
from chunkseg.storage.scratch import ScratchSource
from chunkseg.storage.sinks import BlockSink


@dataclass(frozen=True)
class SaveTask:
    """Write a block of an image, and see what range its values have."""

    sink: BlockSink
    name: str = "save"

    def reads(self, block: Block) -> Sequence[Box | None]:
        """Return the block."""
        return (block.core,)

    def __call__(self, block: Block, values: NDArray[Any]) -> Extremes:
        """Write one block."""
        self.sink.write(block.frame, block.core, values)
        return extremes(values)


@dataclass(frozen=True)
class SameTask:
    """Compare a block with the one that it is a copy of."""

    name: str = "verify"

    def reads(self, block: Block) -> Sequence[Box | None]:
        """Return the block, of both."""
        return (block.core, block.core)

    def __call__(self, block: Block, values: NDArray[Any], expected: NDArray[Any]) -> Differing:
        """Compare one block."""
        return differing(values, expected)


@dataclass(frozen=True)
class LevelTask:
    """Compare a block of a level with what the level below gives."""

    coarser: Coarser
    name: str = "verify levels"

    def reads(self, block: Block) -> Sequence[Box | None]:
        """Return the block, and the box of the level below."""
        return (block.core, self.coarser.reads(block.core))

    def __call__(self, block: Block, values: NDArray[Any], below: NDArray[Any]) -> Differing:
        """Compare one block."""
        return differing(values, self.coarser.made(below))


def copy_differs(
    image: Input, pyramid: PyramidSink, grid: Grid, execution: Execution, progress: Progress
) -> str | None:
    """Say in what the full resolution differs from the image that it is a copy of."""
    source = _stored(pyramid, 0)
    return _told("0", SameTask(), grid, [source, image], execution, progress)


def levels_differ(pyramid: PyramidSink, execution: Execution, progress: Progress) -> list[str]:
    """Say which levels are not what the one below gives, and in what."""
    found = []
    for number in range(1, len(pyramid.levels)):
        coarser = Coarser(pyramid, number)
        inputs = [_stored(pyramid, number), _stored(pyramid, number - 1)]
        task = LevelTask(coarser)
        found.append(_told(str(number), task, coarser.grid, inputs, execution, progress))
    return [text for text in found if text is not None]


def _stored(pyramid: PyramidSink, number: int) -> Input:
    sink = pyramid.sinks[number]
    return Input(ScratchSource(sink.array), sink.layout)


def _told(
    level: str,
    task: Task[Differing],
    grid: Grid,
    inputs: Sequence[Input],
    execution: Execution,
    progress: Progress,
) -> str | None:
    """Sweep and say what differs first; what can't be read differs."""
    frames = range(inputs[0].layout.frames)
    sweeper: Sweeper[Differing] = Sweeper(grid, frames, execution, progress)
    try:
        records = list(sweeper.run(task, inputs, Records(Differing)))
    except BlocksError as error:
        return f"level {level}: {' '.join(str(error).split())}"
    wrong = [(block, seen.voxels) for block, seen in records if seen.voxels]
    if not wrong:
        return None
    (block, _), voxels = wrong[0], sum(n for _, n in wrong)
    frame = f"frame {block.frame}, " if len(frames) > 1 else ""
    return f"level {level}: {voxels} voxels differ, the first in {frame}voxels [{block.core.spans}]"
