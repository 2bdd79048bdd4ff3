"""Boxes of voxels, halos around them, and the grid of blocks that a frame is cut into.

Everything here is arithmetic on whole numbers: no arrays, no I/O. A *frame* is one image of two or
three (sometimes more) spatial axes; a *block* has a *core*, the box that its task writes, and is
*grown* by a halo, clipped to the frame, to the box that its task reads.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

Shape = tuple[int, ...]
Slices = tuple[slice, ...]


@dataclass(frozen=True, slots=True)
class Box:
    """A half-open box ``start <= index < stop`` in voxel indices of a frame."""

    start: Shape
    stop: Shape

    @classmethod
    def whole(cls, shape: Sequence[int]) -> Box:
        """Box of a whole array of the given shape."""
        return cls((0,) * len(shape), tuple(shape))

    @property
    def shape(self) -> Shape:
        """Number of voxels along each axis."""
        return tuple(b - a for a, b in zip(self.start, self.stop, strict=True))

    @property
    def size(self) -> int:
        """Number of voxels."""
        return math.prod(self.shape)

    def grow(self, halo: Sequence[int], within: Box) -> Box:
        """Grow by ``halo`` voxels on both sides of each axis, clipped to the box ``within``."""
        start = tuple(max(a - h, w) for a, h, w in zip(self.start, halo, within.start, strict=True))
        stop = tuple(min(b + h, w) for b, h, w in zip(self.stop, halo, within.stop, strict=True))
        return Box(start, stop)

    def intersect(self, other: Box) -> Box:
        """Return the common part of both boxes (of zero size where they do not meet)."""
        start = tuple(max(a, b) for a, b in zip(self.start, other.start, strict=True))
        stop = tuple(
            max(s, min(a, b)) for s, a, b in zip(start, self.stop, other.stop, strict=True)
        )
        return Box(start, stop)

    @property
    def spans(self) -> str:
        """The box in words, as ``0:10, 5:20``."""
        return ", ".join(f"{a}:{b}" for a, b in zip(self.start, self.stop, strict=True))

    def slices(self, origin: Sequence[int] | None = None) -> Slices:
        """Slices that cut this box out of an array whose first voxel is at ``origin``."""
        origin = origin if origin is not None else (0,) * len(self.start)
        return tuple(
            slice(a - o, b - o) for a, b, o in zip(self.start, self.stop, origin, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Block:
    """One block of one frame.

    Attributes
    ----------
    frame
        Number of the frame, counted in C order over the frame axes.
    number
        Number of the block within its frame, in raster order.
    index
        Position in the grid of blocks.
    core
        The voxels that this block's task writes.
    """

    frame: int
    number: int
    index: Shape
    core: Box


@dataclass(frozen=True)
class Grid:
    """The blocks of a frame: ``chunks`` holds the block lengths along each axis, as in dask."""

    chunks: tuple[Shape, ...]

    @classmethod
    def regular(cls, shape: Sequence[int], block: Sequence[int]) -> Grid:
        """Cut ``shape`` into blocks of shape ``block``; the last along an axis may be shorter."""
        return cls(tuple(_lengths(n, b) for n, b in zip(shape, block, strict=True)))

    @cached_property
    def shape(self) -> Shape:
        """Shape of the frame in voxels."""
        return tuple(sum(c) for c in self.chunks)

    @cached_property
    def counts(self) -> Shape:
        """Number of blocks along each axis."""
        return tuple(len(c) for c in self.chunks)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.chunks)

    @cached_property
    def frame(self) -> Box:
        """Return the box of the whole frame."""
        return Box.whole(self.shape)

    @cached_property
    def edges(self) -> tuple[Shape, ...]:
        """Return the voxel index where each block starts, per axis, and the end of the last."""
        return tuple(tuple(itertools.accumulate(c, initial=0)) for c in self.chunks)

    def __len__(self) -> int:
        return math.prod(self.counts)

    def core(self, index: Sequence[int]) -> Box:
        """Box of the block at a position in the grid."""
        start = tuple(e[i] for e, i in zip(self.edges, index, strict=True))
        stop = tuple(e[i + 1] for e, i in zip(self.edges, index, strict=True))
        return Box(start, stop)

    def number(self, index: Sequence[int]) -> int:
        """Raster number of the block at a position in the grid."""
        result = 0
        for i, n in zip(index, self.counts, strict=True):
            result = result * n + i
        return result

    def block(self, index: Sequence[int], frame: int = 0) -> Block:
        """Return the block at a position in the grid."""
        return Block(frame, self.number(index), tuple(index), self.core(index))

    def overlapping(self, box: Box) -> Iterator[Block]:
        """Blocks whose core meets ``box``, in raster order."""
        spans = [
            range(bisect_right(edges, a) - 1, bisect_left(edges, b) if b > a else 0)
            for edges, a, b in zip(self.edges, box.start, box.stop, strict=True)
        ]
        for index in itertools.product(*spans):
            yield self.block(index)

    def regions(self, frames: int, limit: int) -> Iterator[list[Block]]:
        """Cut all blocks of ``frames`` frames into lists of at most ``limit`` blocks.

        Small frames go several to a region; a frame of more than ``limit`` blocks is cut into
        compact boxes of blocks, so that a halo is shared by as many blocks of a region as possible.
        """
        if len(self) <= limit:
            per_region = max(1, limit // max(1, len(self)))
            for first in range(0, frames, per_region):
                members = range(first, min(first + per_region, frames))
                yield [b for f in members for b in self._blocks(Box.whole(self.counts), f)]
            return
        for frame in range(frames):
            for box in _tiles(self.counts, limit):
                yield list(self._blocks(box, frame))

    def _blocks(self, box: Box, frame: int) -> Iterator[Block]:
        ranges = [range(a, b) for a, b in zip(box.start, box.stop, strict=True)]
        for index in itertools.product(*ranges):
            yield self.block(index, frame)


def _lengths(n: int, block: int) -> Shape:
    if n == 0:
        return (0,)
    full, rest = divmod(n, block)
    return (block,) * full + ((rest,) if rest else ())


def _tiles(counts: Sequence[int], limit: int) -> Iterator[Box]:
    """Tile a grid of ``counts`` blocks by boxes of at most ``limit``, as near to cubes as fit."""
    edges: list[int] = []
    rest = limit
    for done, n in enumerate(sorted(counts)):
        edges.append(max(1, min(n, math.floor(rest ** (1 / (len(counts) - done)) + 1e-9))))
        rest //= edges[-1]
    order = sorted(range(len(counts)), key=lambda axis: counts[axis])
    tile = [0] * len(counts)
    for axis, edge in zip(order, edges, strict=True):
        tile[axis] = edge
    steps = [range(0, n, e) for n, e in zip(counts, tile, strict=True)]
    for start in itertools.product(*steps):
        stop = (min(a + e, n) for a, e, n in zip(start, tile, counts, strict=True))
        yield Box(start, tuple(stop))


def add_halos(*halos: Sequence[int]) -> Shape:
    """Halo of a chain of operations: the halos of its members added up, axis by axis."""
    return tuple(sum(h) for h in zip(*halos, strict=True))
