"""Which ids touch across a common plane of two blocks, run by run.

Each side of the plane is a list of runs of equal ids, as the seams keep them. The runs of a row of
one side are merged with those of the same row of the other, and of the rows beside it where the
connectivity allows that: a step per run and contact, not per voxel.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.kernels.compiled import compiled

Run = NDArray[np.uint32]


def touching_runs(
    ours: tuple[Run, Run], theirs: tuple[Run, Run], rows: int, columns: int, hops: int
) -> NDArray[np.int64]:
    """Pairs of ids in contact across a plane, a line (one row) or a voxel.

    Parameters
    ----------
    ours, theirs
        Of each side: flat position where each run starts, ascending from 0, and its id; 0 is
        background. A run may go on in the next row.
    rows, columns
        Shape of the plane.
    hops
        Along how many of its axes (0 to 2) a neighbour may differ.

    Returns
    -------
    int64 array of shape (pairs, 2), ascending, without repetitions

    Examples
    --------
    >>> zero, one = np.array([0], np.uint32), np.array([5], np.uint32)
    >>> line = np.array([0, 2], np.uint32), np.array([7, 0], np.uint32)
    >>> touching_runs((zero, one), line, 1, 4, hops=0).tolist()
    [[5, 7]]
    """
    keys = np.unique(_touching(*ours, *theirs, rows, columns, hops))
    pairs = np.empty((len(keys), 2), np.int64)
    pairs[:, 0], pairs[:, 1] = keys >> np.uint64(32), keys & np.uint64(2**32 - 1)
    return pairs


@compiled()
def _touching(
    our_starts: Any, our_ids: Any, starts: Any, ids: Any, rows: int, columns: int, hops: int
) -> Any:  # pragma: no cover - compiled
    found = np.empty(64, np.uint64)
    count = 0
    own, other = _first_runs(our_starts, rows, columns), _first_runs(starts, rows, columns)
    for row in range(rows):
        for beside in (-1, 0, 1):
            there = row + beside
            if there < 0 or there >= rows or abs(beside) > hops:
                continue
            wide = 1 if hops > abs(beside) else 0
            first = other[there]
            i = own[row]
            while i < our_starts.size and our_starts[i] < (row + 1) * columns:
                low, high = _within(our_starts, i, row, columns)
                if our_ids[i]:
                    while _within(starts, first, there, columns)[1] + wide <= low:
                        first += 1
                    j = first
                    while j < starts.size and starts[j] < (there + 1) * columns:
                        if _within(starts, j, there, columns)[0] >= high + wide:
                            break
                        key = np.uint64(our_ids[i]) << np.uint64(32) | np.uint64(ids[j])
                        if ids[j] and (count == 0 or found[count - 1] != key):
                            if count == found.size:
                                found = np.concatenate((found, found))
                            found[count] = key
                            count += 1
                        j += 1
                i += 1
    return found[:count]


@compiled()
def _first_runs(starts: Any, rows: int, columns: int) -> Any:  # pragma: no cover - compiled
    """The run that each row begins in."""
    first = np.empty(rows, np.int64)
    run = 0
    for row in range(rows):
        while run + 1 < starts.size and starts[run + 1] <= row * columns:
            run += 1
        first[row] = run
    return first


@compiled()
def _within(starts: Any, run: int, row: int, columns: int) -> Any:  # pragma: no cover - compiled
    """First and last-plus-one column of a run in a row that it meets."""
    low: Any = max(np.int64(starts[run]) - row * columns, 0)
    if run + 1 == starts.size:
        return low, columns
    high: Any = min(np.int64(starts[run + 1]) - row * columns, columns)
    return low, high
