"""Calls that go wrong as a table says, and that leave a trace of each attempt in a folder."""

from __future__ import annotations

import errno
import os
import signal
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chunkseg.errors import KindError, ParameterError, PixelError
from chunkseg.runner.calls import Call
from chunkseg.runner.execution import Execution, Failure

HANG = 3600


class OddError(Exception):
    """An error of a library, say."""


@dataclass(frozen=True)
class Faulty:
    """Does one fault after the other, attempt by attempt, and then returns its number.

    ``faults`` holds what each attempt does: ``""`` nothing, ``"raise"``, ``"memory"``, ``"full"``,
    ``"kind"``, ``"sleep"``, ``"hang"``, ``"kill"``...
    """

    folder: Path
    number: int
    faults: Sequence[str]

    def __call__(self, *arrays: Any) -> int:
        attempt = attempts(self.folder, self.number)
        (self.folder / f"{self.number}-{uuid.uuid4().hex}").touch()
        if attempt < len(self.faults):
            fault(self.faults[attempt])
        return self.number + sum(int(np.sum(a)) for a in arrays)


def fault(kind: str) -> None:
    errors = {
        "raise": OddError("odd"),
        "read": OSError(errno.EIO, "Input/output error", "/data/c/0/0"),
        "memory": MemoryError("too much"),
        "full": OSError(errno.ENOSPC, "No space left on device"),
        "quota": OSError(errno.EDQUOT, "Disk quota exceeded", "/tmp/c/0"),
        "large": OSError(errno.EFBIG, "File too large"),
        "parameter": ParameterError("not so"),
        "kind": KindError("not that"),
        "pixel": PixelError("NaN"),
        "import": ModuleNotFoundError("No module named 'chunkseg'"),
        "interrupt": KeyboardInterrupt(),
    }
    if kind in errors:
        raise errors[kind]
    if kind == "nap":
        time.sleep(0.05)
    if kind == "sleep":
        time.sleep(0.2)
    if kind == "hang":
        time.sleep(HANG)
    if kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)


def attempts(folder: Path, number: int) -> int:
    """How often a call was begun."""
    return sum(1 for _ in folder.glob(f"{number}-*"))


def table(folder: Path, *rows: Sequence[str]) -> list[Call]:
    """Return a call per row of faults."""
    return [
        Call(Faulty(folder, number, row), "seeds", where=f"block {number}")
        for number, row in enumerate(rows)
    ]


def counts(folder: Path, calls: Sequence[Call]) -> list[int]:
    """How often each call was begun."""
    return [attempts(folder, number) for number in range(len(calls))]


def check_attempts(execution: Execution, folder: Path) -> None:
    """A call that raises is tried three times; the others go on and are called once."""
    told: list[int] = []
    calls = table(folder, [], ["raise"], ["read"] * 2, ["raise"] * 3, ["raise"] * 9, ["sleep"])
    results = execution.compute(calls, told.append)
    assert counts(folder, calls) == [1, 2, 3, 3, 3, 1]
    assert [results[i] for i in (0, 1, 2, 5)] == [0, 1, 2, 5]
    for failure in results[3:5]:
        assert isinstance(failure, Failure)
        assert isinstance(failure.error, OddError)
        assert failure.attempts == 3
    assert sum(told) == 6
