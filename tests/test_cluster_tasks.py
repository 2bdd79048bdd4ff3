"""The tasks of a workflow as a cluster sees them: small, and harmless if run twice."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
import zarr

import chunkseg as cs
from chunkseg.runner.calls import Advance, Call
from chunkseg.runner.execution import Execution

PAYLOAD = 10_000
TIMES = {"run.json", "report.html"}


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A noisy image of many small objects."""
    path = tmp_path / "image.zarr"
    array = zarr.create_array(str(path), shape=(32, 32, 32), chunks=(8, 8, 8), dtype="u2")
    array[:] = np.random.default_rng(3).integers(0, 60, array.shape)
    return path


def run(image: Path, out: Path, block: tuple[int, ...], **options: Any) -> Any:
    workflow = cs.Workflow(sigma=0.8, erosion_radius=1, clear_border=False)
    return workflow.run(image, out, block_shape=block, **options)


def test_payload(image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrays and look-up tables go by their path, however many objects there are."""
    largest: dict[str, int] = {}
    compute = Execution.compute

    def measured(self: Execution, calls: list[Call], advance: Advance) -> list[Any]:
        for call in calls:
            size = len(cloudpickle.dumps(call.function))
            largest[call.name] = max(size, largest.get(call.name, 0))
            assert not call.arrays
        return compute(self, calls, advance)

    monkeypatch.setattr(Execution, "compute", measured)
    result = run(image, tmp_path / "out", (8, 8, 8), keep=("mask", "seeds", "expanded"))
    assert result.counts["eroded"].max() > 50
    assert {"range", "seeds", "objects", "labels"} <= set(largest)
    assert max(largest.values()) < PAYLOAD, largest


def contents(folder: Path) -> dict[str, str]:
    """Digest of each file of an output, but for those that hold times."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in TIMES
    }


def test_tasks_that_run_twice_at_the_same_time(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a worker is thought lost but is not: the same bytes, and no error."""
    run(image, tmp_path / "once", (8, 16, 16), workers=2)
    compute = Execution.compute
    seen = []

    def twice(self: Execution, calls: list[Call], advance: Advance) -> list[Any]:
        seen.append(len(calls))
        both = [call for call in calls for _ in range(2)]
        return compute(self, both, lambda n: None)[::2]

    monkeypatch.setattr(Execution, "compute", twice)
    run(image, tmp_path / "twice", (8, 16, 16), workers=4)
    assert sum(seen) >= 4 * 16
    assert contents(tmp_path / "twice") == contents(tmp_path / "once")
