"""Calls that fail, starve or hang: what is tried again, how often, and when a run must end.

Calls are handed over in rounds: all of them first, then those that have no result yet. Between two
rounds there is a pause that grows. What ends a round, and what ends it all:

==================================  ==============================================================
a call raises                       again, ``attempts`` times in all; then a ``Failure``
a call finds its scratch damaged    a ``Failure``: what wrote it has to be done again
chunkseg refuses the parameters     raised at once
the disk is full                    raised at once as StorageFullError
a call runs out of memory, or its   again with half as many at the same time, down to one; then
workers die                         MemoryLimitError
no call ends for ``stall`` seconds  said; on a cluster, those under way are started anew; when a
                                    call is under way at a second such moment, StalledError
==================================  ==============================================================
"""

from __future__ import annotations

import logging
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from chunkseg.errors import (
    ClusterError,
    KindError,
    MemoryLimitError,
    ParameterError,
    PixelError,
    ScratchError,
    StalledError,
    StorageFullError,
)
from chunkseg.runner.calls import (
    SETTLE,
    Advance,
    Backend,
    Batch,
    Call,
    Failure,
    Raised,
    WorkerLostError,
    listed,
)
from chunkseg.storage.commit import NO_ROOM

POINTLESS = (ParameterError, KindError, PixelError, ClusterError)
STARVED = (MemoryError, WorkerLostError)
PAUSE_GROWTH = 4

_log = logging.getLogger("chunkseg")


@dataclass(frozen=True, slots=True)
class Limits:
    """How long to go on trying.

    Attributes
    ----------
    attempts
        How often a call that raises is tried in all.
    pause
        Seconds before the second attempt; each further pause is four times the one before.
    stall
        Seconds without any call ending that are taken for a standstill.
    """

    attempts: int
    pause: float
    stall: float


@dataclass(slots=True)
class Pressure:
    """What a run has found out about where it runs.

    Attributes
    ----------
    at_once
        How many calls may be under way at the same time, as far as that had to be limited.
    served
        Whether there was anybody to do a call.
    """

    at_once: int | None = None
    served: bool = False


@dataclass
class Rounds:
    """Runs calls, round by round, until each has a result or is a failure."""

    backend: Backend
    calls: Sequence[Call]
    advance: Advance
    limits: Limits
    pressure: Pressure
    results: dict[int, Any] = field(default_factory=dict)
    attempts: Counter[int] = field(default_factory=Counter)
    stalls: Counter[int] = field(default_factory=Counter)
    deserted: int = 0

    def run(self) -> list[Any]:
        """Return the results in order."""
        while pending := [n for n in range(len(self.calls)) if n not in self.results]:
            alone = len(pending) == 1 or self.pressure.at_once == 1
            width = self.backend.width
            errors = self._round(pending)
            starved = {n: e for n, e in errors.items() if isinstance(e, STARVED)}
            if starved and alone:
                self._refuse(starved)
            if starved:
                self._ease(starved, min(len(pending), width))
            if len(errors) > len(starved):
                time.sleep(self._pause(n for n in errors if n not in starved))
        return [self.results[n] for n in range(len(self.calls))]

    def _round(self, pending: Sequence[int]) -> dict[int, Exception]:
        """Start what is pending; return the errors of the calls to be tried again."""
        batch = self.backend.start({n: self.calls[n] for n in pending}, self.pressure.at_once)
        left = set(pending)
        errors: dict[int, Exception] = {}
        patience = SETTLE
        try:
            while left:
                outcomes = batch.finished(self.limits.stall)
                for n, outcome in outcomes:
                    left.discard(n)
                    error = self._settle(n, outcome)
                    if error is not None:
                        errors[n] = error
                if outcomes:
                    self.pressure.served, self.deserted = True, 0
                    continue
                patience = 0
                if self._stalled(batch, left):
                    break
        finally:
            batch.stop(patience)
        return errors

    def _settle(self, n: int, outcome: Any) -> Exception | None:
        """Take a result; return the error of a call that is to be tried again."""
        if not isinstance(outcome, Raised):
            self._finish(n, outcome)
            return None
        error, call = outcome.error, self.calls[n]
        if not isinstance(error, Exception) or isinstance(error, POINTLESS):
            raise error
        full = full_disk(error)
        if full is not None:
            raise full_error(full, call) from error
        if isinstance(error, STARVED):
            return error
        self.attempts[n] += 1
        most = 1 if isinstance(error, ScratchError) else self.limits.attempts
        tried = f"{call}: attempt {self.attempts[n]} of {most} failed: {told(error)}"
        if self.attempts[n] >= most:
            _log.warning("%s; going on without it", tried)
            self._finish(n, Failure(error, self.attempts[n]))
            return None
        _log.warning("%s; trying again", tried)
        return error

    def _finish(self, n: int, result: Any) -> None:
        self.results[n] = result
        self.advance(1)

    def _pause(self, failed: Iterable[int]) -> float:
        most = max(self.attempts[n] for n in failed)
        return self.limits.pause * PAUSE_GROWTH ** (most - 1)

    def _ease(self, starved: Mapping[int, Exception], width: int) -> None:
        """Let fewer calls run at the same time."""
        before = min(width, self.pressure.at_once or width)
        self.pressure.at_once = max(1, before // 2)
        _log.warning(
            "%s ran out of memory or lost its worker (%s); going on with %d at a time",
            listed([self.calls[n] for n in starved]),
            told(next(iter(starved.values()))),
            self.pressure.at_once,
        )

    def _refuse(self, starved: Mapping[int, Exception]) -> NoReturn:
        """Raise for a call that starved with nothing beside it."""
        number, error = next(iter(starved.items()))
        raise MemoryLimitError(
            f"{self.calls[number]} needs more memory than there is, or kills its worker, even with "
            f"nothing beside it: {told(error)}. Give each worker more memory and run the same "
            "command again, or start anew with a smaller block shape."
        ) from error

    def _stalled(self, batch: Batch, left: Iterable[int]) -> bool:
        """Say that nothing moves; whether what is left is to be started anew."""
        seconds = self.limits.stall
        begun = batch.under_way()
        if begun is None:
            self._wait_for_workers(seconds)
            return False
        numbers = begun or sorted(left)
        self.stalls.update(numbers)
        names = listed([self.calls[n] for n in numbers])
        if any(self.stalls[n] > 1 for n in numbers):
            raise StalledError(
                f"nothing moved for {seconds:g} s, the second time; under way: {names}. What is "
                "done is kept: see what holds these up (a file system that does not answer, a "
                "worker that hangs), then run the same command again."
            )
        again = self.backend.resubmits
        what = "starting them anew" if again else "waiting as long once more"
        _log.warning("nothing moved for %g s; under way: %s; %s", seconds, names, what)
        return again

    def _wait_for_workers(self, seconds: float) -> None:
        """Say that there are no workers; for ever where none ever came, as jobs wait in a queue."""
        self.deserted += self.pressure.served
        if self.deserted > 1:
            raise StalledError(
                f"all workers of the cluster are gone, and none came for {2 * seconds:g} s. What "
                "is done is kept: start workers and run the same command again."
            )
        _log.warning("nothing moved for %g s: the cluster has no workers; waiting", seconds)


def full_disk(error: BaseException) -> OSError | None:
    """Return the error, or the one behind it, that says that a disk is full; else None."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in NO_ROOM:
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def full_error(error: OSError, call: Call) -> StorageFullError:
    """Say that the disk is full, how much is free, and that the run can go on afterwards."""
    reason = NO_ROOM[error.errno or 0]
    raised = StorageFullError(
        f"{reason} ({call}){_free(error.filename)}; make room, then run the same command again: "
        "it goes on with what is done"
    )
    raised.errno = error.errno
    return raised


def _free(path: Any) -> str:
    """How much is free where a file was to be written, as far as that can be told here."""
    if not isinstance(path, str):
        return ""
    there = next((p for p in Path(path).parents if p.is_dir()), None)
    if there is None:
        return ""
    return f"; free in {there}: {shutil.disk_usage(there).free / 1e9:.3g} GB"


def told(error: BaseException) -> str:
    """Text of an error in one line, with its type where it says nothing or only a key."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
