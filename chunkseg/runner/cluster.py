"""Calls on the workers of a dask cluster.

Each call is one task with a key of its own, whose prefix is the pass's name; its future is released
as soon as its result is here. Workers may come and go: the scheduler gives what a lost one was
doing to another, and gives up (``KilledWorker``) on a task under which several died. With the
scheduler gone nothing is left to wait for.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

from chunkseg.errors import ClusterError
from chunkseg.runner.calls import Call, Raised, WorkerLostError, delayed_calls, new_key
from chunkseg.storage.sharing import limit_codec_threads

LOOK = 5.0
ANSWER = 60.0


@contextmanager
def reaching(client: Any) -> Iterator[None]:
    """Within it, a scheduler that is gone or does not answer is a ClusterError."""
    from distributed.client import ClosedClientError

    try:
        yield
    except (OSError, TimeoutError, ClosedClientError) as error:
        raise gone(client) from error


def gone(client: Any) -> ClusterError:
    """Say that there is no scheduler any more."""
    address = getattr(client, "_start_arg", None)
    where = f" at {address}" if isinstance(address, str) else ""
    return ClusterError(
        f"the dask scheduler{where} is gone, was restarted or does not answer. What is done is "
        "kept: start the cluster and run the same command again."
    )


def ask(client: Any, question: Callable[..., Any], **options: Any) -> Any:
    """Ask the scheduler something, which must answer within a minute."""
    with reaching(client):
        return client.sync(question, callback_timeout=ANSWER, **options)


def threads_of(client: Any) -> dict[str, int]:
    """Number of threads of each worker, by address."""
    if client.scheduler is None:
        raise gone(client)
    return dict(ask(client, client.scheduler.ncores, workers=None))


@dataclass(slots=True)
class ClusterBackend:
    """The workers of a cluster.

    Attributes
    ----------
    client
        The cluster's client.
    avoid
        Addresses of workers on which calls hung; others are given the calls then, if there are any.
    """

    client: Any
    avoid: set[str] = field(default_factory=set)
    resubmits: bool = True

    @property
    def width(self) -> int:
        """How many calls run at the same time."""
        return max(1, sum(threads_of(self.client).values()))

    def start(self, calls: Mapping[int, Call], at_once: int | None) -> ClusterBatch:
        """Start calls, no more than ``at_once`` of them at the same time."""
        others = None
        if self.avoid:
            others = [w for w in threads_of(self.client) if w not in self.avoid] or None
        return ClusterBatch(self, calls, at_once or len(calls), others)


class ClusterBatch:
    """Calls that were started together."""

    def __init__(
        self,
        backend: ClusterBackend,
        calls: Mapping[int, Call],
        at_once: int,
        workers: list[str] | None,
    ) -> None:
        self._backend = backend
        self._client = backend.client
        self._workers = workers
        self._waiting = deque(calls.items())
        self._futures: dict[str, tuple[int, Any]] = {}
        self._ended: SimpleQueue[str] = SimpleQueue()
        self._submit(at_once)

    def finished(self, timeout: float) -> list[tuple[int, Any]]:
        """Wait for outcomes; an empty list when none came within ``timeout`` seconds.

        Raises
        ------
        ClusterError
            If the scheduler is gone.
        """
        outcomes = [self._outcome(key) for key in self._keys(timeout)]
        self._submit(len(outcomes))
        return outcomes

    def under_way(self) -> list[int] | None:
        """Calls that workers have begun or hold; None where there are no workers."""
        if not threads_of(self._client):
            return None
        processing = ask(self._client, self._client.scheduler.processing, workers=None)
        begun = []
        for worker, keys in processing.items():
            held = [self._futures[key][0] for key in keys if key in self._futures]
            begun += held
            if held:
                self._backend.avoid.add(worker)
        return sorted(begun)

    def stop(self, patience: float) -> None:
        """Begin no more calls; those under way end by themselves, their results unused."""
        self._waiting.clear()
        futures = [future for _, future in self._futures.values()]
        self._futures.clear()
        if futures:
            with suppress(Exception):
                self._client.cancel(futures, force=True)

    def _submit(self, most: int) -> None:
        """Hand over ``most`` more calls: the graph of lazy arrays is sent once for all of them."""
        calls = dict(self._waiting.popleft() for _ in range(min(most, len(self._waiting))))
        if self._client.status != "running":
            raise gone(self._client)
        with reaching(self._client):
            for number, future in self._futures_of(calls):
                self._futures[future.key] = number, future
                future.add_done_callback(lambda ended: self._ended.put(ended.key))

    def _futures_of(self, calls: Mapping[int, Call]) -> Iterator[tuple[int, Any]]:
        lazy = {n: call for n, call in calls.items() if call.arrays}
        for number, call in calls.items():
            if number not in lazy:
                yield (
                    number,
                    self._client.submit(
                        on_worker,
                        call.function,
                        key=new_key(call, number),
                        pure=False,
                        workers=self._workers,
                    ),
                )
        tasks = delayed_calls(lazy, on_worker)
        yield from zip(
            tasks, self._client.compute(list(tasks.values()), workers=self._workers), strict=True
        )

    def _keys(self, timeout: float) -> list[str]:
        """Keys of the tasks that ended, after a look at the scheduler now and then."""
        end = time.monotonic() + timeout
        while True:
            try:
                keys = [self._ended.get(timeout=max(0.0, min(LOOK, end - time.monotonic())))]
                break
            except Empty:
                if self._client.status != "running":
                    raise gone(self._client) from None
                if time.monotonic() >= end:
                    return []
        while not self._ended.empty():
            keys.append(self._ended.get())
        return keys

    def _outcome(self, key: str) -> tuple[int, Any]:
        number, future = self._futures.pop(key)
        try:
            return number, self._result(future)
        finally:
            with suppress(Exception):
                future.release()

    def _result(self, future: Any) -> Any:
        """Result of a task that ended, or what it raised."""
        from distributed.client import FutureCancelledError
        from distributed.comm import CommClosedError
        from distributed.scheduler import KilledWorker

        if future.cancelled():
            raise gone(self._client)
        try:
            if future.status == "error":
                raise future.exception()
            return future.result(timeout=ANSWER)
        except FutureCancelledError as error:
            raise gone(self._client) from error
        except KilledWorker as error:
            return Raised(WorkerLostError(_killed(error)))
        except CommClosedError as error:
            return Raised(WorkerLostError(f"the connection to its worker was lost: {error}"))
        except ModuleNotFoundError as error:
            return Raised(_not_installed(error))
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and future.status != "error":
                raise
            return Raised(error)


def _killed(error: Any) -> str:
    """Say of a task that its workers died, without dask's key."""
    last = getattr(error.last_worker, "address", error.last_worker)
    return f"its worker died {error.allowed_failures + 1} times, the last one at {last}"


def _not_installed(error: ModuleNotFoundError) -> ClusterError:
    return ClusterError(
        f"a worker can't run chunkseg: {error}. Install the same version of chunkseg, with the "
        "same optional libraries, for the workers and the scheduler as here."
    )


def on_worker(function: Callable[..., Any], *arrays: Any) -> Any:
    """Call a function on a worker; in a process of its own zarr has no more threads than it."""
    from distributed import get_worker

    worker = get_worker()
    if not worker.address.startswith("inproc://"):
        limit_codec_threads(worker.state.nthreads)
    return function(*arrays)
