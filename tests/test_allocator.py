"""Freed memory: kept by the command line's process only, given back between regions."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import numpy as np
import pytest

import chunkseg as cs
from chunkseg.cli import entry
from chunkseg.runner import allocator, sweep

GLIBC = sys.platform.startswith("linux") and hasattr(ctypes.CDLL(None), "mallopt")
FAULTS = """
import resource, sys
import numpy as np
from chunkseg.runner.allocator import keep_freed_memory
assert keep_freed_memory() or sys.argv[1] == "left"
"""
TURNS = """
for turn in range(20):
    if turn == 10:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(2**23, np.uint8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(kept: bool) -> int:
    """Page faults of ten arrays of 8 MiB, made and freed one after the other."""
    head = FAULTS if kept else "import resource, sys\nimport numpy as np\n"
    environment = {"NUMPY_MADVISE_HUGEPAGE": "0", "MALLOC_MMAP_THRESHOLD_": "1048576"}
    command = [sys.executable, "-c", head + TURNS, "kept" if kept else "left"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return int(done.stdout)


@pytest.mark.skipif(not GLIBC, reason="only glibc's allocator is told")
def test_memory_that_was_freed_is_used_again() -> None:
    assert faults(kept=True) < faults(kept=False) / 10


PINNED = """
import numpy as np
from chunkseg.runner.allocator import give_back_freed_memory
from chunkseg.runner.resident import resident_memory
pieces = [np.ones(2**16, np.uint8) for _ in range(1000)]
held = resident_memory()
del pieces[:-1]
left = resident_memory()
assert give_back_freed_memory()
print(held - left, left - resident_memory())
"""


@pytest.mark.skipif(not GLIBC, reason="only glibc's allocator is told")
def test_memory_below_a_piece_in_use_is_given_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PINNED], capture_output=True, text=True, check=True
    )
    by_itself, given_back = map(int, done.stdout.split())
    assert by_itself < 2**22
    assert given_back > 900 * 2**16


def test_a_sweep_gives_back_after_each_region(monkeypatch: pytest.MonkeyPatch) -> None:
    given_back: list[bool] = []
    monkeypatch.setattr(sweep, "give_back_freed_memory", lambda: given_back.append(True))
    monkeypatch.setattr(sweep, "REGION_BLOCKS", 4)
    cs.threshold_otsu(cs.from_array(np.arange(10), dims="x").chunk(x=1).data)
    assert len(given_back) == 2 * 3


@pytest.mark.parametrize(("platform", "library"), [("darwin", None), ("linux", object())])
def test_other_systems_are_left_alone(
    platform: str, library: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: library)
    assert not allocator.keep_freed_memory()
    assert not allocator.give_back_freed_memory()


def test_only_the_command_line_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[bool] = []
    monkeypatch.setattr(entry, "keep_freed_memory", lambda: told.append(True))
    assert entry.main(["info", "nothing-there.tif"]) == 2
    assert told == []
    monkeypatch.setattr(sys, "argv", ["chunkseg", "info", "nothing-there.tif"])
    assert entry.main() == 2
    assert told == [True]
