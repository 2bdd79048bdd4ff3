"""Staging: an image that can't be read block by block is copied once into a scratch zarr array.

That is so for lazily computed arrays (every pass would compute them again), for files whose stored
unit is far larger than a block (TIFF pages would be decoded many times over), and for arrays in
memory when the workers are other processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import dask.array as da

from chunkseg.geometry.boxes import Grid, Shape
from chunkseg.passes.counting import VoxelCount
from chunkseg.runner.execution import Execution
from chunkseg.runner.progress import Progress
from chunkseg.runner.sweep import Input, Sweeper
from chunkseg.runner.tasks import StoreTask
from chunkseg.storage.arrays import create_array
from chunkseg.storage.leaves import MemorySource
from chunkseg.storage.records import Records
from chunkseg.storage.scratch import ScratchSource
from chunkseg.storage.sinks import Sink
from chunkseg.storage.sources import amplification, default_chunks

MOST_DECODED = 10.0
STAGE_VOXELS = 2**25


def needs_staging(image: Input, block: Shape, halo: Sequence[int], execution: Execution) -> bool:
    """Whether an image must be staged to be swept in blocks grown by a halo."""
    data, layout = image.data, image.layout
    if isinstance(data, da.Array):
        return True
    if isinstance(data, MemorySource):
        return execution.client is not None
    grown = layout.per_axis(halo, 0)
    return amplification(data, layout.per_axis(block, 1), grown) > MOST_DECODED


def stage_shape(image: Input) -> Shape:
    """Shape of the blocks, along the spatial axes, that an image is copied in."""
    data, layout = image.data, image.layout
    if isinstance(data, da.Array):
        lengths = tuple(max(c) for c in data.chunks)
    else:
        lengths = default_chunks(data, layout.looped, STAGE_VOXELS)
    return tuple(lengths[axis] for axis in layout.spatial)


def stage(
    image: Input,
    folder: Path,
    execution: Execution,
    progress: Progress,
) -> Input:
    """Copy an image into a folder, each stored unit decoded once, and return the copy."""
    data, layout = image.data, image.layout
    block = stage_shape(image)
    array = create_array(folder / "input.zarr", layout, block, data.dtype)
    grid = Grid.regular(layout.frame_shape, block)
    sweeper: Sweeper[VoxelCount] = Sweeper(grid, range(layout.frames), execution, progress)
    sink = Sink(array, layout)
    records = Records(VoxelCount, folder / "records")
    sweeper.run(StoreTask(sink, "stage"), [image], records, sinks=[sink])
    return Input(ScratchSource(array), layout)
