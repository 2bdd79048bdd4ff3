"""What must hold of a cluster's workers before a run, and how a command gets some."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import zarr
from zarr.storage import FsspecStore, LoggingStore, MemoryStore, ZipStore

from chunkseg.cli.cluster import cluster_of
from chunkseg.cli.parser import Parser, add_cluster
from chunkseg.errors import ClusterError, ParameterError, PathError
from chunkseg.runner import workers
from chunkseg.runner.calls import Call
from chunkseg.runner.execution import active_client
from chunkseg.runner.workers import (
    apart,
    connected,
    local_cluster,
    probe_shared,
    refuse_unshared,
    worker_memory,
)
from chunkseg.storage.leaves import MemorySource, ZarrSource
from chunkseg.storage.sharing import limit_codec_threads, unshared_store
from chunkseg.storage.sources import Stack, View

distributed = pytest.importorskip("distributed")


@dataclass
class Held:
    data: Any


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with local_cluster(2) as client:
        yield client


def over(store: Any) -> ZarrSource:
    return ZarrSource(zarr.create_array(store, shape=(4, 4), chunks=(2, 2), dtype="u1"))


def wrapped(protocol: str) -> Any:
    """Return a file system of fsspec as zarr wants it."""
    fsspec = pytest.importorskip("fsspec")
    wrapper = pytest.importorskip("fsspec.implementations.asyn_wrapper")
    return wrapper.AsyncFileSystemWrapper(
        fsspec.filesystem(protocol, auto_mkdir=True), asynchronous=True
    )


def in_fsspec() -> ZarrSource:
    return over(FsspecStore(wrapped("memory"), path="/an-array.zarr"))


def test_stores_that_only_this_process_has() -> None:
    inner = over(MemoryStore())
    assert unshared_store(inner) == "MemoryStore"
    assert unshared_store(View(inner, (0, None), (1,))) == "MemoryStore"
    assert unshared_store(Stack((inner, inner), (2,))) == "MemoryStore"
    assert unshared_store(over(LoggingStore(MemoryStore()))) == "MemoryStore"
    assert unshared_store(in_fsspec()) == "memory:// store"


def test_stores_that_others_can_read(tmp_path: Path) -> None:
    on_disk = over(str(tmp_path / "a.zarr"))
    assert unshared_store(on_disk) is None
    assert unshared_store(Stack((on_disk,), (1,))) is None
    assert unshared_store(over(ZipStore(tmp_path / "a.zip", mode="w"))) is None
    assert unshared_store(MemorySource(np.zeros((2, 2)))) is None
    assert unshared_store(over(FsspecStore(wrapped("file"), path=str(tmp_path / "b.zarr")))) is None


def test_memory_stores_are_refused(client: Any, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"in a MemoryStore.*write it to a path"):
        refuse_unshared([Held(over(str(tmp_path / "a.zarr"))), Held(over(MemoryStore()))], client)
    refuse_unshared([Held(over(str(tmp_path / "b.zarr")))], client)
    refuse_unshared([Held(over(MemoryStore()))], None)


def test_workers_in_this_process_share_its_memory() -> None:
    with distributed.Client(
        processes=False, n_workers=1, dashboard_address=None, set_as_default=False
    ) as client:
        assert not apart(client)
        refuse_unshared([Held(over(MemoryStore()))], client)


def test_folder_that_workers_see(client: Any, tmp_path: Path) -> None:
    folder = tmp_path / "a folder, größer"
    folder.mkdir()
    probe_shared(folder, client)
    probe_shared(folder, None)
    assert not list(folder.iterdir())


def test_folder_that_workers_do_not_see(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if a folder of the same name lay on a disk of their own: they see it, but not the file."""
    monkeypatch.setattr(workers.uuid, "uuid4", lambda: workers.uuid.UUID(int=0))
    monkeypatch.setattr(Path, "touch", lambda self: None)
    monkeypatch.setattr(Path, "unlink", lambda self: None)
    with pytest.raises(PathError, match=r"2 of 2 workers don't see the folder .*all workers share"):
        probe_shared(tmp_path, client, patience=0.3)


def test_a_worker_that_ends_while_it_is_asked_is_not_blind(tmp_path: Path) -> None:
    answers: dict[str, Any] = {"tcp://a": True, "tcp://b": distributed.comm.CommClosedError()}
    client = SimpleNamespace(run=lambda function, on_error: answers)
    probe_shared(tmp_path, client)
    answers["tcp://c"] = False
    with pytest.raises(PathError, match=r"1 of 2 workers don't see .*first: tcp://c"):
        probe_shared(tmp_path, client)


def test_a_folder_that_can_not_be_listed_is_not_seen(tmp_path: Path) -> None:
    assert not workers._sees(str(tmp_path / "none" / "probe"), 0)


def test_memory_of_workers(client: Any) -> None:
    limit = worker_memory(client)
    assert limit is not None
    assert 0 < limit <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert worker_memory(None) is None


def test_memory_per_thread() -> None:
    with distributed.Client(
        processes=False,
        n_workers=1,
        threads_per_worker=4,
        memory_limit="1 GB",
        dashboard_address=None,
        set_as_default=False,
    ) as client:
        assert worker_memory(client) == 250_000_000


def environment(name: str) -> Any:
    import multiprocessing

    return os.environ.get(name), multiprocessing.current_process().name


def test_local_workers_are_spawned_with_one_thread(client: Any) -> None:
    assert active_client() is client
    assert set(client.nthreads().values()) == {1}
    assert len(client.nthreads()) == 2
    for name in workers.ONE_THREAD:
        assert {value for value, _ in client.run(environment, name).values()} == {"1"}
    command = [
        Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
        for pid in client.run(os.getpid).values()
    ]
    assert all("spawn_main" in line for line in command)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--scheduler", "tcp://a:1", "--cluster", "local"], "either --scheduler or --cluster"),
        (["--scheduler", "tcp://a:1", "--workers", "2"], "has its own number"),
        (["--cluster", "local", "--workers", "0"], "--workers must be at least 1; got 0"),
        (["--cluster", "slurm"], "invalid choice: 'slurm'"),
    ],
)
def test_options_that_contradict(given: list[str], said: str) -> None:
    with pytest.raises(ParameterError, match=said), cluster_of(parsed(given)):
        pass


def parsed(given: list[str]) -> argparse.Namespace:
    parser = Parser()
    add_cluster(parser)
    return parser.parse_args(given)


def test_threads_by_default() -> None:
    with cluster_of(parsed(["--workers", "3"])) as execution:
        assert execution.client is None
        assert execution.width == 3


def ignore(n: int) -> None:
    """No progress is told."""


def test_scheduler_by_address(client: Any) -> None:
    address = client.scheduler.address
    with cluster_of(parsed(["--scheduler", address])) as execution:
        assert execution.client is not client
        assert active_client() is execution.client
        assert execution.compute([Call(os.getpid, "seeds")], ignore) != [os.getpid()]
    assert execution.client.status == "closed"
    assert client.nthreads(), "the cluster itself goes on"


def test_local_cluster_by_option() -> None:
    with cluster_of(parsed(["--cluster", "local", "--workers", "1"])) as execution:
        assert execution.width == 1
        (worker,) = execution.compute([Call(os.getpid, "seeds")], ignore)
    assert worker != os.getpid()
    assert not Path(f"/proc/{worker}").exists()


def test_no_scheduler_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "CONNECT", 0.5)
    with (
        pytest.raises(ClusterError, match=r"no dask scheduler answers at tcp://127\.0\.0\.1:9"),
        connected("tcp://127.0.0.1:9"),
    ):
        pass
    with (
        pytest.raises(ClusterError, match="no dask scheduler answers at nowhere://x"),
        connected("nowhere://x"),
    ):
        pass


def test_cluster_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(ClusterError, match=r"pip install 'chunkseg\[cluster\]'"),
        cluster_of(parsed(["--cluster", "local"])),
    ):
        pass


def test_the_library_is_imported_late() -> None:
    code = "import sys, chunkseg.api.workflow, chunkseg.cli.cluster; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "distributed" not in done.stdout.split()


def test_what_the_user_set_for_zarr_is_left_alone() -> None:
    with zarr.config.set({"threading.max_workers": 5}):
        limit_codec_threads(1)
        assert zarr.config.get("threading.max_workers") == 5
    with zarr.config.set({"threading.max_workers": None}):
        limit_codec_threads(2)
        assert zarr.config.get("threading.max_workers") == 2
    assert zarr.config.get("threading.max_workers") is None
