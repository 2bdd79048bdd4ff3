"""The lesson on a synthetic stack: chunkseg out of core against scikit-image in memory.

Whole processes from a zarr array on disk to labels and table on disk, start-up included. The labels
of both are compared. ``python -m tests.benchmarks.end_to_end [--edge 512] [--repeat 3]``
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
import zarr

MODULE = "tests.benchmarks.end_to_end"
SIGMA, RADIUS = 3, 10


def make(path: Path, edge: int) -> None:
    """Write the stack: one nucleus per 55,000 voxels, semi-axes 10 to 23."""
    import chunkseg as cs

    count = max(2, edge**3 // 55_000)
    pixels = cs.synthetic_nuclei((edge,) * 3, count=count, semi_axes=(10, 23), seed=1)
    array = zarr.create_array(path, shape=pixels.shape, chunks=(64,) * 3, dtype=pixels.dtype)
    array[:] = pixels


def in_memory(path: Path, out: Path) -> None:
    """Do it with scikit-image on the whole array."""
    import pandas as pd
    import skimage as ski

    from tests.lesson import lesson

    image = np.asarray(zarr.open_array(path, mode="r")[:])
    labels = lesson(image, SIGMA, RADIUS).labels
    names = ("label", "area", "bbox", "centroid")
    intensities = ("intensity_mean", "intensity_min", "intensity_max")
    table = pd.DataFrame(ski.measure.regionprops_table(labels, image, names + intensities))
    zarr.create_array(out / "labels.zarr", data=labels.astype(np.uint32), chunks=(64,) * 3)
    table.to_parquet(out / "objects.parquet")
    print(len(table))


def out_of_core(path: Path, out: Path) -> None:
    """Do it with chunkseg."""
    import chunkseg as cs

    result = cs.Workflow(sigma=SIGMA, erosion_radius=RADIUS).run(path, out / "out", workers=2)
    print(len(result.table))


def compare(edge: int, repeat: int) -> None:
    """Print both sides."""
    from tests.benchmarks.processes import measure, row

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stack = folder / "stack.zarr"
        make(stack, edge)
        sides: dict[str, list] = {"in_memory": [], "out_of_core": []}
        for turn in range(repeat):
            for side, runs in sides.items():
                out = folder / f"{side}-{turn}"
                out.mkdir()
                runs.append(measure(MODULE, side, str(stack), str(out)))
        ours = zarr.open_array(folder / "out_of_core-0/out/labels.ome.zarr/0", mode="r")[:]
        theirs = zarr.open_array(folder / "in_memory-0/labels.zarr", mode="r")[:]
    median = {s: sorted(runs, key=lambda m: m.wall)[len(runs) // 2] for s, runs in sides.items()}
    objects = median["out_of_core"].answer
    print(f"{edge}^3 uint16, sigma {SIGMA}, radius {RADIUS}; {objects} objects")
    print(row("scikit-image, whole in memory", median["in_memory"]))
    print(row("chunkseg, out of core, 2 threads", median["out_of_core"]))
    walls = [a.wall / b.wall for a, b in zip(*sides.values(), strict=True)]
    cpus = [a.cpu / b.cpu for a, b in zip(*sides.values(), strict=True)]
    print(f"ratio: wall {statistics.median(walls):.1f}, CPU {statistics.median(cpus):.1f}")
    print("labels equal" if np.array_equal(ours, theirs) else "LABELS DIFFER")


def main(argv: list[str]) -> None:
    """Compare, or be one side of it."""
    sides = {"in_memory": in_memory, "out_of_core": out_of_core}
    if argv and argv[0] in sides:
        sides[argv[0]](Path(argv[1]), Path(argv[2]))
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("--edge", type=int, default=512)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args(argv)
    compare(options.edge, options.repeat)


if __name__ == "__main__":
    main(sys.argv[1:])
