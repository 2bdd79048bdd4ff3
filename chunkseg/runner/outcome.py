"""What comes out of a run besides arrays: facts per frame, the table of objects, the time spent."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pandas as pd

from chunkseg.runner.resident import watched
from chunkseg.storage.output import Output

Spent: TypeAlias = dict[str, dict[str, float]]
"""By pass: wall and CPU seconds, and the peak of resident memory in bytes."""

CLOCKS = ("wall", "cpu")
MEMORY = "memory"

_BINS = ("frame", "value", "count")


@dataclass
class FrameFacts:
    """What is told of one frame: in ``run.json`` and on the screen.

    Attributes
    ----------
    threshold
        On the scale of the blurred image; None for a mask.
    constant
        Whether all its blurred voxels are equal.
    foreground_fraction
        Fraction of its voxels that is foreground.
    counts
        Number of objects after each step.
    checksums
        CRC32C of the labels of each block, by number.
    histogram
        Centres (``"value"``) and ``"count"`` of the bins that Otsu's threshold was found in; None
        where it was given.
    dropped
        How many objects were dropped at each face of the frame, and for their size.
    dropped_objects
        The dropped objects, see :func:`chunkseg.passes.dropping.dropped_objects`; None where they
        are not known.
    """

    threshold: Any = None
    constant: bool = False
    foreground_fraction: float = math.nan
    counts: dict[str, int] = field(default_factory=dict)
    checksums: list[int] = field(default_factory=list)
    histogram: dict[str, list[float]] | None = None
    dropped: dict[str, int] = field(default_factory=dict)
    dropped_objects: dict[str, list[Any]] | None = None


@dataclass(frozen=True)
class Outcome:
    """What came out.

    Attributes
    ----------
    facts
        Of each frame.
    table
        One row per object; None where nothing was measured.
    spent
        Time and memory by pass.
    """

    facts: dict[int, FrameFacts]
    table: pd.DataFrame | None
    spent: Spent

    @classmethod
    def gathered(cls, output: Output, groups: Iterable[range]) -> Outcome:
        """Gather what was kept of all groups, and of the complete run that they add to."""
        facts: dict[int, FrameFacts] = {}
        tables: list[pd.DataFrame] = []
        spent: Spent = {}
        former = output.former()
        if former is not None:
            run, table = former
            _add(facts, range(len(run["frames"])), run["frames"])
            _add_histograms(facts, output.former_histograms())
            _add_dropped(facts, output.former_dropped())
            tables += [] if table is None else [table]
            add_spent(spent, spent_of(run))
        for frames in groups:
            kept = output.group(frames)
            assert kept is not None
            _add(facts, frames, kept["frames"])
            add_spent(spent, kept["spent"])
            if kept["table"] is not None:
                tables.append(kept["table"])
        return cls(facts, pd.concat(tables, ignore_index=True) if tables else None, spent)


def _add(facts: dict[int, FrameFacts], frames: range, contents: list[dict[str, Any]]) -> None:
    for frame, content in zip(frames, contents, strict=True):
        known = {k: v for k, v in content.items() if k in FrameFacts.__dataclass_fields__}
        facts[frame] = FrameFacts(**known)


def _add_histograms(facts: Mapping[int, FrameFacts], table: pd.DataFrame | None) -> None:
    for frame, rows in [] if table is None else table.groupby("frame"):
        bins = {name: rows[name].tolist() for name in ("value", "count")}
        facts[int(str(frame))].histogram = bins


def _add_dropped(facts: Mapping[int, FrameFacts], table: pd.DataFrame | None) -> None:
    for frame, rows in [] if table is None else table.groupby("t"):
        found = rows.drop(columns="t").to_dict(orient="list")
        facts[int(str(frame))].dropped_objects = {str(k): list(v) for k, v in found.items()}


def dropped_table(facts: Mapping[int, FrameFacts], looped: bool) -> pd.DataFrame | None:
    """Return a row per dropped object, with its time point if there are several; None if unknown.

    Examples
    --------
    >>> dropped_table({0: FrameFacts(dropped_objects={"why": ["size"], "area": [2]})}, True)
       t   why  area
    0  0  size     2
    """
    known = {f: facts[f].dropped_objects for f in sorted(facts)}
    tables = [pd.DataFrame(c).assign(t=f) for f, c in known.items() if c is not None]
    if not tables:
        return None
    table = pd.concat(tables, ignore_index=True)
    names = [name for name in table.columns if name != "t"]
    return table[["t", *names] if looped else names]


def histogram_table(facts: Mapping[int, FrameFacts]) -> pd.DataFrame | None:
    """Return a row per bin of each frame's histogram; None where there is none.

    Examples
    --------
    >>> known = FrameFacts(histogram={"value": [0.25, 0.75], "count": [9, 1]})
    >>> histogram_table({0: known, 1: FrameFacts()})
       frame  value  count
    0      0   0.25      9
    1      0   0.75      1
    """
    known = {frame: f.histogram for frame, f in facts.items() if f.histogram is not None}
    tables = [pd.DataFrame(h).assign(frame=frame) for frame, h in known.items()]
    return pd.concat(tables, ignore_index=True)[list(_BINS)] if tables else None


def add_spent(spent: Spent, more: Spent) -> None:
    """Add what some passes took to what others did: seconds add up, of memory the larger counts.

    Examples
    --------
    >>> spent = {"range": {"wall": 1.0, "cpu": 2.0, "memory": 30}}
    >>> add_spent(spent, {"range": {"wall": 2.0, "cpu": 2.0, "memory": 20}})
    >>> spent
    {'range': {'wall': 3.0, 'cpu': 4.0, 'memory': 30}}
    """
    for name, took in more.items():
        total = spent.setdefault(name, {"wall": 0.0, "cpu": 0.0, MEMORY: 0})
        for clock in CLOCKS:
            total[clock] += took[clock]
        total[MEMORY] = max(total[MEMORY], took[MEMORY])


def told_spent(spent: Spent) -> dict[str, Any]:
    """What ``run.json`` says of it: the seconds, and the memory, by pass.

    Examples
    --------
    >>> told_spent({"range": {"wall": 1.0, "cpu": 2.0, "memory": 30}})
    {'seconds': {'range': {'wall': 1.0, 'cpu': 2.0}}, 'pass_memory_bytes': {'range': 30}}
    """
    seconds = {name: {clock: s[clock] for clock in CLOCKS} for name, s in spent.items()}
    return {"seconds": seconds, "pass_memory_bytes": {n: s[MEMORY] for n, s in spent.items()}}


def spent_of(run: Mapping[str, Any]) -> Spent:
    """What ``run.json`` says that passes took; memory is 0 where an older one does not say.

    Examples
    --------
    >>> spent_of({"seconds": {"range": {"wall": 1.0, "cpu": 2.0}}})
    {'range': {'wall': 1.0, 'cpu': 2.0, 'memory': 0}}
    """
    memory = run.get("pass_memory_bytes", {})
    return {name: {**s, MEMORY: memory.get(name, 0)} for name, s in run["seconds"].items()}


@contextmanager
def timed(name: str, spent: Spent) -> Iterator[None]:
    """Add what is spent to that of a pass: wall time, CPU time and memory of this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    with watched() as peak:
        yield
    took = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    add_spent(spent, {name: {**took, MEMORY: peak.bytes}})
