"""Otsu's threshold from records: first the range of values, then counts over it, then the
threshold.

Counts are whole numbers and add up exactly over blocks; the bins are those of the whole frame; so
the threshold is the one scikit-image finds in memory, to the last bit. Of floats a sketch can be
made with the range, from which the threshold is estimated before the counts are known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.errors import PixelError
from chunkseg.geometry.boxes import Box, Slices
from chunkseg.kernels import histogram as kernels
from chunkseg.kernels.sketch import Sketch, Sketcher, merge_sketches


@dataclass(frozen=True, slots=True)
class RangeRecord:
    """Smallest and largest value of a block, and where it is not finite.

    Attributes
    ----------
    low, high
        Zero-dimensional arrays of the block's dtype; NaN where ``bad`` is not zero.
    bad, first_bad
        How many voxels are NaN or infinite, and the raster index within the frame of the first (-1
        where there is none).
    """

    low: NDArray[Any]
    high: NDArray[Any]
    bad: int
    first_bad: int


def range_block(
    parts: Iterable[NDArray[Any]],
    raw: NDArray[Any],
    core: Box,
    frame: Box,
    look: Callable[[NDArray[Any]], kernels.Range] = kernels.value_range,
) -> RangeRecord:
    """Range of the values of a block.

    Parameters
    ----------
    parts
        The values of ``core``, in any number of parts.
    raw
        The voxels of ``core`` to be searched for NaN and infinity.
    core, frame
        Where the block lies, and the frame's box.
    look
        What finds the range of a part.
    """
    bad, first = kernels.nonfinite(raw)
    if first >= 0:
        where = np.unravel_index(first, core.shape)
        moved = [int(w) + a for w, a in zip(where, core.start, strict=True)]
        first = int(np.ravel_multi_index(moved, frame.shape))
    ends = np.array([look(part) for part in parts])
    return RangeRecord(np.asarray(ends[:, 0].min()), np.asarray(ends[:, 1].max()), bad, first)


@dataclass(frozen=True, slots=True)
class SurveyRecord:
    """Range of a block of floats, and a sketch or the histogram of its values.

    Attributes
    ----------
    range
        The range.
    sketch
        The sketch; of no bins where there are counts.
    counts
        The histogram over the block's own range, of a block that is a whole frame.
    """

    range: RangeRecord
    sketch: Sketch
    counts: NDArray[np.int64] | None = None


def survey_block(
    parts: Iterable[NDArray[Any]], raw: NDArray[Any], core: Box, frame: Box
) -> SurveyRecord:
    """Range and sketch of a block; the parameters are those of :func:`range_block`."""
    sketcher = Sketcher()
    found = range_block(parts, raw, core, frame, sketcher.add)
    return SurveyRecord(found, sketcher.sketch())


def survey_frame(values: NDArray[Any], raw: NDArray[Any], frame: Box, nbins: int) -> SurveyRecord:
    """Range and histogram of a block that is a whole frame."""
    found = range_block([values], raw, frame, frame)
    sketch = Sketch(0, 0, np.zeros(0, np.int64))
    try:
        counts = kernels.float_histogram(values, found.low[()], found.high[()], nbins)
    except PixelError:  # no range for a histogram, which whoever merges will say
        return survey_block([values], raw, frame, frame)
    return SurveyRecord(found, sketch, counts)


def estimated_counts(sketches: Iterable[Sketch], low: Any, high: Any, nbins: int) -> Histogram:
    """Histogram of a frame over its range, as far as the sketches of its blocks tell."""
    edges = kernels.bin_edges(low, high, nbins)
    return Histogram(merge_sketches(sketches).between(edges), kernels.bin_centers(edges))


def known_counts(counts: NDArray[np.int64], low: Any, high: Any) -> Histogram:
    """Histogram of a frame over its range, from its counts."""
    edges = kernels.bin_edges(low, high, len(counts))
    return Histogram(counts, kernels.bin_centers(edges))


def merge_ranges(records: Iterable[RangeRecord], frame: Box) -> tuple[Any, Any]:
    """Range of a frame.

    Returns
    -------
    low, high : NumPy scalars of the image's dtype

    Raises
    ------
    PixelError
        If any voxel is NaN or infinite; the message counts them and names the first.
    """
    records = list(records)
    bad = sum(int(r.bad) for r in records)
    if bad:
        first = min(int(r.first_bad) for r in records if r.bad)
        where = tuple(int(i) for i in np.unravel_index(first, frame.shape))
        raise PixelError(
            f"Otsu's threshold and the blur need finite values, but {bad} of {frame.size} voxels "
            f"are NaN or infinite, the first at index {where}. Replace them first, as with "
            "image.fillna(0) or numpy.nan_to_num."
        )
    low = min(r.low[()] for r in records)
    high = max(r.high[()] for r in records)
    return low, high


@dataclass(frozen=True, slots=True)
class CountsRecord:
    """Counts of a block: over fixed bins (``values`` None), or of each distinct integer value."""

    counts: NDArray[np.int64]
    values: NDArray[Any] | None


def counts_block(parts: Iterable[NDArray[Any]], low: Any, high: Any, nbins: int) -> CountsRecord:
    """Histogram of a block, given in parts, over the frame's range.

    Integer images count each distinct value.
    """
    return _added([_counts(part, low, high, nbins) for part in parts])


def counts_of_bounds(
    bounds: Sequence[NDArray[Any]] | None, low: Any, high: Any, nbins: int, size: int
) -> CountsRecord | None:
    """Counts of a block of floats, given limits of its values; None where they do not tell.

    Parameters
    ----------
    bounds
        Arrays of one value each, or None where there are none.
    low, high, nbins
        The frame's range and bins.
    size
        Number of voxels of the block.
    """
    if bounds is None:
        return None
    least, most = (end.reshape(1) for end in bounds)
    (number,) = single_bins(least, most, low, high, nbins)
    return None if number < 0 else CountsRecord(size * np.eye(1, nbins, number, np.int64)[0], None)


def single_bins(
    lows: NDArray[Any], highs: NDArray[Any], low: Any, high: Any, nbins: int
) -> NDArray[np.intp]:
    """Which bin of a frame of floats holds all values from ``lows`` to ``highs``; -1: several."""
    edges = kernels.bin_edges(low, high, nbins)
    # nothing is beyond the frame's range, though limits may be
    first, last = (np.searchsorted(edges, ends, "right") - 1 for ends in (lows, highs))
    first, last = (np.clip(ends, 0, nbins - 1) for ends in (first, last))
    return np.where(first == last, first, -1)


def counts_within(
    values: NDArray[Any], inner: Slices, low: Any, high: Any, nbins: int
) -> NDArray[np.int64]:
    """Counts of a part of some floats in the bins of the frame."""
    return kernels.float_histogram(values, low, high, nbins, inner)


def _counts(values: NDArray[Any], low: Any, high: Any, nbins: int) -> CountsRecord:
    if values.dtype.kind in "iu":
        distinct, counts = kernels.integer_histogram(values)
        return CountsRecord(counts, distinct)
    if values.dtype == np.bool_:
        values, low, high = values.astype(np.float64), np.float64(low), np.float64(high)
    return CountsRecord(kernels.float_histogram(values, low, high, nbins), None)


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of a frame and the value at the centre of each bin."""

    counts: NDArray[np.int64]
    centers: NDArray[Any]


def merge_counts(records: Iterable[CountsRecord], low: Any, high: Any, nbins: int) -> Histogram:
    """Add up the counts of a frame's blocks."""
    total = _added(list(records))
    if total.values is not None:
        signed = total.values.dtype.kind == "i"
        return Histogram(total.counts, total.values.astype(np.int64) if signed else total.values)
    if isinstance(low, np.bool_):
        low, high = np.float64(low), np.float64(high)
    return Histogram(total.counts, kernels.bin_centers(kernels.bin_edges(low, high, nbins)))


def _added(records: list[CountsRecord]) -> CountsRecord:
    if records[0].values is None:
        return CountsRecord(np.sum([r.counts for r in records], axis=0), None)
    values = np.concatenate([r.values for r in records if r.values is not None])
    distinct, where = np.unique(values, return_inverse=True)
    total = np.zeros(len(distinct), np.int64)
    np.add.at(total, where, np.concatenate([r.counts for r in records]))
    return CountsRecord(total, distinct)


def otsu(histogram: Histogram, low: Any, high: Any) -> Any:
    """Otsu's threshold; a constant image returns its value, as in scikit-image."""
    return low if low == high else kernels.otsu(histogram.counts, histogram.centers)
