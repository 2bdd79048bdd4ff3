"""Checks of a result's arrays by themselves: one sweep over each, and what its records say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from chunkseg.api.checks import FAILED, OK, Check, Subject, Tally, not_checked
from chunkseg.errors import BlocksError, FormatError
from chunkseg.passes.components import Components, ComponentsPass
from chunkseg.passes.consistency import (
    LabelsSeen,
    at_border,
    gap,
    misplaced,
    tables_differ,
    torn,
    values_of,
)
from chunkseg.passes.measure import Measures, choose
from chunkseg.passes.tables import with_physical
from chunkseg.runner.execution import Execution
from chunkseg.runner.lesson_measures import PROPERTIES
from chunkseg.runner.measuring import MeasureTask
from chunkseg.runner.progress import Progress
from chunkseg.runner.saving import levels_differ
from chunkseg.runner.sweep import Input, Sweeper
from chunkseg.runner.verifying import LookTask
from chunkseg.storage.pyramids import opened_pyramid
from chunkseg.storage.records import Records
from chunkseg.storage.site import TABLE
from chunkseg.storage.written import kept_arrays, written_array

OF_LABELS = {
    "checksums": "CRC32C of every block",
    "labels": "1 to n in every frame",
    "connected": "each label is one component",
    "ranking": "by first voxel",
    "counts": "labels, rows of the table and run.json",
    "border": "no object touches it",
    "table": "area, bbox, centroid of every object",
}


@dataclass(frozen=True)
class Looked:
    """An array that was swept over.

    Attributes
    ----------
    subject
        The result it belongs to.
    records
        What was seen of each block.
    """

    subject: Subject
    records: Records[LabelsSeen]

    @cached_property
    def rule(self) -> ComponentsPass:
        """How components are found, with the border that they may touch."""
        return ComponentsPass(self.subject.layout.ndim, border=self.subject.border)

    def components(self) -> Iterator[tuple[int, Components]]:
        """Each frame with its components of equal value."""
        for frame, group in self.records.frames():
            pairs = ((block, seen.components) for block, seen in group)
            yield frame, self.rule.merge(pairs, self.subject.grid)

    def foreground(self) -> dict[int, int]:
        """Foreground voxels of each frame."""
        return {f: sum(s.foreground for _, s in group) for f, group in self.records.frames()}


def look(
    subject: Subject, name: str, execution: Execution, progress: Progress, folder: Path
) -> Looked:
    """Sweep over an array.

    Raises
    ------
    FormatError
        If it can't be opened.
    BlocksError
        If some blocks can't be read.
    """
    source = written_array(subject.path, name, subject.layout.shape)
    grid = subject.grid
    looked = Looked(subject, Records(LabelsSeen, folder / name))
    task = LookTask(looked.rule, MeasureTask(_measures(subject), 0, grid.frame), grid.frame, name)
    sweeper: Sweeper[LabelsSeen] = Sweeper(grid, range(subject.layout.frames), execution, progress)
    sweeper.run(task, [Input(source, subject.layout)], looked.records)
    return looked


def array_checks(
    subject: Subject, execution: Execution, progress: Progress, folder: Path
) -> tuple[list[Check], list[str]]:
    """Sweep over all arrays; return the checks, and which arrays can be read."""
    looked: dict[str, Looked] = {}
    unreadable: dict[str, str] = {}
    for name in kept_arrays(subject.run):
        try:
            looked[name] = look(subject, name, execution, progress, folder)
        except (FormatError, BlocksError) as error:
            unreadable[name] = " ".join(str(error).split())
    wrong = list(unreadable.values())
    detail = f"every chunk of {', '.join(looked)} can be decoded"
    checks = [Check("chunks", FAILED if wrong else OK, "; ".join(wrong) or detail)]
    checks += level_checks(subject, list(looked), execution, progress)
    if "labels" in looked:
        checks += label_checks(looked["labels"])
    elif "labels" in unreadable:
        checks += not_checked(OF_LABELS, "the label image can't be read")
    for name in ("mask", "seeds", "expanded"):
        if name in looked:
            checks += kept_checks(looked[name], name)
    return checks, list(looked)


def level_checks(
    subject: Subject, names: Sequence[str], execution: Execution, progress: Progress
) -> list[Check]:
    """Whether every coarser level is what the one below gives; no check where there is none."""
    levels = subject.levels
    if len(levels) == 1 or not names:
        return []
    tally = Tally()
    for name in names:
        try:
            pyramid = opened_pyramid(
                subject.path / f"{name}.ome.zarr", subject.layout, levels, mean=False
            )
        except Exception as error:
            tally.note("levels", f"{name}: ", " ".join(str(error).split()))
            continue
        for text in levels_differ(pyramid, execution, progress):
            tally.note("levels", f"{name}: ", text)
    return tally.checks({"levels": f"{len(levels) - 1} coarser ones follow from the one below"})


def label_checks(looked: Looked) -> list[Check]:
    """What the label image must be by itself, and what the table and ``run.json`` say of it."""
    tally = Tally()
    told = dict(OF_LABELS)
    if looked.subject.border is None:
        del told["border"]
    without: list[Check] = []
    if not all(frame.get("checksums") for frame in looked.subject.frames):
        del told["checksums"]
        without += not_checked(["checksums"], "the run recorded none")
    for frame, components in looked.components():
        where, values = looked.subject.where(frame), values_of(components)
        tally.note("labels", where, gap(values))
        tally.note("connected", where, torn(values))
        tally.note("ranking", where, misplaced(values))
        tally.note("border", where, at_border(components))
        count, n = looked.subject.frames[frame]["counts"].get("final"), len(np.unique(values))
        said = f"{n} labels are there, and {count} in run.json"
        tally.note("counts", where, None if n == count else said)
    if "checksums" in told:
        _note_checksums(looked, tally)
    _note_table(looked, tally)
    return without + tally.checks(told)


def _note_checksums(looked: Looked, tally: Tally) -> None:
    """Compare the checksum of each block's labels with the one recorded."""
    for block, seen in looked.records:
        known = looked.subject.frames[block.frame]["checksums"]
        if block.number >= len(known) or known[block.number] != seen.checksum:
            text = f"block {block.number}, voxels [{block.core.spans}], is not what was written"
            tally.note("checksums", looked.subject.where(block.frame), text)


def _note_table(looked: Looked, tally: Tally) -> None:
    """Compare the table with what the label image gives."""
    subject = looked.subject
    try:
        table = pd.read_parquet(subject.path / TABLE)
        by_frame = [subject.rows(table, frame) for frame in range(subject.layout.frames)]
    except Exception as error:
        tally.note("table", "", f"{TABLE} can't be read: {' '.join(str(error).split())}")
        return
    if sum(map(len, by_frame)) != len(table):
        tally.note("table", "", "it has rows of frames that there are not")
    for frame, group in looked.records.frames():
        where, rows = subject.where(frame), by_frame[frame]
        seen = [s.measures for _, s in sorted(((b.number, s) for b, s in group), key=itemgetter(0))]
        measures = _measures(subject)
        expected = pd.DataFrame(measures.finish(measures.merge(seen)))
        tally.note("table", where, tables_differ(rows, _with_physical(subject, expected)))
        count = subject.frames[frame]["counts"].get("final")
        said = f"the table has {len(rows)} rows, and run.json {count} objects"
        tally.note("counts", where, None if len(rows) == count else said)


def _measures(subject: Subject) -> Measures:
    return choose(PROPERTIES, (1.0,) * subject.layout.ndim)


def _with_physical(subject: Subject, table: pd.DataFrame) -> pd.DataFrame:
    """Add the columns in the unit of the image."""
    unit = subject.run["input"]["units"][subject.spatial[0]]
    return with_physical(table, subject.spacing, unit)


def kept_checks(looked: Looked, name: str) -> list[Check]:
    """What an array that the run kept must be by itself, by the counts of ``run.json``."""
    tally = Tally()
    told = {
        "mask": "components and foreground as in run.json",
        "seeds": "components as in run.json, numbered by first voxel",
        "expanded": "components as in run.json, and those left when the border is cleared",
    }
    foreground = looked.foreground()
    for frame, components in looked.components():
        facts = looked.subject.frames[frame]
        fraction = foreground[frame] / looked.subject.grid.frame.size
        for text in _kept_differs(name, components, fraction, facts):
            tally.note(name, looked.subject.where(frame), text)
    return tally.checks({name: told[name]})


def _kept_differs(
    name: str, components: Components, fraction: float, facts: Mapping[str, Any]
) -> Iterator[str]:
    counts, values = facts["counts"], values_of(components)
    known = counts.get("eroded" if name == "seeds" else name)
    if components.count != known:
        yield f"{components.count} components are there, and {known} in run.json"
    if name == "mask" and (fraction != facts["foreground_fraction"] or (values != 1).any()):
        yield f"{fraction} is foreground, and {facts['foreground_fraction']} in run.json"
    if name == "seeds":
        yield from filter(None, (gap(values), torn(values), misplaced(values)))
    if name == "expanded":
        left = int((~components.touches).sum())
        final, others = counts.get("final"), facts.get("dropped", {}).get("size", 0)
        if left - others != final:
            yield (
                f"{left} components are left within the border, and {final} objects and {others} "
                "dropped for their size"
            )
