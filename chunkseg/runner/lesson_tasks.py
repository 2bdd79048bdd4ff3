"""The fused tasks of the workflow: seeds, objects, labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.geometry.boxes import Block, Box
from chunkseg.kernels.blank import blank
from chunkseg.kernels.painting import paint
from chunkseg.kernels.runs import Runs, background_runs
from chunkseg.passes.components import ComponentsPass, ComponentsRecord
from chunkseg.passes.masking import Masking
from chunkseg.passes.measure import MeasureRecord, Measures, View
from chunkseg.passes.steps import Step
from chunkseg.storage.checksum import checksum
from chunkseg.storage.lookups import Lookups
from chunkseg.storage.runs import RunStore
from chunkseg.storage.sinks import BlockSink


@dataclass(frozen=True, slots=True)
class SeedsRecord:
    """What the seeds pass keeps of a block.

    Attributes
    ----------
    foreground
        Number of its foreground voxels.
    mask, seeds
        Its components before and after the erosion.
    counts
        Its blurred voxels in the bins of the frame; None where they are not counted here.
    """

    foreground: int
    mask: ComponentsRecord
    seeds: ComponentsRecord
    counts: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class SeedsTask:
    """Blur, threshold, erode, and label what is left; count the unsplit mask as well.

    Attributes
    ----------
    frame
        The box of a frame.
    masking
        How the image becomes a mask.
    erosion
        The erosion; None for no splitting.
    rule
        How components are labelled.
    sink
        Where the runs of the blocks' own seeds go; None if only the mask is wanted.
    mask_sink
        Where the mask goes, if it is kept.
    """

    frame: Box
    masking: Masking
    erosion: Step | None
    rule: ComponentsPass
    sink: RunStore | None
    mask_sink: BlockSink | None
    name: str = "seeds"

    def _split_halo(self) -> tuple[int, ...]:
        ndim = self.masking.ndim
        return self.erosion.halo if self.erosion is not None else (0,) * ndim

    def reads(self, block: Block) -> Sequence[Box | None]:
        """Return the block grown by the halo of blur and erosion."""
        masked = block.core.grow(self._split_halo(), self.frame)
        return (self.masking.grown(masked, block.frame, self.frame),)

    def __call__(self, block: Block, image: NDArray[Any] | None) -> SeedsRecord:
        """Do one block; without an image it is known to hold no foreground."""
        if image is None:
            return self._empty(block)
        core = block.core
        masked = core.grow(self._split_halo(), self.frame)
        grown, counts = self.masking(image, block.frame, masked, core, self.frame)
        inner = core.slices(origin=masked.start)
        mask = np.ascontiguousarray(grown[inner])
        runs, unsplit = self.rule.block(mask, core, self.frame)
        seeds = unsplit
        if self.erosion is not None:
            runs, seeds = self.rule.block(self.erosion(grown, inner), core, self.frame)
        self._write(block, mask, runs)
        return SeedsRecord(int(np.count_nonzero(mask)), unsplit, seeds, counts)

    def _empty(self, block: Block) -> SeedsRecord:
        shape = block.core.shape
        self._write(block, blank(shape, np.bool_), background_runs(shape))
        record = self.rule.empty(block.core, self.frame)
        return SeedsRecord(0, record, record)

    def _write(self, block: Block, mask: NDArray[Any], seeds: Runs) -> None:
        if self.mask_sink is not None:
            self.mask_sink.write(block.frame, block.core, mask)
        if self.sink is not None:
            self.sink.write(block.frame, block.core, seeds)


@dataclass(frozen=True)
class ObjectsTask:
    """Expand the seeds and label the connected regions of equal value.

    Attributes
    ----------
    frame
        The box of a frame.
    expansion
        The expansion.
    rule
        How components are labelled, with the border they may touch.
    sink
        Where the runs of the blocks' own labels go.
    keep
        Where the seeds and the expanded labels go, if they are kept.
    """

    frame: Box
    expansion: Step
    rule: ComponentsPass
    sink: RunStore
    keep: Mapping[str, BlockSink] = field(default_factory=dict)
    name: str = "objects"

    def reads(self, block: Block) -> Sequence[Box | None]:
        """Return the block grown by the distance of the expansion."""
        return (block.core.grow(self.expansion.halo, self.frame),)

    def __call__(self, block: Block, seeds: NDArray[Any] | None) -> ComponentsRecord:
        """Do one block; without seeds nothing reaches it."""
        core = block.core
        if seeds is None:
            nothing = blank(core.shape, np.uint32)
            self._write(block, nothing, nothing, background_runs(core.shape))
            return self.rule.empty(core, self.frame)
        read = core.grow(self.expansion.halo, self.frame)
        inner = core.slices(origin=read.start)
        expanded = self.expansion(seeds, inner)
        runs, record = self.rule.block(expanded, core, self.frame)
        self._write(block, seeds[inner], expanded, runs)
        return record

    def _write(
        self, block: Block, seeds: NDArray[Any], expanded: NDArray[Any], objects: Runs
    ) -> None:
        for name, values in (("seeds", seeds), ("expanded", expanded)):
            if name in self.keep:
                self.keep[name].write(block.frame, block.core, values)
        self.sink.write(block.frame, block.core, objects)


@dataclass(frozen=True, slots=True)
class LabelsRecord:
    """What the labels pass keeps of a block: its measures, and the CRC32C of its labels."""

    measures: MeasureRecord
    checksum: int


@dataclass(frozen=True)
class LabelsTask:
    """Look up the final labels, write and measure them.

    Attributes
    ----------
    objects
        Runs of each block's own labels.
    lookups
        Final label of each block's own labels; 0 for an object that is dropped.
    sink
        The label image.
    measures
        What is measured; nothing that looks beyond the block.
    images
        Number of intensity images to be measured.
    """

    objects: RunStore
    lookups: Lookups
    sink: BlockSink
    measures: Measures
    images: int
    name: str = "labels"

    def reads(self, block: Block) -> Sequence[Box | None]:
        """Return the block, of each intensity image."""
        return (block.core,) * self.images

    def __call__(self, block: Block, *images: NDArray[Any] | None) -> LabelsRecord:
        """Do one block; without images it is background."""
        core = block.core
        table = self.lookups.of_block(block.frame, block.number)
        if len(table) > 1:
            labels = np.zeros(core.shape, table.dtype)
            _, runs = self.objects.read(block.frame, core)
            paint(runs, core, table, labels, core)
        else:
            labels = blank(core.shape, table.dtype)
            runs = background_runs(core.shape)
        self.sink.write(block.frame, core, labels)
        intensities = tuple(np.zeros(core.shape, np.uint8) if i is None else i for i in images)
        view = View.flat(runs, len(table) - 1, intensities, core)
        measured = self.measures.block(view, table[1:].astype(np.int64))
        return LabelsRecord(measured, checksum(labels))
