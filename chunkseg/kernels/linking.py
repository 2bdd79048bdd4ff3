"""Connected components of a block, run by run.

The voxels of a row fall into runs of equal values. Runs of neighbouring rows that touch are joined
by a union-find whose roots are the earliest runs, so that components come numbered by their first
voxel in raster order, as scikit-image and SciPy number them. It takes a step per run, not per
voxel, and what comes out are runs: most of what is done with components never looks at voxels.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.kernels.compiled import compiled
from chunkseg.kernels.runs import Runs, value_runs
from chunkseg.kernels.separable import volume_axes


def linked(image: NDArray[Any], connectivity: int) -> tuple[Runs, NDArray[np.int64]]:
    """Connected components of equal value in a block of one to three axes.

    Parameters
    ----------
    image
        bool or integers; 0 is background.
    connectivity
        Along how many axes a neighbour may differ, 1 to ``image.ndim``.

    Returns
    -------
    runs : Runs
        Runs of the components' ids, from 1 in order of their first voxel; background is 0.
    first : int64 array
        Flat C-order index within the block of the first voxel of each component.

    Examples
    --------
    >>> runs, first = linked(np.array([[1, 1, 0], [0, 0, 2], [3, 2, 0]]), connectivity=2)
    >>> runs.filled().tolist(), first.tolist()
    ([[1, 1, 0], [0, 0, 2], [3, 2, 0]], [0, 5, 6])
    """
    stop, value = value_runs(image)
    rows, widen = _earlier_rows(image.ndim, connectivity)
    region, first = _link(stop, value, np.array(volume_axes(image.shape, 1)), rows, widen)
    return Runs(image.shape, stop, region), first


def _earlier_rows(ndim: int, connectivity: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Offsets (plane, row) of earlier rows that may touch a row, and whether diagonally so."""
    steps = (-1, 0, 1)
    free = (steps if ndim > 2 else (0,), steps if ndim > 1 else (0,))
    rows = [o for o in itertools.product(*free) if o < (0, 0) and _hops(o) <= connectivity]
    widen = [int(_hops(row) < connectivity) for row in rows]
    return np.array(rows, np.int64).reshape(-1, 2), np.array(widen, np.int64)


def _hops(offset: tuple[int, ...]) -> int:
    return sum(map(abs, offset))


@compiled()
def _link(stops: Any, value: Any, volume: Any, rows: Any, widen: Any) -> Any:  # pragma: no cover
    begin, low, high, own = _foreground(stops, value, volume)
    parent = np.arange(own.size)
    for z in range(volume[0]):
        for y in range(volume[1]):
            here = z * volume[1] + y
            if begin[here] == begin[here + 1]:
                continue
            for k in range(len(widen)):
                z2, y2 = z + rows[k, 0], y + rows[k, 1]
                if z2 >= 0 and 0 <= y2 < volume[1]:
                    there = z2 * volume[1] + y2
                    wide = widen[k]
                    j, end = begin[there], begin[there + 1]
                    for i in range(begin[here], begin[here + 1]):
                        while j < end and high[j] + wide <= low[i]:
                            j += 1
                        touching = j
                        while touching < end and low[touching] < high[i] + wide:
                            if own[i] == own[touching] and parent[i] != parent[touching]:
                                join(parent, i, touching)
                            touching += 1
    return _numbered(stops, value, parent)


@compiled()
def _foreground(stops: Any, value: Any, volume: Any) -> Any:  # pragma: no cover - compiled
    """Runs that are not background: the first of each row, ends within the row, values."""
    count = np.count_nonzero(value)
    begin = np.zeros(volume[0] * volume[1] + 1, np.int64)
    low, high = np.empty(count, np.int64), np.empty(count, np.int64)
    own = np.empty(count, value.dtype)
    run, found = 0, 0
    for row in range(begin.size - 1):
        origin = row * volume[2]
        start = origin
        while start < origin + volume[2]:
            if value[run] != 0:
                low[found], high[found] = start - origin, stops[run] - origin
                own[found] = value[run]
                found += 1
            start = stops[run]
            run += 1
        begin[row + 1] = found
    return begin, low, high, own


@compiled()
def join(parent: Any, a: int, b: int) -> None:  # pragma: no cover - compiled
    """Join the sets of two nodes; the smallest node of a set is its root."""
    while parent[a] != a:
        parent[a] = parent[parent[a]]
        a = parent[a]
    while parent[b] != b:
        parent[b] = parent[parent[b]]
        b = parent[b]
    if a < b:
        parent[b] = a
    elif b < a:
        parent[a] = b


@compiled()
def _numbered(stops: Any, value: Any, parent: Any) -> Any:  # pragma: no cover - compiled
    """Id of each run, and the first voxel of each id; a parent is never later than its run."""
    region = np.zeros(stops.size, np.uint32)
    ids = np.empty(parent.size, np.uint32)
    first = np.empty(parent.size, np.int64)
    count, own = 0, 0
    for run in range(stops.size):
        if value[run] != 0:
            if parent[own] == own:
                first[count] = stops[run - 1] if run else 0
                count += 1
                ids[own] = count
            else:
                ids[own] = ids[parent[own]]
            region[run] = ids[own]
            own += 1
    return region, first[:count].copy()
