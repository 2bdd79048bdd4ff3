"""Calls that fail, starve, hang or lose their worker on a cluster of two worker processes."""

from __future__ import annotations

import gc
import logging
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import pytest

from chunkseg.errors import (
    ClusterError,
    KindError,
    MemoryLimitError,
    StalledError,
    StorageFullError,
)
from chunkseg.runner.calls import Call
from chunkseg.runner.cluster import ClusterBackend
from chunkseg.runner.execution import Execution
from tests.faults import Faulty, attempts, check_attempts, counts, table

distributed = pytest.importorskip("distributed")

ALLOWED_DEATHS = 1


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """A task may lose its worker once, so that few workers have to die here."""
    with (
        dask.config.set(
            {
                "distributed.scheduler.allowed-failures": ALLOWED_DEATHS,
                "distributed.deploy.lost-worker-timeout": "1 day",
            }
        ),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            silence_logs="CRITICAL",
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client


def on_cluster(client: Any, **options: Any) -> Execution:
    """Two workers that have imported what they need: a slow import is no standstill."""
    client.wait_for_workers(2)
    client.run(counts, Path("none"), [])
    return Execution(client=client, **{"pause": 0.001, "stall": 60.0, **options})


def kill_workers(client: Any) -> None:
    """End all worker processes, what hangs in them too; their nannies start new ones."""
    before = client.run(os.getpid)
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    while set(before) & set(client.nthreads()):
        time.sleep(0.05)
    client.wait_for_workers(2)


@pytest.fixture
def hanging(client: Any) -> Iterator[Any]:
    """The cluster; whatever hangs on it afterwards is ended."""
    yield client
    kill_workers(client)


def ignore(n: int) -> None:
    """No progress is told."""


def test_attempts(client: Any, tmp_path: Path) -> None:
    execution = on_cluster(client)
    assert execution.width == 2
    check_attempts(execution, tmp_path)


@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        ("kind", KindError, "not that"),
        ("full", StorageFullError, "no space is left.*same command again"),
        ("import", ClusterError, "Install the same version of chunkseg"),
    ],
)
def test_refused_at_once(
    client: Any, tmp_path: Path, fault: str, error: type[Exception], said: str
) -> None:
    calls = table(tmp_path, [], [fault], *[["sleep"]] * 20)
    with pytest.raises(error, match=said):
        on_cluster(client).compute(calls, ignore)
    tried = counts(tmp_path, calls)
    assert tried[1] == 1
    assert sum(tried) < 12, "the rest is cancelled"


def test_futures_are_released(client: Any, tmp_path: Path) -> None:
    """While others are still under way, the scheduler keeps nothing of what is done."""
    kept: list[int] = []

    def look(n: int) -> None:
        time.sleep(0.1)
        held = client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))
        kept.append(held)

    calls = table(tmp_path, *[["nap"]] * 8)
    on_cluster(client).compute(calls, look)
    assert kept[-1] <= 1
    assert kept == sorted(kept, reverse=True)
    gc.collect()
    assert not client.futures


def test_lazy_arrays(client: Any, tmp_path: Path) -> None:
    array = da.ones(40, chunks=10, dtype=int)
    calls = [Call(Faulty(tmp_path, i, []), "seeds", (array[i : i + 31],)) for i in range(10)]
    assert on_cluster(client).compute(calls, ignore) == [31 + i for i in range(10)]


def test_dashboard_shows_the_pass(client: Any, tmp_path: Path) -> None:
    on_cluster(client).compute(
        [Call(Faulty(tmp_path, 0, []), "objects"), Call(Faulty(tmp_path, 1, []), "labels")], ignore
    )
    prefixes = client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.task_prefixes))
    assert {"objects", "labels"} <= set(prefixes)


def test_worker_dies_once(client: Any, tmp_path: Path) -> None:
    """The scheduler gives the call to another worker; nothing is told."""
    calls = table(tmp_path, [], ["kill"], [], ["sleep"])
    assert on_cluster(client).compute(calls, ignore) == [0, 1, 2, 3]
    assert attempts(tmp_path, 1) == 2


def test_worker_dies_again_and_again(
    client: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Two deaths: one at a time from then on. Two more deaths, alone: refused, and no loop."""
    calls = table(tmp_path, [], ["kill"] * 99, [])
    execution = on_cluster(client)
    with pytest.raises(MemoryLimitError, match=r"seeds, block 1 needs.*died 2 times"):
        execution.compute(calls, ignore)
    assert attempts(tmp_path, 1) == 2 * (ALLOWED_DEATHS + 1)
    said = [r.getMessage() for r in caplog.records if r.name == "chunkseg"]
    assert len(said) == 1
    assert said[0].endswith("going on with 1 at a time")


def test_workers_die_until_fewer_run(client: Any, tmp_path: Path) -> None:
    calls = table(tmp_path, ["kill"] * 2, *[[]] * 5)
    execution = on_cluster(client)
    assert execution.compute(calls, ignore) == list(range(6))
    assert execution._pressure.at_once == 1


def test_memory_error_eases(client: Any, tmp_path: Path) -> None:
    execution = on_cluster(client)
    calls = table(tmp_path, ["memory"], [], [], [], ["memory"])
    assert execution.compute(calls, ignore) == [0, 1, 2, 3, 4]
    assert counts(tmp_path, calls) == [2, 1, 1, 1, 2]
    assert execution._pressure.at_once == 1


def test_hanging_call_is_started_on_another_worker(
    hanging: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    calls = table(tmp_path, [], ["hang"], [], ["nap"])
    with caplog.at_level(logging.WARNING, "chunkseg"):
        assert on_cluster(hanging, stall=5.0).compute(calls, ignore) == [0, 1, 2, 3]
    assert attempts(tmp_path, 1) == 2
    (warning,) = [r.getMessage() for r in caplog.records if r.name == "chunkseg"]
    assert re.search(r"under way: seeds, block 1; .*starting them anew", warning)


def test_workers_that_hang_are_avoided(client: Any) -> None:
    """Unless there are no others."""
    first, second = sorted(client.nthreads())
    assert set(workers_used(ClusterBackend(client, {first}))) == {second}
    assert set(workers_used(ClusterBackend(client, {first, second}))) <= {first, second}


def workers_used(backend: ClusterBackend) -> list[str]:
    calls = {i: Call(lambda: distributed.get_worker().address, "seeds") for i in range(6)}
    batch = backend.start(calls, None)
    found: list[str] = []
    while len(found) < len(calls) and (outcomes := batch.finished(60)):
        found += [address for _, address in outcomes]
    batch.stop(0)
    assert len(found) == len(calls)
    return found


def test_standstill(hanging: Any, tmp_path: Path) -> None:
    with pytest.raises(StalledError, match="second time; under way: seeds, block 0"):
        on_cluster(hanging, stall=2.0).compute(table(tmp_path, ["hang"] * 9), ignore)
    assert attempts(tmp_path, 0) == 2


def test_workers_decode_in_no_more_threads_than_they_have(client: Any, tmp_path: Path) -> None:
    import zarr

    zarr.create_array(str(tmp_path / "a.zarr"), shape=(64, 64), chunks=(8, 8), dtype="u2")[:] = 7

    def pool(*arrays: Any) -> int:
        import threading

        zarr.open_array(str(tmp_path / "a.zarr"), mode="r")[:]
        return sum(t.name.startswith("zarr_pool") for t in threading.enumerate())

    assert on_cluster(client).compute([Call(pool, "seeds")] * 4, ignore) == [1] * 4


def test_restarted_cluster(client: Any, tmp_path: Path) -> None:
    """What was under way is gone with the scheduler's memory: told at once, no waiting."""
    calls = table(tmp_path, *[["sleep"]] * 6)

    def restart(n: int) -> None:
        client.restart(wait_for_workers=False)

    with pytest.raises(ClusterError, match=r"was restarted.*same command again"):
        on_cluster(client).compute(calls, restart)


@pytest.fixture
def small() -> Iterator[Any]:
    """A cluster in this process, without workers."""
    with (
        distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=None) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client


def test_no_workers_yet(small: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As while jobs wait in a queue: waited for, however long, and said."""
    timer = threading.Timer(1.0, small.cluster.scale, [1])
    timer.start()
    execution = Execution(client=small, stall=0.2)
    assert execution.width == 1
    assert execution.compute(table(tmp_path, [], []), ignore) == [0, 1]
    said = [r.getMessage() for r in caplog.records if r.name == "chunkseg"]
    assert len(said) >= 3
    assert said[0] == "nothing moved for 0.2 s: the cluster has no workers; waiting"


def test_no_workers_any_more(small: Any, tmp_path: Path) -> None:
    small.cluster.scale(1)
    execution = Execution(client=small, stall=0.5)
    assert execution.compute(table(tmp_path, [], []), ignore) == [0, 1]
    small.cluster.scale(0)
    while small.nthreads():
        time.sleep(0.05)
    with pytest.raises(StalledError, match=r"all workers of the cluster are gone.*same command"):
        execution.compute(table(tmp_path, []), ignore)


def test_scheduler_that_is_gone_before(tmp_path: Path) -> None:
    with (
        distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=None) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        execution = Execution(client=client)
    with pytest.raises(ClusterError, match=r"scheduler.*is gone"):
        execution.compute(table(tmp_path, []), ignore)
    with pytest.raises(ClusterError, match=r"scheduler.*is gone"):
        execution.width  # noqa: B018
