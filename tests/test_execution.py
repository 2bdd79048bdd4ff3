"""Calls that fail, starve, hang or are refused, on threads: exact attempts, results in order."""

from __future__ import annotations

import errno
import logging
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest

from chunkseg.errors import (
    ChunksegError,
    KindError,
    MemoryLimitError,
    ParameterError,
    PixelError,
    StalledError,
    StorageFullError,
)
from chunkseg.runner.calls import Call, listed, new_key
from chunkseg.runner.execution import Execution, stall_seconds
from tests.faults import Faulty, OddError, check_attempts, counts, table


def on_threads(workers: int = 2, **options: Any) -> Execution:
    return Execution(workers, None, **{"pause": 0.001, "stall": 30.0, **options})


def amid(folder: Path, fault: str) -> list[Call]:
    """A fault amid calls that take a little time."""
    rows: list[list[str]] = [["nap"]] * 21
    rows[10] = [fault]
    return table(folder, *rows)


def ignore(n: int) -> None:
    """No progress is told."""


def test_results_come_in_order(tmp_path: Path) -> None:
    told: list[int] = []
    calls = table(tmp_path, ["sleep"], [], [], ["sleep"], [])
    assert on_threads().compute(calls, told.append) == [0, 1, 2, 3, 4]
    assert sum(told) == 5
    assert on_threads().compute([], told.append) == []


def test_attempts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "chunkseg"):
        check_attempts(on_threads(), tmp_path)
    said = [r.getMessage() for r in caplog.records]
    assert len(said) == 1 + 2 + 3 + 3
    assert "seeds, block 1: attempt 1 of 3 failed: OddError: odd; trying again" in said
    assert "seeds, block 4: attempt 3 of 3 failed: OddError: odd; going on without it" in said


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_number_of_attempts(tmp_path: Path, attempts: int) -> None:
    calls = table(tmp_path, ["raise"] * 9)
    (failure,) = on_threads(attempts=attempts).compute(calls, ignore)
    assert failure.attempts == attempts
    assert counts(tmp_path, calls) == [attempts]


def test_pauses_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    on_threads(pause=1.0).compute(table(tmp_path, ["raise"] * 2, [], ["raise"]), ignore)
    assert pauses == [1.0, 4.0]


@pytest.mark.parametrize(
    ("fault", "error"),
    [("parameter", ParameterError), ("kind", KindError), ("pixel", PixelError)],
)
def test_refused_at_once(tmp_path: Path, fault: str, error: type[ChunksegError]) -> None:
    calls = amid(tmp_path, fault)
    with pytest.raises(error):
        on_threads().compute(calls, ignore)
    tried = counts(tmp_path, calls)
    assert tried[10] == 1
    assert sum(tried) <= 14, "the rest is not begun"


@pytest.mark.parametrize(
    ("fault", "number", "said"),
    [
        ("full", errno.ENOSPC, "no space is left on the disk"),
        ("quota", errno.EDQUOT, r"the quota is used up.*free in /tmp: [0-9.e+]+ GB"),
        ("large", errno.EFBIG, "larger than is allowed"),
    ],
)
def test_full_disk(tmp_path: Path, fault: str, number: int, said: str) -> None:
    calls = amid(tmp_path, fault)
    with pytest.raises(StorageFullError, match=rf"{said}.*same command again.*goes on") as caught:
        on_threads().compute(calls, ignore)
    assert caught.value.errno == number
    assert isinstance(caught.value, OSError)
    assert counts(tmp_path, calls)[10] == 1
    assert "seeds, block 10" in str(caught.value)


def full_behind_another(*arrays: Any) -> None:
    try:
        raise OSError(errno.ENOSPC, "No space left on device", "/no/such/folder/of/c")
    except OSError as error:
        raise RuntimeError("the write failed") from error


def test_full_disk_behind_another_error() -> None:
    with pytest.raises(StorageFullError, match="no space"):
        on_threads().compute([Call(full_behind_another, "seeds")], ignore)


def test_memory_error_eases(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Fewer at a time, for the whole run: eight, four, two."""
    execution = on_threads(8)
    calls = table(tmp_path, *[["memory"] * 2] * 4, *[[]] * 4)
    assert execution.compute(calls, ignore) == list(range(8))
    assert counts(tmp_path, calls) == [3] * 4 + [1] * 4
    said = [r.getMessage().rsplit("; ")[-1] for r in caplog.records]
    assert said == ["going on with 4 at a time", "going on with 2 at a time"]


class Crowded:
    """Raises MemoryError when more than ``room`` of it are under way."""

    def __init__(self, room: int) -> None:
        self.room, self.inside, self.most = room, 0, 0
        self.lock = threading.Lock()

    def __call__(self) -> int:
        with self.lock:
            self.inside += 1
            inside = self.inside
        try:
            time.sleep(0.02)
            if inside > self.room:
                raise MemoryError
            self.most = max(self.most, inside)
            return inside
        finally:
            with self.lock:
                self.inside -= 1


@pytest.mark.parametrize("room", [1, 3])
def test_memory_shared_by_fewer(room: int) -> None:
    execution, crowded = on_threads(8), Crowded(room)
    calls = [Call(crowded, "seeds") for _ in range(16)]
    assert max(execution.compute(calls, ignore)) <= room
    crowded.most = 0
    execution.compute(calls, ignore)
    assert crowded.most <= room, "the next region begins with what was found out"
    assert execution._pressure.at_once == {1: 1, 3: 2}[room]


def test_too_little_memory_for_one(tmp_path: Path) -> None:
    calls = table(tmp_path, [], ["memory"] * 99, [])
    with pytest.raises(MemoryLimitError, match=r"seeds, block 1 needs.*smaller block shape"):
        on_threads(4).compute(calls, ignore)
    assert counts(tmp_path, calls)[1] == 2
    assert issubclass(MemoryLimitError, MemoryError)


def test_standstill(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    calls = table(tmp_path, [], ["hang"], [], [])
    with pytest.raises(StalledError, match=r"second time; under way: seeds, block 1\. What"):
        on_threads(stall=0.3).compute(calls, ignore)
    (warning,) = [r.getMessage() for r in caplog.records]
    assert warning.endswith("under way: seeds, block 1; waiting as long once more")


def test_slow_is_no_standstill(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    calls = table(tmp_path, *[["sleep"]] * 4)
    assert on_threads(stall=0.15).compute(calls, ignore) == [0, 1, 2, 3]
    assert 1 <= len(caplog.records) <= 2


def test_process_ends_though_a_call_hangs(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tests.faults import table\n"
        "from chunkseg.runner.execution import Execution\n"
        "calls = table(Path(sys.argv[1]), ['hang'], [])\n"
        "Execution(2, None, stall=0.2).compute(calls, print)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "StalledError" in done.stderr


def test_interrupt(tmp_path: Path) -> None:
    calls = amid(tmp_path, "interrupt")
    with pytest.raises(KeyboardInterrupt):
        on_threads().compute(calls, ignore)
    tried = counts(tmp_path, calls)
    assert tried[10] == 1
    assert sum(tried) <= 14


def test_nothing_runs_any_more_after_a_refusal(tmp_path: Path) -> None:
    """Else a block could be written into a folder that was just given up."""
    calls = amid(tmp_path, "kind")
    threads = set(threading.enumerate())
    with pytest.raises(KindError):
        on_threads().compute(calls, ignore)
    before = counts(tmp_path, calls)
    assert not [t for t in threading.enumerate() if t.name == "chunkseg" and t not in threads]
    time.sleep(0.2)
    assert counts(tmp_path, calls) == before


def broken(block: Any, block_info: Any = None) -> Any:
    if block_info[0]["chunk-location"] == (2,):
        raise OddError("chunk 2")
    return block


def test_lazy_array_that_fails_in_one_chunk(tmp_path: Path) -> None:
    """Its calls fail, those of the other chunks do not."""
    array = da.ones(40, chunks=10, dtype=int).map_blocks(broken, dtype=int, meta=np.empty(0, int))
    calls = [
        Call(Faulty(tmp_path, i, []), "seeds", (array[10 * i : 10 * i + 10],)) for i in range(4)
    ]
    results = on_threads().compute(calls, ignore)
    assert [results[i] for i in (0, 1, 3)] == [10, 11, 13]
    assert isinstance(results[2].error, OddError)
    assert results[2].attempts == 3


def test_lazy_arrays_are_computed_once_for_all_calls() -> None:
    ran: list[int] = []

    def seen(block: Any) -> Any:
        ran.append(1)
        return block

    array = da.ones(40, chunks=10, dtype=int).map_blocks(seen, dtype=int, meta=np.empty(0, int))
    calls = [Call(np.sum, "seeds", (array[i : i + 31],)) for i in range(10)]
    assert on_threads().compute(calls, ignore) == [31] * 10
    assert len(ran) == 4


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_scheduler_of_the_user(tmp_path: Path, scheduler: str) -> None:
    calls = table(tmp_path, [], ["raise"], ["raise"] * 3)
    with dask.config.set(scheduler=scheduler):
        results = on_threads().compute(calls, ignore)
    assert results[:2] == [0, 1]
    assert results[2].attempts == 3


def test_stall_by_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHUNKSEG_STALL_SECONDS", raising=False)
    assert stall_seconds() == 1800
    monkeypatch.setenv("CHUNKSEG_STALL_SECONDS", "90")
    assert Execution(client=None).stall == 90


@pytest.mark.parametrize("value", ["0", "-1", "soon", "nan"])
def test_stall_that_is_no_time(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("CHUNKSEG_STALL_SECONDS", value)
    with pytest.raises(ParameterError, match="CHUNKSEG_STALL_SECONDS needs a positive number"):
        stall_seconds()


def test_names() -> None:
    call = Call(print, "seeds")
    assert str(call) == "seeds"
    assert dask.utils.key_split(new_key(call, 12)) == "seeds"
    assert sorted([new_key(call, 10), new_key(call, 9)])[0].startswith("seeds-000009")
    assert len({new_key(call, 0) for _ in range(100)}) == 100
    assert listed([call] * 7) == "; ".join(["seeds"] * 5 + ["and 2 more"])
