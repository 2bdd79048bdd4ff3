"""Views of a result: which part of a frame is read at which resolution, within a budget.

A view is a box of a frame at full resolution, one plane or a slab whose maximum is taken. Of each
array the coarsest level is read that is fine enough for the picture. Where that would cost more
than a view may, less fine ones will do; then the box shrinks around its middle, its longest edge
first. So pictures of an image of any size, with or without a pyramid, cost the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.geometry.boxes import Box, Shape
from chunkseg.geometry.layout import Layout
from chunkseg.passes.steps import Chain, chain_halo, run_chain

BUDGET = 64_000_000
FINE_ENOUGH = (640, 320, 160)
DECODED_PER_READ = 32


@dataclass
class Budget:
    """Voxels that may be read in all, and how many have been.

    A voxel that is decoded only because its chunk is counts a thirty-second part.
    """

    voxels: int = BUDGET
    read: int = 0

    def share(self, views: int) -> int:
        """What each of some views may read of what is left."""
        return max(0, self.voxels - self.read) // max(1, views)


@dataclass(frozen=True)
class Level:
    """One resolution level of an array.

    Attributes
    ----------
    data
        What is read: a source, a zarr or a lazy array.
    layout
        Its shape and which axes are looped over.
    factor
        Voxels of the full resolution per voxel, along each axis of a frame.
    """

    data: Any
    layout: Layout
    factor: Shape

    def box(self, box: Box) -> Box:
        """Box of this level that covers a box of the full resolution."""
        start = tuple(a // f for a, f in zip(box.start, self.factor, strict=True))
        shape = self.layout.frame_shape
        ends = (-(-b // f) for b, f in zip(box.stop, self.factor, strict=True))
        stop = (max(a + 1, min(e, n)) for a, e, n in zip(start, ends, shape, strict=True))
        return Box(start, tuple(stop))

    def cost(self, box: Box) -> int:
        """Voxels to be read for a box of this level."""
        return max(box.size, self._decoded(box) // DECODED_PER_READ)

    def _decoded(self, box: Box) -> int:
        chunks = [_longest(self.data.chunks[axis]) for axis in self.layout.spatial]
        edges = zip(box.start, box.stop, chunks, self.layout.frame_shape, strict=True)
        return math.prod(min(-(-b // c) * c, n) - a // c * c for a, b, c, n in edges)

    def read(self, frame: int, box: Box) -> NDArray[Any]:
        """Read a box of a frame."""
        return self.layout.take_frame(np.asarray(self.data[self.layout.slices(frame, box)]))


def _longest(chunks: int | Sequence[int]) -> int:
    return max(1, max(chunks) if isinstance(chunks, tuple | list) else int(chunks))  # type: ignore[arg-type]


@dataclass(frozen=True)
class View:
    """A part of a frame to be pictured.

    Attributes
    ----------
    frame
        Number of the frame.
    box
        At full resolution; a slab along the first of three axes is seen as its maximum.
    fine
        Voxels along the longest edge of the picture that are enough.
    """

    frame: int
    box: Box
    fine: int = FINE_ENOUGH[0]

    @property
    def depth(self) -> int:
        """Number of planes."""
        return self.box.shape[0] if len(self.box.shape) == 3 else 1

    def smaller(self) -> View:
        """Return the middle of it, half as long along its longest edge."""
        edges = self.box.shape
        axis = max(range(len(edges)), key=lambda a: edges[a])
        start, stop = list(self.box.start), list(self.box.stop)
        quarter = edges[axis] // 4
        start[axis] += quarter
        stop[axis] = max(start[axis] + 1, stop[axis] - (edges[axis] - edges[axis] // 2 - quarter))
        return replace(self, box=Box(tuple(start), tuple(stop)))


@dataclass(frozen=True)
class Pyramid:
    """An array at its levels, the full resolution first."""

    levels: tuple[Level, ...]

    def fitting(self, view: View) -> Level:
        """Return the coarsest level that is fine enough for a picture of a view."""
        longest = max(view.box.shape[-2:])
        fine = [
            level
            for level in self.levels
            if longest / max(level.factor[-2:]) >= min(view.fine, longest)
        ]
        return fine[-1] if fine else self.levels[0]

    def cost(self, view: View) -> int:
        """Voxels to be read for a view."""
        level = self.fitting(view)
        return level.cost(level.box(view.box))

    def read(self, view: View, budget: Budget) -> NDArray[Any]:
        """Read a view as a plane: its only one, or the maximum of all."""
        level = self.fitting(view)
        budget.read += self.cost(view)
        return flat(level.read(view.frame, level.box(view.box)))


def flat(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return the maximum along the first of three axes."""
    return pixels.max(axis=0) if pixels.ndim == 3 else pixels


def affordable(view: View, arrays: Sequence[Pyramid | Masked], share: int) -> View | None:
    """Make a view less fine, then smaller, until it can be read for a share; None if it can't."""
    while True:
        for fine in FINE_ENOUGH:
            tried = replace(view, fine=fine)
            if sum(array.cost(tried) for array in arrays) <= share:
                return tried
        if max(view.box.shape) <= 1:
            return None
        view = view.smaller()


@dataclass(frozen=True)
class Masked:
    """The mask of a run that did not keep it, computed from the image as the run did."""

    level: Level
    chains: dict[int, Chain] = field(hash=False)

    def cost(self, view: View) -> int:
        """Voxels to be read for a view."""
        return self.level.cost(self._grown(view))

    def read(self, view: View, budget: Budget) -> NDArray[Any]:
        """Compute the mask of a view; of a slab where any plane is foreground."""
        grown = self._grown(view)
        budget.read += self.cost(view)
        pixels = np.ascontiguousarray(self.level.read(view.frame, grown))
        chain = self.chains[view.frame]
        return flat(run_chain(chain, pixels, grown, view.box, self._frame))

    @property
    def _frame(self) -> Box:
        return Box.whole(self.level.layout.frame_shape)

    def _grown(self, view: View) -> Box:
        halo = chain_halo(self.chains[view.frame], len(view.box.shape))
        return view.box.grow(halo, self._frame)
