"""The memory of blocks, as the formulas have it and as it is measured, pass by pass."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chunkseg.plan.costs import pass_costs
from chunkseg.plan.parameters import Parameters
from tests.cost_job import RADIUS, SIGMA, store

ROOT = Path(__file__).parent.parent
GIB = 2**30
EXACT = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}


def job(*arguments: str, **environment: str) -> Any:
    command = [sys.executable, "-m", "tests.cost_job", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, env=os.environ | environment
    )
    return json.loads(done.stdout.splitlines()[-1])


slow = pytest.mark.slow


@pytest.mark.parametrize(
    "dtype", ["uint16", *(pytest.param(d, marks=slow) for d in ("uint8", "float32"))]
)
def test_formulas_are_within_a_quarter_of_what_is_measured(dtype: str) -> None:
    """Labels may need less: how many chunks zarr encodes at a time is a matter of chance."""
    edge = 128
    measured = job("passes", dtype, str(edge), **EXACT)
    costs = pass_costs(Parameters(sigma=SIGMA, erosion_radius=RADIUS), np.dtype(dtype), (1.0,) * 3)
    assert [cost.name for cost in costs] == list(measured)
    for cost in costs:
        # each block of the stack lies in a corner: half of its halo is clipped
        frame = tuple(edge + h for h in cost.halo)
        ratio = measured[cost.name] / cost.peak((edge,) * 3, frame)
        least = 0.5 if cost.name == "labels" else 0.75
        assert least < ratio < 1.25, (cost.name, ratio)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stacks") / "stack.zarr"
    store(path, 256, "uint16")
    return path


@pytest.mark.parametrize(
    "limit", ["512MiB", *(pytest.param(limit, marks=slow) for limit in ("none", "2GiB"))]
)
def test_the_promise_is_kept(stack: Path, limit: str) -> None:
    found = job("run", str(stack), limit)
    assert found["peak"] <= found["promise"] <= found["limit"]
    assert found["peak"] < GIB


@slow
def test_a_stack_eight_times_as_large_needs_no_more(tmp_path: Path) -> None:
    peaks = []
    for edge in (512, 1024):
        store(tmp_path / f"{edge}.zarr", edge, "uint16")
        found = job("run", str(tmp_path / f"{edge}.zarr"), "none")
        assert found["peak"] <= found["promise"]
        peaks.append(found["peak"])
    assert max(peaks) < 1.1 * min(peaks)
    assert max(peaks) < GIB
