"""Binary erosion of one block by a ball, without looking at the ball for each voxel.

A voxel survives when the squared distance to the nearest background voxel is larger than the
squared radius. What lies outside the block counts as foreground, as in scikit-image. The distance
is bounded by the radius, and so fits narrow integers; it is found axis by axis
(:mod:`chunkseg.kernels.separable`), plane by plane. Only what can survive is worked on: a run of
foreground along the last axis loses the radius at both ends, and what is left of it must be
farther than the radius from background along the first axis as well.

Where voxels have a size, squared distances are float64: (step * size) squared per axis, added up in
the order of the axes. Rounding keeps the order of numbers, so the minimum may be taken axis by axis
and is still, to the last bit, the smallest of what SciPy's arithmetic gives for any background
voxel; and it is compared with the largest square whose root is within the radius. SciPy itself may
find another voxel than that of the smallest distance, if they differ by rounding alone. That
decides only where the radius lies between two such distances (as 0.5 does where voxels of 0.1 have
neighbours at 3, 4 and at 5 steps): if a voxel's fate hangs on it, SciPy is asked.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

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

_ROUNDING = 1e-12
"""Relative difference up to which distances count as equal but for rounding."""


def erosion_halo(radius: float, spacing: Sequence[float] | None, ndim: int) -> tuple[int, ...]:
    """How many voxels away, per axis, background can still erode a voxel.

    Parameters
    ----------
    radius
        Radius of the ball, in voxels or in the unit of ``spacing``.
    spacing
        Size of a voxel along each axis; None for a radius in voxels.
    ndim
        Number of axes.

    Examples
    --------
    >>> erosion_halo(10, None, 2), erosion_halo(2.6, (0.29, 0.26, 0.26), 3)
    ((10, 10), (8, 10, 10))
    """
    if spacing is None:
        return (int(radius),) * ndim
    return tuple(_steps_within(radius * (1 + _ROUNDING), size) for size in spacing)


def erode_ball(
    mask: NDArray[np.bool_],
    radius: float,
    inner: tuple[slice, ...] | None = None,
    spacing: Sequence[float] | None = None,
) -> NDArray[np.bool_]:
    """Erode a mask by a ball (two axes: a disk; one: an interval).

    Parameters
    ----------
    mask
        Boolean array of any shape and memory order.
    radius
        Radius of the ball, 0 or larger; it may be larger than the block. The ball holds every
        offset whose Euclidean length is at most ``radius``. A whole number of voxels or, with
        ``spacing``, any number in its unit.
    inner
        The part of the block whose result is wanted, as one slice per axis; the rest of the block
        is halo. The default is the whole block.
    spacing
        Size of a voxel along each axis; without it, lengths are in voxels.

    Returns
    -------
    eroded
        Boolean, C-contiguous, of the shape of ``mask[inner]``, never a view of ``mask``.

    Raises
    ------
    KindError
        If ``mask`` is not boolean, or ``radius`` is not a number, without ``spacing`` an integer.
    ParameterError
        If ``radius`` is negative, ``spacing`` is not one size per axis between 1e-100 and 1e100,
        or ``inner`` is not one slice of step 1 per axis.

    Notes
    -----
    Without spacing equal to ``scipy.ndimage.binary_erosion(mask, ball(radius),
    border_value=1)[inner]``, with ``ball`` (``disk``) from ``skimage.morphology``, which is
    scikit-image's binary erosion. With spacing equal to
    ``distance_transform_edt(mask, sampling=spacing) > radius`` of :mod:`scipy.ndimage`, of a mask
    that holds background.

    Peak memory beyond input and output is 1 byte per voxel (2 above radius 254), and 3 per voxel of
    a plane (5 above radius 181, 6 above 254; 9 with spacing). More than three axes go to SciPy:
    without spacing at a cost per voxel of the volume of the ball, with it at 50 bytes per voxel;
    so do blocks where rounding decides.

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
    >>> erode_ball(np.array([False, True, True, True]), 0.5, spacing=(0.25,))
    array([False, False, False,  True])
    """
    mask = np.asarray(mask)
    ball = _checked(mask, radius, spacing)
    target = inner_box(mask.shape, inner)
    halo = ball.reach if spacing is None else erosion_halo(radius, spacing, mask.ndim)
    needed = target.grow(halo, Box.whole(mask.shape))
    block = mask[needed.slices()]
    place = target.slices(needed.start)
    if max(ball.reach, default=0) == 0 or not target.size or block.all() or not block.any():
        return np.array(block[place], order="C")
    if mask.ndim > 3:
        return np.array(_erode_by_scipy(block, ball)[place], order="C")
    start = tuple(s.start for s in place)
    eroded = _erode(as_volume(block), ball, volume_axes(start, 0), target.shape)
    if spacing is not None and _rounding_decides(ball):
        surely_far = ball._replace(limit=ball.limit * (1 - _ROUNDING))
        other = _erode(as_volume(block), surely_far, volume_axes(start, 0), target.shape)
        if (eroded != other).any():
            return np.array(_erode_by_scipy(block, ball)[place], order="C")
    return eroded


def may_erode_by_scipy(radius: float, spacing: Sequence[float] | None) -> bool:
    """Whether blocks may be SciPy's work, at 50 bytes per voxel, since rounding may decide.

    Examples
    --------
    >>> may_erode_by_scipy(2.5, (0.1, 0.1)), may_erode_by_scipy(2.6, (0.26, 0.26))
    (True, False)
    """
    if spacing is None:
        return False
    return _rounding_decides(_physical_ball((2**62,) * len(spacing), radius, tuple(spacing)))


class _Ball(NamedTuple):
    """What a voxel must be farther from background than.

    ``reach`` is the number of voxels along each axis, ``limit`` the largest squared length within,
    ``far`` a larger one; these and ``sizes`` are whole numbers where lengths are in voxels.
    """

    radius: float
    reach: tuple[int, ...]
    sizes: tuple[Any, ...]
    limit: Any
    far: Any


def _checked(mask: NDArray[Any], radius: float, spacing: Sequence[float] | None) -> _Ball:
    if mask.dtype != np.bool_:
        raise KindError(f"erosion needs a boolean mask, got {mask.dtype}; compare it with 0 first")
    if spacing is not None:
        return _physical_ball(mask.shape, radius, tuple(spacing))
    try:
        voxels = operator.index(radius)  # type: ignore[arg-type]
    except TypeError:
        raise KindError(f"radius must be an integer number of voxels, got {radius!r}") from None
    if voxels < 0:
        raise ParameterError(f"radius must be 0 or larger, got {radius}")
    reach = min(voxels, math.isqrt(diagonal(mask.shape)) + 1) if mask.size else 0
    return _Ball(reach, (reach,) * mask.ndim, (1,) * mask.ndim, reach**2, reach**2 + 1)


def _physical_ball(shape: Sequence[int], radius: Any, spacing: tuple[float, ...]) -> _Ball:
    if not isinstance(radius, int | float | np.integer | np.floating):
        raise KindError(f"radius must be a number, got {radius!r}")
    radius = float(radius)
    if not radius >= 0:
        raise ParameterError(f"radius must be 0 or larger, got {radius}")
    if len(spacing) != len(shape) or not all(1e-100 <= s <= 1e100 for s in spacing):
        raise ParameterError(
            f"spacing must be {len(shape)} sizes between 1e-100 and 1e100, one per axis; got "
            f"{spacing}"
        )
    sizes = tuple(float(s) for s in spacing)
    reach = tuple(min(n, _steps_within(radius, s)) for n, s in zip(shape, sizes, strict=True))
    return _Ball(radius, reach, sizes, _largest_square(radius), math.inf)


def _steps_within(radius: float, size: float) -> int:
    """How many steps of a size stay within a radius, in SciPy's arithmetic."""
    if radius / size >= 2**62:
        return 2**62
    steps = math.ceil(radius / size) + 1
    while steps > 0 and math.sqrt((steps * size) * (steps * size)) > radius:
        steps -= 1
    return steps


def _largest_square(radius: float) -> float:
    """Largest number whose square root, rounded, is within the radius."""
    square = math.nextafter(radius * radius, math.inf)
    while math.sqrt(square) > radius:
        square = math.nextafter(square, 0)
    while math.sqrt(math.nextafter(square, math.inf)) <= radius < math.inf:
        square = math.nextafter(square, math.inf)
    return square


@lru_cache(maxsize=64)
def _rounding_decides(ball: _Ball) -> bool:
    """Whether distances that differ by rounding alone lie on both sides of the radius."""
    pairs = zip(ball.reach[:-1], ball.sizes[:-1], strict=True)
    others = [np.arange(n + 2) * size for n, size in pairs]
    sums = np.zeros(1)
    for lengths in others:
        sums = np.add.outer(sums, lengths * lengths).reshape(-1)
    size = ball.sizes[-1]
    near = np.floor(np.sqrt(np.maximum(ball.limit - sums, 0)) / size)
    below = above = False
    for steps in (near - 1, near, near + 1, near + 2):
        lengths = np.maximum(steps, 0) * size
        squares = sums + lengths * lengths
        below |= bool(((squares <= ball.limit) & (squares >= ball.limit * (1 - _ROUNDING))).any())
        above |= bool(((squares > ball.limit) & (squares <= ball.limit * (1 + _ROUNDING))).any())
    return below and above


def _erode_by_scipy(block: NDArray[np.bool_], ball: _Ball) -> NDArray[np.bool_]:
    if isinstance(ball.limit, float):
        return np.asarray(ndimage.distance_transform_edt(block, ball.sizes) > ball.radius)
    footprint = _ball(block.shape, ball.reach[0])
    return np.asarray(ndimage.binary_erosion(block, footprint, border_value=1))


def _ball(shape: Sequence[int], radius: int) -> NDArray[np.bool_]:
    """Return the offsets within ``radius`` that can matter in an array of the given shape."""
    spans = [np.arange(-min(radius, n - 1), min(radius, n - 1) + 1) for n in shape]
    squares: NDArray[np.int64] = sum(np.ix_(*(s * s for s in spans)))  # type: ignore[assignment]
    return squares <= radius * radius


def _erode(
    block: NDArray[np.bool_], ball: _Ball, start: tuple[int, int, int], shape: Sequence[int]
) -> NDArray[np.bool_]:
    reach = volume_axes(ball.reach, 0)
    limit, far = ball.limit, ball.far
    # whole: sums of two terms of at most ``far`` must not wrap
    kind = np.dtype(float) if isinstance(limit, float) else np.min_scalar_type(2 * far - 1)
    sizes = np.array((1,) * (3 - len(ball.sizes)) + ball.sizes, kind)
    along_y, along_x = (
        np.square(np.arange(r + 1).astype(kind) * size)
        for r, size in zip(reach[1:], sizes[1:], strict=True)
    )
    steps = start_scan(block, reach[0])
    square = np.empty(block.shape[1:], kind)
    out = np.zeros(shape, np.bool_)
    ends = kind.type(limit), kind.type(far)
    beyond = reach[0] + 1
    _erode_volume(steps, square, beyond, sizes[0], along_y, along_x, *ends, start, as_volume(out))
    return out


@compiled()
def _erode_volume(
    steps: NDArray[Any],
    square: NDArray[Any],
    beyond: int,
    size: Any,
    along_y: NDArray[Any],
    along_x: NDArray[Any],
    limit: Any,
    far: Any,
    start: tuple[int, int, int],
    out: NDArray[np.bool_],
) -> None:
    """Erode; ``along_y`` and ``along_x`` hold the squared lengths of 0, 1, ... steps."""
    scan_back(steps, beyond)
    before = np.full_like(steps[0], beyond)
    buffers = np.empty((2, square.shape[1]), square.dtype)
    for z in range(start[0] + out.shape[0]):
        scan_on(before, steps[z], beyond)
        if z >= start[0]:
            _square(before, steps[z], beyond, size, far, square)
            plane = out[z - start[0]]
            _erode_plane(square, along_y, along_x, limit, start[1], start[2], buffers, plane)


@compiled()
def _square(
    before: NDArray[Any],
    after: NDArray[Any],
    beyond: int,
    size: Any,
    far: Any,
    square: NDArray[Any],
) -> None:
    """Squared length of the steps to the nearer background voxel; ``beyond`` steps are far."""
    kind = square.dtype.type
    rows, columns = square.shape
    for y in range(rows):
        b, a, s = before[y], after[y], square[y]
        for x in range(columns):
            step = min(b[x], a[x])
            length = kind(kind(step) * size)
            s[x] = far if step == beyond else kind(length * length)


@compiled()
def _erode_plane(
    square: NDArray[Any],
    along_y: NDArray[Any],
    along_x: NDArray[Any],
    limit: Any,
    top: int,
    left: int,
    buffers: NDArray[Any],
    out: NDArray[np.bool_],
) -> None:
    columns, reach = square.shape[1], len(along_x) - 1
    right = left + out.shape[1]
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
            lo = max(left, first + reach if first > 0 else 0)
            hi = min(right, x - reach if x < columns else columns)
            while lo < hi and row[lo] <= limit:
                lo += 1
            while lo < hi and row[hi - 1] <= limit:
                hi -= 1
            if lo < hi:
                eroded = out[y - top, lo - left : hi - left]
                _erode_run(square, y, lo, hi, along_y, along_x, limit, buffers, eroded)


@compiled()
def _erode_run(
    square: NDArray[Any],
    y: int,
    lo: int,
    hi: int,
    along_y: NDArray[Any],
    along_x: NDArray[Any],
    limit: Any,
    buffers: NDArray[Any],
    out: NDArray[np.bool_],
) -> None:
    """Erode the columns ``lo`` to ``hi`` of one row: min-plus over the rows, then along it."""
    rows, columns = square.shape
    up, wide = len(along_y) - 1, len(along_x) - 1
    left, right = max(0, lo - wide), min(columns, hi + wide)
    column, best = buffers[0, left:right], buffers[1, lo:hi]
    column[:] = square[y, left:right]
    for k in range(max(-up, -y), min(up + 1, rows - y)):
        min_plus(column, square[y + k, left:right], along_y[abs(k)])
    best[:] = column[lo - left : hi - left]
    for k in range(max(-wide, 1 - hi), min(wide + 1, columns - lo)):
        a, b = max(lo, -k), min(hi, columns - k)
        min_plus(best[a - lo : b - lo], column[a + k - left : b + k - left], along_x[abs(k)])
    for i in range(out.size):
        out[i] = best[i] > limit
