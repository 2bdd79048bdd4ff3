"""Moments per label of one block: sums of products of powers of the coordinates, and their shift.

Every region has a reference point of its own, a whole voxel near its middle. Powers are taken of
the differences to it, so they are small whole numbers, their sums exact as long as they stay below
2**53, and nothing cancels when moments are moved to a nearby centre afterwards. The sweep goes
along runs of equal ids: without weights the power sums of a run have closed forms, with weights
they cost four multiplications per voxel; the products with the other axes' powers are made once per
run.

Which moments are taken is a list of exponents, one row per moment, in lexicographic order and
closed downwards (with an exponent, every smaller one is in it): what a shift needs is then always
there.
"""

from __future__ import annotations

import itertools
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.kernels.compiled import compiled
from chunkseg.kernels.components import Local

Exponents = tuple[tuple[int, ...], ...]


@cache
def exponents(ndim: int, each: int, total: int) -> Exponents:
    """Exponents up to ``each`` along every axis and ``total`` together, in lexicographic order.

    Examples
    --------
    >>> exponents(2, 1, 1)
    ((0, 0), (0, 1), (1, 0))
    """
    every = itertools.product(range(each + 1), repeat=ndim)
    return tuple(powers for powers in every if sum(powers) <= total)


def moment_sums(
    local: Local,
    reference: NDArray[np.int64],
    powers: Exponents,
    weights: NDArray[Any] | None = None,
) -> NDArray[np.float64]:
    """Moments of the regions of a block about their reference points.

    Parameters
    ----------
    local
        Local ids of the block, 1 to ``len(reference)``; 0 is background.
    reference
        Reference point of each region in voxels of the block, shape (regions, axes).
    powers
        Exponents of the moments.
    weights
        Intensities, shaped as ``local``; 1 for every voxel by default.

    Returns
    -------
    float64 array, shape (regions, moments)

    Examples
    --------
    >>> import numpy as np
    >>> local = np.array([[1, 1, 1]], np.uint32)
    >>> moment_sums(local, np.array([[0, 1]]), ((0, 0), (0, 1), (0, 2)))
    array([[3., 0., 2.]])
    """
    missing = 3 - local.ndim
    shape = (1,) * missing + local.shape
    table = np.pad(np.array(powers, np.int64), ((0, 0), (missing, 0)))
    origin = np.pad(reference, ((0, 0), (missing, 0)))
    sums = np.zeros((len(reference), len(powers)))
    wide = local.reshape(shape)
    if weights is None:
        _region_moments(wide, origin, table, sums)
    else:
        plain = weights.astype(np.float32) if weights.dtype == np.float16 else weights
        _weighted_moments(wide, plain.reshape(shape), origin, table, sums)
    return sums


@compiled()
def _powers(base: float, out: Any) -> None:  # pragma: no cover - compiled
    out[0] = 1.0
    out[1] = base
    out[2] = base * base
    out[3] = base * base * base


@compiled()
def _add_run(
    row: Any, table: Any, zs: Any, ys: Any, xs: Any
) -> None:  # pragma: no cover - compiled
    for m in range(table.shape[0]):
        row[m] += zs[table[m, 0]] * ys[table[m, 1]] * xs[table[m, 2]]


@compiled()
def _below(end: float, sign: float, out: Any) -> None:  # pragma: no cover - compiled
    """Add ``sign`` times the sums of ``i**0 .. i**3`` over whole numbers i from 0 below ``end``."""
    triangle = end * (end - 1.0) / 2.0
    out[0] += sign * end
    out[1] += sign * triangle
    out[2] += sign * (triangle * (2.0 * end - 1.0) / 3.0)
    out[3] += sign * (triangle * triangle)


@compiled()
def _region_moments(
    local: Local, origin: Any, table: Any, sums: Any
) -> None:  # pragma: no cover - compiled
    zs, ys, xs = np.empty(4), np.empty(4), np.empty(4)
    nz, ny, nx = local.shape
    for z in range(nz):
        for y in range(ny):
            x = 0
            while x < nx:
                region = local[z, y, x]
                begin = x
                x += 1
                while x < nx and local[z, y, x] == region:
                    x += 1
                if region == 0:
                    continue
                row = np.int64(region) - 1
                _powers(z - origin[row, 0], zs)
                _powers(y - origin[row, 1], ys)
                xs[:] = 0.0
                _below(float(x - origin[row, 2]), 1.0, xs)
                _below(float(begin - origin[row, 2]), -1.0, xs)
                _add_run(sums[row], table, zs, ys, xs)


@compiled()
def _weighted_moments(
    local: Local, weights: Any, origin: Any, table: Any, sums: Any
) -> None:  # pragma: no cover - compiled
    zs, ys, xs = np.empty(4), np.empty(4), np.empty(4)
    nz, ny, nx = local.shape
    for z in range(nz):
        for y in range(ny):
            x = 0
            while x < nx:
                region = local[z, y, x]
                if region == 0:
                    x += 1
                    continue
                row = np.int64(region) - 1
                s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
                while x < nx and local[z, y, x] == region:
                    step = float(x - origin[row, 2])
                    term = float(weights[z, y, x])
                    s0 += term
                    term *= step
                    s1 += term
                    term *= step
                    s2 += term
                    s3 += term * step
                    x += 1
                xs[0], xs[1], xs[2], xs[3] = s0, s1, s2, s3
                _powers(z - origin[row, 0], zs)
                _powers(y - origin[row, 1], ys)
                _add_run(sums[row], table, zs, ys, xs)


def shifted(
    sums: NDArray[np.float64], powers: Exponents, offset: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Moments about other points: those of the coordinates with ``offset`` added to them.

    Parameters
    ----------
    sums
        Moments, shape (rows, moments).
    powers
        Their exponents, up to 3.
    offset
        What is added to the coordinates, shape (rows, axes): the old point minus the new one.

    Returns
    -------
    float64 array, shaped as ``sums``

    Notes
    -----
    The binomial theorem, one axis after the other.

    Examples
    --------
    >>> import numpy as np
    >>> shifted(np.array([[3.0, 0.0, 2.0]]), ((0,), (1,), (2,)), np.array([[1.0]]))
    array([[3., 3., 5.]])
    """
    result = np.array(sums, np.float64, order="C")
    table = np.array(powers, np.int64)
    _shift(result, _predecessors(powers), table, np.ascontiguousarray(offset, np.float64))
    return result


@cache
def _predecessors(powers: Exponents) -> NDArray[np.int64]:
    """Index of each moment's next smaller one along each axis; -1 where the exponent is 0."""
    place = {power: i for i, power in enumerate(powers)}
    table = np.full((len(powers), len(powers[0])), -1)
    for power, i in place.items():
        for axis, p in enumerate(power):
            if p:
                table[i, axis] = place[(*power[:axis], p - 1, *power[axis + 1 :])]
    return table


@compiled()
def _shift(sums: Any, below: Any, powers: Any, offset: Any) -> None:  # pragma: no cover - compiled
    # Backwards: a moment is changed before the lower ones that it takes up.
    for row in range(sums.shape[0]):
        for axis in range(below.shape[1]):
            step = offset[row, axis]
            if step == 0.0:
                continue
            for m in range(below.shape[0] - 1, -1, -1):
                power = powers[m, axis]
                if power == 0:
                    continue
                at = below[m, axis]
                value = sums[row, m] + power * step * sums[row, at]
                if power > 1:
                    at = below[at, axis]
                    value += (2 * power - 3) * step * step * sums[row, at]
                if power > 2:
                    value += step * step * step * sums[row, below[at, axis]]
                sums[row, m] = value
