"""Objects too large for one crop, from the pieces of them that blocks hold.

A piece keeps the corners of its convex hull, its number of voxels and the counts of its intensities
(of integers of at most 16 bits). The corners of the whole object are among those of its pieces, and
a median follows from counts exactly; filled holes, medians of other images and functions of the
user need the whole crop.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.geometry.boxes import Block, Box, Grid
from chunkseg.passes.crops import Objects

HULL_NAMES = ("area_convex", "solidity", "feret_diameter_max")
MEDIAN = "intensity_median"


@dataclass(frozen=True, slots=True)
class Piece:
    """What one block holds of one object.

    Attributes
    ----------
    row
        Number of the object.
    voxels
        How many.
    corners
        Corners of their hull in the frame, shape (points, axes).
    values, counts
        Intensities that occur and how often, per image.
    """

    row: int
    voxels: int
    corners: NDArray[np.int64]
    values: tuple[NDArray[np.int64], ...]
    counts: tuple[NDArray[np.int64], ...]


def from_pieces(name: str, dtypes: Sequence[np.dtype[Any]]) -> bool:
    """Whether a property follows from pieces, with intensity images of these types."""
    small = all(dtype.kind in "bui" and dtype.itemsize <= 2 for dtype in dtypes)
    return name in HULL_NAMES or (name == MEDIAN and small)


def blocks_of(
    objects: Objects, rows: NDArray[np.int64], grid: Grid
) -> Iterator[tuple[Block, NDArray[np.int64]]]:
    """Blocks of each frame that some of the objects may reach into, with the rows of these."""
    for frame in np.unique(objects.frame[rows]).tolist():
        here = rows[objects.frame[rows] == frame]
        for block in grid.overlapping(objects.union(here)):
            below = objects.start[here] < np.array(block.core.stop)
            above = objects.stop[here] > np.array(block.core.start)
            near = here[(below & above).all(axis=1)]
            if len(near):
                yield Block(frame, block.number, block.index, block.core), near


def overlap(objects: Objects, row: int, core: Box) -> Box:
    """Part of a block that an object's box covers."""
    box = Box(tuple(objects.start[row].tolist()), tuple(objects.stop[row].tolist()))
    return core.intersect(box)


def merged(row: int, pieces: Sequence[Piece]) -> Piece:
    """Join the pieces of one object."""
    channels = range(len(pieces[0].values))
    values = [np.concatenate([p.values[c] for p in pieces]) for c in channels]
    counts = [np.concatenate([p.counts[c] for p in pieces]) for c in channels]
    return Piece(
        row,
        sum(p.voxels for p in pieces),
        np.concatenate([p.corners for p in pieces]),
        tuple(values),
        tuple(counts),
    )


def median_of_counts(values: NDArray[np.int64], counts: NDArray[np.int64]) -> float:
    """Median of values that occur ``counts`` times, in any order and with repetitions.

    Examples
    --------
    >>> median_of_counts(np.array([7, 1, 7]), np.array([1, 3, 2]))
    4.0
    """
    order = np.argsort(values, kind="stable")
    up_to = np.cumsum(counts[order])
    middle = [(up_to[-1] - 1) // 2, up_to[-1] // 2]
    low, high = values[order][np.searchsorted(up_to, middle, side="right")]
    return float((low + high) / 2)
