"""Whole workflows on clusters that lose workers, memory or the scheduler: the same bits, or told.

``pytest -m slow tests/test_cluster_chaos.py``
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest

import chunkseg as cs
from chunkseg.errors import ClusterError, MemoryLimitError
from chunkseg.runner.calls import Call
from chunkseg.runner.execution import Execution
from tests.lesson import lesson
from tests.test_workflow import assert_lesson

distributed = pytest.importorskip("distributed")
KillWorker = pytest.importorskip("distributed.chaos").KillWorker
pytestmark = pytest.mark.slow

Tell = Callable[[str, int, int], None]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(3)
    array = rng.integers(0, 60, (18, 64, 62)).astype(np.uint16)
    path = tmp_path_factory.mktemp("image") / "stack.npy"
    np.save(path, array)
    return path, array


@contextmanager
def cluster(workers: int = 2, **options: Any) -> Iterator[tuple[Any, Any]]:
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "1 day"}),
        distributed.LocalCluster(
            **{
                "n_workers": workers,
                "threads_per_worker": 1,
                "processes": True,
                "dashboard_address": None,
                "silence_logs": "CRITICAL",
                **options,
            }
        ) as made,
        distributed.Client(made) as client,
    ):
        yield made, client


def run_and_compare(
    image: tuple[Path, np.ndarray[Any, Any]], out: Path, tell: Tell | None = None
) -> None:
    path, array = image
    result = cs.Workflow(sigma=1, erosion_radius=1).run(
        path, out, block_shape=(6, 32, 32), progress=tell
    )
    assert_lesson(result, lesson(array, 1, 1), array)


def pids(client: Any) -> set[int]:
    return set(client.run(os.getpid, on_error="ignore").values())


@pytest.mark.parametrize("mode", ["sys.exit", "graceful", "segfault"])
def test_kill_worker(mode: str, image: tuple[Path, np.ndarray[Any, Any]], tmp_path: Path) -> None:
    """Dask's own chaos: workers live fifteen seconds in the mean, and the cluster gets new ones.

    What ends by itself is not started anew by its nanny, hence the adaptive cluster.
    """
    seen: set[int] = set()

    def slowly(name: str, done: int, total: int) -> None:
        time.sleep(0.2)
        if done % 4 == 0:
            seen.update(pids(client))

    with (
        cluster() as (made, client),
        dask.config.set({"distributed.deploy.lost-worker-timeout": "1 s"}),
    ):
        made.adapt(minimum=2, maximum=2, interval="500 ms")
        client.register_plugin(KillWorker("15 s", mode))
        run_and_compare(image, tmp_path / "out", slowly)
    print(f"{mode}: {len(seen)} worker processes came and went")
    assert len(seen) > 2


@pytest.mark.parametrize("victim", ["range", "seeds", "objects", "labels"])
def test_sigkill_of_a_worker(
    victim: str, image: tuple[Path, np.ndarray[Any, Any]], tmp_path: Path
) -> None:
    killed: list[int] = []

    def kill(name: str, done: int, total: int) -> None:
        if name == victim and done >= 5 and not killed:
            killed.append(min(pids(client)))
            os.kill(killed[0], signal.SIGKILL)

    with cluster() as (_, client):
        run_and_compare(image, tmp_path / "out", kill)
    assert killed


def allocate(megabytes: int) -> int:
    memory = bytearray(os.urandom(2**20)) * megabytes
    time.sleep(2)
    return len(memory) // 2**20


class Allocate:
    """Takes so much memory for two seconds."""

    def __init__(self, megabytes: int) -> None:
        self.megabytes = megabytes

    def __call__(self) -> int:
        return allocate(self.megabytes)


def ignore(n: int) -> None:
    """No progress is told."""


def test_worker_at_its_memory_limit(caplog: pytest.LogCaptureFixture) -> None:
    """Two at a time are too much for one worker of two threads, one is not."""
    with cluster(1, threads_per_worker=2, memory_limit="1300 MB") as (_, client):
        execution = Execution(client=client)
        calls = [Call(Allocate(600), "seeds", where=f"block {i}") for i in range(4)]
        assert execution.compute(calls, ignore) == [600] * 4
        assert execution._pressure.at_once == 1
    said = [r.getMessage() for r in caplog.records if r.name == "chunkseg"]
    assert said[-1].endswith("going on with 1 at a time")


def test_block_above_the_memory_limit() -> None:
    with cluster(1, memory_limit="700 MB") as (_, client):
        execution = Execution(client=client)
        calls = [Call(Allocate(900), "seeds", where=f"block {i}") for i in range(2)]
        with pytest.raises(MemoryLimitError, match=r"seeds, block \d needs more memory"):
            execution.compute(calls, ignore)


def test_adaptive_down_to_one(image: tuple[Path, np.ndarray[Any, Any]], tmp_path: Path) -> None:
    widths: set[int] = set()

    def tell(name: str, done: int, total: int) -> None:
        widths.add(len(client.nthreads()))
        if name == "seeds" and done == 5:
            made.adapt(minimum=1, maximum=1, interval="100 ms", wait_count=1)
        time.sleep(0.2)

    with cluster(3) as (made, client):
        run_and_compare(image, tmp_path / "out", tell)
    assert {1, 3} <= widths


def test_workers_that_come_late(
    image: tuple[Path, np.ndarray[Any, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None at first, as while a job waits in its queue; longer than a standstill is."""
    monkeypatch.setenv("CHUNKSEG_STALL_SECONDS", "20")
    with cluster(0) as (made, _):
        threading.Timer(50, made.scale, [2]).start()
        run_and_compare(image, tmp_path / "out")


@contextmanager
def scheduler_and_worker() -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--no-dashboard"]
    command += ["--port", "0", "--host", "127.0.0.1"]
    scheduler = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert scheduler.stderr is not None
    line = next(line for line in scheduler.stderr if "Scheduler at:" in line)
    address = line.split()[-1]
    command = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1"]
    worker = subprocess.Popen(
        [*command, "--nworkers", "2", "--no-dashboard"], stderr=subprocess.DEVNULL
    )
    try:
        yield scheduler, address
    finally:
        for process in (worker, scheduler):
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()


def test_scheduler_killed_and_started_again(
    image: tuple[Path, np.ndarray[Any, Any]], tmp_path: Path
) -> None:
    """Told at once; the same command on a new cluster ends as if nothing had been."""
    when: list[float] = []

    def kill(name: str, done: int, total: int) -> None:
        if name == "seeds" and done >= 5 and not when:
            scheduler.kill()
            when.append(time.monotonic())

    with (
        scheduler_and_worker() as (scheduler, address),
        distributed.Client(address, timeout=30) as client,
    ):
        client.wait_for_workers(2)
        with pytest.raises(ClusterError, match=r"scheduler.*gone.*same command again"):
            run_and_compare(image, tmp_path / "out", kill)
        assert time.monotonic() - when[0] < 60
    with scheduler_and_worker() as (_, address), distributed.Client(address, timeout=30):
        run_and_compare(image, tmp_path / "out")


def test_jobqueue(image: tuple[Path, np.ndarray[Any, Any]], tmp_path: Path) -> None:
    """Stand-in of dask-jobqueue: its job scripts, run by a shell instead of a batch system."""
    jobqueue = pytest.importorskip("dask_jobqueue.local")
    with (
        jobqueue.LocalCluster(
            cores=1, processes=1, memory="2 GB", log_directory=str(tmp_path / "logs")
        ) as made,
        distributed.Client(made) as client,
    ):
        made.scale(jobs=2)
        client.wait_for_workers(2, timeout=120)
        run_and_compare(image, tmp_path / "out")
        made.adapt(minimum_jobs=1, maximum_jobs=2)
        run_and_compare(image, tmp_path / "out2")
