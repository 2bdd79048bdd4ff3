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
from collections import Counter
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.kernels.compiled import compiled
from chunkseg.kernels.runs import Runs
from chunkseg.kernels.sums import flat

Exponents = tuple[tuple[int, ...], ...]

_UNWEIGHTED = np.empty(0, np.uint8)


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
    runs: Runs,
    reference: NDArray[np.int64],
    powers: Exponents,
    weights: NDArray[Any] | None = None,
) -> NDArray[np.float64]:
    """Moments of the regions of a block about their reference points.

    Parameters
    ----------
    runs
        The block, with local ids from 1 to ``len(reference)``; 0 is background.
    reference
        Reference point of each region in voxels of the block, shape (regions, axes).
    powers
        Exponents of the moments.
    weights
        Intensities, of the block's shape; 1 for every voxel by default.

    Returns
    -------
    float64 array, shape (regions, moments)

    Examples
    --------
    >>> import numpy as np
    >>> from chunkseg.kernels.runs import id_runs
    >>> runs = id_runs(np.array([[1, 1, 1]], np.uint32))
    >>> moment_sums(runs, np.array([[0, 1]]), ((0, 0), (0, 1), (0, 2)))
    array([[3., 0., 2.]])
    """
    missing = 3 - len(runs.shape)
    groups = _groups(powers)
    origin = np.pad(reference, ((0, 0), (missing, 0)))
    sums = np.zeros((len(reference), len(powers)))
    if weights is None:
        _moments(runs.stop, runs.region, runs.volume, _UNWEIGHTED, origin, groups, sums.reshape(-1))
    else:
        _moments(
            runs.stop, runs.region, runs.volume, flat(weights), origin, groups, sums.reshape(-1)
        )
    return sums


@cache
def _groups(powers: Exponents) -> NDArray[np.uint64]:
    """Exponents along z and y, and how many along x follow each other from 0 on with these.

    Every list of exponents is made of such groups: it is ordered and closed downwards.
    """
    found = Counter(((0,) * (3 - len(power)) + power)[:2] for power in powers)
    return np.array([(*zy, count) for zy, count in found.items()], np.uint64)


@compiled()
def _powers(base: float, out: Any) -> None:  # pragma: no cover - compiled
    out[0] = 1.0
    out[1] = base
    out[2] = base * base
    out[3] = base * base * base


@compiled()
def _add_run(
    sums: Any, at: Any, groups: Any, zs: Any, ys: Any, xs: Any
) -> None:  # pragma: no cover - compiled
    """Add the products of powers, from ``at`` on, for each group over the powers along x."""
    for group in range(np.uint64(groups.shape[0])):
        zy = zs[groups[group, 0]] * ys[groups[group, 1]]
        for power in range(groups[group, 2]):
            sums[at + power] += zy * xs[power]
        at += groups[group, 2]


@compiled()
def _below(end: float, sign: float, out: Any) -> None:  # pragma: no cover - compiled
    """Add ``sign`` times the sums of ``i**0 .. i**3`` over whole numbers i from 0 below ``end``."""
    triangle = end * (end - 1.0) / 2.0
    out[0] += sign * end
    out[1] += sign * triangle
    out[2] += sign * (triangle * (2.0 * end - 1.0) / 3.0)
    out[3] += sign * (triangle * triangle)


@compiled()
def _weigh(image: Any, start: Any, stop: Any, step: float, out: Any) -> None:  # pragma: no cover
    """Sums of the intensities times ``step**0 .. step**3``, the step growing by 1 per voxel."""
    s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
    for i in range(np.uint64(start), np.uint64(stop)):
        term = float(image[i])
        s0 += term
        term *= step
        s1 += term
        term *= step
        s2 += term
        s3 += term * step
        step += 1.0
    out[0], out[1], out[2], out[3] = s0, s1, s2, s3


@compiled()
def _moments(
    stops: Any, region: Any, volume: Any, image: Any, origin: Any, groups: Any, sums: Any
) -> None:  # pragma: no cover - compiled
    zs, ys, xs = np.empty(4), np.empty(4), np.empty(4)
    run, first = 0, 0
    width = sums.size // max(origin.shape[0], 1)
    for z in range(volume[0]):
        for y in range(volume[1]):
            end = 0
            while end < volume[2]:
                begin, end = end, stops[run] - first
                row = np.int64(region[run]) - 1
                run += 1
                if row < 0:
                    continue
                _powers(z - origin[row, 0], zs)
                _powers(y - origin[row, 1], ys)
                if image.size:
                    _weigh(image, first + begin, first + end, float(begin - origin[row, 2]), xs)
                else:
                    xs[:] = 0.0
                    _below(float(end - origin[row, 2]), 1.0, xs)
                    _below(float(begin - origin[row, 2]), -1.0, xs)
                _add_run(sums, np.uint64(row * width), groups, zs, ys, xs)
            first += volume[2]


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
