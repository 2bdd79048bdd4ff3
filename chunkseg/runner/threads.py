"""Calls on threads of this process, by dask's own scheduler.

Dask runs in a thread beside the one that waits, which therefore can say that nothing moves and can
be interrupted. All these threads are daemons: a call that hangs does not keep the process alive. A
scheduler that the user has set in dask's configuration is used as it is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from queue import Empty, SimpleQueue
from typing import Any

import dask
import dask.threaded
from dask.callbacks import Callback

from chunkseg.runner.calls import Call, Raised, delayed_calls


@dataclass(frozen=True, slots=True)
class ThreadBackend:
    """A number of threads; a call that hangs there can't be ended."""

    width: int
    resubmits: bool = False

    def start(self, calls: Mapping[int, Call], at_once: int | None) -> ThreadBatch:
        """Start calls, no more than ``at_once`` of them at the same time."""
        return ThreadBatch(calls, min(self.width, at_once or self.width))


class ThreadBatch:
    """Calls that were started together."""

    def __init__(self, calls: Mapping[int, Call], threads: int) -> None:
        self._calls = calls
        self._threads = threads
        self._outcomes: SimpleQueue[tuple[int, Any]] = SimpleQueue()
        self._begun: set[int] = set()
        self._ended: set[int] = set()
        self._stopped = threading.Event()
        self._runner = threading.Thread(target=self._run, name="chunkseg", daemon=True)
        self._runner.start()

    def finished(self, timeout: float) -> list[tuple[int, Any]]:
        """Wait for outcomes; an empty list when none came within ``timeout`` seconds."""
        try:
            outcomes = [self._outcomes.get(timeout=timeout)]
        except Empty:
            return []
        while not self._outcomes.empty():
            outcomes.append(self._outcomes.get())
        return outcomes

    def under_way(self) -> list[int]:
        """Calls that were begun and have not ended."""
        return sorted(self._begun - self._ended)

    def stop(self, patience: float) -> None:
        """Begin no more calls, and wait ``patience`` seconds at most for those under way."""
        self._stopped.set()
        self._runner.join(patience)

    def _run(self) -> None:
        try:
            if dask.config.get("scheduler", None) is not None:
                self._compute_each({})
                return
            pool = ThreadPool(self._threads)
            try:
                self._compute_each({"scheduler": dask.threaded.get, "pool": pool})
            finally:
                pool.close()
                pool.join()
        except _StoppedError:
            pass

    def _compute_each(self, options: dict[str, Any]) -> None:
        """Compute all calls at once; if their lazy arrays raise, each alone, to see whose did."""
        self._compute(list(self._calls), options)
        for number in self._calls:
            if number not in self._ended:
                self._compute([number], options)

    def _compute(self, numbers: Sequence[int], options: dict[str, Any]) -> None:
        tasks = delayed_calls({n: self._calls[n] for n in numbers}, _outcome_of)
        watch = _Watch({task.key: n for n, task in tasks.items()}, self._begin, self._end)
        try:
            with watch:
                dask.compute(*tasks.values(), **options)
        except _StoppedError:
            raise
        except BaseException as error:
            left = [n for n in numbers if n not in self._ended]
            interrupted = not isinstance(error, Exception)
            if left and (interrupted or len(numbers) == 1):
                self._end(left[0], Raised(error))
            if interrupted:
                raise _StoppedError from error

    def _begin(self, number: int) -> None:
        self._begun.add(number)

    def _end(self, number: int, outcome: Any) -> None:
        self._ended.add(number)
        self._outcomes.put((number, outcome))
        if self._stopped.is_set():
            raise _StoppedError


class _StoppedError(Exception):
    """Ends dask's loop over the tasks that it has not begun."""


def _outcome_of(function: Callable[..., Any], *arrays: Any) -> Any:
    try:
        return function(*arrays)
    except Exception as error:
        return Raised(error)


class _Watch(Callback):  # type: ignore[misc]
    """Tells of the tasks that were asked for (not of those in between) when they begin and end."""

    def __init__(
        self,
        numbers: Mapping[str, int],
        begin: Callable[[int], None],
        end: Callable[[int, Any], None],
    ) -> None:
        super().__init__()
        self._numbers = numbers
        self._tell_begin = begin
        self._tell_end = end

    def _pretask(self, key: Any, dsk: Any, state: Any) -> None:
        if key in self._numbers:
            self._tell_begin(self._numbers[key])

    def _posttask(self, key: Any, result: Any, dsk: Any, state: Any, worker_id: Any) -> None:
        if key in self._numbers:
            self._tell_end(self._numbers[key], result)
