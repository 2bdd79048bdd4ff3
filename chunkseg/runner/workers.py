"""The workers of a cluster: getting some, and what must hold of them before a run.

Blocks are read and written by the worker that computes them. So all of them must see the input and
the output under the same path, and have memory for a block.
"""

from __future__ import annotations

import os
import re
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import dask

from chunkseg.errors import ClusterError, ParameterError, PathError
from chunkseg.runner.cluster import reaching, threads_of
from chunkseg.storage.sharing import unshared_store

ONE_THREAD = (
    "BLOSC_NTHREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
)
CONNECT = 30.0
PATIENCE = 15.0


class _Holds(Protocol):
    @property
    def data(self) -> Any: ...


def apart(client: Any) -> bool:
    """Whether the workers of a client are other processes."""
    with reaching(client):
        workers = client.scheduler_info(n_workers=-1)["workers"]
    return not all(address.startswith("inproc://") for address in workers)


def refuse_unshared(inputs: Sequence[_Holds], client: Any) -> None:
    """Refuse inputs that workers in other processes can't read.

    Arrays in memory are not meant: they are staged, each task carrying its own part.

    Parameters
    ----------
    inputs
        What a run reads or writes; the ``data`` of each is looked into.
    client
        The cluster's client, or None for threads.

    Raises
    ------
    ParameterError
        If an input lies in a store in the memory of this process.
    """
    names = [name for i in inputs if (name := unshared_store(i.data)) is not None]
    if names and client is not None and apart(client):
        raise ParameterError(
            f"the image lies in a {names[0]}, in the memory of this process, where the workers of "
            "a cluster can't read it: write it to a path that all of them see, or run without the "
            "cluster"
        )


def probe_shared(path: Path, client: Any, patience: float = PATIENCE) -> None:
    """Make sure that all present workers see a folder, by a file that is made in it for that time.

    Parameters
    ----------
    path
        A folder that exists here and can be written to.
    client
        The cluster's client, or None for threads.
    patience
        Seconds that a worker may take to see the file: network file systems lag behind.

    Raises
    ------
    PathError
        If a worker does not see it.
    ClusterError
        If the scheduler is gone.
    """
    if client is None:
        return
    probe = Path(path).absolute() / f".chunkseg-probe-{uuid.uuid4().hex}"
    probe.touch()
    try:
        with reaching(client):
            seen = client.run(partial(_sees, str(probe), patience), on_error="return")
    finally:
        probe.unlink()
    # a worker that has ended meanwhile can't be asked; its blocks will go to others
    left = {worker: answer for worker, answer in seen.items() if not isinstance(answer, OSError)}
    blind = sorted(worker for worker, answer in left.items() if answer is not True)
    if blind:
        raise PathError(
            f"{len(blind)} of {len(left)} workers don't see the folder {probe.parent} (the first: "
            f"{blind[0]}); give an output path on a file system that all workers share"
        )


def _sees(probe: str, patience: float) -> bool:
    """Whether this process sees a file before long; listing its folder refreshes NFS's view."""
    end = time.monotonic() + patience
    while True:
        with suppress(OSError):
            if os.path.basename(probe) in os.listdir(os.path.dirname(probe)):
                return True
        if time.monotonic() >= end:
            return False
        time.sleep(0.2)


def worker_memory(client: Any) -> int | None:
    """Bytes that one task may use: the least memory limit of any worker per thread of it.

    Returns
    -------
    int or None
        None for threads of this process, where no worker has a limit, and where there is none yet.
        Dask stops giving tasks to a worker at 80 % of its limit, and restarts it at 95 %.
    """
    if client is None:
        return None
    with reaching(client):
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
    limits = [w["memory_limit"] // w["nthreads"] for w in workers if w["memory_limit"]]
    return min(limits, default=None)


@contextmanager
def local_cluster(workers: int | None = None) -> Iterator[Any]:
    """Start worker processes of one thread each on this machine; within it their client is active.

    They are spawned, never forked: a fork would copy locked locks of zarr's threads.

    Parameters
    ----------
    workers
        Their number; as many as there are cores by default. They share the machine's memory evenly.
    """
    distributed = _distributed()
    environment = "distributed.nanny.pre-spawn-environ"
    # dask gives up a worker that is just starting anew that long after any earlier loss of it
    settings = {
        "distributed.deploy.lost-worker-timeout": "365 days",
        "distributed.worker.multiprocessing-method": "spawn",
        environment: {**dask.config.get(environment, {}), **dict.fromkeys(ONE_THREAD, 1)},
    }
    with (
        dask.config.set(settings),
        distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",
            silence_logs="ERROR",
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Connect to a running scheduler, as ``tcp://host:8786``; within it its client is active.

    Raises
    ------
    ClusterError
        If the address has no port, or nothing answers there within half a minute.
    """
    distributed = _distributed()
    if re.search(r":\d+/?$", address) is None:
        raise ClusterError(
            f"no dask scheduler answers at {address}, which names no port; give the address that "
            "it printed when it started, such as tcp://host:8786"
        )
    try:
        # a client that can't connect would stay the active one, so the first asks as nobody's
        distributed.Client(address, timeout=CONNECT, set_as_default=False).close()
        client = distributed.Client(address, timeout=CONNECT)
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"no dask scheduler answers at {address} ({error}); give the address that it printed "
            "when it started, such as tcp://host:8786"
        ) from error
    with client:
        threads_of(client)
        yield client


def _distributed() -> Any:
    try:
        import distributed
    except ImportError as error:
        raise ClusterError(
            "a cluster needs the library distributed; install it with: pip install "
            "'chunkseg[cluster]'"
        ) from error
    return distributed
