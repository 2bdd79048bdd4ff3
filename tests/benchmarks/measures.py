"""Tables of many objects: chunkseg over chunks on disk against scikit-image in memory.

Per group of properties, both sides from one run: whole processes (start-up, reading, writing the
table), and the call alone, with the reading of the files, after a first call on a tiny image has
imported and loaded what is needed. The tables of both are compared.

``python -m tests.benchmarks.measures`` takes 343 large and 100,352 small objects in 256 x 512 x 512
voxels; see ``--help``. scikit-image draws each convex hull voxel by voxel: hulls are measured, by
both sides, of a sample of the objects, the others being erased.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import zarr

from tests.benchmarks.processes import measure

MODULE = "tests.benchmarks.measures"
SETS = {
    "first": "label area centroid bbox intensity_mean intensity_min intensity_max",
    "moments": "label inertia_tensor_eigvals axis_major_length axis_minor_length",
    "weighted": "label centroid_weighted moments_weighted",
    "euler": "label euler_number",
    "hull": "label area_convex solidity feret_diameter_max",
}
CELLS = {"large": (36, 73, 73), "small": (8, 9, 9)}
SAMPLED = {"large": 20, "small": 2000}
SIDES = {"in_memory": "scikit-image in memory", "over_chunks": "chunkseg over chunks"}


@dataclass
class Figures:
    """Medians of one side: seconds of the whole process and of the call alone; peak in bytes."""

    wall: float
    cpu: float
    peak: float
    call_wall: float
    call_cpu: float


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
    there = np.unique(labels)[1:]
    sample = np.isin(labels, there[:: max(1, len(there) // SAMPLED[objects])][: SAMPLED[objects]])
    arrays = {"labels": labels, "sample": labels * sample, "image": image}
    for name, data in arrays.items():
        zarr.create_array(folder / f"{name}.zarr", data=data, chunks=(64,) * 3)
    return len(there)


def opened(folder: Path, chosen: str) -> list[Any]:
    """Labels (for hulls the sample of them) and image, not read yet."""
    names = ("sample" if chosen == "hull" else "labels", "image")
    return [zarr.open_array(folder / f"{name}.zarr", mode="r") for name in names]


def in_memory(labels: Any, image: Any, names: list[str]) -> pd.DataFrame:
    """Measure with scikit-image."""
    import skimage as ski

    return pd.DataFrame(ski.measure.regionprops_table(labels[:], image[:], names))


def over_chunks(labels: Any, image: Any, names: list[str]) -> pd.DataFrame:
    """Measure with chunkseg."""
    import chunkseg as cs

    return cs.regionprops_table(labels, image, names)


CALLS: dict[str, Callable[..., pd.DataFrame]] = {
    "in_memory": in_memory,
    "over_chunks": over_chunks,
}


def one_side(side: str, folder: Path, chosen: str) -> None:
    """Measure, write the table, and print the seconds of the call alone."""
    names = SETS[chosen].split()
    tiny = np.ones((4, 4, 4), np.uint32)
    CALLS[side](tiny, tiny.astype(np.uint16), names)
    wall, cpu = time.perf_counter(), time.process_time()
    table = CALLS[side](*opened(folder, chosen), names)
    seconds = [time.perf_counter() - wall, time.process_time() - cpu]
    table.to_parquet(folder / f"{chosen}-{side}.parquet")
    print(json.dumps(seconds))


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


def figures(side: str, folder: Path, chosen: str) -> Figures:
    """Measure one process."""
    found = measure(MODULE, side, str(folder), chosen)
    return Figures(found.wall, found.cpu, found.peak, *json.loads(found.answer))


def medians(runs: list[Figures]) -> Figures:
    """Median of each figure."""
    columns = zip(*(asdict(run).values() for run in runs), strict=True)
    return Figures(*map(statistics.median, columns))


def row(name: str, f: Figures) -> str:
    """Return a line of a table."""
    whole = f"{f.wall:7.1f} s {f.cpu:7.1f} s CPU {f.peak / 2**20:6.0f} MiB"
    return f"{name:<34} process {whole}; call {f.call_wall:7.2f} s {f.call_cpu:7.2f} s CPU"


def same(folder: Path, chosen: str) -> bool:
    """Whether both sides' tables are equal."""
    ours, theirs = (pd.read_parquet(folder / f"{chosen}-{side}.parquet") for side in SIDES)
    return np.allclose(ours, theirs, rtol=1e-9, equal_nan=True)


def compare(folder: Path, objects: str, chosen: str, repeat: int) -> dict[str, Any]:
    """Print and return both sides of one set."""
    runs: dict[str, list[Figures]] = {side: [] for side in SIDES}
    for _ in range(repeat):
        for side in SIDES:
            runs[side].append(figures(side, folder, chosen))
    found = {side: medians(runs[side]) for side in SIDES}
    for side, title in SIDES.items():
        print(row(f"{chosen}: {title}", found[side]))
    theirs, ours = (asdict(found[side]) for side in SIDES)
    ratios = {name: theirs[name] / ours[name] for name in theirs}
    equal = same(folder, chosen)
    of = f"{SAMPLED[objects]} objects, " if chosen == "hull" else ""
    print(
        f"  {of}ratios: process {ratios['wall']:.1f} wall, {ratios['cpu']:.1f} CPU; "
        f"call {ratios['call_wall']:.1f} wall, {ratios['call_cpu']:.1f} CPU; "
        f"tables {'equal' if equal else 'DIFFER'}",
        flush=True,
    )
    return {side: asdict(found[side]) for side in SIDES} | {"ratios": ratios, "equal": equal}


def run(objects: str, options: argparse.Namespace) -> dict[str, Any]:
    """Make the images of one kind of objects and compare all sets."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        count = make(folder, objects, options.edge)
        shape = f"{options.edge} x {2 * options.edge} x {2 * options.edge}"
        print(f"{count} objects, {shape} uint32 labels, uint16 image; medians of {options.repeat}")
        sets = options.sets.split(",")
        found = {chosen: compare(folder, objects, chosen, options.repeat) for chosen in sets}
        if options.dask_image:
            dask_image(folder)
    return {"objects": count, "edge": options.edge, "repeat": options.repeat, "sets": found}


def main(argv: list[str]) -> None:
    """Compare, or be one side of it."""
    if argv and argv[0] in SIDES:
        one_side(argv[0], Path(argv[1]), argv[2])
        return
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}")
    parser.add_argument("--objects", default=",".join(CELLS), help="large, small or both")
    parser.add_argument("--edge", type=int, default=256, help="planes; rows and columns are twice")
    parser.add_argument("--sets", default=",".join(SETS), help="groups of properties")
    parser.add_argument("--repeat", type=int, default=3, help="how often each side runs")
    parser.add_argument("--dask-image", action="store_true", help="compare dask_image.ndmeasure")
    parser.add_argument("--json", type=Path, help="file for all figures")
    options = parser.parse_args(argv)
    found = {objects: run(objects, options) for objects in options.objects.split(",")}
    if options.json:
        options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
