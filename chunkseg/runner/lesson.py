"""The lesson, one group of frames after the other.

A run that was interrupted is taken up by running it again: finished groups are known, finished
blocks have records, and all else (merges, look-up tables) follows from these.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from chunkseg.errors import IncompleteError
from chunkseg.geometry.boxes import Grid
from chunkseg.geometry.bundles import bundle_length
from chunkseg.plan.parameters import Parameters
from chunkseg.runner.bundling import bundle_sweeper
from chunkseg.runner.execution import Execution
from chunkseg.runner.failures import FailedBlocksError
from chunkseg.runner.group import Group
from chunkseg.runner.lesson_measures import RunMeasures
from chunkseg.runner.outcome import Spent
from chunkseg.runner.progress import Progress
from chunkseg.runner.sweep import REGION_BLOCKS, Input, Sweeper
from chunkseg.runner.tasks import Chained
from chunkseg.runner.thresholds import (
    FrameThreshold,
    movie_thresholds,
)
from chunkseg.storage.ome import Frames
from chunkseg.storage.output import Output
from chunkseg.storage.pyramids import PyramidSink
from chunkseg.storage.site import LABELS


@dataclass
class Lesson:
    """One run.

    Attributes
    ----------
    parameters
        The user's choice.
    image
        The image, readable block by block.
    is_mask
        Whether the image is a mask already.
    intensities, measures
        Images whose intensities are measured, and what is measured.
    frames
        Axes and calibration of what is written.
    grid
        The blocks of a frame.
    output
        The folder of the run.
    keep
        Which intermediates are written as well.
    until
        ``"mask"`` to stop there.
    execution
        Where tasks run.
    progress
        Called as ``progress(pass, blocks done, blocks in all)``.
    sinks
        What was asked for of the arrays that are written.
    spent
        Time and memory by pass of what concerns all frames together.
    """

    parameters: Parameters
    image: Input
    is_mask: bool
    intensities: Sequence[Input]
    measures: RunMeasures
    frames: Frames
    grid: Grid
    output: Output
    keep: frozenset[str]
    until: str | None
    execution: Execution
    progress: Progress
    sinks: dict[str, PyramidSink] = field(default_factory=dict)
    spent: Spent = field(default_factory=dict)

    def run(self) -> None:
        """Do all frames, a group of them at a time, but for those that are done.

        Raises
        ------
        FailedBlocksError
            If blocks could not be done; the groups that they do not belong to are.
        IncompleteError
            If what frames are to be added to is damaged.
        """
        failed: list[FailedBlocksError] = []
        self._check_former()
        for frames in self.groups():
            if not self.output.has_group(frames) or not self._whole(frames):
                try:
                    Group(self, frames).run()
                except FailedBlocksError as error:
                    failed.append(error)
                    if self.parameters.threshold_scope == "movie" and "movie" not in vars(self):
                        break  # no frame can go on without the threshold of all
        if failed:
            blocks = [block for error in failed for block in error.failed]
            raise FailedBlocksError(blocks, len(self.grid) * self.frames.layout.frames)

    def _whole(self, frames: range) -> bool:
        """Whether the arrays of frames are there that an earlier process did."""
        return self.output.standing != "resumed" or self._intact(frames)

    def _intact(self, frames: range) -> bool:
        """Whether every chunk of some frames, or of their bundles, passes its checksum."""
        names = self.keep if self.until else {LABELS.removesuffix(".ome.zarr"), *self.keep}
        sinks = [self.output.known_array(n, self.frames, self.block) for n in sorted(names)]
        there = [sink.all_levels() for sink in sinks if sink is not None]
        sweeper: Sweeper[Any] = Sweeper(self.grid, frames, self.execution)
        if self.bundle > 1:
            sweeper = bundle_sweeper(self.grid.shape, frames, self.bundle, self.execution)
        return len(there) == len(sinks) and sweeper.whole(there)

    def _check_former(self) -> None:
        """Refuse to add frames to damaged ones: those in a bundle with new ones are copied."""
        first = self.output.started.first
        resumed = self.output.standing == "resumed"
        checked = range(0 if resumed else first - first % self.bundle, first)
        if checked and not self._intact(checked):
            raise IncompleteError(
                f"{self.output.state} holds damaged chunks of the first {first} frames, which were "
                "complete; overwrite the run, or begin anew in another folder"
            )

    @property
    def any_done(self) -> bool:
        """Whether any group of frames is done."""
        return any(map(self.output.has_group, self.groups()))

    def groups(self) -> Iterator[range]:
        """Frames that are done together: many small ones, in whole bundles, or one that is large.

        Where frames are added, the first of these groups may begin within a bundle.
        """
        first, total = self.output.started.first, self.frames.layout.frames
        size = max(1, REGION_BLOCKS // len(self.grid) // self.bundle) * self.bundle
        begins = [first, *range(first - first % size + size, total, size)]
        for begin, end in itertools.pairwise([*begins, total]):
            yield range(begin, end)

    @cached_property
    def movie(self) -> dict[int, FrameThreshold]:
        """One threshold of all frames; its sweeps come before those of any group."""
        groups = [Group(self, frames, self.spent, "movie") for frames in self.groups()]
        chained = Chained(self.grid.frame, (self.parameters.blur(self.spacing),))
        return movie_thresholds([group.sweep for group in groups], self.image, chained)

    @property
    def spacing(self) -> tuple[float, ...]:
        """Size of a voxel along each axis of a frame."""
        return self.frames.voxel

    @cached_property
    def bundle(self) -> int:
        """Frames per file of what is written."""
        return bundle_length(self.frames.layout)

    @cached_property
    def block(self) -> tuple[int, ...]:
        """Shape of a block that is not cut by the frame's edge."""
        return self.grid.block((0,) * self.grid.ndim).core.shape

    def written(self, name: str, dtype: Any) -> PyramidSink:
        """Array of the output, created when it is first asked for."""
        if name not in self.sinks:
            self.sinks[name] = self.output.array(name, self.frames, self.block, dtype)
        return self.sinks[name]

    def label_dtype(self, count: int) -> Any:
        """Return the smallest of uint32 and uint64 that holds every label of every frame.

        Of a movie, it does not depend on the frames there are, since more may be added.
        """
        most = math.prod(-(-n // 2) for n in self.grid.shape)
        if not self.frames.layout.looped:
            most = count
        return np.uint32 if most < 2**32 else np.uint64
