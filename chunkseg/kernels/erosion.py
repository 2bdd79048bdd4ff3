"""Binary erosion of one block by a ball, without looking at the ball for each voxel.

A voxel survives when the squared distance to the nearest background voxel is larger than the
squared radius. What lies outside the block counts as foreground, as in scikit-image. The distance
is bounded by the radius, and so fits narrow integers; it is found axis by axis
(:mod:`chunkseg.kernels.separable`), plane by plane. Only what can survive is worked on: a run of
foreground along the last axis loses ``radius`` voxels at both ends, and what is left of it must be
farther than ``radius`` from background along the first axis as well.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from chunkseg.errors import KindError, ParameterError
from chunkseg.geometry.boxes import Box
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


def erode_ball(
    mask: NDArray[np.bool_], radius: int, inner: tuple[slice, ...] | None = None
) -> NDArray[np.bool_]:
    """Erode a mask by a ball (two axes: a disk; one: an interval) of integer radius.

    Parameters
    ----------
    mask
        Boolean array of any shape and memory order.
    radius
        Radius of the ball in voxels, 0 or larger; it may be larger than the block. The ball holds
        every offset whose Euclidean length is at most ``radius``.
    inner
        The part of the block whose result is wanted, as one slice per axis; the rest of the block
        is halo. The default is the whole block.

    Returns
    -------
    eroded
        Boolean, C-contiguous, of the shape of ``mask[inner]``, never a view of ``mask``.

    Raises
    ------
    KindError
        If ``mask`` is not boolean or ``radius`` is not an integer.
    ParameterError
        If ``radius`` is negative, or ``inner`` is not one slice of step 1 per axis.

    Notes
    -----
    Equal to ``scipy.ndimage.binary_erosion(mask, ball(radius), border_value=1)[inner]``, with
    ``ball`` (``disk``) from ``skimage.morphology``, which is scikit-image's binary erosion.
    Peak memory beyond input and output is 1 byte per voxel (2 above radius 254), and 3 per voxel of
    a plane (5 above radius 181, 6 above 254). More than three axes go to SciPy, whose cost per
    voxel is the volume of the ball.

    Examples
    --------
    >>> mask = np.zeros((7, 7), bool)
    >>> mask[1:, 1:6] = True
    >>> erode_ball(mask, 2).astype(int)
    array([[0, 0, 0, 0, 0, 0, 0],
           [0, 0, 0, 0, 0, 0, 0],
           [0, 0, 0, 0, 0, 0, 0],
           [0, 0, 0, 1, 0, 0, 0],
           [0, 0, 0, 1, 0, 0, 0],
           [0, 0, 0, 1, 0, 0, 0],
           [0, 0, 0, 1, 0, 0, 0]])
    """
    mask = np.asarray(mask)
    radius = _checked(mask, radius)
    target = inner_box(mask.shape, inner)
    reach = min(radius, isqrt(diagonal(mask.shape)) + 1) if mask.size else 0
    needed = target.grow((reach,) * mask.ndim, Box.whole(mask.shape))
    block = mask[needed.slices()]
    place = target.slices(needed.start)
    if reach == 0 or target.size == 0 or block.all() or not block.any():
        return np.array(block[place], order="C")
    if mask.ndim > 3:
        eroded = ndimage.binary_erosion(block, _ball(block.shape, reach), border_value=1)
        return np.array(eroded[place], order="C")
    start = tuple(s.start for s in place)
    return _erode(as_volume(block), reach, volume_axes(start, 0), target.shape)


def _checked(mask: NDArray[Any], radius: int) -> int:
    if mask.dtype != np.bool_:
        raise KindError(f"erosion needs a boolean mask, got {mask.dtype}; compare it with 0 first")
    try:
        radius = operator.index(radius)
    except TypeError:
        raise KindError(f"radius must be an integer number of voxels, got {radius!r}") from None
    if radius < 0:
        raise ParameterError(f"radius must be 0 or larger, got {radius}")
    return radius


def _ball(shape: Sequence[int], radius: int) -> NDArray[np.bool_]:
    """Return the offsets within ``radius`` that can matter in an array of the given shape."""
    spans = [np.arange(-min(radius, n - 1), min(radius, n - 1) + 1) for n in shape]
    squares: NDArray[np.int64] = sum(np.ix_(*(s * s for s in spans)))  # type: ignore[assignment]
    return squares <= radius * radius


def _erode(
    block: NDArray[np.bool_], radius: int, start: tuple[int, int, int], shape: Sequence[int]
) -> NDArray[np.bool_]:
    steps = start_scan(block, radius)
    # sums of two terms of at most radius**2 (+ 1 for "far") must not wrap
    square = np.empty(block.shape[1:], np.min_scalar_type(2 * radius * radius + 1))
    out = np.zeros(shape, np.bool_)
    _erode_volume(steps, square, radius, start, as_volume(out))
    return out


@compiled()
def _erode_volume(
    steps: NDArray[Any],
    square: NDArray[Any],
    radius: int,
    start: tuple[int, int, int],
    out: NDArray[np.bool_],
) -> None:
    scan_back(steps, radius + 1)
    before = np.full_like(steps[0], radius + 1)
    buffers = np.empty((2, square.shape[1]), square.dtype)
    for z in range(start[0] + out.shape[0]):
        scan_on(before, steps[z], radius + 1)
        if z >= start[0]:
            _square(before, steps[z], radius, square)
            _erode_plane(square, radius, start[1], start[2], buffers, out[z - start[0]])


@compiled()
def _square(before: NDArray[Any], after: NDArray[Any], radius: int, square: NDArray[Any]) -> None:
    """Squared steps to the nearer background voxel; radius squared + 1 if both are far."""
    far = square.dtype.type(radius * radius + 1)
    rows, columns = square.shape
    for y in range(rows):
        b, a, s = before[y], after[y], square[y]
        for x in range(columns):
            step = s.dtype.type(min(b[x], a[x]))
            s[x] = min(s.dtype.type(step * step), far)


@compiled()
def _erode_plane(
    square: NDArray[Any],
    radius: int,
    top: int,
    left: int,
    buffers: NDArray[Any],
    out: NDArray[np.bool_],
) -> None:
    columns = square.shape[1]
    right = left + out.shape[1]
    far = radius * radius + 1
    for y in range(top, top + out.shape[0]):
        row = square[y]
        x = 0
        while x < columns:
            if row[x] == 0:
                x += 1
                continue
            first = x
            while x < columns and row[x] != 0:
                x += 1
            lo = max(left, first + radius if first > 0 else 0)
            hi = min(right, x - radius if x < columns else columns)
            while lo < hi and row[lo] < far:
                lo += 1
            while lo < hi and row[hi - 1] < far:
                hi -= 1
            if lo < hi:
                _erode_run(square, y, lo, hi, radius, buffers, out[y - top, lo - left : hi - left])


@compiled()
def _erode_run(
    square: NDArray[Any],
    y: int,
    lo: int,
    hi: int,
    radius: int,
    buffers: NDArray[Any],
    out: NDArray[np.bool_],
) -> None:
    """Erode the columns ``lo`` to ``hi`` of one row: min-plus over the rows, then along it."""
    rows, columns = square.shape
    left, right = max(0, lo - radius), min(columns, hi + radius)
    column, best = buffers[0, left:right], buffers[1, lo:hi]
    column[:] = square[y, left:right]
    for k in range(max(-radius, -y), min(radius + 1, rows - y)):
        min_plus(column, square[y + k, left:right], k * k)
    best[:] = column[lo - left : hi - left]
    for k in range(max(-radius, 1 - hi), min(radius + 1, columns - lo)):
        a, b = max(lo, -k), min(hi, columns - k)
        min_plus(best[a - lo : b - lo], column[a + k - left : b + k - left], k * k)
    for i in range(out.size):
        out[i] = best[i] > radius * radius
