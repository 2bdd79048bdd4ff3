"""Run as a process of its own: peak memory of the passes, or of a whole run, on a stack of nuclei.

``passes DTYPE EDGE``: bytes above what was resident when each pass began, of blocks of EDGE voxels
in a stack of twice that, one at a time. ``run STACK LIMIT``: the plan's promise and the peak.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import dask
import numpy as np
import zarr

import chunkseg as cs
from chunkseg.runner.resident import peak_memory
from chunkseg.storage.cache import CHUNKS
from tests.benchmarks.merge_measures import resident

SIGMA, RADIUS = 3, 10
WORKFLOW = cs.Workflow(sigma=SIGMA, erosion_radius=RADIUS)


def nuclei(edge: int, dtype: Any) -> np.ndarray[Any, Any]:
    """Touching nuclei, repeated as often as fits."""
    tile = cs.synthetic_nuclei((128,) * 3, count=38, semi_axes=(10, 23), seed=1)
    if np.dtype(dtype) == np.uint8:
        tile = tile // (int(tile.max()) // 256 + 1)
    times = -(-edge // 128)
    return np.tile(tile.astype(dtype), (times,) * 3)[:edge, :edge, :edge]


def store(path: Path, edge: int, dtype: Any) -> None:
    """Write a stack."""
    array = zarr.create_array(path, shape=(edge,) * 3, chunks=(64,) * 3, dtype=dtype)
    array[:] = nuclei(edge, dtype)


def passes(dtype: str, edge: int) -> dict[str, int]:
    """Measure each pass of a run."""
    CHUNKS.resize(0)
    begin: dict[str, int] = {}
    peaks: dict[str, int] = {}

    def progress(name: str, done: int, total: int) -> None:
        if done == 0:
            gc.collect()
            ctypes.CDLL(None).malloc_trim(0)
            Path("/proc/self/clear_refs").write_text("5")  # the peak is now what is resident
            begin[name] = resident("VmRSS")
        elif done == total:
            peaks.setdefault(name, resident("VmHWM") - begin[name])

    with tempfile.TemporaryDirectory() as name, dask.config.set(scheduler="synchronous"):
        folder = Path(name)
        for stage, size in (("warm", 24), ("stack", edge)):
            store(folder / stage, 2 * size, dtype)
            workflow = cs.Workflow(sigma=1, erosion_radius=1) if stage == "warm" else WORKFLOW
            options = {"progress": progress} if stage == "stack" else {}
            workflow.run(
                folder / stage, folder / f"{stage}-out", block_shape=(size,) * 3, **options
            )
    return peaks


def run(stack: str, limit: str) -> dict[str, Any]:
    """Plan and run within a limit; ``none`` for the default."""
    options = {} if limit == "none" else {"memory_limit": limit}
    plan = WORKFLOW.plan(stack, workers=2, **options)
    with tempfile.TemporaryDirectory() as name:
        objects = len(WORKFLOW.run(stack, Path(name) / "out", workers=2, **options).table)
    promise = plan.memory + objects * plan.memory_per_object
    return {"promise": promise, "peak": peak_memory(), "limit": plan.memory_limit}


if __name__ == "__main__":
    job, first, second = sys.argv[1:]
    answer = passes(first, int(second)) if job == "passes" else run(first, second)
    print(json.dumps(answer))
