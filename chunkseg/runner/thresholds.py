"""Otsu's thresholds: of each frame by itself, or one of a whole movie.

Of each frame by itself, one sweep finds the range. Where a block is a whole frame, and not large,
the histogram is found with it; else a sketch of the histogram, from which the threshold is
estimated. It is the true one but for rare cases, and whether it is shows when the voxels have been
counted in their true bins, which is done on the way when the mask is made:
:func:`true_thresholds`. Blocks without foreground, of which no mask is made, are counted by a sweep
of their own, but for those whose values all lie in one bin.

Of a movie there are two sweeps, ranges, then histograms over the range of all frames. They are
added up, and so the threshold is the one of the stacked frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from chunkseg.geometry.boxes import Block, Grid
from chunkseg.passes.threshold import (
    CountsRecord,
    Histogram,
    RangeRecord,
    SurveyRecord,
    estimated_counts,
    known_counts,
    merge_counts,
    merge_ranges,
    otsu,
    single_bins,
)
from chunkseg.runner.sweep import Input, Skip, Task
from chunkseg.runner.tasks import Chained, CountsTask, RangeTask, SurveyTask
from chunkseg.storage.records import Records, by_frame

R = TypeVar("R")
NBINS = 256
Thresholds = dict[int, "FrameThreshold"]


class Sweep(Protocol):
    """Sweeps a task over the blocks of some frames."""

    def __call__(
        self, task: Task[R], inputs: Sequence[Input], kind: type[R], skip: Skip = frozenset()
    ) -> Records[R]:
        """Return the records."""


@dataclass(frozen=True, slots=True)
class FrameRange:
    """Range of a frame, and of each of its blocks, by number."""

    low: Any
    high: Any
    lows: NDArray[Any]
    highs: NDArray[Any]

    @property
    def ends(self) -> tuple[Any, Any]:
        """Return the least and the largest value."""
        return self.low, self.high

    def single_bins(self) -> NDArray[np.intp]:
        """Which bin of the frame holds all values of a block, by number; -1 for several."""
        return single_bins(self.lows, self.highs, *self.ends, NBINS)


@dataclass(frozen=True, slots=True)
class FrameThreshold:
    """Threshold of a frame, its range, and its histogram over the range that is looked at."""

    threshold: Any
    range: FrameRange
    histogram: Histogram
    exact: bool = True

    @classmethod
    def of(cls, found: FrameRange, histogram: Histogram, exact: bool = True) -> FrameThreshold:
        """Otsu's threshold from a histogram over the frame's own range."""
        return cls(otsu(histogram, *found.ends), found, histogram, exact)

    @property
    def constant(self) -> bool:
        """Whether all voxels of the frame are equal."""
        return bool(self.range.low == self.range.high)

    def exceeded(self, numbers: Sequence[int]) -> bool:
        """Whether any voxel of some blocks exceeds the threshold."""
        return bool((self.range.highs[numbers] > self.threshold).any())


def frame_ranges(sweep: Sweep, image: Input, chained: Chained) -> dict[int, FrameRange]:
    """Range of each frame; refuses NaN and infinity."""
    return _ranges(sweep(RangeTask(chained), [image], RangeRecord), chained)


def _ranges(
    records: Iterable[tuple[Block, RangeRecord]], chained: Chained
) -> dict[int, FrameRange]:
    ranges = {}
    for frame, group in by_frame(records):
        found = dict(sorted((block.number, record) for block, record in group))
        low, high = merge_ranges(found.values(), chained.frame)
        lows, highs = (np.array([getattr(r, n) for r in found.values()]) for n in ("low", "high"))
        ranges[frame] = FrameRange(low, high, lows, highs)
    return ranges


def estimated_thresholds(sweep: Sweep, image: Input, chained: Chained) -> Thresholds:
    """Otsu's threshold of each frame: of small ones, else as far as a sketch tells."""
    records = sweep(SurveyTask(chained, NBINS), [image], SurveyRecord)
    ranges = _ranges(records.field("range"), chained)
    found = {}
    for frame, group in by_frame(records.field("counts")):
        ends, counts = ranges[frame].ends, next(group)[1]
        if counts is not None:
            found[frame] = FrameThreshold.of(ranges[frame], known_counts(counts, *ends))
    if len(found) < len(ranges):
        for frame, group in by_frame(records.field("sketch")):
            if frame not in found:
                sketches = (sketch for _, sketch in group)
                histogram = estimated_counts(sketches, *ranges[frame].ends, NBINS)
                found[frame] = FrameThreshold.of(ranges[frame], histogram, exact=False)
    return found


def true_thresholds(
    estimates: Thresholds,
    counted: Iterable[tuple[Block, NDArray[np.int64] | None]],
    left: dict[int, NDArray[np.int64]],
) -> Thresholds:
    """Otsu's threshold of each frame from the true counts.

    Parameters
    ----------
    estimates
        The thresholds with which the mask was made.
    counted
        Counts of the blocks of which it was made, frame after frame; None for the others.
    left
        Counts of the others, by frame: :func:`left_counts`.
    """
    found = {}
    for frame, group in by_frame(counted):
        estimate = estimates[frame]
        if estimate.exact:
            found[frame] = estimate
            continue
        counts = left[frame] + sum(c for _, c in group if c is not None)
        histogram = replace(estimate.histogram, counts=counts)
        found[frame] = FrameThreshold.of(estimate.range, histogram)
    return found


def left_counts(
    sweep: Sweep, image: Input, chained: Chained, estimates: Thresholds, left: Skip, grid: Grid
) -> dict[int, NDArray[np.int64]]:
    """Counts of each frame's blocks that are left out when the mask is made.

    Parameters
    ----------
    sweep, image, chained
        What is swept over, where a block's range alone does not tell.
    estimates
        The thresholds with which the mask will be made.
    left
        Frames and numbers of the blocks.
    grid
        The blocks of a frame.
    """
    counts = {frame: np.zeros(NBINS, np.int64) for frame in estimates}
    several = set()
    for frame, found in estimates.items():
        if found.exact:
            continue
        single = found.range.single_bins()
        for block in grid.overlapping(grid.frame):
            if (frame, block.number) not in left:
                continue
            if single[block.number] < 0:
                several.add((frame, block.number))
            else:
                counts[frame][single[block.number]] += block.core.size
    if several:
        others = {(f, n) for f in estimates for n in range(len(grid))} - several
        task = CountsTask(chained, {f: e.range.ends for f, e in estimates.items()}, NBINS)
        for frame, group in by_frame(sweep(task, [image], CountsRecord, others).field("counts")):
            counts[frame] += sum(c for _, c in group)
    return counts


def movie_thresholds(
    sweeps: Sequence[Sweep], image: Input, chained: Chained
) -> dict[int, FrameThreshold]:
    """Otsu's threshold of all frames together, for each of them.

    Parameters
    ----------
    sweeps
        One for each group of frames.
    image, chained
        What is swept over.
    """
    groups = [frame_ranges(sweep, image, chained) for sweep in sweeps]
    ranges = {frame: found for group in groups for frame, found in group.items()}
    low, high = min(r.low for r in ranges.values()), max(r.high for r in ranges.values())
    histograms: dict[int, Histogram] = {}
    for sweep, group in zip(sweeps, groups, strict=True):
        histograms |= _histograms(sweep, image, chained, dict.fromkeys(group, (low, high)))
    one = next(iter(histograms.values()))
    counts = np.sum([histogram.counts for histogram in histograms.values()], axis=0)
    threshold = otsu(Histogram(counts, one.centers), low, high)
    return {f: FrameThreshold(threshold, found, histograms[f]) for f, found in ranges.items()}


def _histograms(
    sweep: Sweep, image: Input, chained: Chained, ends: dict[int, tuple[Any, Any]]
) -> Iterator[tuple[int, Histogram]]:
    """Histogram of each frame over the range that is given for it."""
    records = sweep(CountsTask(chained, ends, NBINS), [image], CountsRecord)
    for frame, group in records.frames():
        yield frame, merge_counts((r for _, r in group), *ends[frame], NBINS)
