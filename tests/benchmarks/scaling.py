"""The workflow over size, workers and block shape: seconds and memory of whole processes.

``python -m tests.benchmarks.scaling [--edges 256,512] [--workers 1,2] [--blocks 128,256] [--json
FILE]``: a stack of touching nuclei, repeated. Start-up is measured by a stack of one block and
taken off before nanoseconds per voxel are told. Sizes are run with the workers and blocks that are
chosen by default, workers and blocks with the first size.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import zarr

from tests.benchmarks.processes import Measured, measure
from tests.cost_job import WORKFLOW, nuclei

MODULE = "tests.benchmarks.scaling"
PERIOD = 128


def make(path: Path, edge: int) -> None:
    """Write a stack, slab by slab."""
    slab = nuclei(edge, np.uint16) if edge <= PERIOD else _slab(edge)
    array = zarr.create_array(path, shape=(edge,) * 3, chunks=(64,) * 3, dtype=np.uint16)
    for z in range(0, edge, PERIOD):
        array[z : z + PERIOD] = slab[: min(PERIOD, edge - z)]


def _slab(edge: int) -> np.ndarray:
    times = -(-edge // PERIOD)
    return np.tile(nuclei(PERIOD, np.uint16), (1, times, times))[:, :edge, :edge]


def run(path: str, out: str, workers: str, block: str) -> None:
    """Run the workflow in this process."""
    shape = (int(block),) * 3 if int(block) else None
    print(len(WORKFLOW.run(path, out, workers=int(workers), block_shape=shape).table))


def cases(
    edges: list[int], workers: list[int], blocks: list[int]
) -> Iterator[tuple[int, int, int]]:
    """Edge, workers and block of each run; block 0 leaves the choice to the plan."""
    yield from ((edge, workers[-1], 0) for edge in edges)
    yield from ((edges[0], n, 0) for n in workers[:-1])
    yield from ((edges[0], workers[-1], block) for block in blocks)


def main(argv: list[str]) -> None:
    """Measure, or be one run."""
    if argv and argv[0] == "run":
        run(*argv[1:])
        return

    def numbers(text: str) -> list[int]:
        return [int(part) for part in text.split(",")]

    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}")
    parser.add_argument("--edges", type=numbers, default=[256, 512])
    parser.add_argument("--workers", type=numbers, default=[1, 2])
    parser.add_argument("--blocks", type=numbers, default=[128, 256])
    parser.add_argument("--json", type=Path)
    o = parser.parse_args(argv)
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for edge in {32, *o.edges}:
            make(folder / f"{edge}.zarr", edge)
        one(folder, 32, o.workers[-1], 128)  # what is compiled is compiled now
        empty = one(folder, 32, o.workers[-1], 0)
        print(f"start-up: {empty.wall:.1f} s, {empty.cpu:.1f} s CPU, {empty.peak / 2**20:.0f} MiB")
        for edge, workers, block in cases(o.edges, o.workers, o.blocks):
            m = one(folder, edge, workers, block)
            wall, cpu = (
                (a - b) / edge**3 * 1e9 for a, b in ((m.wall, empty.wall), (m.cpu, empty.cpu))
            )
            shape = f"{block}^3" if block else "planned"
            print(
                f"{edge:5}^3, {workers} workers, blocks {shape:8} {m.wall:7.1f} s "
                f"{wall:6.1f} ns/voxel, CPU {cpu:6.1f}; {m.peak / 2**20:5.0f} MiB; "
                f"{m.answer} objects"
            )
            found.append({"edge": edge, "workers": workers, "block": block, **asdict(m)})
    if o.json is not None:
        o.json.write_text(json.dumps({"start-up": asdict(empty), "runs": found}, indent=1))


def one(folder: Path, edge: int, workers: int, block: int) -> Measured:
    """Measure one run."""
    out = folder / f"out-{edge}-{workers}-{block}"
    arguments = (str(folder / f"{edge}.zarr"), str(out), str(workers), str(block))
    return measure(MODULE, "run", *arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
