"""Seams: which components of neighbouring blocks touch each other.

A block's record keeps the local ids on its outermost planes, run-length encoded. Two blocks that
share a face, an edge or a corner touch there in a plane, a line or a voxel, whose runs on either
side are paired up; the sides of blocks of more than three axes are, voxel by voxel, by shifting one
by the neighbours that the connectivity allows.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from chunkseg.geometry.boxes import Shape
from chunkseg.kernels.painting import plane
from chunkseg.kernels.runs import Local, Runs
from chunkseg.kernels.touching import touching_runs


@dataclass(frozen=True, slots=True)
class Faces:
    """The outermost planes of a block of local ids, as runs.

    Attributes
    ----------
    starts, ids
        Flat position where each run starts, and its local id; all planes one after the other: first
        and last plane of the first axis, of the second, ...
    lengths
        Number of runs of each plane; a plane without any component has none.
    """

    starts: NDArray[np.uint32]
    ids: NDArray[np.uint32]
    lengths: NDArray[np.int64]


def encode_faces(runs: Runs) -> Faces:
    """Run-length encode the outermost planes of a block of local ids."""
    ndim = len(runs.shape)
    if not len(runs.stop):
        none = np.zeros(0, np.uint32)
        return Faces(none, none, np.zeros(2 * ndim, np.int64))
    starts, ids, lengths = [], [], []
    for axis in range(ndim):
        for side in (0, -1):
            flat = plane(runs, axis, side)
            begin = np.flatnonzero(np.concatenate(([True], flat[1:] != flat[:-1])))
            if not flat.any():
                begin = begin[:0]
            starts.append(begin.astype(np.uint32))
            ids.append(flat[begin])
            lengths.append(len(begin))
    return Faces(np.concatenate(starts), np.concatenate(ids), np.array(lengths, np.int64))


def forward_neighbours(ndim: int, connectivity: int) -> Iterator[Shape]:
    """Offsets to the neighbours that come later in raster order, up to ``connectivity`` hops."""
    for offset in itertools.product((-1, 0, 1), repeat=ndim):
        hops = sum(map(abs, offset))
        if offset > (0,) * ndim and hops <= connectivity:
            yield offset


def touching(
    earlier: Faces,
    earlier_shape: Shape,
    later: Faces,
    later_shape: Shape,
    offset: Shape,
    connectivity: int,
) -> NDArray[np.int64]:
    """Pairs of local ids of two neighbouring blocks that are in contact.

    Parameters
    ----------
    earlier, earlier_shape, later, later_shape
        Faces and shapes of the blocks.
    offset
        Leads from the earlier block to the later one in the grid of blocks.
    connectivity
        Orthogonal hops that still make a neighbour.

    Returns
    -------
    int64 array of shape (pairs, 2), without repetitions
    """
    hops = connectivity - sum(map(abs, offset))
    axis = next(i for i, o in enumerate(offset) if o)
    ours, theirs = face_runs(earlier, axis, -1), face_runs(later, axis, 0)
    if not (len(ours[0]) and len(theirs[0])):
        return np.empty((0, 2), np.int64)
    rest = offset[axis + 1 :]
    plane_shape = earlier_shape[:axis] + earlier_shape[axis + 1 :]
    if any(rest):
        lead = (0,) * axis
        ours = _sampled(ours, _positions(plane_shape, lead + rest, True))
        plane_shape = later_shape[:axis] + later_shape[axis + 1 :]
        where = _positions(plane_shape, lead + rest, False)
        theirs = _sampled(theirs, where)
        plane_shape = where.shape
    if len(plane_shape) > 2:
        return touching_pairs(_filled(ours, plane_shape), _filled(theirs, plane_shape), hops)
    rows, columns = (1, 1, *plane_shape)[-2:]
    return touching_runs(ours, theirs, rows, columns, hops)


def face_runs(faces: Faces, axis: int, side: int) -> tuple[Local, Local]:
    """Where each run of a plane starts, and its id; nothing for a plane of background."""
    which = 2 * axis - side
    end = int(faces.lengths[: which + 1].sum())
    part = slice(end - int(faces.lengths[which]), end)
    return faces.starts[part], faces.ids[part]


@lru_cache(maxsize=64)
def _positions(plane_shape: Shape, rest: Shape, ours: bool) -> NDArray[np.int64]:
    """Flat positions in a plane of what lies at the side that ``rest`` leads to, or comes from."""
    last = 1 if ours else -1
    part = tuple(slice(None) if o == 0 else (-1 if o == last else 0) for o in rest)
    return np.array(np.arange(np.prod(plane_shape, dtype=np.int64)).reshape(plane_shape)[part])


def _sampled(runs: tuple[Local, Local], positions: NDArray[np.int64]) -> tuple[Local, Local]:
    """Ids at some positions of a plane, as runs of one voxel each."""
    starts, ids = runs
    found = ids[np.searchsorted(starts, positions.reshape(-1), side="right") - 1]
    return np.arange(found.size, dtype=np.uint32), found


def _filled(runs: tuple[Local, Local], shape: Shape) -> Local:
    """Return ids of a plane, or of a part of it."""
    ends = np.append(runs[0][1:].astype(np.int64), np.prod(shape, dtype=np.int64))
    return np.repeat(runs[1], ends - runs[0]).reshape(shape)


def touching_pairs(ours: Local, theirs: Local, hops: int) -> NDArray[np.int64]:
    """Pairs of local ids in contact across a common side of any number of axes.

    Parameters
    ----------
    ours, theirs
        Local ids on the two sides, of equal shape.
    hops
        How many more axes a neighbour may differ in.

    Returns
    -------
    int64 array of shape (pairs, 2), without repetitions
    """
    found = [np.empty((0, 2), np.int64)]
    for shift in itertools.product((-1, 0, 1), repeat=ours.ndim):
        if sum(map(abs, shift)) <= hops:
            a = ours[tuple(slice(max(0, -s), n - max(0, s)) for s, n in _each(shift, ours))]
            b = theirs[tuple(slice(max(0, s), n - max(0, -s)) for s, n in _each(shift, ours))]
            found.append(_distinct(a, b))
    return np.unique(np.concatenate(found), axis=0)


def _each(shift: Sequence[int], array: Local) -> Iterator[tuple[int, int]]:
    return zip(shift, array.shape, strict=True)


def _distinct(a: Local, b: Local) -> NDArray[np.int64]:
    both = (a != 0) & (b != 0)
    left, right = a[both].astype(np.int64), b[both].astype(np.int64)
    new = np.ones(left.size, bool)
    new[1:] = (left[1:] != left[:-1]) | (right[1:] != right[:-1])
    return np.stack([left[new], right[new]], axis=1)
