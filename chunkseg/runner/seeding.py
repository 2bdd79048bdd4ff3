"""The first half of the lesson over a group of frames: thresholds, the mask, and its seeds.

range -> seeds. The range pass also sketches the histogram of each frame, from which Otsu's
threshold is estimated (of a small frame it is the histogram itself). The seeds pass makes the mask
with it and counts the voxels in their true bins on the way; the counts of blocks without
foreground, of which it makes no mask, come from a histogram pass, where their range does not tell
them. If the true threshold turns out to be another one, the seeds pass is done again with that: its
records and scratch have other names, and once it has begun, the first one writes nothing any more.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chunkseg.passes.components import Components, ComponentsPass
from chunkseg.passes.masking import Masking
from chunkseg.passes.steps import Blur
from chunkseg.runner.lesson_tasks import SeedsRecord, SeedsTask
from chunkseg.runner.sweep import Skip
from chunkseg.runner.tasks import Chained
from chunkseg.runner.thresholds import (
    NBINS,
    Thresholds,
    estimated_thresholds,
    frame_ranges,
    left_counts,
    true_thresholds,
)
from chunkseg.storage.records import Records, by_frame
from chunkseg.storage.runs import RunStore

if TYPE_CHECKING:
    from chunkseg.runner.group import Group

Seeds = tuple[RunStore, dict[int, Components]]

FIRST, AGAIN = "seeds", "seeds-again"

_log = logging.getLogger("chunkseg")


@dataclass(frozen=True)
class Split:
    """What a seeds pass leaves: records, and the runs of the seeds, where they are wanted."""

    records: Records[SeedsRecord]
    sink: RunStore | None


@dataclass(frozen=True)
class Seeding:
    """The passes up to the seeds of a group of frames."""

    group: Group

    def run(self) -> Seeds | None:
        """Make the mask and split it; None where only the mask is wanted."""
        parameters, ndim = self.group.lesson.parameters, self.group.lesson.grid.ndim
        if self.group.lesson.is_mask:
            return self._merged(self._split(Masking(None, {}, ndim)))
        blur = parameters.blur(self.group.lesson.spacing)
        if parameters.threshold != "otsu":
            return self._merged(self._split(self._given(blur)))
        if parameters.threshold_scope == "movie":
            return self._merged(self._of_movie(blur))
        return self._merged(self._of_frames(blur))

    def _given(self, blur: Blur) -> Masking:
        """Take the threshold that is given, after a search for NaN."""
        lesson, threshold = self.group.lesson, self.group.lesson.parameters.threshold
        if np.dtype(lesson.image.data.dtype).kind == "f":
            frame_ranges(self.group.sweep, lesson.image, Chained(lesson.grid.frame, ()))
        for frame in self.group.frames:
            self.group.facts[frame].threshold = float(threshold)
        return Masking(blur, dict.fromkeys(self.group.frames, threshold), lesson.grid.ndim)

    def _of_movie(self, blur: Blur) -> Split:
        """Split with one threshold for all frames."""
        found = {frame: self.group.lesson.movie[frame] for frame in self.group.frames}
        self._note(found)
        return self._split(self._masking(blur, found), self._left(found))

    def _of_frames(self, blur: Blur) -> Split:
        """Split each frame with its own threshold: with an estimate, then, if need be, again."""
        lesson, sweep = self.group.lesson, self.group.sweep
        chained = Chained(lesson.grid.frame, (blur,))
        estimates = estimated_thresholds(sweep, lesson.image, chained)
        left = self._left(estimates)
        others = left_counts(sweep, lesson.image, chained, estimates, left, lesson.grid)
        first = self._split(self._masking(blur, estimates, counting=True), left)
        found = true_thresholds(estimates, first.records.field("counts"), others)
        self._note(found)
        if all(found[frame].threshold == estimates[frame].threshold for frame in found):
            return first
        _log.info("the threshold was estimated a bin off; the mask is made again")
        return self._split(self._masking(blur, found), self._left(found), AGAIN)

    def _masking(self, blur: Blur, found: Thresholds, counting: bool = False) -> Masking:
        thresholds = {frame: threshold.threshold for frame, threshold in found.items()}
        ends = {f: t.range.ends for f, t in found.items() if counting and not t.exact}
        return Masking(blur, thresholds, self.group.lesson.grid.ndim, ends, NBINS)

    def _left(self, found: Thresholds) -> Skip:
        """Blocks where nothing that erosion could see exceeds the threshold."""
        lesson = self.group.lesson
        grid, erosion = lesson.grid, lesson.parameters.erosion(lesson.spacing)
        reach = (0,) * grid.ndim if erosion is None else erosion.halo
        left = set()
        for block in grid.overlapping(grid.frame):
            near = [b.number for b in grid.overlapping(block.core.grow(reach, grid.frame))]
            for frame, threshold in found.items():
                if not threshold.exceeded(near):
                    left.add((frame, block.number))
        return left

    def _split(self, masking: Masking, left: Skip = (), name: str = FIRST) -> Split:
        """Sweep: mask and seeds of each block."""
        group, lesson = self.group, self.group.lesson
        stop = lesson.until == "mask"
        sink = None if stop else RunStore(group.folder / name)
        mask_sink = group.image_sink("mask", np.uint8) if "mask" in lesson.keep else None
        if name == FIRST and self._records(AGAIN).exists():
            sink = mask_sink = None
        erosion = None if stop else lesson.parameters.erosion(lesson.spacing)
        rule = ComponentsPass(lesson.grid.ndim)
        task = SeedsTask(lesson.grid.frame, masking, erosion, rule, sink, mask_sink, name)
        sinks = (sink, mask_sink)
        return Split(group.sweep(task, [lesson.image], SeedsRecord, left, sinks), sink)

    def _records(self, name: str) -> Path:
        return self.group.folder / "records" / name

    def _note(self, found: Thresholds) -> None:
        """Note what is told of the thresholds."""
        for frame, threshold in found.items():
            facts, bins = self.group.facts[frame], threshold.histogram
            facts.threshold, facts.constant = float(threshold.threshold), threshold.constant
            facts.histogram = {"value": bins.centers.tolist(), "count": bins.counts.tolist()}

    def _merged(self, split: Split) -> Seeds | None:
        """Merge the components of all blocks, and note what they tell."""
        facts, size = self.group.facts, self.group.lesson.grid.frame.size
        for frame, group in by_frame(split.records.field("foreground")):
            facts[frame].foreground_fraction = sum(n for _, n in group) / size
        seeds = self._components(split.records.field("mask"))
        _count(facts, "mask", seeds)
        if split.sink is None:
            return None
        if self.group.lesson.parameters.erosion(self.group.lesson.spacing) is not None:
            seeds = self._components(split.records.field("seeds"))
        _count(facts, "eroded", seeds)
        return split.sink, seeds

    def _components(self, records: Iterable[Any]) -> dict[int, Components]:
        grid = self.group.lesson.grid
        rule = ComponentsPass(grid.ndim)
        return {frame: rule.merge(group, grid) for frame, group in by_frame(records)}


def _count(facts: Mapping[int, Any], name: str, components: Mapping[int, Components]) -> None:
    for frame, found in components.items():
        facts[frame].counts[name] = found.count
