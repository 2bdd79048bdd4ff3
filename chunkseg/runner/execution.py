"""How block tasks are run: on dask's threads, or on the cluster whose client is active.

The only module that knows schedulers. Tasks are handed over a region (a bounded number of blocks)
at a time, so neither the graph nor the blocks in flight grow with the image.
"""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import dask
import dask.array as da
from dask.callbacks import Callback
from dask.delayed import Delayed, delayed

Advance = Callable[[int], None]


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def active_client() -> Any:
    """Return the active ``dask.distributed`` client, or None."""
    if "distributed" not in sys.modules:
        return None
    import distributed

    try:
        return distributed.default_client()
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Call:
    """One task: a function and the lazy arrays to be computed and given to it."""

    function: Callable[..., Any]
    name: str
    arrays: tuple[da.Array, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """What stands in the place of a call that keeps failing: its last error and the attempts."""

    error: Exception
    attempts: int


@dataclass(frozen=True, slots=True)
class Execution:
    """Where tasks run.

    Attributes
    ----------
    workers
        Number of threads; None for as many as there are cores. A cluster has its own number.
    client
        The cluster's client, or None for threads of this process.
    """

    workers: int | None = None
    client: Any = field(default_factory=active_client)

    @property
    def width(self) -> int:
        """How many tasks run at the same time."""
        if self.client is not None:
            return max(1, sum(self.client.nthreads().values()))
        return self.workers or available_cores()

    def compute(self, calls: Sequence[Call], advance: Advance) -> list[Any]:
        """Run all calls and return their results in order; ``advance(n)`` tells of n more done."""
        tasks = _delayed(calls)
        if self.client is not None:
            return self._on_cluster(tasks, advance)
        return self._on_threads(tasks, advance)

    def _on_threads(self, tasks: list[Delayed], advance: Advance) -> list[Any]:
        keys = {task.key for task in tasks}
        options: dict[str, Any] = {}
        if dask.config.get("scheduler", None) is None:
            options = {"scheduler": "threads", "num_workers": self.workers or available_cores()}
        with _Progress(keys, advance):
            return list(dask.compute(*tasks, **options))

    def _on_cluster(self, tasks: list[Delayed], advance: Advance) -> list[Any]:
        from distributed import as_completed

        futures = self.client.compute(tasks)
        position = {future.key: i for i, future in enumerate(futures)}
        results: list[Any] = [None] * len(futures)
        try:
            for future, result in as_completed(futures, with_results=True):
                results[position[future.key]] = result
                future.release()
                advance(1)
        finally:
            self.client.cancel([f for f in futures if not f.done()])
        return results


def _delayed(calls: Sequence[Call]) -> list[Delayed]:
    """Return one delayed task per call.

    The arrays become arguments as they are, without dask's optimisation of each array alone: that
    would rename what calls share, and each block would compute it again for itself.
    """
    token = uuid.uuid4().hex
    tasks = []
    for i, call in enumerate(calls):
        whole = [
            array.rechunk(array.shape).to_delayed(optimize_graph=False) for array in call.arrays
        ]
        function = delayed(partial(_call, call.function), pure=False)
        arguments = [blocks.item() for blocks in whole]
        tasks.append(function(*arguments, dask_key_name=f"{call.name}-{token}-{i}"))
    return tasks


def _call(function: Callable[..., Any], *arrays: Any) -> Any:
    return function(*arrays)


class _Progress(Callback):  # type: ignore[misc]
    """Tells of each finished task that was asked for (not of those in between)."""

    def __init__(self, keys: set[str], advance: Advance) -> None:
        super().__init__()
        self._keys = keys
        self._advance = advance

    def _posttask(self, key: Any, result: Any, dsk: Any, state: Any, worker_id: Any) -> None:
        if key in self._keys:
            self._advance(1)
