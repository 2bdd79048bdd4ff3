"""What a run will do and need, in numbers: passes, blocks, bytes, memory.

:class:`Budget` is how the memory of a process is shared out: the imports, the cache of decoded
chunks, and the rest among the threads. :class:`Plan` is what a user sees.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

from chunkseg.errors import MemoryLimitError
from chunkseg.geometry.boxes import Shape
from chunkseg.plan.blocks import fitting_shape, most_memory, smallest_shape
from chunkseg.plan.costs import PassCost

MIB = 2**20
IMPORTS = 416 * MIB
"""Bytes of a process that has done some blocks: libraries, compiled kernels, what glibc keeps."""
CACHE = 128 * MIB
SMALLEST_CACHE = 16 * MIB
UNUSABLE = 1.15
"""Memory that the allocator keeps, per byte that tasks use."""
PER_THREAD = 512 * MIB
RECKONED_THREADS = 4
"""Threads that a memory limit is shared out among where their number is not given."""
PER_OBJECT = 400
"""Bytes that the records and the table need per object, on top."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How the memory of one process is shared out.

    Attributes
    ----------
    limit
        Bytes in all.
    cache
        Bytes of decoded chunks that are kept.
    """

    limit: int
    cache: int

    @classmethod
    def of(cls, limit: int) -> Budget:
        """Share out a limit: an eighth of what the imports leave is for the cache."""
        return cls(limit, max(SMALLEST_CACHE, min(CACHE, (limit - IMPORTS) // 8)))

    @property
    def for_tasks(self) -> float:
        """Bytes for all tasks that run at the same time; negative where there are none."""
        return (self.limit - IMPORTS - self.cache) / UNUSABLE

    def threads(self, task: float) -> int:
        """How many tasks of a size may run at the same time; 0 if not even one."""
        return max(0, int(self.for_tasks // task))


@dataclass(frozen=True, slots=True)
class Needs:
    """What decides on the blocks: the frame, the image's stored chunk, the costs of the passes."""

    frame: Shape
    stored: Shape
    costs: tuple[PassCost, ...]

    def task(self, block: Shape) -> int:
        """Bytes of a task of the hungriest pass."""
        return int(most_memory(self.costs, block, self.frame))

    def promise(self, block: Shape, threads: int, cache: int) -> int:
        """Bytes of a process at its peak, without what tables need per object."""
        return int(IMPORTS + cache + UNUSABLE * threads * self.task(block))

    def shape(self, memory: float) -> Shape | None:
        """Shape of block that takes the least work within the memory of a task."""
        return fitting_shape(self.frame, self.stored, self.costs, memory)

    def default_shape(self) -> Shape:
        """Shape that depends on no machine and no limit."""
        found = self.shape(PER_THREAD)
        return self.smallest() if found is None else found

    def smallest(self) -> Shape:
        """Return the smallest shape that is considered."""
        return smallest_shape(self.frame, self.stored)

    def least(self) -> int:
        """Return the smallest limit under which one thread can work."""
        return self.promise(self.smallest(), 1, SMALLEST_CACHE) + MIB

    def shape_within(self, budget: Budget, threads: int | None) -> Shape:
        """Shape under a limit that was given, for as many of the threads as can be.

        Raises
        ------
        MemoryLimitError
            If even one thread with the smallest blocks needs more.
        """
        for n in range(threads or RECKONED_THREADS, 0, -1):
            found = self.shape(budget.for_tasks / n)
            if found is not None:
                return found
        raise MemoryLimitError(self.too_little(budget.limit))

    def too_little(self, limit: int) -> str:
        """Say that a limit can't be kept, and what would fit."""
        hungriest = max(self.costs, key=lambda cost: cost.peak(self.smallest(), self.frame))
        return (
            f"a memory limit of {limit / MIB:.0f} MiB can't be kept: {IMPORTS // MIB} MiB are for "
            f"the libraries, and the smallest block, {self.smallest()}, needs "
            f"{self.task(self.smallest()) / MIB:.0f} MiB in the pass {hungriest.name!r}, whose "
            f"halo is {hungriest.halo}; the least limit is {-(-self.least() // MIB)} MiB. A "
            "smaller sigma or erosion_radius needs less, and so does an image in smaller chunks."
        )


@dataclass(frozen=True, slots=True)
class PlannedPass:
    """One pass of a plan.

    Attributes
    ----------
    name
        Its name.
    halo, reads
        What a task reads around its core, and the shape of what it reads in the middle of a frame.
    tasks
        Number of tasks: one per block and frame.
    bytes_read
        Bytes of pixels that tasks ask for.
    bytes_decoded
        Bytes of the stored chunks that hold them; the cache of decoded chunks spares a part.
    bytes_written
        Bytes of pixels written to arrays that stay, before compression.
    task_memory
        Bytes of memory of a task at its peak.
    seconds
        Estimated wall time; None where it was not asked for.
    """

    name: str
    halo: Shape
    reads: Shape
    tasks: int
    bytes_read: int
    bytes_decoded: int
    bytes_written: int
    task_memory: int
    seconds: float | None = None


@dataclass(frozen=True)
class Plan:
    """What a run will do, and what it needs.

    Attributes
    ----------
    shape, frames
        Shape of a frame, and number of frames.
    block_shape, blocks
        Shape of a block, and number of blocks per frame.
    threads
        How many tasks run at the same time.
    passes
        The passes.
    memory
        Bytes of memory promised at the peak, without the tables.
    memory_limit
        Bytes that the run must keep to.
    cache
        Bytes of decoded chunks that are kept; part of ``memory``.
    memory_per_object
        Bytes that records and tables need for each object, on top of ``memory``.
    scratch
        Bytes on disk at most between the passes, for objects (noise needs more).
    notes
        What a user should know: a limit that can't be kept and what would fit, threads left out.
    fits
        Whether the limit can be kept.
    """

    shape: Shape
    frames: int
    block_shape: Shape
    blocks: int
    threads: int
    passes: tuple[PlannedPass, ...]
    memory: int
    memory_limit: int
    cache: int
    memory_per_object: int
    scratch: int
    notes: tuple[str, ...]
    fits: bool

    @property
    def seconds(self) -> float | None:
        """Estimated wall time of all passes; None where it was not asked for."""
        known = [p.seconds for p in self.passes if p.seconds is not None]
        return sum(known) if known else None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as for JSON."""
        return asdict(self) | {"seconds": self.seconds}

    def to_json(self) -> str:
        """JSON text."""
        return json.dumps(self.as_dict(), indent=1)

    def __str__(self) -> str:
        told = [*_aligned(_facts(self)), "", *_aligned(_pass_rows(self))]
        return "\n".join([*told, *(f"note: {n}" for n in self.notes)])

    def _repr_html_(self) -> str:
        caption = "<caption>chunkseg plan</caption>"
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        return f"{_table(_facts(self), caption)}{_table(_pass_rows(self))}{notes}"


Rows = Sequence[Sequence[str]]


def _facts(plan: Plan) -> Rows:
    """Rows that tell of all passes together."""
    rows = [
        ["image", f"{_counted(plan.frames, 'frame')} of {_by(plan.shape)}"],
        ["blocks", f"{_by(plan.block_shape)}, {plan.blocks} per frame"],
        ["memory", f"{_size(plan.memory)} at the peak, with {_counted(plan.threads, 'thread')}"],
        ["", f"and {plan.memory_per_object} bytes per object for tables"],
        ["limit", _size(plan.memory_limit)],
        ["scratch", _size(plan.scratch)],
    ]
    if plan.seconds is not None:
        rows.append(["time", f"about {plan.seconds:.0f} s"])
    return rows


def _pass_rows(plan: Plan) -> Rows:
    """Return a row per pass, below their titles."""
    head = ["pass", "tasks", "reads", "read", "decoded", "written", "memory/task"]
    return [head] + [
        [
            p.name,
            str(p.tasks),
            _by(p.reads),
            *map(_size, (p.bytes_read, p.bytes_decoded, p.bytes_written, p.task_memory)),
        ]
        for p in plan.passes
    ]


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _table(rows: Rows, caption: str = "") -> str:
    """Rows as HTML."""
    cells = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows)
    return f"<table>{caption}{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"


def _aligned(rows: Rows) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in rows]


def _by(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _size(size: float) -> str:
    """Return a number of bytes for people, in binary units.

    Examples
    --------
    >>> _size(0), _size(300 * 2**20), _size(5 * 2**40)
    ('0 MiB', '300 MiB', '5.0 TiB')
    """
    for unit in ("MiB", "GiB"):
        size /= 1024 if unit != "MiB" else MIB
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "MiB" else f"{size:.1f} {unit}"
    return f"{size / 1024:.1f} TiB"
