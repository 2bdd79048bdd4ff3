"""Tables of many objects: chunkseg over chunks on disk against scikit-image in memory.

Whole processes, reading included, once per set of properties; the tables of both are compared.
``python -m tests.benchmarks.measures [--objects large|small] [--edge 256] [--dask-image]``
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import zarr

MODULE = "tests.benchmarks.measures"
SETS = {
    "first": "label area centroid bbox intensity_mean intensity_min intensity_max",
    "moments": "label inertia_tensor_eigvals axis_major_length axis_minor_length",
    "euler": "label euler_number",
    "hull": "label area_convex solidity feret_diameter_max",
}
CELLS = {"large": (36, 73, 73), "small": (8, 9, 9)}


def make(folder: Path, objects: str, edge: int) -> int:
    """Write labels (an ellipsoid per cell of a lattice) and intensities; return how many."""
    shape, cell = (edge, 2 * edge, 2 * edge), CELLS[objects]
    cells = [n // c for n, c in zip(shape, cell, strict=True)]
    offsets = [(np.arange(n) % c + 0.5) / c - 0.5 for n, c in zip(shape, cell, strict=True)]
    inside = sum(np.meshgrid(*[(2.1 * o) ** 2 for o in offsets], indexing="ij", sparse=True)) < 1
    index = [np.arange(n) // c for n, c in zip(shape, cell, strict=True)]
    number = np.ravel_multi_index(np.ix_(*index), [n + 1 for n in cells]) + 1
    within = [i < n for i, n in zip(index, cells, strict=True)]
    for whole in np.meshgrid(*within, indexing="ij", sparse=True):
        inside &= whole
    labels = (number * inside).astype(np.uint32)
    image = np.random.default_rng(0).integers(0, 4000, shape).astype(np.uint16)
    zarr.create_array(folder / "labels.zarr", data=labels, chunks=(64,) * 3)
    zarr.create_array(folder / "image.zarr", data=image, chunks=(64,) * 3)
    return len(np.unique(labels)) - 1


def in_memory(folder: Path, names: list[str], out: Path) -> None:
    """Measure with scikit-image."""
    import skimage as ski

    labels, image = (
        zarr.open_array(folder / f"{n}.zarr", mode="r")[:] for n in ("labels", "image")
    )
    table = ski.measure.regionprops_table(labels, image, names)
    pd.DataFrame(table).to_parquet(out)


def over_chunks(folder: Path, names: list[str], out: Path) -> None:
    """Measure with chunkseg."""
    import chunkseg as cs

    labels, image = (zarr.open_array(folder / f"{n}.zarr", mode="r") for n in ("labels", "image"))
    cs.regionprops_table(labels, image, names).to_parquet(out)


def dask_image(folder: Path) -> None:
    """Print area and mean of 50 labels: dask_image.ndmeasure against chunkseg."""
    import dask
    import dask.array as da
    from dask_image import ndmeasure

    import chunkseg as cs

    labels, image = (da.from_zarr(folder / f"{n}.zarr") for n in ("labels", "image"))
    wanted = np.arange(1, 51)
    begin = time.perf_counter()
    dask.compute(ndmeasure.area(image, labels, wanted), ndmeasure.mean(image, labels, wanted))
    theirs = time.perf_counter() - begin
    begin = time.perf_counter()
    cs.regionprops_table(labels, image, ("label", "area", "intensity_mean"))
    ours = time.perf_counter() - begin
    print(f"dask-image, area and mean of 50 labels {theirs:6.1f} s")
    print(f"chunkseg, area and mean of all labels  {ours:6.1f} s   ratio {theirs / ours:.1f}")


def compare(objects: str, edge: int, sets: list[str], peer: bool) -> None:
    """Print both sides of each set."""
    from tests.benchmarks.processes import measure, row

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        count = make(folder, objects, edge)
        print(f"{count} objects, {edge} x {2 * edge} x {2 * edge} uint32 labels, uint16 image")
        for chosen in sets:
            sides = {}
            for side in ("in_memory", "over_chunks"):
                out = folder / f"{chosen}-{side}.parquet"
                sides[side] = measure(MODULE, side, str(folder), SETS[chosen], str(out))
            ours, theirs = (pd.read_parquet(folder / f"{chosen}-{s}.parquet") for s in sides)
            same = np.allclose(ours, theirs, rtol=1e-9, equal_nan=True)
            print(row(f"{chosen}: scikit-image in memory", sides["in_memory"]))
            print(row(f"{chosen}: chunkseg", sides["over_chunks"]))
            ratio = sides["in_memory"].wall / sides["over_chunks"].wall
            print(f"  ratio {ratio:.1f}, tables {'equal' if same else 'DIFFER'}")
        if peer:
            dask_image(folder)


def main(argv: list[str]) -> None:
    """Compare, or be one side of it."""
    sides = {"in_memory": in_memory, "over_chunks": over_chunks}
    if argv and argv[0] in sides:
        sides[argv[0]](Path(argv[1]), argv[2].split(), Path(argv[3]))
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("--objects", choices=CELLS, default="large")
    parser.add_argument("--edge", type=int, default=256)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--dask-image", action="store_true")
    options = parser.parse_args(argv)
    compare(options.objects, options.edge, options.sets.split(","), options.dask_image)


if __name__ == "__main__":
    main(sys.argv[1:])
