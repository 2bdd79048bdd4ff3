"""The merge of measures with synthetic records: seconds and bytes per object, by what is measured.

Run as ``python -m tests.benchmarks.merge_measures``: ten million objects over ten thousand blocks,
which is what the merge is made for, with records in files of 64 blocks, merged by two threads (see
``--help``). Each block has objects of its own, and every third of them goes on in the next block.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from chunkseg.geometry.boxes import Block, Grid
from chunkseg.passes.measure import MeasureRecord, Measures, choose
from chunkseg.runner.execution import Execution
from chunkseg.runner.merging import merged_frames
from chunkseg.runner.progress import silent
from chunkseg.storage.records import Records

CHOICES: dict[str, list[str]] = {
    "area, centroid, bbox": ["label", "area", "centroid", "bbox"],
    "the same and intensities": ["label", "area", "centroid", "bbox", "intensity"],
    "axis lengths": ["label", "axis_major_length", "axis_minor_length"],
    "all 64 moments": ["label", "moments_central"],
}
SHAPES = {
    **{"num_pixels": (), "bbox_start": (3,), "bbox_stop": (3,), "coordinates": (3,)},
    **{"totals": (1,), "smallest": (1,), "largest": (1,), "deviations": (1,)},
    **{"second": (10,), "moments": (64,)},
}
DTYPES = {"smallest": np.uint16, "largest": np.uint16, "deviations": float}
REGION = 64


def synthetic(
    measures: Measures, objects: int, blocks: int
) -> Iterator[tuple[list[Block], list[MeasureRecord]]]:
    """Records as a sweep makes them, region by region."""
    rng = np.random.default_rng(0)
    each = objects // blocks
    names = [name for c in measures.contributions for name in c.merge]
    grid = Grid(((1,) * blocks, (1,), (1,)))
    for region in grid.regions(1, REGION):
        found = []
        for block in region:
            first = max(0, block.number * each - each // 3)
            label = np.arange(first, (block.number + 1) * each, dtype=np.int64) + 1
            columns = {}
            for name in names:
                dtype = float if name in ("second", "moments") else DTYPES.get(name, np.int64)
                columns[name] = rng.integers(1, 9, (len(label), *SHAPES[name])).astype(dtype)
            found.append(MeasureRecord(label, columns))
        yield region, found


def resident(what: str) -> int:
    """Resident memory of this process in bytes: at present (VmRSS) or at its peak (VmHWM)."""
    status = Path("/proc/self/status").read_text()
    found = re.search(rf"{what}:\s*(\d+) kB", status)
    assert found
    return int(found.group(1)) * 1024


def merge(title: str, objects: int, blocks: int, workers: int, in_files: bool) -> None:
    """Merge one choice and print a line."""
    measures = choose(CHOICES[title], (1.0, 1.0, 1.0)).swept(with_boxes=False)
    with tempfile.TemporaryDirectory() as name:
        records = Records(MeasureRecord, Path(name) / "records" if in_files else None)
        kept = 0
        for number, (region, found) in enumerate(synthetic(measures, objects, blocks)):
            records.append(number, region, found)
            kept += sum(r.label.nbytes + sum(c.nbytes for c in r.columns.values()) for r in found)
        Path("/proc/self/clear_refs").write_text("5")  # the peak is now what is resident
        before, wall, cpu = resident("VmRSS"), time.perf_counter(), time.process_time()
        execution = Execution(workers=workers, client=None)
        ((_, table),) = merged_frames(records, measures, execution, silent)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    assert len(table["label"]) == objects // blocks * blocks
    result = sum(column.nbytes for column in table.values())
    more = max(0, resident("VmHWM") - before)
    print(
        f"{title:26} {wall:7.2f} s wall {cpu:7.2f} s CPU; bytes per object: records "
        f"{kept / objects:5.0f}, table {result / objects:5.0f}, more at the peak than before "
        f"{more / objects:5.0f} (with the table)",
        flush=True,
    )


def main(argv: list[str]) -> None:
    """Print one line per choice."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.merge_measures")
    parser.add_argument("--objects", type=int, default=10_000_000)
    parser.add_argument("--blocks", type=int, default=10_000)
    parser.add_argument("--choices", type=int, default=3, help="how many of the four choices")
    parser.add_argument("--workers", type=int, default=2, help="threads")
    parser.add_argument("--in-memory", action="store_true", help="records in memory, not in files")
    o = parser.parse_args(argv)
    place = "memory" if o.in_memory else "files"
    print(f"{o.objects} objects in {o.blocks} blocks, every third in two; records in {place}")
    for title in list(CHOICES)[: o.choices]:
        merge(title, o.objects, o.blocks, o.workers, not o.in_memory)


if __name__ == "__main__":
    main(sys.argv[1:])
