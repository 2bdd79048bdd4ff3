"""The sweeps of a verification: over a label image, and over regions that are computed again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.geometry.boxes import Block, Box, Shape
from chunkseg.passes.components import ComponentsPass
from chunkseg.passes.consistency import LabelsSeen
from chunkseg.passes.recomputing import Recipe, RegionRecord, compare
from chunkseg.runner.measuring import MeasureTask
from chunkseg.storage.checksum import checksum

REGION_VOXELS = 2**22


@dataclass(frozen=True)
class LookTask:
    """Look at a block of a label image: its checksum, its components of equal value, its sums.

    Attributes
    ----------
    rule
        How components are found.
    measuring
        What is summed by label.
    frame
        The box of a frame.
    name
        Of the array.
    """

    rule: ComponentsPass
    measuring: MeasureTask
    frame: Box
    name: str

    def reads(self, block: Block) -> Sequence[Box | None]:
        """Return the block."""
        return (block.core,)

    def __call__(self, block: Block, labels: NDArray[Any]) -> LabelsSeen:
        """Look at one block."""
        _, components = self.rule.block(labels, block.core, self.frame)
        measured = self.measuring(block, labels)
        return LabelsSeen(int(np.count_nonzero(labels)), checksum(labels), components, measured)


@dataclass(frozen=True)
class RegionTask:
    """Compute a region again with scikit-image and compare.

    Attributes
    ----------
    recipe
        Parameters and recorded thresholds.
    stored
        Names of the arrays that are read after the image.
    """

    recipe: Recipe
    stored: tuple[str, ...]
    name: str = "regions"

    def reads(self, block: Block) -> Sequence[Box | None]:
        """Return what decides the core, then the core of each array; of seeds, what reaches it."""
        wide = self.recipe.seeds_box(block.core)
        boxes = (wide if name == "seeds" else block.core for name in self.stored)
        return (self.recipe.image_box(block.core), *boxes)

    def __call__(self, block: Block, image: NDArray[Any], *stored: NDArray[Any]) -> RegionRecord:
        """Do one region."""
        named = dict(zip(self.stored, stored, strict=True))
        return compare(self.recipe, block.frame, block.core, image, named)


def region_shape(recipe: Recipe) -> Shape | None:
    """Shape of the largest cube, clipped to the frame, that reads at most ``REGION_VOXELS``.

    None where even a single voxel needs more.
    """

    def clipped(edge: int) -> Shape:
        return tuple(min(edge, n) for n in recipe.frame.stop)

    def reads(edge: int) -> int:
        grown = zip(clipped(edge), recipe.halo, recipe.frame.stop, strict=True)
        return math.prod(min(length + 2 * h, n) for length, h, n in grown)

    if reads(1) > REGION_VOXELS:
        return None
    low, high = 1, max(recipe.frame.stop) + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if reads(middle) <= REGION_VOXELS else (low, middle)
    return clipped(low)


def random_regions(
    frame: Box,
    shape: Shape,
    count: int,
    seed: int,
    frames: int,
    objects: NDArray[np.int64],
) -> Iterator[Block]:
    """Draw regions; every second one around an object, as long as there are any.

    Parameters
    ----------
    frame
        The box of a frame.
    shape
        Of a region.
    count, seed
        How many, and of NumPy's generator.
    frames
        Number of frames.
    objects
        A row per object: its frame, and the voxel in its middle.
    """
    rng = np.random.default_rng(seed)
    room = np.array(frame.stop) - np.array(shape)
    for number in range(count):
        start = rng.integers(0, room, endpoint=True)
        t = int(rng.integers(frames))
        if number % 2 and len(objects):
            t, *middle = objects[rng.integers(len(objects))].tolist()
            start = np.clip(np.array(middle) - np.array(shape) // 2, 0, room)
        low = tuple(int(a) for a in start)
        core = Box(low, tuple(a + n for a, n in zip(low, shape, strict=True)))
        yield Block(t, number, (number,), core)
