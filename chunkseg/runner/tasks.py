"""The tasks of public functions and of the workflow: a pass, what it reads and writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.geometry.boxes import Block, Box
from chunkseg.passes.components import ComponentsPass, ComponentsRecord
from chunkseg.passes.counting import LabelsPresent, VoxelCount, labels_present
from chunkseg.passes.steps import Blur, Chain, chain_halo, run_chain, run_chain_in_parts
from chunkseg.passes.threshold import (
    CountsRecord,
    RangeRecord,
    SurveyRecord,
    counts_block,
    counts_of_bounds,
    range_block,
    survey_block,
    survey_frame,
)
from chunkseg.storage.runs import RunStore
from chunkseg.storage.sinks import BlockSink

SMALL_FRAME = 2**20
"""Voxels of a frame that is blurred as a whole."""


@dataclass(frozen=True, slots=True)
class Chained:
    """What tasks share that run a chain of voxel-wise steps on the grown block first."""

    frame: Box
    chain: Chain

    def grown(self, core: Box) -> Box:
        """Box that is read for a block."""
        return core.grow(chain_halo(self.chain, len(core.start)), self.frame)

    def bounds(self, array: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]] | None:
        """Limits of all values, as arrays of one voxel, where they are those of a blur."""
        if len(self.chain) == 1 and isinstance(self.chain[0], Blur):
            return self.chain[0].bounds(array)
        return None

    def run(self, array: NDArray[Any], core: Box) -> NDArray[Any]:
        """Values of the core."""
        return run_chain(self.chain, array, self.grown(core), core, self.frame)

    def parts(self, array: NDArray[Any], core: Box) -> Iterator[NDArray[Any]]:
        """Values of the core, some planes at a time, each gone when the next are asked for."""
        return run_chain_in_parts(self.chain, array, self.grown(core), core, self.frame)


@dataclass(frozen=True, slots=True)
class RangeTask:
    """Range of an image after a chain of steps; NaN and infinity are searched in what is read."""

    chained: Chained
    sink: BlockSink | None = None
    name: str = "range"

    def reads(self, block: Block) -> Sequence[Box | None]:
        """Return the grown block."""
        return (self.chained.grown(block.core),)

    def __call__(self, block: Block, image: NDArray[Any]) -> RangeRecord:
        """Find the range of one block."""
        raw = image[block.core.slices(origin=self.chained.grown(block.core).start)]
        parts = self.chained.parts(image, block.core)
        bounds = self.chained.bounds(image)
        if bounds is not None and bounds[0] == bounds[1]:
            parts = iter(bounds)
        if self.sink is not None:
            values = self.chained.run(image, block.core)
            self.sink.write(block.frame, block.core, values)
            parts = iter((values,))
        return range_block(parts, raw, block.core, self.chained.frame)


@dataclass(frozen=True, slots=True)
class SurveyTask:
    """Range and sketch of a blurred image; NaN and infinity are searched in what is read.

    Of a block that is a whole frame, and not large, the histogram in place of the sketch.
    """

    chained: Chained
    nbins: int
    name: str = "range"

    def reads(self, block: Block) -> Sequence[Box | None]:
        """Return the grown block."""
        return (self.chained.grown(block.core),)

    def __call__(self, block: Block, image: NDArray[Any]) -> SurveyRecord:
        """Survey one block; where all values are the same, one is looked at."""
        core, frame = block.core, self.chained.frame
        raw = image[core.slices(origin=self.chained.grown(core).start)]
        if core == frame and core.size <= SMALL_FRAME:
            return survey_frame(self.chained.run(image, core), raw, frame, self.nbins)
        bounds = self.chained.bounds(image)
        if bounds is not None and bounds[0] == bounds[1]:
            found = survey_block(bounds[:1], raw, core, frame)
            counts = found.sketch.counts.astype(np.int64) * core.size
            return replace(found, sketch=replace(found.sketch, counts=counts))
        return survey_block(self.chained.parts(image, core), raw, core, frame)


@dataclass(frozen=True, slots=True)
class CountsTask:
    """Histogram of an image after a chain of steps, over the range of each frame."""

    chained: Chained
    ranges: dict[int, tuple[Any, Any]]
    nbins: int
    name: str = "histogram"

    def reads(self, block: Block) -> Sequence[Box | None]:
        """Return the grown block."""
        return (self.chained.grown(block.core),)

    def __call__(self, block: Block, image: NDArray[Any] | None) -> CountsRecord:
        """Count the values of one block; without an image they are counted elsewhere."""
        if image is None:
            return CountsRecord(np.zeros(self.nbins, np.int64), None)
        ends = self.ranges[block.frame]
        known = counts_of_bounds(self.chained.bounds(image), *ends, self.nbins, block.core.size)
        return known or counts_block(self.chained.parts(image, block.core), *ends, self.nbins)


@dataclass(frozen=True, slots=True)
class LabelTask:
    """Connected components of an image; with a mask, what lies outside it is border."""

    rule: ComponentsPass
    frame: Box
    sink: RunStore | None = None
    name: str = "label"

    def reads(self, block: Block) -> Sequence[Box | None]:
        """Return the block, once per input."""
        return (block.core, block.core) if self.rule.masked else (block.core,)

    def __call__(
        self, block: Block, image: NDArray[Any], mask: NDArray[np.bool_] | None = None
    ) -> ComponentsRecord:
        """Label one block."""
        runs, record = self.rule.block(image, block.core, self.frame, mask)
        if self.sink is not None:
            self.sink.write(block.frame, block.core, runs)
        return record


@dataclass(frozen=True, slots=True)
class ForegroundTask:
    """Count the foreground voxels of a mask."""

    name: str = "foreground"

    def reads(self, block: Block) -> Sequence[Box | None]:
        """Return the block."""
        return (block.core,)

    def __call__(self, block: Block, mask: NDArray[Any]) -> VoxelCount:
        """Count one block."""
        return VoxelCount(int(np.count_nonzero(mask)))


@dataclass(frozen=True, slots=True)
class StoreTask:
    """Write an array."""

    sink: BlockSink
    name: str = "store"

    def reads(self, block: Block) -> Sequence[Box | None]:
        """Return the block."""
        return (block.core,)

    def __call__(self, block: Block, values: NDArray[Any]) -> VoxelCount:
        """Write one block."""
        self.sink.write(block.frame, block.core, values)
        return VoxelCount(values.size)


@dataclass(frozen=True, slots=True)
class UniqueTask:
    """Find the labels that occur."""

    name: str = "labels"

    def reads(self, block: Block) -> Sequence[Box | None]:
        """Return the block."""
        return (block.core,)

    def __call__(self, block: Block, labels: NDArray[Any]) -> LabelsPresent:
        """Find the labels of one block."""
        return labels_present(labels)
