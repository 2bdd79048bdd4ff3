"""Peak memory does not follow the image: a stack four times as deep needs less than 5 % more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def peak(job: str, folder: Path, tiles: int) -> dict[str, int]:
    folder.mkdir()
    command = [sys.executable, "-m", "tests.memory_job", job, str(folder), str(tiles)]
    root = Path(__file__).parent.parent
    # One arena, and freed blocks given back at once: else glibc keeps some per thread, between
    # nothing and 100 MB as the threads happen to meet, and that is not what is asked here.
    allocator = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "131072"}
    done = subprocess.run(
        command, cwd=root, capture_output=True, text=True, check=True, env=os.environ | allocator
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize(("job", "tiles"), [("workflow", 8), ("steps", 4)])
def test_peak_memory_of_a_stack_four_times_as_deep(job, tiles, tmp_path):
    """From a depth on where all that is bounded by a number, not by the image, is full."""
    shallow = peak(job, tmp_path / "shallow", tiles)
    deep = peak(job, tmp_path / "deep", 4 * tiles)
    assert deep["objects"] == 4 * shallow["objects"] > 0
    assert deep["peak"] < 1.05 * shallow["peak"]
