"""The merge of measures with synthetic records: seconds and bytes per object, by what is measured.

Run as ``python -m tests.benchmarks.merge_measures [objects] [blocks] [choices]``; ten million
objects over ten thousand blocks are what the merge is made for (with the first 3 choices: all
moments of so many objects need 20 GB). Each block has objects of its own, and every third of them
goes on in the next block.
"""

from __future__ import annotations

import resource
import sys
import time

import numpy as np

from chunkseg.passes.measure import MeasureRecord, Measures, choose

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


def records(measures: Measures, objects: int, blocks: int) -> list[MeasureRecord]:
    """Records as the sweep leaves them."""
    rng = np.random.default_rng(0)
    each = objects // blocks
    names = [name for c in measures.contributions for name in c.merge]
    found = []
    for block in range(blocks):
        label = np.arange(max(0, block * each - each // 3), (block + 1) * each, dtype=np.int64) + 1
        columns = {}
        for name in names:
            dtype = float if name in ("second", "moments") else DTYPES.get(name, np.int64)
            columns[name] = rng.integers(1, 9, (len(label), *SHAPES[name])).astype(dtype)
        found.append(MeasureRecord(label, columns))
    return found


def peak() -> int:
    """Largest resident memory so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main(objects: int, blocks: int, choices: int) -> None:
    """Print one line per choice; the peak is that of the process, so later ones hide smaller."""
    print(f"{objects} objects in {blocks} blocks, two thirds of them in one block, the rest in two")
    for title, names in list(CHOICES.items())[:choices]:
        measures = choose(names, (1.0, 1.0, 1.0)).swept(with_boxes=False)
        parts = records(measures, objects, blocks)
        kept = sum(p.label.nbytes + sum(c.nbytes for c in p.columns.values()) for p in parts)
        before, wall, cpu = peak(), time.perf_counter(), time.process_time()
        table = measures.table(parts)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        result = sum(column.nbytes for column in table.values())
        print(
            f"{title:26} {wall:7.2f} s wall {cpu:7.2f} s CPU; bytes per object: records "
            f"{kept / objects:5.0f}, table {result / objects:5.0f}, "
            f"more at the peak {max(0, peak() - before) / objects:5.0f}",
            flush=True,
        )
        del parts, table


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    main(*given, *(1_000_000, 1000, len(CHOICES))[len(given) :])
