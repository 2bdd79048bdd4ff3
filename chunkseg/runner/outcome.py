"""What comes out of a run besides arrays: facts per frame, the table of objects, the time spent."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pandas as pd

from chunkseg.storage.output import Output

Seconds: TypeAlias = dict[str, dict[str, float]]


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
    """

    threshold: Any = None
    constant: bool = False
    foreground_fraction: float = math.nan
    counts: dict[str, int] = field(default_factory=dict)
    checksums: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Outcome:
    """What came out.

    Attributes
    ----------
    facts
        Of each frame.
    table
        One row per object; None where nothing was measured.
    seconds
        Wall and CPU time by pass.
    """

    facts: dict[int, FrameFacts]
    table: pd.DataFrame | None
    seconds: Seconds

    @classmethod
    def gathered(cls, output: Output, groups: Iterable[range]) -> Outcome:
        """Gather what was kept of all groups, and of the complete run that they add to."""
        facts: dict[int, FrameFacts] = {}
        tables: list[pd.DataFrame] = []
        seconds: Seconds = {}
        former = output.former()
        if former is not None:
            run, table = former
            _add(facts, range(len(run["frames"])), run["frames"])
            tables += [] if table is None else [table]
            add_seconds(seconds, run["seconds"])
        for frames in groups:
            kept = output.group(frames)
            assert kept is not None
            _add(facts, frames, kept["frames"])
            add_seconds(seconds, kept["seconds"])
            if kept["table"] is not None:
                tables.append(kept["table"])
        return cls(facts, pd.concat(tables, ignore_index=True) if tables else None, seconds)


def _add(facts: dict[int, FrameFacts], frames: range, contents: list[dict[str, Any]]) -> None:
    for frame, content in zip(frames, contents, strict=True):
        known = {k: v for k, v in content.items() if k in FrameFacts.__dataclass_fields__}
        facts[frame] = FrameFacts(**known)


def add_seconds(seconds: Seconds, more: Seconds) -> None:
    """Add the time of some passes to that of others."""
    for name, spent in more.items():
        total = seconds.setdefault(name, {"wall": 0.0, "cpu": 0.0})
        for clock in total:
            total[clock] += spent[clock]


@contextmanager
def timed(name: str, seconds: Seconds) -> Iterator[None]:
    """Add the time spent to that of a pass: wall time, and CPU time of this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    spent = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    add_seconds(seconds, {name: spent})
