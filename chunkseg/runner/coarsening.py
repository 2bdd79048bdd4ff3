"""Coarser levels: each made from the one below, block by block, when that is complete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from chunkseg.geometry.boxes import Block, Box
from chunkseg.passes.counting import VoxelCount
from chunkseg.runner.execution import Execution
from chunkseg.runner.progress import Progress
from chunkseg.runner.sweep import Input, Sweeper
from chunkseg.storage.pyramids import Coarser, PyramidSink
from chunkseg.storage.records import Records
from chunkseg.storage.scratch import ScratchSource


@dataclass(frozen=True)
class CoarsenTask:
    """Make a block of a level from the level below, and write it.

    Attributes
    ----------
    coarser
        The level.
    """

    coarser: Coarser
    name: str = "levels"

    def reads(self, block: Block) -> Sequence[Box | None]:
        """Return the box of the level below."""
        return (self.coarser.reads(block.core),)

    def __call__(self, block: Block, below: NDArray[Any]) -> VoxelCount:
        """Do one block."""
        made = self.coarser.made(below)
        self.coarser.sink.write(block.frame, block.core, made)
        return VoxelCount(made.size)


def coarsen(
    pyramid: PyramidSink,
    frames: range,
    execution: Execution,
    progress: Progress,
    folder: Path,
) -> None:
    """Make the levels of some frames that were not written with the full resolution.

    Parameters
    ----------
    pyramid
        Whose owned levels are complete for these frames.
    frames
        Their numbers.
    execution, progress
        As of a sweep.
    folder
        Of the records; what an interrupted call has done is not done again.
    """
    for coarser in pyramid.coarser():
        sweeper: Sweeper[VoxelCount] = Sweeper(coarser.grid, frames, execution, progress)
        source = Input(ScratchSource(coarser.below.array), coarser.below.layout)
        records = Records(VoxelCount, folder / str(coarser.number))
        sweeper.run(CoarsenTask(coarser), [source], records, sinks=[coarser.sink])
