"""Ten million provisional labels stitched: pairs, components, ranking and look-up tables.

``python -m tests.benchmarks.stitching [--labels 10000000] [--blocks 10000]``. Records are made up:
in each of six planes of 256 x 256 voxels a block has 100 squares of 10 x 10 voxels, each of a label
of its own that goes on in the neighbour, so that labels form long chains through many blocks.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np

from chunkseg.geometry.boxes import Grid
from chunkseg.kernels.runs import label_runs
from chunkseg.passes.components import ComponentsPass, ComponentsRecord
from chunkseg.passes.seams import Faces
from tests.benchmarks.merge_measures import resident

EDGE, SQUARES, STEP, SIDE = 256, 10, 25, 10


def faces() -> Faces:
    """Six planes of squares with ids 1 to 600."""
    plane = np.zeros((EDGE, EDGE), np.uint32)
    for i in range(SQUARES):
        for j in range(SQUARES):
            plane[i * STEP : i * STEP + SIDE, j * STEP : j * STEP + SIDE] = i * SQUARES + j + 1
    starts, ids, lengths = [], [], []
    for which in range(6):
        _, runs = label_runs(plane.reshape(1, -1))
        starts.append(np.append(0, runs.stop[:-1]).astype(np.uint32))
        shifted = np.where(runs.region, runs.region + which * SQUARES**2, 0)
        ids.append(shifted.astype(np.uint32))
        lengths.append(len(runs.stop))
    return Faces(np.concatenate(starts), np.concatenate(ids), np.array(lengths, np.int64))


def grid_of(blocks: int) -> Grid:
    """Return a grid of about so many blocks, as near to a cube as can be."""
    edge = max(1, round(blocks ** (1 / 3)))
    counts = (edge, edge, max(1, blocks // edge**2))
    return Grid(tuple((EDGE,) * n for n in counts))


def main(argv: list[str]) -> None:
    """Stitch and print a line."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.stitching")
    parser.add_argument("--labels", type=int, default=10_000_000)
    parser.add_argument("--blocks", type=int, default=10_000)
    o = parser.parse_args(argv)
    grid, planes = grid_of(o.blocks), faces()
    each = max(6 * SQUARES**2, o.labels // len(grid))
    rule = ComponentsPass(3)
    blocks = [b for region in grid.regions(1, 128) for b in region]

    def records():
        for block in blocks:
            first = block.number * each + np.arange(each, dtype=np.int64)
            yield (
                block,
                ComponentsRecord(
                    **dict.fromkeys(ComponentsRecord.__slots__)
                    | {"first": first, "starts": planes.starts, "ids": planes.ids}
                    | {"lengths": planes.lengths}
                ),
            )

    before, wall, cpu = resident("VmRSS"), time.perf_counter(), time.process_time()
    found = rule.merge(records(), grid)
    table = found.lookup(np.arange(1, found.count + 1, dtype=np.uint32))
    entries = sum(len(table.of_block(block.number)) - 1 for block in blocks)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    joined = sum(SQUARES**2 * len(grid) * (n - 1) // n for n in grid.counts)
    assert found.count == entries - joined
    print(
        f"{entries} labels in {len(grid)} blocks, {joined} pairs: {found.count} components, "
        "as many as there must be; "
        f"{wall:.1f} s wall, {cpu:.1f} s CPU, {(resident('VmHWM') - before) >> 20} MiB"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
