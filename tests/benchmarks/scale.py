"""A stack of any size without the disk: mostly background, its objects known by formula.

``python -m tests.benchmarks.scale [--tiles 19 18 18] [--every 32]`` runs the workflow over a source
that makes its voxels up: tiles of 256 voxels along an edge, of which one of ``every`` holds a dozen
balls and the others nothing. One tile through scikit-image tells the mask, the volumes and the
first voxels of its objects; shifted to their tiles and ranked by first voxel, those are the labels
of the whole. All sizes, places and intensities, and the labels of some tiles, must be exactly so.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import skimage as ski
import zarr

import chunkseg as cs
from chunkseg.api.planning import PER_OBJECT
from chunkseg.geometry.boxes import Box, Grid
from chunkseg.storage.leaves import Region
from chunkseg.storage.sources import as_dask
from tests.benchmarks.merge_measures import resident
from tests.lesson import from_mask

SIGMA, RADIUS, BINS = 1, 2, 256


@lru_cache(maxsize=1)
def tile(edge: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Balls of different sizes, some in contact, away from the tile's ends."""
    rng = np.random.default_rng(5)
    image = np.zeros((edge,) * 3, np.uint8)
    places = np.indices(image.shape, sparse=True)
    margin = edge // 4
    for centre in rng.integers(margin, edge - margin, (12, 3)):
        radius = rng.uniform(0.03, 0.07) * edge
        apart = sum((p - c) ** 2 for p, c in zip(places, centre, strict=True))
        image[apart < radius**2] = rng.integers(150, 250)
    return image


@dataclass(frozen=True)
class Tiled(Region):
    """Tiles along three axes, of which one of ``every`` holds objects."""

    tiles: tuple[int, int, int]
    every: int
    edge: int
    dtype = np.dtype(np.uint8)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(n * self.edge for n in self.tiles)

    @property
    def chunks(self) -> tuple[int, ...]:
        return (min(64, self.edge),) * 3

    def full(self, index: tuple[int, ...]) -> bool:
        """Whether a tile holds objects."""
        return (index[0] + 2 * index[1] + 3 * index[2]) % self.every == 0

    def occupied(self) -> list[tuple[int, ...]]:
        """The tiles that hold objects."""
        return [i for i in itertools.product(*map(range, self.tiles)) if self.full(i)]

    def _read(self, spans: tuple[slice, ...]) -> Any:
        box = Box(tuple(s.start for s in spans), tuple(s.stop for s in spans))
        out = np.zeros(box.shape, self.dtype)
        for block in Grid.regular(self.shape, (self.edge,) * 3).overlapping(box):
            if self.full(block.index):
                part = block.core.intersect(box)
                inside = tile(self.edge)[part.slices(origin=block.core.start)]
                out[part.slices(origin=box.start)] = inside
        return out


@dataclass(frozen=True)
class Expected:
    """What the whole must give: its table, and the labels of a tile by the tile's own."""

    table: pd.DataFrame
    labels: np.ndarray[Any, Any]
    ids: dict[tuple[int, ...], np.ndarray[Any, Any]]


def expected(source: Tiled) -> Expected:
    """By one tile in memory, and arithmetic."""
    image = tile(source.edge)
    blurred = ski.filters.gaussian(image, SIGMA)
    counts, edges = np.histogram(blurred, BINS)
    occupied = source.occupied()
    nothing = np.prod(source.tiles) - len(occupied)
    counts = counts * len(occupied)
    counts[0] += nothing * image.size
    threshold = ski.filters.threshold_otsu(hist=(counts, (edges[:-1] + edges[1:]) / 2))
    labels = from_mask(blurred > threshold, RADIUS).labels
    names = ("label", "area", "bbox", "centroid", "intensity_mean", "intensity_max")
    own = pd.DataFrame(ski.measure.regionprops_table(labels, image, names))
    first = np.array([np.argmax(labels == n) for n in own["label"]])
    places = np.stack(np.unravel_index(first, labels.shape), axis=1)
    starts = np.array(occupied) * source.edge
    flat = np.ravel_multi_index(
        tuple((starts[:, None, :] + places[None]).reshape(-1, 3).T), source.shape
    )
    ranks = np.empty(len(flat), np.int64)
    ranks[np.argsort(flat)] = np.arange(1, len(flat) + 1)
    whole = pd.concat([own] * len(occupied), ignore_index=True)
    whole["label"] = ranks
    for axis in range(3):
        shift = np.repeat(starts[:, axis], len(own))
        for name in (f"bbox-{axis}", f"bbox-{axis + 3}", f"centroid-{axis}"):
            whole[name] += shift
    ids = {
        index: np.append(0, each)
        for index, each in zip(occupied, ranks.reshape(len(occupied), -1), strict=True)
    }
    return Expected(whole.sort_values("label", ignore_index=True), labels, ids)


def compare(source: Tiled, result: cs.Result, truth: Expected) -> int:
    """Compare table and some tiles; return the number of objects."""
    table = result.table
    for name in truth.table:
        found, wanted = table[name].to_numpy(), truth.table[name].to_numpy()
        if wanted.dtype.kind == "f":
            np.testing.assert_allclose(found, wanted, rtol=1e-12)
        else:
            np.testing.assert_array_equal(found, wanted)
    array = zarr.open_array(result.path / "labels.ome.zarr/0", mode="r")
    for index in _some(list(truth.ids)):
        start = [i * source.edge for i in index]
        here = array[tuple(slice(a, a + source.edge) for a in start)]
        np.testing.assert_array_equal(here, truth.ids[index][truth.labels])
    return len(table)


def _some(indices: list[tuple[int, ...]]) -> Iterator[tuple[int, ...]]:
    yield from (indices[0], indices[len(indices) // 2], indices[-1])


def run(tiles: tuple[int, int, int], every: int, edge: int, **options: Any) -> str:
    """Run, compare, and return a line."""
    source = Tiled(tiles, every, edge)
    truth = expected(source)
    image = cs.from_array(as_dask(source, (edge,) * 3), dims="zyx")
    Path("/proc/self/clear_refs").write_text("5")  # the peak is now what is resident
    before, wall, cpu = resident("VmRSS"), time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as name:
        workflow = cs.Workflow(sigma=SIGMA, erosion_radius=RADIUS)
        result = workflow.run(image, Path(name) / "out", **options)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        peak = resident("VmHWM")
        objects = compare(source, result, truth)
        files = sum(1 for path in result.path.rglob("*") if path.is_file())
        spent = result.run["seconds"]
    voxels = float(np.prod(source.shape, dtype=float))
    return (
        f"{voxels / 1e9:.3g} gigavoxels, {objects} objects, as expected: {wall:.0f} s wall, "
        f"{cpu:.0f} s CPU, {voxels / wall / 1e6:.0f} megavoxels/s; peak {peak >> 20} MiB "
        f"(before: {before >> 20}), tables {PER_OBJECT * objects >> 20} MiB at most; "
        f"{files} files; {spent}"
    )


def main(argv: list[str]) -> None:
    """Run and print a line."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.scale")
    parser.add_argument("--tiles", type=int, nargs=3, default=(19, 18, 18))
    parser.add_argument("--every", type=int, default=32)
    parser.add_argument("--edge", type=int, default=256)
    parser.add_argument("--workers", type=int, default=2)
    o = parser.parse_args(argv)
    print(run(tuple(o.tiles), o.every, o.edge, workers=o.workers))


if __name__ == "__main__":
    main(sys.argv[1:])
