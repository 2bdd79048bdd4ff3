"""Frames per second of a movie of many small frames.

    python -m tests.benchmarks.frames --frames 1000 --edge 128 --scope movie

prints frames per second (wall and CPU time), tasks and files per frame. On two cores, 5000 frames
of 32 x 32 went by at 50 per second of CPU time, with 4.02 tasks and 0.02 files each.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

import chunkseg as cs


def movie(frames: int, edge: int) -> np.ndarray:
    """Bright squares on a noisy ground, other ones in each frame."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 60, (frames, edge, edge), dtype=np.uint8)
    for frame in pixels:
        for y, x in rng.integers(0, max(1, edge - 10), (8, 2)):
            frame[y : y + 9, x : x + 9] += 150
    return pixels


def measured(frames: int, edge: int, scope: str) -> dict[str, float]:
    """Run a movie once and count."""
    image = cs.from_array(movie(frames, edge), dims="tyx", spacing=1, unit="um")
    tasks: list[int] = []
    with tempfile.TemporaryDirectory() as folder:
        workflow = cs.Workflow(sigma=1, erosion_radius=2, threshold_scope=scope)
        wall, cpu = time.perf_counter(), time.process_time()
        result = workflow.run(
            image,
            Path(folder) / "out",
            progress=lambda name, done, total: tasks.append(total) if done == total else None,
        )
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        files = sum(path.is_file() for path in result.path.rglob("*"))
    return {
        "frames per second (wall)": frames / wall,
        "frames per second (CPU)": frames / cpu,
        "tasks per frame": sum(tasks) / frames,
        "files per frame": files / frames,
    }


def main(argv: list[str] | None = None) -> None:
    """Print the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--edge", type=int, default=128)
    parser.add_argument("--scope", choices=("frame", "movie"), default="frame")
    args = parser.parse_args(argv)
    measured(8, args.edge, args.scope)  # compiles
    for name, value in measured(args.frames, args.edge, args.scope).items():
        print(f"{name:26} {value:10.2f}")


if __name__ == "__main__":
    main()
