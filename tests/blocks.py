"""Block calls of a run, counted by pass, frame and number, with faults as a table says."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import dask
import pytest

from chunkseg.runner import retries, sweep
from chunkseg.storage.runs import RunStore
from chunkseg.storage.sinks import Sink

Key = tuple[str, int, int]


class OddError(Exception):
    """An error of a library, say."""


@dataclass
class Blocks:
    """Counts the calls, and makes them fail.

    Attributes
    ----------
    faults
        What each attempt does, by pass, frame and number: ``""`` nothing, ``"raise"``, ``"sleep"``,
        ``"half"`` to write, lose a part of it and raise, ``"twice"``.
    calls
        How often each was begun.
    """

    faults: Mapping[Key, Sequence[str]] = field(default_factory=dict)
    calls: Counter[Key] = field(default_factory=Counter)

    def of(self, name: str) -> dict[tuple[int, int], int]:
        """Count of the calls of one pass."""
        return {key[1:]: n for key, n in self.calls.items() if key[0] == name}

    @contextmanager
    def watched(self, threads: bool = False) -> Iterator[Blocks]:
        """Within it, block calls are counted and fail; there are no pauses between attempts."""
        begun = sweep.block_call

        def block_call(task: Any, block: Any, *more: Any) -> Any:
            call = begun(task, block, *more)
            key = task.name, block.frame, block.number
            return replace(call, function=self._counted(call.function, key))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sweep, "block_call", block_call)
            patch.setattr(retries.time, "sleep", lambda seconds: None)
            with dask.config.set(scheduler=None if threads else "synchronous"):
                yield self

    def _counted(self, function: Any, key: Key) -> Any:
        def counted(*arrays: Any) -> Any:
            attempt = self.calls[key]
            self.calls[key] += 1
            faults = self.faults.get(key, ())
            return _fault(faults[attempt] if attempt < len(faults) else "", function, arrays)

        return counted


_sleep = time.sleep


def _fault(kind: str, function: Any, arrays: Any) -> Any:
    if kind == "raise":
        raise OddError("odd")
    if kind == "sleep":
        _sleep(0.05)
    if kind == "half":
        with half_written():
            function(*arrays)
        raise OddError("half")
    if kind == "twice":
        function(*arrays)
    return function(*arrays)


@contextmanager
def half_written() -> Iterator[None]:
    """Within it, of what is written a part is lost."""
    from tests import killing

    def cut(write: Any, files: Any) -> Any:
        def wrapped(sink: Any, frame: int, box: Any, data: Any) -> None:
            write(sink, frame, box, data)
            killing.cut(files(sink, frame, box))

        return wrapped

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sink, "write", cut(Sink.write, killing.chunks))
        patch.setattr(RunStore, "write", cut(RunStore.write, killing.runs))
        yield


def truncate(path: Path) -> bytes:
    """Cut a file in half, and return what it held."""
    content = path.read_bytes()
    os.truncate(path, len(content) // 2)
    return content
