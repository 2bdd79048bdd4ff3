"""Otsu's thresholds: of each frame by itself, or one of a whole movie.

Two sweeps each: ranges, then histograms over them. For a movie the ranges of all frames make one,
the histograms over it are added up, and so the threshold is the one of the stacked frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np

from chunkseg.passes.threshold import (
    CountsRecord,
    Histogram,
    RangeRecord,
    merge_counts,
    merge_ranges,
    otsu,
)
from chunkseg.runner.sweep import Input, Task
from chunkseg.runner.tasks import Chained, CountsTask, RangeTask
from chunkseg.storage.records import Records

R = TypeVar("R")
NBINS = 256


class Sweep(Protocol):
    """Sweeps a task over the blocks of some frames."""

    def __call__(self, task: Task[R], inputs: Sequence[Input], kind: type[R]) -> Records[R]:
        """Return the records."""


@dataclass(frozen=True, slots=True)
class FrameRange:
    """Range of a frame, and the largest value of each of its blocks, by number."""

    low: Any
    high: Any
    highs: dict[int, Any]


@dataclass(frozen=True, slots=True)
class FrameThreshold:
    """Threshold of a frame, its range, and its histogram over the range that is looked at."""

    threshold: Any
    range: FrameRange
    histogram: Histogram

    @property
    def constant(self) -> bool:
        """Whether all voxels of the frame are equal."""
        return bool(self.range.low == self.range.high)

    def exceeded(self, number: int) -> bool:
        """Whether any voxel of a block exceeds the threshold."""
        return bool(self.range.highs[number] > self.threshold)


def frame_ranges(sweep: Sweep, image: Input, chained: Chained) -> dict[int, FrameRange]:
    """Range of each frame; refuses NaN and infinity."""
    ranges = {}
    for frame, group in sweep(RangeTask(chained), [image], RangeRecord).frames():
        records = list(group)
        low, high = merge_ranges((r for _, r in records), chained.frame)
        ranges[frame] = FrameRange(low, high, {b.number: r.high[()] for b, r in records})
    return ranges


def frame_thresholds(sweep: Sweep, image: Input, chained: Chained) -> dict[int, FrameThreshold]:
    """Otsu's threshold of each frame."""
    ranges = frame_ranges(sweep, image, chained)
    ends = {frame: (found.low, found.high) for frame, found in ranges.items()}
    return {
        frame: FrameThreshold(otsu(histogram, *ends[frame]), ranges[frame], histogram)
        for frame, histogram in _histograms(sweep, image, chained, ends)
    }


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
