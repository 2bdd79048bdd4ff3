"""Calls: what a scheduler is given, and what comes back of each.

A call is one task: a function, and the lazy arrays that dask computes for it. Its outcome is the
function's result or a :class:`Raised`; what a sweep sees of a call that kept failing is a
:class:`Failure`. A :class:`Backend` starts a batch of calls somewhere and tells of outcomes.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import dask.array as da
from dask.delayed import Delayed, delayed

Advance = Callable[[int], None]
SETTLE = 30.0


@dataclass(frozen=True, slots=True)
class Call:
    """One task: a function and the lazy arrays to be computed and given to it.

    Attributes
    ----------
    function
        What is called; on a cluster it is sent to a worker.
    name
        Name of the pass, seen on dask's dashboard.
    arrays
        Lazy arrays whose values it is given.
    where
        What it works on, for messages: a frame and its voxels.
    """

    function: Callable[..., Any]
    name: str
    arrays: tuple[da.Array, ...] = ()
    where: str = ""

    def __str__(self) -> str:
        return f"{self.name}, {self.where}" if self.where else self.name


@dataclass(frozen=True, slots=True)
class Failure:
    """In place of a result: a call that kept failing.

    Attributes
    ----------
    error
        What it raised the last time.
    attempts
        How often it was tried.
    """

    error: Exception
    attempts: int


@dataclass(frozen=True, slots=True)
class Raised:
    """Outcome of a call that raised."""

    error: BaseException


class WorkerLostError(Exception):
    """Outcome of a call whose workers died or could not be reached any more."""


class Batch(Protocol):
    """Calls that were started together, each known by its number."""

    def finished(self, timeout: float) -> list[tuple[int, Any]]:
        """Wait for outcomes; an empty list when none came within ``timeout`` seconds."""

    def under_way(self) -> list[int] | None:
        """Calls that were begun and have not ended; None where there is nobody to do them."""

    def stop(self, patience: float) -> None:
        """Begin no more calls, and wait ``patience`` seconds at most for those under way."""


class Backend(Protocol):
    """Where calls run."""

    @property
    def width(self) -> int:
        """How many calls run at the same time."""

    @property
    def resubmits(self) -> bool:
        """Whether a call that hangs can be given up and started anew."""

    def start(self, calls: Mapping[int, Call], at_once: int | None) -> Batch:
        """Start calls, no more than ``at_once`` of them at the same time."""


def delayed_calls(calls: Mapping[int, Call], body: Callable[..., Any]) -> dict[int, Delayed]:
    """Return one delayed task per call, with a key of its own, that runs ``body(function, ...)``.

    The arrays become arguments as they are, without dask's optimisation of each array alone: that
    would rename what calls share, and each block would compute it again for itself. The function is
    bound and not an argument, since dask looks for lazy arrays in all that an argument holds.
    """
    tasks = {}
    for number, call in calls.items():
        whole = [
            array.rechunk(array.shape).to_delayed(optimize_graph=False) for array in call.arrays
        ]
        arguments = [blocks.item() for blocks in whole]
        task = delayed(partial(body, call.function), pure=False, traverse=False)
        tasks[number] = task(*arguments, dask_key_name=new_key(call, number))
    return tasks


def new_key(call: Call, number: int) -> str:
    """Key that no task ever had; its prefix is the name of the pass.

    The number keeps the order in which dask takes up tasks that are alike, from run to run.
    """
    return f"{call.name}-{number:06d}-{uuid.uuid4().hex}"


def listed(calls: Sequence[Call], most: int = 5) -> str:
    """Name calls in a message, no more than ``most`` of them."""
    names = [str(call) for call in calls[:most]]
    if len(calls) > most:
        names.append(f"and {len(calls) - most} more")
    return "; ".join(names)
