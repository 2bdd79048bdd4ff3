"""Expansion of the labels of one block to the voxels around them, ties as SciPy breaks them.

Every background voxel within ``distance`` of a labelled one gets the label of the nearest. Among
several nearest it is the one smallest along the last axis, then along the axis before, and so on;
that is what ``scipy.ndimage.distance_transform_edt`` does, from which scikit-image builds its own.

With spacing 1 the search is a min-plus over one axis after the other
(:mod:`chunkseg.kernels.separable`) on keys, whole numbers that hold the squared distance in their
highest bits and below it the offset to the labelled voxel, last axis first: the smaller key is the
nearer voxel, and of two equally near the one that wins the tie. The label is fetched through the
offset at the end. Any other spacing goes to SciPy, whose rounding decides between nearly equal
distances and so can't be replaced; so does a reach of more than 254 voxels, where SciPy, whose
cost does not grow with the distance, is the faster one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from chunkseg.errors import KindError, ParameterError
from chunkseg.geometry.boxes import Box, Slices
from chunkseg.kernels.compiled import compiled
from chunkseg.kernels.separable import (
    as_volume,
    diagonal,
    inner_box,
    min_plus,
    scan_back,
    scan_on,
    start_scan,
    volume_axes,
)

UNBOUNDED = 2**62
"""Halo of an expansion that reaches everywhere; the caller clips it to the frame."""

_LONGEST = 254
"""Longest reach, in voxels along an axis, that is searched by min-plus."""


def expansion_halo(distance: float, spacing: Sequence[float]) -> tuple[int, ...]:
    """How many voxels away, per axis, a label can still decide the value of a voxel.

    Parameters
    ----------
    distance
        Distance of the expansion, in the unit of ``spacing``.
    spacing
        Size of a voxel along each axis.

    Returns
    -------
    halo
        ``ceil(distance / spacing)``; 0 where nothing grows (a distance of 0, negative or NaN),
        ``2**62`` for an infinite distance: clip it to the frame.

    Raises
    ------
    KindError
        If a number is not a real number.
    ParameterError
        If a spacing is not between 1e-100 and 1e100.

    Examples
    --------
    >>> expansion_halo(10, (0.29, 0.26, 0.26))
    (35, 39, 39)
    >>> expansion_halo(float("inf"), (1,)) == (2**62,)
    True
    """
    distance = _real("distance", distance)
    return tuple(_voxels(distance / s) for s in _spacings(spacing, len(spacing)))


def expands_by_scipy(distance: float, spacing: Sequence[float]) -> bool:
    """Whether an expansion is SciPy's work, at 46 bytes per voxel.

    Examples
    --------
    >>> expands_by_scipy(10, (1, 1)), expands_by_scipy(2.6, (0.3, 0.3))
    (False, True)
    """
    grows = max(expansion_halo(distance, spacing), default=0)
    return grows > 0 and (grows > _LONGEST or any(s != 1 for s in spacing))


def expand_labels(
    labels: NDArray[Any],
    distance: float = 1,
    spacing: Sequence[float] | float = 1,
    inner: Slices | None = None,
) -> NDArray[Any]:
    """Give background voxels within a distance of a label the label that is nearest.

    Parameters
    ----------
    labels
        Label image of any integer dtype, or a mask; of any shape, memory and byte order.
    distance
        How far labels grow, in the unit of ``spacing``; any float.
    spacing
        Size of a voxel along each axis, or one size for all.
    inner
        The part of the block whose result is wanted, as one slice per axis; the rest of the block
        is halo. The default is the whole block.

    Returns
    -------
    expanded
        Of the shape of ``labels[inner]`` and the dtype of ``labels`` in native byte order;
        C-contiguous, never a view of ``labels``.

    Raises
    ------
    KindError
        If ``labels`` are not integers or booleans, or another argument is not a number.
    ParameterError
        If a spacing is not between 1e-100 and 1e100, if there is not one per axis, or if ``inner``
        is not one slice of step 1 per axis.

    Notes
    -----
    Equal to ``skimage.segmentation.expand_labels(labels, distance, spacing)[inner]``. On a block
    grown by :func:`expansion_halo` and clipped to the frame, the inner part equals that of the
    whole frame, ties included. As there, distance 0 changes nothing, and a negative or NaN one
    leaves no label at all. A block without labels gives zeros, and never reaches SciPy, which
    would measure to a voxel outside of it.

    Peak memory beyond input and output is 2 bytes per voxel with spacing 1, and 9 per voxel of a
    plane (17 where keys need 64 bits: in three axes from distance 32 on). It is 46 per voxel where
    SciPy does the work: with other spacings, more than three axes, or a reach beyond 254 voxels.
    A block that is larger than the halo asks for, or not C-contiguous and native, is copied first.

    Examples
    --------
    >>> expand_labels(np.array([0, 1, 0, 2, 0, 0, 0]), 1)
    array([1, 1, 1, 2, 2, 0, 0])
    >>> expand_labels(np.array([[0, 1, 0], [0, 0, 0], [0, 0, 0]]), 0.5, spacing=(0.25, 1))
    array([[0, 1, 0],
           [0, 1, 0],
           [0, 1, 0]])
    """
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iub":
        raise KindError(f"labels must be integers or booleans, got {labels.dtype}; cast them first")
    distance = _real("distance", distance)
    sampling = _spacings(spacing, labels.ndim)
    target = inner_box(labels.shape, inner)
    needed = target.grow(expansion_halo(distance, sampling), Box.whole(labels.shape))
    block = np.asarray(labels[needed.slices()], labels.dtype.newbyteorder("="), order="C")
    place = target.slices(needed.start)
    free = block == 0
    if not distance >= 0 or free.all():
        return np.zeros(target.shape, block.dtype)
    if distance == 0 or not free[place].any():
        return np.array(block[place], order="C")
    key = _key(block.shape, _largest_square(distance, diagonal(block.shape)))
    if key is None or any(s != 1 for s in sampling):
        return _expand_by_scipy(block, free, distance, sampling, place)
    return _expand_by_keys(block, free, key, place)


def _real(name: str, value: float) -> float:
    try:
        return float(value * 1.0)  # multiplied, since float() reads strings
    except (TypeError, ValueError, OverflowError):
        raise KindError(f"{name} must be a real number, got {value!r}") from None


def _spacings(spacing: Sequence[float] | float, ndim: int) -> tuple[float, ...]:
    sizes: Any = (spacing,) * ndim if np.ndim(spacing) == 0 else spacing
    numbers = tuple(_real("spacing", size) for size in sizes)
    if len(numbers) != ndim:
        raise ParameterError(f"spacing must be one number or {ndim}, one per axis; got {spacing}")
    # beyond these bounds the squares that SciPy sums would underflow or overflow
    if not all(1e-100 <= s <= 1e100 for s in numbers):
        raise ParameterError(f"spacing must be between 1e-100 and 1e100, got {spacing}")
    return numbers


def _voxels(ratio: float) -> int:
    if not ratio > 0:
        return 0
    return math.ceil(ratio) if ratio < UNBOUNDED else UNBOUNDED


def _largest_square(distance: float, bound: int) -> int:
    """Largest whole number up to ``bound`` whose square root, rounded, is within ``distance``."""
    if distance >= math.sqrt(bound):
        return bound
    # never too large: the square root of a rounded square is the number itself
    square = int(distance * distance)
    while math.sqrt(square + 1) <= distance:
        square += 1
    return square


def _expand_by_scipy(
    block: NDArray[Any],
    free: NDArray[np.bool_],
    distance: float,
    sampling: Sequence[float],
    place: Slices,
) -> NDArray[Any]:
    distances, nearest = ndimage.distance_transform_edt(
        free, sampling=sampling, return_indices=True
    )
    within = distances[place] <= distance
    expanded = np.zeros(within.shape, block.dtype)
    expanded[within] = block[tuple(axis[place][within] for axis in nearest)]
    return expanded


class _Key(NamedTuple):
    """How a key is laid out: squared distance, then offset along x, y, z, from high bits to low.

    An offset ``k`` along an axis is stored as ``k + reach``. ``far`` is the smallest key whose
    distance is too large.
    """

    reach_z: int
    reach_y: int
    reach_x: int
    shift_y: int
    shift_x: int
    shift: int
    far: int
    bits: int


def _key(shape: Sequence[int], square: int) -> _Key | None:
    """Lay out keys for squared distances up to ``square``; None where SciPy is to do the work."""
    reaches = [min(math.isqrt(square), n - 1) for n in shape]
    if len(shape) > 3 or max(reaches) > _LONGEST:
        return None
    reach = volume_axes(reaches, 0)
    width_z, width_y, width_x = ((2 * r).bit_length() for r in reach)
    shift = width_z + width_y + width_x
    # min-plus adds at most `square`, and offsets, to what is at most `far`
    bits = (2 * square + 2).bit_length() + shift
    far = (square + 1) << shift
    return _Key(*reach, width_z, width_z + width_y, shift, far, bits)


def _expand_by_keys(
    block: NDArray[Any], free: NDArray[np.bool_], key: _Key, place: Slices
) -> NDArray[Any]:
    out = np.zeros([s.stop - s.start for s in place], block.dtype)
    first, top, left = volume_axes([s.start for s in place], 0)
    # labels are only copied: one compiled function per item size serves all dtypes
    unsigned = np.dtype(f"u{block.dtype.itemsize}")
    source, planes = as_volume(block).view(unsigned), as_volume(out).view(unsigned)
    steps = start_scan(as_volume(free), key.reach_z)
    scan_back(steps, key.reach_z + 1)
    before = np.full_like(steps[0], key.reach_z + 1)
    along_z = np.empty(steps.shape[1:], np.uint32 if key.bits <= 32 else np.uint64)
    nearest = np.empty(planes.shape[1:], along_z.dtype)
    for z in range(first + len(planes)):
        scan_on(before, steps[z], key.reach_z + 1)
        if z >= first:
            _nearest_in_plane(before, steps[z], key, top, left, along_z, nearest)
            _fetch(source, z, top, left, nearest, key, planes[z - first])
    return out


@compiled()
def _nearest_in_plane(
    before: NDArray[Any],
    after: NDArray[Any],
    key: _Key,
    top: int,
    left: int,
    along_z: NDArray[Any],
    nearest: NDArray[Any],
) -> None:
    """Keys of the nearest labelled voxels for a part of one plane, ``key.far`` where none is."""
    spans = np.empty((along_z.shape[0], 2), np.int64)
    column = np.empty(along_z.shape[1], along_z.dtype)
    for y in range(along_z.shape[0]):
        _nearest_along_z(before[y], after[y], key, along_z[y])
        spans[y, 0], spans[y, 1] = _span(along_z[y], key.far)
    for y in range(nearest.shape[0]):
        lo, hi = _nearest_in_column(along_z, spans, top + y, key, column)
        _nearest_in_row(column, lo, hi, left, key, nearest[y])


@compiled()
def _nearest_along_z(
    before: NDArray[Any], after: NDArray[Any], key: _Key, keys: NDArray[Any]
) -> None:
    kind = keys.dtype.type
    far, reach, shift = kind(key.far), kind(key.reach_z), kind(key.shift)
    for x in range(keys.size):
        b, a = kind(before[x]), kind(after[x])
        step = min(b, a)
        offset = kind(reach - b) if b <= a else kind(reach + a)
        found = kind(kind(kind(step * step) << shift) + offset)
        keys[x] = found if step <= reach else far


@compiled()
def _span(keys: NDArray[Any], far: int) -> tuple[int, int]:
    """First and one past the last column that found a label; both the same if none did."""
    lo, hi = 0, keys.size
    while lo < hi and keys[lo] >= far:
        lo += 1
    while lo < hi and keys[hi - 1] >= far:
        hi -= 1
    return lo, hi


@compiled()
def _nearest_in_column(
    along_z: NDArray[Any], spans: NDArray[np.int64], y: int, key: _Key, column: NDArray[Any]
) -> tuple[int, int]:
    """Min-plus over the rows around row ``y``; returns the columns that found a label."""
    column[:] = key.far
    low, high = column.size, 0
    for k in range(max(-key.reach_y, -y), min(key.reach_y + 1, spans.shape[0] - y)):
        lo, hi = spans[y + k, 0], spans[y + k, 1]
        if lo < hi:
            weight = (k * k << key.shift) + (k + key.reach_y << key.shift_y)
            min_plus(column[lo:hi], along_z[y + k, lo:hi], weight)
            low, high = min(low, lo), max(high, hi)
    return low, high


@compiled()
def _nearest_in_row(
    column: NDArray[Any], lo: int, hi: int, left: int, key: _Key, nearest: NDArray[Any]
) -> None:
    """Min-plus along a row, from the columns ``lo`` to ``hi`` that found a label."""
    nearest[:] = key.far
    right = left + nearest.size
    for k in range(-key.reach_x, key.reach_x + 1):
        a, b = max(left, lo - k), min(right, hi - k)
        if a < b:
            weight = (k * k << key.shift) + (k + key.reach_x << key.shift_x)
            min_plus(nearest[a - left : b - left], column[a + k : b + k], weight)


@compiled()
def _fetch(
    labels: NDArray[Any],
    z: int,
    top: int,
    left: int,
    nearest: NDArray[Any],
    key: _Key,
    out: NDArray[Any],
) -> None:
    """Copy the label that each key points to; ``out`` is left as it is where the key is far."""
    in_z = (1 << key.shift_y) - 1
    in_y = (1 << key.shift_x - key.shift_y) - 1
    in_x = (1 << key.shift - key.shift_x) - 1
    for y in range(nearest.shape[0]):
        for x in range(nearest.shape[1]):
            found = np.int64(nearest[y, x])
            if found < key.far:
                from_z = z + (found & in_z) - key.reach_z
                from_y = top + y + (found >> key.shift_y & in_y) - key.reach_y
                from_x = left + x + (found >> key.shift_x & in_x) - key.reach_x
                out[y, x] = labels[from_z, from_y, from_x]
