"""How a pass of the workflow reads: each task its own grown block, or dask's map_overlap.

The range of the blurred image, from the same zarr array, in the same blocks, with the same kernel.
``python -m tests.benchmarks.reading [--edge 384] [--block 128]``
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from chunkseg.api.filters import gaussian
from chunkseg.api.given import Given
from chunkseg.geometry.boxes import Grid
from chunkseg.passes.steps import Blur
from chunkseg.passes.threshold import RangeRecord, merge_ranges
from chunkseg.runner.execution import Execution
from chunkseg.runner.sweep import Input, Sweeper
from chunkseg.runner.tasks import Chained, RangeTask
from chunkseg.storage.opening import open_image
from chunkseg.storage.records import Records
from tests.benchmarks.end_to_end import SIGMA, make


def sweep(array, layout, chain, block):
    """Sweep once and return the range and the seconds."""
    grid = Grid.regular(layout.frame_shape, block)
    sweeper = Sweeper(grid, range(1), Execution(2))
    begin = time.perf_counter()
    task = RangeTask(Chained(grid.frame, chain))
    records = sweeper.run(task, [Input.of(array, layout)], Records(RangeRecord))
    found = merge_ranges((record for _, record in records), grid.frame)
    return found, time.perf_counter() - begin


def main(argv: list[str]) -> None:
    """Print both sides."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--edge", type=int, default=384)
    parser.add_argument("--block", type=int, default=128)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args(argv)
    block = (options.block,) * 3
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "stack.zarr"
        make(path, options.edge)
        image = open_image(path, chunks=block, spacing=1, unit="pixel")
        given = Given.of(image)
        lazy = gaussian(image, SIGMA).data
        sides = {"own grown block": (given.data, (Blur((SIGMA,) * 3),)), "map_overlap": (lazy, ())}
        seconds: dict[str, list[float]] = {side: [] for side in sides}
        answers = set()
        for _ in range(options.repeat):
            for side, (array, chain) in sides.items():
                found, spent = sweep(array, given.layout, chain, block)
                answers.add(found)
                seconds[side].append(spent)
    voxels = options.edge**3
    for side, spent in seconds.items():
        median = statistics.median(spent)
        print(f"{side:<16} {median:6.2f} s  {median / voxels * 1e9:6.1f} ns/voxel")
    ratios = np.array(seconds["map_overlap"]) / np.array(seconds["own grown block"])
    print(f"ratio {statistics.median(ratios):.2f}")
    print("answers equal" if len(answers) == 1 else "ANSWERS DIFFER")


if __name__ == "__main__":
    main(sys.argv[1:])
