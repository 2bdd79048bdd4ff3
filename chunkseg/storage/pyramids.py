"""Multiscale arrays: all levels that a block's task writes, and those that follow from them.

Every level is a zarr array of its own, in a group whose metadata ``ome`` writes. What a block owns
of the coarser levels its task writes together with the full resolution; the others are made level
by level from the one below, each block of a level by one task.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.geometry.boxes import Box, Grid
from chunkseg.geometry.bundles import bundle_length
from chunkseg.geometry.layout import Layout
from chunkseg.geometry.pyramid import Level
from chunkseg.kernels.halving import halved
from chunkseg.storage.arrays import METADATA, Stored, create_array, opened_array
from chunkseg.storage.ome import Frames
from chunkseg.storage.places import Place
from chunkseg.storage.sinks import Sink


@dataclass(frozen=True)
class PyramidSink:
    """Where the blocks of a multiscale image go.

    Attributes
    ----------
    levels
        The full resolution first.
    sinks
        The array of each level.
    mean
        Whether coarser voxels are means; else one voxel stands for those around it.
    """

    levels: tuple[Level, ...]
    sinks: tuple[Sink, ...]
    mean: bool

    @property
    def owned(self) -> int:
        """Number of levels that are written block by block with the full resolution."""
        return sum(level.owned for level in self.levels)

    def write(self, frame: int, box: Box, data: NDArray[Any]) -> None:
        """Write a block of one frame, and what it owns of coarser levels."""
        for level, sink in zip(self.levels[: self.owned], self.sinks, strict=False):
            data = halved(data, level.step, self.mean) if max(level.step) > 1 else data
            sink.write(frame, level.part(box), data)

    @property
    def bundle(self) -> int:
        """Frames per file."""
        return self.sinks[0].bundle

    def write_bundle(self, first: int, frames: NDArray[Any]) -> None:
        """Write the frames of one bundle, of an axis ``t`` first, to all levels."""
        self.sinks[0].write_bundle(first, frames)
        for level, sink in zip(self.levels[1:], self.sinks[1:], strict=True):
            frames = np.stack([halved(frame, level.step, self.mean) for frame in frames])
            sink.write_bundle(first, frames)

    def intact(self, frame: int, box: Box) -> bool:
        """Whether every chunk of a block is there and passes its checksum, in the levels owned."""
        return self._intact(frame, box, range(self.owned))

    def _intact(self, frame: int, box: Box, levels: range) -> bool:
        return all(self.sinks[n].intact(frame, self.levels[n].part(box)) for n in levels)

    def coarser(self) -> list[Coarser]:
        """Return the levels that are made from the one below, in their order."""
        return [Coarser(self, number) for number in range(self.owned, len(self.levels))]

    def all_levels(self) -> AllLevels:
        """Return the pyramid as one whose blocks, or bundles, are whole if every level's are."""
        return AllLevels(self)


@dataclass(frozen=True)
class AllLevels:
    """A pyramid to be checked when it is complete."""

    pyramid: PyramidSink

    def intact(self, frame: int, box: Box) -> bool:
        """Whether every chunk that a block (or a bundle) has a part in passes its checksum."""
        return self.pyramid._intact(frame, box, range(len(self.pyramid.levels)))


@dataclass(frozen=True)
class Coarser:
    """A level that is made from the one below.

    Attributes
    ----------
    pyramid
        What it is a level of.
    number
        Which one.
    """

    pyramid: PyramidSink
    number: int

    @property
    def level(self) -> Level:
        """Its geometry."""
        return self.pyramid.levels[self.number]

    @property
    def sink(self) -> Sink:
        """Its array."""
        return self.pyramid.sinks[self.number]

    @property
    def below(self) -> Sink:
        """The array of the level below."""
        return self.pyramid.sinks[self.number - 1]

    @property
    def grid(self) -> Grid:
        """The blocks that it is written in."""
        return Grid.regular(self.level.shape, self.level.block)

    def reads(self, core: Box) -> Box:
        """Box of the level below that a block is made from."""
        return self.level.below(core, self.below.layout.frame_shape)

    def made(self, below: NDArray[Any]) -> NDArray[Any]:
        """Values of a block, from those of the level below."""
        return halved(below, self.level.step, self.pyramid.mean)


def create_pyramid(
    folder: Path,
    frames: Frames,
    levels: tuple[Level, ...],
    dtype: Any,
    mean: bool,
    stored: Stored | None = None,
) -> PyramidSink:
    """Create the arrays of all levels, ``0``, ``1``, ...; see :func:`create_array`.

    Unless it is said how they are ``stored``, small frames of a movie are bundled, and a block of a
    large frame is a shard.
    """
    layouts = [level_layout(frames.layout, level) for level in levels]
    bundle, dims = bundle_length(frames.layout), frames.dims
    arrays = []
    for n, (level, layout) in enumerate(zip(levels, layouts, strict=True)):
        suiting = Stored.suiting(layout, level.block, 2 if frames.version == "0.4" else 3, bundle)
        how = stored or suiting
        arrays.append(create_array(folder / str(n), layout, level.block, dtype, dims, stored=how))
    sinks = (Sink(array, layout) for array, layout in zip(arrays, layouts, strict=True))
    averaged = mean and np.dtype(dtype).kind != "b"
    return PyramidSink(levels, tuple(sinks), averaged)


def opened_pyramid(
    folder: Place, layout: Layout, levels: tuple[Level, ...], mean: bool
) -> PyramidSink:
    """Open the arrays of all levels; whatever zarr raises where one can't be read."""
    sinks = (
        Sink(opened_array(folder / str(n)), level_layout(layout, level))
        for n, level in enumerate(levels)
    )
    return PyramidSink(levels, tuple(sinks), mean)


def level_layout(layout: Layout, level: Level) -> Layout:
    """Layout of a level's array."""
    shape = list(layout.shape)
    for axis, n in zip(layout.spatial, level.shape, strict=True):
        shape[axis] = n
    return Layout(tuple(shape), layout.looped, layout.spatial)


def level_folders(folder: Path) -> list[Path]:
    """Folders of the arrays in a group; none where there is no group."""
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    return [p for p in inside if any((p / name).exists() for name in METADATA.values())]
