"""How block tasks are run: on threads, or on the cluster whose client is active.

Tasks are handed over a region (a bounded number of blocks) at a time, so that neither the graph nor
the blocks in flight grow with the image. What fails is tried again: see ``runner.retries``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from chunkseg.errors import ParameterError
from chunkseg.runner.calls import Advance, Backend, Call, Failure
from chunkseg.runner.cluster import ClusterBackend
from chunkseg.runner.retries import Limits, Pressure, Rounds
from chunkseg.runner.threads import ThreadBackend

__all__ = ["Call", "Execution", "Failure", "active_client", "available_cores"]

ATTEMPTS = 3
PAUSE = 1.0
STALL = 1800.0
STALL_VARIABLE = "CHUNKSEG_STALL_SECONDS"


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


def stall_seconds() -> float:
    """Seconds without progress that are a standstill: ``CHUNKSEG_STALL_SECONDS``, or half an hour.

    Raises
    ------
    ParameterError
        If the variable is not a positive number.
    """
    given = os.environ.get(STALL_VARIABLE, str(STALL))
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise ParameterError(
            f"the environment variable {STALL_VARIABLE} needs a positive number of seconds, not "
            f"{given!r}"
        )
    return seconds


@dataclass(frozen=True, slots=True)
class Execution:
    """Where tasks run, and how long they are tried.

    Attributes
    ----------
    workers
        Number of threads; None for as many as there are cores. A cluster has its own number.
    client
        The cluster's client, or None for threads of this process.
    attempts
        How often a call that raises is tried in all.
    pause
        Seconds before a second attempt; four times as long before a third.
    stall
        Seconds without any call ending before that is said to be a standstill.
    """

    workers: int | None = None
    client: Any = field(default_factory=active_client)
    attempts: int = ATTEMPTS
    pause: float = PAUSE
    stall: float = field(default_factory=stall_seconds)
    _pressure: Pressure = field(default_factory=Pressure, init=False, repr=False, compare=False)

    @property
    def width(self) -> int:
        """How many tasks run at the same time."""
        return self._backend.width

    @property
    def _backend(self) -> Backend:
        if self.client is not None:
            return ClusterBackend(self.client)
        return ThreadBackend(self.workers or available_cores())

    def compute(self, calls: Sequence[Call], advance: Advance) -> list[Any]:
        """Run all calls and return their results in order.

        Parameters
        ----------
        calls
            What is called; the calls must not depend on each other, and may run more than once.
        advance
            Called as ``advance(n)`` when ``n`` more are done, those that failed included.

        Returns
        -------
        list
            The result of each call; a :class:`Failure` in place of that of a call that raised in
            each of its attempts.

        Raises
        ------
        ParameterError, KindError, PixelError
            As soon as a call raises one: it would each time.
        StorageFullError
            As soon as there is no room for what a call writes.
        MemoryLimitError
            If a call runs out of memory, or its workers die, with nothing else under way.
        StalledError
            If a call is under way at the end of a second ``stall`` without progress.
        ClusterError
            If the scheduler is gone, or workers lack a library.
        """
        limits = Limits(self.attempts, self.pause, self.stall)
        return Rounds(self._backend, calls, advance, limits, self._pressure).run()
