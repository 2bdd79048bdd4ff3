"""Freed memory is kept by the command line's process, and by nobody else's."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from chunkseg.cli import entry
from chunkseg.runner import allocator

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


@pytest.mark.parametrize(("platform", "library"), [("darwin", None), ("linux", object())])
def test_other_systems_are_left_alone(
    platform: str, library: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: library)
    assert not allocator.keep_freed_memory()


def test_only_the_command_line_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[bool] = []
    monkeypatch.setattr(entry, "keep_freed_memory", lambda: told.append(True))
    assert entry.main(["info", "nothing-there.tif"]) == 2
    assert told == []
    monkeypatch.setattr(sys, "argv", ["chunkseg", "info", "nothing-there.tif"])
    assert entry.main() == 2
    assert told == [True]
