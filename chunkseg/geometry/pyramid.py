"""The levels of a multiscale image: which axes are halved, how often, and by which blocks.

Each level halves the axes that are not coarser than the finest by more than the square root of two,
so that voxels come nearer to cubes; until no edge is longer than 256 voxels. A level is *owned* if
each block of the full resolution holds whole blocks of it: then the task that writes a block
writes its part of the level as well. Levels whose parts would be tiny, and all beyond them, are
made from the level below.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from chunkseg.geometry.boxes import Box, Shape

FITS = 256
LEAST_VOXELS = 2**15


@dataclass(frozen=True, slots=True)
class Level:
    """One level of a frame.

    Attributes
    ----------
    shape
        Of a frame.
    factor
        Voxels of the full resolution per voxel, along each axis.
    step
        Voxels of the level below per voxel, along each axis.
    block
        Shape of the blocks that it is written in.
    owned
        Whether it is written along with the full resolution.
    """

    shape: Shape
    factor: Shape
    step: Shape
    block: Shape
    owned: bool

    def part(self, core: Box) -> Box:
        """Box of this level that belongs to a box of the full resolution."""
        start = tuple(a // f for a, f in zip(core.start, self.factor, strict=True))
        stop = tuple(-(-b // f) for b, f in zip(core.stop, self.factor, strict=True))
        return Box(start, stop)

    def below(self, core: Box, shape: Shape) -> Box:
        """Box of the level below, of the given shape, that a box of this level is made from."""
        start = tuple(a * s for a, s in zip(core.start, self.step, strict=True))
        stop = tuple(min(b * s, n) for b, s, n in zip(core.stop, self.step, shape, strict=True))
        return Box(start, stop)


def levels_of(
    shape: Shape, block: Shape, spacing: Sequence[float] | None = None, count: int | None = None
) -> tuple[Level, ...]:
    """Levels of a frame, the full resolution first.

    Parameters
    ----------
    shape
        Of a frame at full resolution.
    block
        Shape of the blocks that it is written in.
    spacing
        Size of a voxel along each axis, in one unit; None where that is not known, and all axes
        are halved alike.
    count
        Number of levels; by default as many as it takes. Never more than halving gives.

    Examples
    --------
    >>> for level in levels_of((60, 1000, 1000), (60, 256, 256), (1.0, 0.25, 0.25)):
    ...     level.shape, level.block, level.owned
    ((60, 1000, 1000), (60, 256, 256), True)
    ((60, 500, 500), (60, 128, 128), True)
    ((60, 250, 250), (60, 64, 64), True)
    """
    ones = (1,) * len(shape)
    found = [Level(tuple(shape), ones, ones, tuple(block), True)]
    while len(found) < count if count is not None else max(found[-1].shape) > FITS:
        last = found[-1]
        if max(last.shape) <= 1:
            break
        found.append(_next(last, found[0], spacing, first=len(found) == 1))
    return tuple(found)


def _next(last: Level, full: Level, spacing: Sequence[float] | None, first: bool) -> Level:
    step = _steps(last, spacing)
    factor = tuple(f * s for f, s in zip(last.factor, step, strict=True))
    shape = _divided(last.shape, step)
    axes = list(zip(full.shape, full.block, factor, strict=True))
    part = tuple(min(-(-b // f), n) for (_, b, f), n in zip(axes, shape, strict=True))
    whole = all(b % f == 0 or b >= n for n, b, f in axes)
    owned = last.owned and whole and (first or math.prod(part) >= LEAST_VOXELS)
    if not owned:
        part = tuple(min(-(-b // s), n) for b, s, n in zip(full.block, step, shape, strict=True))
    return Level(shape, factor, step, part, owned)


def _steps(level: Level, spacing: Sequence[float] | None) -> Shape:
    ones = [1.0] * len(level.shape)
    sizes = ones if spacing is None else [s * f for s, f in zip(spacing, level.factor, strict=True)]
    finest = min(s for s, n in zip(sizes, level.shape, strict=True) if n > 1)
    return tuple(
        2 if n > 1 and s * s <= 2 * finest * finest else 1
        for s, n in zip(sizes, level.shape, strict=True)
    )


def _divided(shape: Shape, step: Shape) -> Shape:
    return tuple(-(-n // s) for n, s in zip(shape, step, strict=True))
