"""Memory of a while: what a thread sees of it, and where a run tells it."""

from __future__ import annotations

import mmap
import threading
import time

import numpy as np
import pytest

import chunkseg as cs
from chunkseg.runner import resident
from chunkseg.runner.outcome import spent_of
from chunkseg.runner.resident import peak_memory, resident_memory, watched

SIZE = 2**26


def written(size: int) -> mmap.mmap:
    """Memory that is given back when it is closed, whatever the allocator was told before."""
    memory = mmap.mmap(-1, size)
    for _ in range(size >> 20):
        memory.write(bytes(2**20))
    return memory


def test_a_peak_in_between_is_seen_and_the_former_one_is_not():
    written(2 * SIZE).close()
    with watched(0.005) as peak:
        taken = written(SIZE)
        high = resident_memory()
        time.sleep(0.2)
        taken.close()
        low = resident_memory()
    assert high - low > SIZE // 2
    assert high - SIZE // 8 <= peak.bytes <= high + SIZE // 2
    assert peak.bytes <= 1.05 * peak_memory()


def test_the_thread_ends_with_what_it_watches():
    with pytest.raises(KeyError), watched():
        raise KeyError
    assert "chunkseg-memory" not in {thread.name for thread in threading.enumerate()}


def test_where_the_system_does_not_tell_it_is_the_peak_of_all(tmp_path, monkeypatch):
    monkeypatch.setattr(resident, "STATM", tmp_path / "none")
    monkeypatch.setattr(resident, "STATUS", tmp_path / "none")
    assert resident_memory() == peak_memory() > 2**20


def test_a_run_tells_the_memory_of_each_pass(tmp_path):
    image = cs.synthetic_nuclei((12, 40, 40))
    run = cs.Workflow(sigma=1, erosion_radius=2).run(image, tmp_path / "out").run
    assert list(run["pass_memory_bytes"]) == list(run["seconds"])
    assert {"seeds", "objects", "labels"} <= set(run["seconds"])
    assert all(0 < b <= 1.05 * run["peak_memory_bytes"] for b in run["pass_memory_bytes"].values())
    assert set(run["seconds"]["seeds"]) == {"wall", "cpu"}


def test_added_frames_keep_the_larger_memory_and_add_up_the_seconds(tmp_path):
    movie = cs.from_array(np.stack([cs.synthetic_nuclei((40, 40), seed=s) for s in (1, 2)]), "tyx")
    workflow = cs.Workflow(sigma=1)
    first = spent_of(workflow.run(movie[:1], tmp_path / "out").run)
    both = spent_of(workflow.run(movie, tmp_path / "out").run)
    for name in first:
        assert both[name]["memory"] >= first[name]["memory"]
        assert both[name]["wall"] > first[name]["wall"]
