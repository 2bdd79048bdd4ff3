"""Range, histogram and Otsu's threshold of an image from what its blocks say.

A histogram over known edges is a sum over blocks: counts of the blocks add up to the counts of the
whole image, exactly, since each value is put into its bin on its own. So Otsu's threshold takes two
sweeps over a float image (range, then counts) and one over an integer image, whose bins are its
values. Which bin a value falls in is decided as :func:`numpy.histogram` decides it: a guess by
division in the precision of the values, then a step down or up by comparison with the edges.
"""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import numpy as np
import skimage.filters
from numpy.typing import NDArray

from chunkseg.errors import KindError, PixelError
from chunkseg.kernels.compiled import compiled

Range = tuple[Any, Any]
Counts = tuple[NDArray[Any], NDArray[np.int64]]

_ROW = 256
_TABLES = 4


def value_range(values: NDArray[Any]) -> Range:
    """Smallest and largest value of a block.

    Parameters
    ----------
    values
        Block of any shape and any real dtype.

    Returns
    -------
    tuple of two NumPy scalars
        Of the dtype of the block; NaN both where any value is NaN. Where the extreme is zero, its
        sign is undefined.

    Raises
    ------
    PixelError
        The block is empty.

    Notes
    -----
    Reference: :func:`numpy.min`, :func:`numpy.max`.

    Examples
    --------
    >>> value_range(np.array([[3, 1], [2, 9]], np.uint8))
    (np.uint8(1), np.uint8(9))
    """
    if values.size == 0:
        raise PixelError(
            f"The range needs at least one voxel; got a block of shape {values.shape}: skip it."
        )
    return values.min(), values.max()


def nonfinite(values: NDArray[Any]) -> tuple[int, int]:
    """How many values of a block are NaN or infinite, and where the first is.

    Parameters
    ----------
    values
        Block of any shape and any real dtype.

    Returns
    -------
    count : int
        Number of values that are NaN or infinite; 0 for integers.
    first : int
        Index of the first of them in the block in C order; -1 where there is none.

    Examples
    --------
    >>> nonfinite(np.array([[1, np.inf], [np.nan, 2]]))
    (2, 1)
    >>> nonfinite(np.array([1, 2]))
    (0, -1)
    """
    if values.size == 0 or values.dtype.kind in "iub" or all(np.isfinite(value_range(values))):
        return 0, -1
    finite = np.isfinite(values)
    return values.size - int(np.count_nonzero(finite)), int(np.argmin(finite))


def bin_edges(low: Any, high: Any, nbins: int = 256) -> NDArray[Any]:
    """Edges of equal bins from ``low`` to ``high``.

    Parameters
    ----------
    low, high
        Smallest and largest value, as NumPy scalars of the dtype of the image; equal values are
        taken apart by half a unit to each side, or by more where they are so large that half a unit
        can't be cut into bins.
    nbins
        Number of bins.

    Returns
    -------
    ndarray, shape (nbins + 1,)
        Of the dtype of ``low`` and ``high``; float64 for integers.

    Raises
    ------
    PixelError
        The range is not finite, too wide for its dtype, or too narrow for so many bins, as it is
        where ``low`` and ``high`` are neighbouring floats. NumPy and scikit-image raise then, too.

    Notes
    -----
    Reference: :func:`numpy.histogram_bin_edges`.

    Examples
    --------
    >>> bin_edges(np.float32(0), np.float32(1), 4)
    array([0.  , 0.25, 0.5 , 0.75, 1.  ], dtype=float32)
    """
    dtype = np.result_type(low, high)
    if not _is_finite_range(low, high):
        raise PixelError(
            f"A histogram needs a range whose width is a finite {dtype}; got {low} to {high}: "
            "correct the pixels, or scale the image."
        )
    try:
        return np.histogram_bin_edges(np.empty(0, dtype), nbins, (low, high))
    except ValueError as error:
        if low == high:
            with suppress(ValueError):
                return _edges_around(low, nbins)
        raise PixelError(
            f"{nbins} bins of {dtype} between {low} and {high} can't be told apart: use fewer "
            "bins, or scale the image."
        ) from error


def _edges_around(value: Any, nbins: int) -> NDArray[Any]:
    """Edges around a float that is large: some steps of its precision apart."""
    step, limits = abs(value) - np.nextafter(abs(value), value.dtype.type(0)), np.finfo(value.dtype)
    with np.errstate(over="ignore"):
        reach = 2 * nbins * step
        ends = max(value - reach, limits.min), min(value + reach, limits.max)
    return np.histogram_bin_edges(np.empty(0, value.dtype), nbins, ends)


def _is_finite_range(low: Any, high: Any) -> bool:
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(low) and np.isfinite(high) and np.isfinite(high - low))


def bin_centers(edges: NDArray[Any]) -> NDArray[Any]:
    """Centres of the bins between ``edges``, in their dtype, as scikit-image computes them.

    Examples
    --------
    >>> bin_centers(np.array([0, 2, 4.0]))
    array([1., 3.])
    """
    centers: NDArray[Any] = (edges[:-1] + edges[1:]) / 2.0
    return centers


def float_histogram(
    values: NDArray[Any],
    low: Any,
    high: Any,
    nbins: int = 256,
    inner: tuple[slice, ...] | None = None,
) -> NDArray[np.int64]:
    """Count the values of a block in equal bins from ``low`` to ``high``.

    Parameters
    ----------
    values
        Block of any shape; float32 and float64 take the fast way.
    low, high
        Smallest and largest value of the whole image, as scalars of its dtype. Values outside are
        not counted, nor is NaN.
    nbins
        Number of bins. Each holds its lower edge, the last its upper edge as well.
    inner
        The part of the block that is counted, a slice with a start and a stop per axis; None for
        all of it.

    Returns
    -------
    ndarray of int64, shape (nbins,)
        The counts; those of the blocks of an image add up to those of the image.

    Raises
    ------
    PixelError
        As :func:`bin_edges`.

    Notes
    -----
    Reference: :func:`numpy.histogram` with ``range=(low, high)``, count by count.

    Examples
    --------
    >>> float_histogram(np.array([0, 0.2, 0.5, 1]), np.float64(0), np.float64(1), 4)
    array([2, 0, 1, 1])
    """
    edges = bin_edges(low, high, nbins)
    if values.dtype.name not in ("float32", "float64") or values.dtype.type != edges.dtype.type:
        values = values if inner is None else values[inner]
        return np.histogram(values, nbins, (edges[0], edges[-1]))[0].astype(np.int64, copy=False)
    starts, length = _rows(values.shape, inner)
    return _count_in_bins(flat(values), starts, length, edges, edges.dtype.type(nbins))


def _rows(shape: tuple[int, ...], inner: tuple[slice, ...] | None) -> tuple[NDArray[np.intp], int]:
    """Where the rows of a part of a block begin in its memory, and their length."""
    if inner is None:
        return np.zeros(1, np.intp), math.prod(shape)
    first, last, _ = inner[-1].indices(shape[-1])
    starts = np.zeros(1, np.intp)
    for part, length in zip(inner[:-1], shape, strict=False):
        starts = np.add.outer(starts * length, np.arange(length)[part])
    return starts.reshape(-1) * shape[-1] + first, max(0, last - first)


def integer_histogram(values: NDArray[Any]) -> Counts:
    """Count how often each value of a block of integers occurs.

    Parameters
    ----------
    values
        Block of any shape and any integer dtype; uint8 and uint16 take the fast way.

    Returns
    -------
    distinct : ndarray
        The values that occur, ascending, in the dtype of the block.
    counts : ndarray of int64
        How often each occurs.

    Raises
    ------
    KindError
        The values are not integers.

    Notes
    -----
    Reference: :func:`numpy.unique`. Wider integers are sorted, which takes a copy of the block but
    no memory for values that do not occur.

    Examples
    --------
    >>> integer_histogram(np.array([[7, 3], [7, 7]], np.uint16))
    (array([3, 7], dtype=uint16), array([1, 3]))
    """
    if values.dtype.kind not in "iu":
        raise KindError(f"Counting by value needs integers; got {values.dtype}: count in bins.")
    if values.dtype.name not in ("uint8", "uint16"):
        distinct, counts = np.unique(values, return_counts=True)
        return distinct, counts.astype(np.int64, copy=False)
    table = _count_by_value(flat(values), np.zeros(np.iinfo(values.dtype).max + 1, np.int64))
    found = np.flatnonzero(table)
    return found.astype(values.dtype.newbyteorder("=")), table[found]


def otsu(counts: NDArray[np.int64], centers: NDArray[Any]) -> Any:
    """Otsu's threshold from the counts of a whole image.

    Parameters
    ----------
    counts : shape (n,)
        How many voxels each bin holds; zeros are welcome, between or at the ends.
    centers : shape (n,)
        Centre of each bin, ascending: for floats :func:`bin_centers`, for integers the distinct
        values, which :func:`integer_histogram` gives.

    Returns
    -------
    NumPy scalar
        As :func:`skimage.filters.threshold_otsu` of the image: of the dtype of the centres for
        floats; int64 for integers, but of their own dtype where only one value occurs. Foreground
        is what lies above it. Among equally good thresholds the lowest.

    Raises
    ------
    PixelError
        All counts are zero.

    Notes
    -----
    A constant *float* image is its own threshold, which its bins no longer tell: where
    ``low == high``, take ``low``.

    Reference: Otsu, "A threshold selection method from gray-level histograms", IEEE Transactions on
    Systems, Man, and Cybernetics 9 (1979); the code is scikit-image's own.

    Examples
    --------
    >>> otsu(np.array([5, 1, 4]), np.array([10, 11, 90], np.uint8))
    np.int64(11)
    """
    occupied = np.flatnonzero(counts)
    if occupied.size == 0:
        raise PixelError("Otsu's threshold needs at least one voxel; all counts are zero.")
    if occupied.size == 1:
        return centers[occupied[0]]
    if centers.dtype.kind in "iu":
        centers = centers.astype(np.int64)
    return skimage.filters.threshold_otsu(hist=(counts, centers))


def flat(values: NDArray[Any]) -> NDArray[Any]:
    """Return the values as one row in C order; a copy where Numba would need another variant."""
    return np.require(values, values.dtype.newbyteorder("="), ["C", "A", "W"]).reshape(-1)


@compiled()
def _count_by_value(values: Any, table: Any) -> Any:
    for value in values:
        table[value] += 1
    return table


@compiled(error_model="numpy")
def _count_in_bins(values: Any, starts: Any, length: Any, edges: Any, nbins: Any) -> Any:
    """Count rows in equal bins; ``nbins`` in the dtype of the values keeps the division in it.

    Values outside go to a bin of their own, behind the last. Interleaved tables let equal values in
    a row be counted without waiting for each other.
    """
    bins = edges.size - 1
    tables = np.zeros((_TABLES, bins + 1), np.int64)
    lower, upper = np.append(edges[:-1], np.nan), np.append(edges[1:], np.nan)
    upper[bins - 1] = np.nan
    numbers = np.empty(_ROW, np.int32)
    scale, margin = _margin(edges)
    for begin in starts:
        for start in range(begin, begin + length, _ROW):
            row = values[start : min(start + _ROW, begin + length)]
            if _certain_bins(row, edges, scale, margin, numbers):
                for k in range(row.size):
                    tables[k % _TABLES, np.uintp(numbers[k])] += 1
                continue
            _guess_bins(row, edges, nbins, numbers)
            for k in range(row.size):
                i, value = np.uintp(numbers[k]), row[k]
                i = i - np.uintp(value < lower[i]) + np.uintp(value >= upper[i])
                tables[k % _TABLES, i] += 1
    return tables.sum(axis=0)[:bins]


@compiled(error_model="numpy")
def _margin(edges: Any) -> Any:
    """Scale that makes bins about 1 wide, and how far from whole numbers it takes the edges."""
    low = np.float64(edges[0])
    scale = (edges.size - 1) / (np.float64(edges[-1]) - low)
    margin = 0.0
    for i in range(edges.size):
        margin = max(margin, abs((np.float64(edges[i]) - low) * scale - i))
    return scale, margin


@compiled(error_model="numpy")
def _certain_bins(row: Any, edges: Any, scale: Any, margin: Any, numbers: Any) -> bool:
    """Bin of each value by its scaled distance from the lowest edge, if all are certain.

    Scaling keeps the order, also where it rounds. So a value that is farther from the whole numbers
    next to it than any edge is from its own lies between the edges of these numbers.
    """
    low, bins = np.float64(edges[0]), edges.size - 1
    doubtful = 0
    for k in range(row.size):
        place = (np.float64(row[k]) - low) * scale
        number = np.int32(place)
        rest = place - number
        certain = (rest > margin) & (rest < 1 - margin) & (place < bins)
        numbers[k] = number
        doubtful += 1 - certain
    return doubtful == 0


@compiled(error_model="numpy")
def _guess_bins(row: Any, edges: Any, nbins: Any, guesses: Any) -> None:
    """Bin of each value by division, at most one off; the bin behind the last for those outside."""
    low, high, bins = edges[0], edges[-1], edges.size - 1
    width = high - low
    for k in range(row.size):
        inside = (row[k] >= low) & (row[k] <= high)
        value = row[k] if inside else low
        i = min(np.int32((value - low) / width * nbins), np.int32(bins - 1))
        guesses[k] = i if inside else np.int32(bins)
