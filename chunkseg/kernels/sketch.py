"""A fine histogram of floats made before their range is known, of which any two can be added.

The bins of a sketch are as wide as a power of two and begin at multiples of it. So a sketch with
narrow bins becomes one with wider bins exactly, by adding up neighbours, and sketches of blocks
whose values lie far apart become one of the whole frame. While a block is looked at, a value
outside the bins there are makes all of them wider; in the end they are the narrowest of which
:data:`BINS` hold every value, whatever the order in which the values came.

What a sketch can't say is on which side of an edge the values lie that share a bin with it. Counts
between edges that are read off it are therefore estimates.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.kernels.compiled import compiled
from chunkseg.kernels.histogram import Range, flat, value_range

BINS = 4096
_ROW = 256
_INDEX_BITS = 40
_SMALLEST = -900


@dataclass(frozen=True, slots=True)
class Sketch:
    """Counts in bins as wide as a power of two.

    Attributes
    ----------
    exponent
        The width of a bin is ``2.0**exponent``.
    first
        The first bin begins at ``first`` times the width.
    counts
        How many values each bin holds, as integers of any kind; a bin holds its lower end, and not
        its upper one.
    """

    exponent: int
    first: int
    counts: NDArray[Any]

    def widened(self, exponent: int) -> Sketch:
        """Return the same, which must hold something, with wider bins."""
        if exponent == self.exponent:
            return self
        bins = (self.first + np.arange(len(self.counts))) >> min(exponent - self.exponent, 63)
        first = int(bins[0])
        counts = np.zeros(int(bins[-1]) - first + 1, np.int64)
        np.add.at(counts, bins - first, self.counts)
        return Sketch(exponent, first, counts)

    def between(self, edges: NDArray[Any]) -> NDArray[np.int64]:
        """Estimate the counts between edges, of which the first and last hold all values.

        Values that share a bin are taken to be spread over it evenly.

        Examples
        --------
        >>> Sketch(0, 3, np.array([5, 2, 2])).between(np.array([3.0, 4.5, 6.0]))
        array([6, 3])
        """
        scaled = np.ldexp(edges.astype(np.float64), -self.exponent)
        ends = np.clip(self.first + np.arange(len(self.counts) + 1), scaled[0], scaled[-1])
        below = np.interp(scaled, ends, np.concatenate([[0], np.cumsum(self.counts)]))
        below[0], below[-1] = 0, self.counts.sum()
        return np.diff(np.rint(below).astype(np.int64))


def merge_sketches(sketches: Iterable[Sketch]) -> Sketch:
    """Add up sketches, of which one holds something: the sketch of all their values.

    Examples
    --------
    >>> merge_sketches([Sketch(0, 3, np.array([5, 2])), Sketch(1, 0, np.array([1, 1]))])
    Sketch(exponent=1, first=0, counts=array([1, 6, 2]))
    """
    return reduce(_added, (sketch for sketch in sketches if sketch.counts.size))


def _added(one: Sketch, other: Sketch) -> Sketch:
    exponent = max(one.exponent, other.exponent)
    while (span := _spanned(one, other, exponent))[1] - span[0] >= BINS:
        exponent += 1
    counts = np.zeros(span[1] - span[0] + 1, np.int64)
    for sketch in (one.widened(exponent), other.widened(exponent)):
        start = sketch.first - span[0]
        counts[start : start + len(sketch.counts)] += sketch.counts
    return Sketch(exponent, span[0], counts)


def _spanned(one: Sketch, other: Sketch, exponent: int) -> tuple[int, int]:
    """First and last bin of two sketches whose bins were as wide as that."""
    ends = [
        index >> (exponent - sketch.exponent)
        for sketch in (one, other)
        for index in (sketch.first, sketch.first + len(sketch.counts) - 1)
    ]
    return min(ends), max(ends)


class Sketcher:
    """Makes the sketch of a block of which some values are seen at a time.

    Examples
    --------
    >>> sketcher = Sketcher()
    >>> sketcher.add(np.array([1.0, 1.0, 3.0]))
    (np.float64(1.0), np.float64(3.0))
    >>> sketch = sketcher.sketch()
    >>> int(sketch.counts.sum()), len(sketch.counts) <= BINS
    (3, True)
    """

    def __init__(self) -> None:
        self._range = (math.inf, -math.inf)
        self._place = (0, 0)
        self._tables = np.zeros((2, BINS), np.int64)

    def add(self, values: NDArray[Any]) -> Range:
        """Count values of any shape, float32 or float64, and return their range.

        Values are left out where any is NaN or infinite: such an image has no histogram.
        """
        low, high = value_range(values)
        if math.isfinite(low) and math.isfinite(high):
            self._cover(float(low), float(high))
            exponent, first = self._place
            _count(flat(values), math.ldexp(1.0, -exponent), float(first), self._tables)
        return low, high

    def _cover(self, low: float, high: float) -> None:
        """Make the bins hold a range as well."""
        known = self.sketch()
        self._range = low, high = min(low, self._range[0]), max(high, self._range[1])
        exponent, first = _fitting(low, high)
        if known.counts.size and (known.exponent, known.first) == (exponent, first):
            return
        self._place = (exponent, first)
        self._tables[:] = 0
        moved = known.widened(exponent) if known.counts.size else known
        start = moved.first - first
        self._tables[0, start : start + len(moved.counts)] = moved.counts

    def sketch(self) -> Sketch:
        """What was counted so far; no bins where there were no finite values."""
        exponent, first = self._place
        high = self._range[1]
        bins = _index(high, exponent) - first + 1 if math.isfinite(high) else 0
        counts = self._tables.sum(axis=0)[:bins]
        return Sketch(exponent, first, counts.astype(np.min_scalar_type(counts.max(initial=0))))


def _fitting(low: float, high: float) -> tuple[int, int]:
    """Exponent of the narrowest bins of which there are enough for a range, and the first bin."""
    largest, width = _power(max(abs(low), abs(high))), _power(high / 2 - low / 2) + 1
    exponent = max(largest - _INDEX_BITS, width - BINS.bit_length() - 1, _SMALLEST)
    while _index(high, exponent) - _index(low, exponent) >= BINS:
        exponent += 1
    return exponent, _index(low, exponent)


def _power(value: float) -> int:
    """Exponent of the least power of two above a value; of 0 the smallest."""
    return math.frexp(value)[1] if value else _SMALLEST


def _index(value: float, exponent: int) -> int:
    """Number of the bin that holds a value, also of one that scaling makes 0."""
    scaled = math.ldexp(value, -exponent)
    return -1 if value < 0 == scaled else math.floor(scaled)


@compiled(error_model="numpy")
def _count(values: Any, scale: Any, first: Any, tables: Any) -> None:
    """Count in bins; two tables let equal values in a row be counted without waiting."""
    bins = np.empty(_ROW, np.int32)
    for start in range(0, values.size, _ROW):
        row = values[start : start + _ROW]
        for k in range(row.size):
            scaled = row[k] * scale
            vanished = (scaled == 0) & (row[k] < 0)
            bins[k] = np.int32(np.floor(scaled) - np.float64(vanished) - first)
        for k in range(row.size):
            tables[k & 1, np.uintp(bins[k])] += 1
