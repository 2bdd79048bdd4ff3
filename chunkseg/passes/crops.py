"""Whole-object crops, planned: which objects are read together, so that little is read twice.

An object belongs to the block that holds the first corner of its bounding box. The objects of a
block are one group, and what is read for them is the union of their boxes, at most once per group:
it begins in the block and goes beyond it only as far as an object does. A group that is too large
is halved along the longest axis of its union, by where the objects end, until each part fits; an
object that is too large by itself is left out of the plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.geometry.boxes import Box, Grid

MOST_OBJECTS = 4096


@dataclass(frozen=True, slots=True)
class Objects:
    """The objects to be measured, one row each, of one or more frames.

    Attributes
    ----------
    frame
        Number of the frame, shape (objects,).
    label
        The object's label there.
    start, stop
        Its bounding box, half-open, in voxels of the frame, shape (objects, axes).
    """

    frame: NDArray[np.int64]
    label: NDArray[Any]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]

    @classmethod
    def of_frames(
        cls, frames: Mapping[int, tuple[NDArray[Any], NDArray[np.int64], NDArray[np.int64]]]
    ) -> Objects:
        """Chain ``label, start, stop`` of some frames, in their order."""
        parts = [(np.full(len(rows[0]), frame), *rows) for frame, rows in frames.items()]
        return cls(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    def __len__(self) -> int:
        return len(self.label)

    def voxels(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Size of the bounding boxes."""
        return np.prod(self.stop[rows] - self.start[rows], axis=1, dtype=np.int64)

    def union(self, rows: NDArray[np.int64]) -> Box:
        """Box of some objects of one frame together."""
        start = self.start[rows].min(axis=0).tolist()
        return Box(tuple(start), tuple(self.stop[rows].max(axis=0).tolist()))


@dataclass(frozen=True, slots=True)
class Group:
    """Objects that are read together.

    Attributes
    ----------
    frame
        Number of the frame.
    box
        What is read of it.
    rows
        Numbers of the objects.
    """

    frame: int
    box: Box
    rows: NDArray[np.int64]


def too_large(objects: Objects, voxels: int) -> NDArray[np.int64]:
    """Rows of the objects whose bounding box has more than ``voxels`` voxels."""
    return np.flatnonzero(objects.voxels(np.arange(len(objects))) > voxels)


def plan_crops(
    objects: Objects, grid: Grid, voxels: int, together: int | None = None
) -> Iterator[Group]:
    """Group the objects whose boxes have at most ``voxels`` voxels.

    Parameters
    ----------
    objects
        The objects, in any order.
    grid
        The blocks of a frame: one group each, if it fits.
    voxels
        Most that is read at once, for one object.
    together
        Most that is read at once for several objects; ``voxels`` by default.

    Yields
    ------
    Group
        Frame by frame, in the order of the blocks; every object that fits is in exactly one.

    Examples
    --------
    >>> box = np.array([[0, 0], [0, 3]]), np.array([[2, 2], [2, 5]])
    >>> rows = Objects.of_frames({0: (np.array([7, 9]), *box)})
    >>> [group.rows.tolist() for group in plan_crops(rows, Grid.regular((4, 8), (4, 4)), 100)]
    [[0, 1]]
    >>> [group.rows.tolist() for group in plan_crops(rows, Grid.regular((4, 8), (4, 4)), 4)]
    [[0], [1]]
    """
    rows = np.flatnonzero(objects.voxels(np.arange(len(objects))) <= voxels)
    home = _home_blocks(objects.start[rows], grid)
    order = np.lexsort([home, objects.frame[rows]])
    rows, home = rows[order], home[order]
    frame = objects.frame[rows]
    changes = (np.diff(frame) != 0) | (np.diff(home) != 0)
    for group in np.split(rows, np.flatnonzero(changes) + 1):
        if len(group):
            yield from _fitting(objects, group, voxels if together is None else together)


def _home_blocks(start: NDArray[np.int64], grid: Grid) -> NDArray[np.int64]:
    """Raster number of the block that holds each first corner."""
    at = [
        np.searchsorted(edges, corner, side="right") - 1
        for edges, corner in zip(grid.edges, start.T, strict=True)
    ]
    return np.ravel_multi_index(at, grid.counts) if len(start) else np.empty(0, np.int64)


def _fitting(objects: Objects, rows: NDArray[np.int64], voxels: int) -> Iterator[Group]:
    box = objects.union(rows)
    if len(rows) == 1 or (box.size <= voxels and len(rows) <= MOST_OBJECTS):
        yield Group(int(objects.frame[rows[0]]), box, np.sort(rows))
        return
    longest = int(np.argmax(box.shape))
    by_end = rows[np.argsort(objects.stop[rows, longest], kind="stable")]
    half = len(rows) // 2
    yield from _fitting(objects, by_end[:half], voxels)
    yield from _fitting(objects, by_end[half:], voxels)


def crop_slices(
    start: NDArray[Any], stop: NDArray[Any], origin: Sequence[int]
) -> Iterator[tuple[slice, ...]]:
    """Slices that cut each object out of what was read from ``origin`` on."""
    for a, b in zip((start - origin).tolist(), (stop - origin).tolist(), strict=True):
        yield tuple(slice(i, j) for i, j in zip(a, b, strict=True))
