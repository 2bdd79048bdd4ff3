"""Contributions: what one block adds to each region's row, and how rows of one label merge.

A contribution is a small record: a function of a :class:`View` of the block that gives arrays of
one row per local id, and for each array the way its rows merge. Merging is a sort by label and a
reduce over runs of equal labels, done elsewhere; here is what blocks show of themselves, and what
merging functions see.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.geometry.boxes import Box, Slices
from chunkseg.kernels import sums as kernels
from chunkseg.kernels.runs import Local, Runs

Array = NDArray[Any]


@dataclass(frozen=True)
class View:
    """One block as contributions see it.

    Attributes
    ----------
    runs
        Runs of the core, with local ids from 1 to ``count``.
    around
        Runs of the block grown by the halo that was asked for, clipped to the frame. Ids that
        occur only outside the core have rows that nobody reads.
    inner
        Where the core lies in the grown block.
    count
        Number of local ids.
    images
        Intensities of the core, one array per channel.
    core, frame
        Where the block lies, and the box of the whole frame.
    spacing
        Size of a voxel along each axis.
    """

    runs: Runs
    around: Runs
    inner: Slices
    count: int
    images: tuple[Array, ...]
    core: Box
    frame: Box
    spacing: tuple[float, ...]

    @classmethod
    def flat(cls, runs: Runs, count: int, images: tuple[Array, ...], core: Box) -> View:
        """View of a block of local ids without a halo, of voxels of size 1."""
        everything = tuple(slice(0, n) for n in runs.shape)
        frame, ones = Box.whole(core.stop), (1.0,) * len(runs.shape)
        return cls(runs, runs, everything, count, images, core, frame, ones)

    @cached_property
    def grown(self) -> Local:
        """Local ids of the grown block."""
        return self.around.filled()

    @cached_property
    def regions(self) -> kernels.RegionSums:
        """Counts, boxes and coordinate sums, in voxels of the block."""
        return kernels.region_sums(self.runs, self.count)

    @cached_property
    def reference(self) -> NDArray[np.int64]:
        """Whole voxel near the middle of each region, in voxels of the block."""
        return reference(self.regions.num_pixels, self.regions.coordinates)

    @cached_property
    def totals(self) -> list[Array]:
        """Sum of the intensities of each region, per channel."""
        return [kernels.intensity_totals(self.runs, self.count, image) for image in self.images]

    def per_channel(self, values: list[Array], *tail: int) -> Array:
        """Stack the channels' rows along the second axis, also where there is no channel."""
        return np.stack(values, axis=1) if values else np.empty((self.count, 0, *tail))


def reference(num_pixels: Array, coordinates: Array) -> NDArray[np.int64]:
    """Whole voxel at or before the centroid of each region, by which moments are taken."""
    middle: NDArray[np.int64] = coordinates // np.maximum(num_pixels, 1)[:, np.newaxis]
    return middle


@dataclass(frozen=True)
class Rows:
    """Rows of several blocks, sorted by label and within a label in block order.

    Attributes
    ----------
    columns
        Sorted rows by name.
    starts
        Where each label begins.
    merged
        Merged columns so far.
    """

    columns: Mapping[str, Array]
    starts: NDArray[np.int64]
    merged: dict[str, Array] = field(default_factory=dict)

    def reduce(self, reduce: np.ufunc, rows: Array) -> Array:
        """Reduce the rows of each label."""
        result: Array = reduce.reduceat(rows, self.starts, axis=0) if len(self.starts) else rows
        return result

    def spread(self, merged: Array) -> Array:
        """Give every row its label's merged value."""
        lengths = np.diff(self.starts, append=len(self.columns["num_pixels"]))
        return np.repeat(merged, lengths, axis=0)


Merge = Callable[[Rows, str], Array]


@dataclass(frozen=True)
class Contribution:
    """What one block adds to each region's row.

    Attributes
    ----------
    name
        Its name in ``CONTRIBUTIONS``.
    block
        Gives the arrays of one block, one row per local id.
    merge
        How each array merges.
    halo
        Voxels around the core that ``block`` looks at.
    needs
        Contributions whose merged arrays the merge looks at.
    images
        Whether ``block`` looks at the intensities.
    """

    name: str
    block: Callable[[View], Mapping[str, Array]]
    merge: Mapping[str, Merge]
    halo: int = 0
    needs: tuple[str, ...] = ()
    images: bool = False


def reducing(reduce: np.ufunc) -> Merge:
    """Merge by a plain reduction."""
    return partial(_reduce, reduce)


def _reduce(reduce: np.ufunc, rows: Rows, name: str) -> Array:
    return rows.reduce(reduce, rows.columns[name])
