"""Empty space: a stack of nuclei against one that is 90 % background, per voxel, in one process.

``python -m tests.benchmarks.fill [--edge 384] [--noise]``. In the sparse stack a tenth of the
planes is full and the rest is a constant or, with ``--noise``, faint noise, which has to be blurred
once.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import zarr

import chunkseg as cs
from tests.cost_job import WORKFLOW, nuclei

SHARE = 0.1


def sparse(full: np.ndarray, noise: bool) -> np.ndarray:
    """Keep the tenth of the planes at the beginning; the rest is background."""
    image = full.copy()
    rest = image[round(SHARE * len(full)) :]
    rest[:] = np.random.default_rng(0).integers(0, 30, rest.shape) if noise else 10
    return image


def seconds(image: np.ndarray, folder: Path) -> tuple[float, float]:
    """Wall and CPU seconds of a run."""
    path = folder / "stack.zarr"
    array = zarr.create_array(path, shape=image.shape, chunks=(64,) * 3, dtype=image.dtype)
    array[:] = image
    wall, cpu = time.perf_counter(), time.process_time()
    WORKFLOW.run(path, folder / "out", workers=2, block_shape=(64, 192, 192))
    return time.perf_counter() - wall, time.process_time() - cpu


def main(argv: list[str]) -> None:
    """Compare."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.fill")
    parser.add_argument("--edge", type=int, default=384)
    parser.add_argument("--noise", action="store_true")
    o = parser.parse_args(argv)
    full = nuclei(o.edge, np.uint16)
    with tempfile.TemporaryDirectory() as name:
        warm = np.zeros((24,) * 3, np.uint16)
        warm[8:16, 8:16, 8:16] = 9
        cs.Workflow(sigma=1, erosion_radius=1).run(warm, Path(name) / "warm")
        found = {}
        for what, image in (("full", full), ("sparse", sparse(full, o.noise))):
            folder = Path(name) / what
            folder.mkdir()
            found[what] = seconds(image, folder)
    for what, (wall, cpu) in found.items():
        voxel = 1e9 / full.size
        print(f"{what:7} {wall * voxel:6.1f} ns/voxel wall, {cpu * voxel:6.1f} CPU")
    ratios = [a / b for a, b in zip(found["full"], found["sparse"], strict=True)]
    print(f"empty space is cheaper by {ratios[0]:.1f} (wall), {ratios[1]:.1f} (CPU)")


if __name__ == "__main__":
    main(sys.argv[1:])
