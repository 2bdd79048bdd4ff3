"""Handing over the work of very many blocks: one sweep whose tasks do nothing.

``python -m tests.benchmarks.driver [--blocks 100000]``: seconds and peak memory of the driver
(regions, calls, dask's tasks, records in files), and seconds of merging the records.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chunkseg.geometry.boxes import Block, Box
from chunkseg.geometry.layout import Layout
from chunkseg.passes.components import ComponentsPass, ComponentsRecord
from chunkseg.runner.execution import Execution
from chunkseg.runner.sweep import Input, Sweeper
from chunkseg.storage.records import Records
from tests.benchmarks.merge_measures import resident
from tests.benchmarks.stitching import grid_of


@dataclass(frozen=True)
class Nothing:
    """An array of any size of which every part reads as one voxel."""

    shape: tuple[int, ...]
    dtype = np.dtype(np.uint8)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def chunks(self) -> tuple[int, ...]:
        return (64,) * self.ndim

    def __getitem__(self, index: Any) -> Any:
        return np.zeros((1,) * self.ndim, self.dtype)


@dataclass(frozen=True)
class Stub:
    """A task that reads nothing much and finds no component."""

    frame: Box
    name: str = "stub"

    def reads(self, block: Block) -> Sequence[Box | None]:
        return (block.core.grow((22, 22, 22), self.frame),)

    def __call__(self, block: Block, array: Any) -> ComponentsRecord:
        return ComponentsPass(3).empty(block.core, self.frame)


def sweep(blocks: int, folder: Path, workers: int = 2) -> tuple[int, int]:
    """Sweep over about so many blocks and merge; return blocks and components."""
    grid = grid_of(blocks)
    source = Nothing(grid.shape)
    layout = Layout.of(grid.shape)
    sweeper: Sweeper[ComponentsRecord] = Sweeper(grid, range(1), Execution(workers, client=None))
    records = Records(ComponentsRecord, folder)
    sweeper.run(Stub(grid.frame), [Input(source, layout)], records)
    wall = time.perf_counter()
    found = ComponentsPass(3).merge(iter(records), grid)
    print(f"merge {time.perf_counter() - wall:.1f} s", end="; ")
    return len(grid), found.count


def main(argv: list[str]) -> None:
    """Sweep and print a line."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.driver")
    parser.add_argument("--blocks", type=int, default=100_000)
    o = parser.parse_args(argv)
    wall, cpu = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as name:
        blocks, _ = sweep(o.blocks, Path(name) / "records")
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(
        f"{blocks} blocks: {wall:.1f} s wall, {cpu:.1f} s CPU, peak {resident('VmHWM') >> 20} MiB"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
