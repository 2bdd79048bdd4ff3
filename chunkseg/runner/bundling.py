"""Bundles: small frames of a movie, done one by one, are written to files of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chunkseg.geometry.boxes import Block, Box, Grid, Shape
from chunkseg.geometry.bundles import bundle_starts
from chunkseg.passes.counting import VoxelCount
from chunkseg.plan.costs import BUNDLES
from chunkseg.runner.execution import Execution
from chunkseg.runner.progress import Progress, silent
from chunkseg.runner.sweep import Sweeper
from chunkseg.storage.bundled import BundledSink
from chunkseg.storage.records import Records


@dataclass(frozen=True)
class BundleTask:
    """Write one bundle: that which begins with the block's frame.

    Attributes
    ----------
    sink
        Where the frames are, and go.
    frames
        Those that are done.
    """

    sink: BundledSink
    frames: range
    name: str = BUNDLES

    def reads(self, block: Block) -> Sequence[Box | None]:
        """Return nothing: what is read is beside what is written."""
        return ()

    def __call__(self, block: Block) -> VoxelCount:
        """Write one bundle."""
        return VoxelCount(self.sink.write_bundle(block.frame, self.frames))


def bundle(
    sink: BundledSink, frames: range, execution: Execution, progress: Progress, folder: Path
) -> None:
    """Write the bundles of some frames, which are done.

    Parameters
    ----------
    sink
        Where they are, and go.
    frames
        Their numbers. Of a bundle that begins before them, the earlier frames are in its file.
    execution, progress
        As of a sweep.
    folder
        Of the records; what an interrupted call has done is not done again.
    """
    pyramid = sink.pyramid
    sweeper = bundle_sweeper(pyramid.levels[0].shape, frames, pyramid.bundle, execution, progress)
    records = Records(VoxelCount, folder)
    sweeper.run(BundleTask(sink, frames), [], records, sinks=[pyramid.all_levels()])


def bundle_sweeper(
    shape: Shape, frames: range, length: int, execution: Execution, progress: Progress = silent
) -> Sweeper[VoxelCount]:
    """Return what sweeps over bundles: each is the one block of its first frame.

    Parameters
    ----------
    shape
        Of a frame.
    frames
        Frames whose bundles are swept over.
    length
        Frames per bundle.
    execution, progress
        As of a sweep.
    """
    return Sweeper(Grid.regular(shape, shape), bundle_starts(frames, length), execution, progress)
