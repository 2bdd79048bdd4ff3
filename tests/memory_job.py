"""Run as a process of its own: make or segment a stack and print the peak resident memory."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from pathlib import Path

import dask
import numpy as np
import zarr

import chunkseg as cs
from chunkseg.runner import boxes, lesson, sweep
from chunkseg.runner.resident import peak_memory
from chunkseg.storage.cache import CHUNKS, ChunkCache

TILE, CHUNK = (64, 128, 128), (32, 64, 64)


def make(path: Path, tiles: int) -> None:
    """Stack copies of one tile of blobs along z, written tile by tile."""
    rng = np.random.default_rng(0)
    tile = rng.integers(0, 300, TILE).astype(np.uint16)
    for z, y, x in rng.integers(12, [52, 116, 116], (10, 3)):
        tile[z - 8 : z + 8, y - 8 : y + 8, x - 8 : x + 8] += 2000
    shape = (tiles * TILE[0], *TILE[1:])
    array = zarr.create_array(path, shape=shape, chunks=CHUNK, dtype=tile.dtype)
    for i in range(tiles):
        array[i * TILE[0] : (i + 1) * TILE[0]] = tile


def workflow(path: Path) -> int:
    """Segment with the workflow."""
    run = cs.Workflow(sigma=1, erosion_radius=2).run
    return len(run(path, path.parent / "out", block_shape=(64, 64, 64), workers=2).table)


def steps(path: Path) -> int:
    """Segment step by step."""
    image = cs.open_image(path, chunks=(64, 64, 64))
    blurred = cs.gaussian(image, 1)
    mask = blurred > cs.threshold_otsu(blurred)
    seeds = cs.label(cs.binary_erosion(mask, radius=2), scratch=path.parent / "seeds.zarr")
    cells = cs.clear_border(cs.expand_labels(seeds, 2), scratch=path.parent / "cells.zarr")
    labels = cs.label(cells, scratch=path.parent / "labels.zarr")
    return len(cs.regionprops_table(labels, image, properties=("label", "area")))


if __name__ == "__main__":
    job, folder, tiles = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    make(folder / "stack.zarr", tiles)
    # Both stacks must fill what is bounded by a number: decoded chunks, and blocks of a region.
    CHUNKS.resize(2**23)
    ChunkCache.within = lambda self, limit: nullcontext()  # type: ignore[method-assign]
    for module in (sweep, lesson, boxes):
        module.REGION_BLOCKS = 16  # type: ignore[attr-defined]
    # One block at a time: with two threads the peak depends on whether their blocks meet.
    with dask.config.set(scheduler="synchronous"):
        count = {"workflow": workflow, "steps": steps}[job](folder / "stack.zarr")
    print(json.dumps({"objects": count, "peak": peak_memory()}))
