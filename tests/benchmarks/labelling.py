"""``label`` alone, from a zarr mask to zarr labels, against cc3d in memory and tilewise-ccl.

``python -m tests.benchmarks.labelling [--edge 512] [--repeat 3]``: a mask of balls, 15 %
foreground; whole processes, start-up included, two threads; the labels of chunkseg and cc3d are
compared, of tilewise-ccl, whose ids are others, their number. A side whose library is missing
(``pip install connected-components-3d tilewise-ccl``) is left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
from pathlib import Path

import numpy as np
import zarr

MODULE = "tests.benchmarks.labelling"
CHUNK = (128, 128, 128)


def make(path: Path, edge: int) -> None:
    """Write a mask of balls of radius 8, some in contact: 15 % of the voxels."""
    rng = np.random.default_rng(1)
    places = np.indices((17,) * 3) - 8
    ball = (places**2).sum(axis=0) <= 64
    mask = np.zeros((edge,) * 3, bool)
    for _ in range(round(0.163 * edge**3 / ball.sum())):
        z, y, x = rng.integers(0, edge - 17, 3)
        mask[z : z + 17, y : y + 17, x : x + 17] |= ball
    array = zarr.create_array(path, shape=mask.shape, chunks=CHUNK, dtype=bool)
    array[:] = mask


def idle(path: Path, out: Path) -> None:
    """Only import what the others do."""
    import chunkseg as cs

    cs.open_image(path)


def chunked(path: Path, out: Path) -> None:
    """Label block by block."""
    import chunkseg as cs

    image = cs.open_image(path)
    cs.store(cs.label(image, scratch=out / "local.zarr"), out / "labels.zarr")


def cc3d(path: Path, out: Path) -> None:
    """Label the whole array."""
    import cc3d as library

    labels = library.connected_components(zarr.open_array(path, mode="r")[:].view(np.uint8))
    zarr.create_array(out / "labels.zarr", data=labels.astype(np.uint32), chunks=CHUNK)


def tilewise(path: Path, out: Path) -> None:
    """Label tile by tile: blocks as they are stored, two threads."""
    import dask
    from tilewise_ccl import label_array

    mask = zarr.open_array(path, mode="r")
    labels = label_array(mask, tile_shape=CHUNK, connectivity=3, max_threads=2)
    with dask.config.set(scheduler="threads", num_workers=2):
        labels.to_zarr(str(out / "labels.zarr"))


SIDES = {"idle": idle, "chunked": chunked, "cc3d": cc3d, "tilewise": tilewise}
LIBRARIES = {"cc3d": "cc3d", "tilewise": "tilewise_ccl"}


def main(argv: list[str]) -> None:
    """Compare, or be one side of it."""
    if argv and argv[0] in SIDES:
        SIDES[argv[0]](Path(argv[1]), Path(argv[2]))
        return
    from tests.benchmarks.processes import measure, row

    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}")
    parser.add_argument("--edge", type=int, default=512)
    parser.add_argument("--repeat", type=int, default=3)
    o = parser.parse_args(argv)
    names = [n for n in SIDES if importlib.util.find_spec(LIBRARIES.get(n, "zarr"))]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder / "mask.zarr", o.edge)
        for side in names:
            runs = []
            for turn in range(o.repeat):
                out = folder / f"{side}-{turn}"
                out.mkdir()
                runs.append(measure(MODULE, side, str(folder / "mask.zarr"), str(out)))
            median = sorted(runs, key=lambda m: m.wall)[len(runs) // 2]
            print(row(side, median))
        found = {n: zarr.open_array(folder / f"{n}-0/labels.zarr", mode="r")[:] for n in names[1:]}
    for name, labels in found.items():
        equal = np.array_equal(labels, found["chunked"])
        print(f"{name}: {labels.max()} objects, labels", "equal" if equal else "differ")


if __name__ == "__main__":
    main(sys.argv[1:])
