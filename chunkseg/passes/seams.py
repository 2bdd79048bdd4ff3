"""Seams: which components of neighbouring blocks touch each other.

A block's record keeps the local ids on its outermost planes, run-length encoded. Two blocks that
share a face, an edge or a corner touch there in a plane, a line or a voxel; shifting one side by
the neighbours that the connectivity allows pairs up all voxels in contact.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.geometry.boxes import Shape
from chunkseg.kernels.painting import plane
from chunkseg.kernels.runs import Local, Runs


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


def decode_face(faces: Faces, shape: Shape, axis: int, side: int) -> Local:
    """Return the plane of local ids at the first (``side`` 0) or last (-1) voxel of an axis."""
    which = 2 * axis - side
    end = int(faces.lengths[: which + 1].sum())
    begin = end - int(faces.lengths[which])
    plane_shape = shape[:axis] + shape[axis + 1 :]
    size = int(np.prod(plane_shape, dtype=np.int64))
    if begin == end:
        return np.zeros(plane_shape, np.uint32)
    starts = np.append(faces.starts[begin:end].astype(np.int64), size)
    return np.repeat(faces.ids[begin:end], starts[1:] - starts[:-1]).reshape(plane_shape)


def forward_neighbours(ndim: int, connectivity: int) -> Iterator[Shape]:
    """Offsets to the neighbours that come later in raster order, up to ``connectivity`` hops."""
    for offset in itertools.product((-1, 0, 1), repeat=ndim):
        hops = sum(map(abs, offset))
        if offset > (0,) * ndim and hops <= connectivity:
            yield offset


def contact(
    earlier: Faces, earlier_shape: Shape, later: Faces, later_shape: Shape, offset: Shape
) -> tuple[Local, Local]:
    """Where two blocks meet: both sides' local ids on the common plane, line or voxel.

    ``offset`` leads from the earlier block to the later one in the grid of blocks.
    """
    axis = next(i for i, o in enumerate(offset) if o)
    ours = decode_face(earlier, earlier_shape, axis, -1)
    theirs = decode_face(later, later_shape, axis, 0)
    rest = offset[axis + 1 :]
    lead: tuple[Any, ...] = (slice(None),) * axis
    ends = tuple(slice(None) if o == 0 else (-1 if o == 1 else 0) for o in rest)
    starts = tuple(slice(None) if o == 0 else (0 if o == 1 else -1) for o in rest)
    return ours[lead + ends], theirs[lead + starts]


def touching_pairs(
    ours: Local,
    theirs: Local,
    hops: int,
    our_values: NDArray[Any] | None = None,
    their_values: NDArray[Any] | None = None,
) -> NDArray[np.int64]:
    """Pairs of local ids in contact across a common plane, line or voxel.

    Parameters
    ----------
    ours, theirs
        Local ids on the two sides, of equal shape.
    hops
        How many more axes a neighbour may differ in.
    our_values, their_values
        Value of each component of a multi-valued image (index: local id - 1); only equal values
        join.

    Returns
    -------
    int64 array of shape (pairs, 2), without repetitions
    """
    found = []
    if ours.any() and theirs.any():
        for shift in itertools.product((-1, 0, 1), repeat=ours.ndim):
            if sum(map(abs, shift)) > hops:
                continue
            a = ours[tuple(slice(max(0, -s), n - max(0, s)) for s, n in _each(shift, ours))]
            b = theirs[tuple(slice(max(0, s), n - max(0, -s)) for s, n in _each(shift, ours))]
            found.append(_distinct(a, b))
    pairs = np.unique(np.concatenate(found), axis=0) if found else np.empty((0, 2), np.int64)
    if our_values is not None and their_values is not None:
        same = our_values[pairs[:, 0] - 1] == their_values[pairs[:, 1] - 1]
        pairs = pairs[same]
    return pairs


def _each(shift: Sequence[int], array: Local) -> Iterator[tuple[int, int]]:
    return zip(shift, array.shape, strict=True)


def _distinct(a: Local, b: Local) -> NDArray[np.int64]:
    both = (a != 0) & (b != 0)
    left, right = a[both].astype(np.int64), b[both].astype(np.int64)
    new = np.ones(left.size, bool)
    new[1:] = (left[1:] != left[:-1]) | (right[1:] != right[:-1])
    return np.stack([left[new], right[new]], axis=1)
