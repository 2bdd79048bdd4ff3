"""The merge of measures on the workers: each merges and finishes ranges of labels of its own.

Where the sweep's records lie in files, the rows of many blocks are brought together in files sorted
by label, one batch after the other, of which a worker reads the stretches of its range: the driver
holds one batch of rows and the finished table. Records in memory are merged by this process's
threads. What is cut where changes no byte: see :mod:`chunkseg.passes.measure.merging`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from chunkseg.errors import ParameterError
from chunkseg.geometry.boxes import Block
from chunkseg.passes.measure import MeasureRecord, Measures
from chunkseg.passes.measure.merging import Held, Parts, label_ranges, sampled
from chunkseg.runner.execution import Call, Execution, Failure
from chunkseg.runner.progress import Progress
from chunkseg.storage.records import Records
from chunkseg.storage.rows import Filed, write_rows

Columns: TypeAlias = dict[str, NDArray[Any]]
Numbered: TypeAlias = list[tuple[int, MeasureRecord]]
Ranges: TypeAlias = list[tuple[int, int]]

FILE_ROWS = 2**19
NAME = "merge"


@dataclass(frozen=True, slots=True)
class RangeTask:
    """Merge and finish the labels from ``first`` to ``last``."""

    measures: Measures
    parts: Parts
    first: int
    last: int

    def __call__(self) -> Columns:
        """Return the columns of these labels."""
        return self.measures.table(self.parts, self.first, self.last)


def merged_frames(
    records: Records[MeasureRecord], measures: Measures, execution: Execution, progress: Progress
) -> Iterator[tuple[int, Columns]]:
    """Merge and finish the measures of each frame.

    Parameters
    ----------
    records
        Of the blocks, as a sweep left them; those in files are read a batch at a time.
    measures
        What was measured.
    execution
        Where ranges are merged. Records in memory are merged by threads of this process.
    progress
        Called as ``progress("merge", ranges done, ranges in all)`` for frames of several ranges.

    Yields
    ------
    frame, columns
        Each frame's number and its columns, one value per label, ascending.

    Raises
    ------
    ParameterError
        If a label is negative.
    """
    here = execution if execution.client is None else Execution(client=None)
    for frame, group in records.frames():
        batches = _batches(group, records.folder is not None)
        batch, more = next(batches), next(batches, None)
        if records.folder is None or more is None:
            parts, ranges = _held(batch)
            yield frame, _merged(measures, parts, ranges, here, progress)
        else:
            with _filed([batch, more], batches, records.folder) as (filed, ranges):
                yield frame, _merged(measures, filed, ranges, execution, progress)


def _batches(group: Iterable[tuple[Block, MeasureRecord]], cut: bool) -> Iterator[Numbered]:
    """Numbers and records of the blocks; if wanted, cut into batches of ``FILE_ROWS`` rows."""
    batch: Numbered = []
    rows = 0
    for block, record in group:
        _check_not_negative(record)
        batch.append((block.number, record))
        rows += len(record.label)
        if cut and rows >= FILE_ROWS:
            yield batch
            batch, rows = [], 0
    if batch:
        yield batch


def _check_not_negative(record: MeasureRecord) -> None:
    if len(record.label) and record.label[0] < 0:
        raise ParameterError(
            f"labels must not be negative; there is {record.label[0]} (uint64 labels above "
            "2**63 - 1 count as such)"
        )


def _held(batch: Numbered) -> tuple[Held, Ranges]:
    records = [record for _, record in sorted(batch, key=lambda item: item[0])]
    return Held(records), list(label_ranges([sampled(records)]))


@contextmanager
def _filed(
    begun: Sequence[Numbered], rest: Iterable[Numbered], folder: Path
) -> Iterator[tuple[Filed, Ranges]]:
    """Keep the rows of batches in files, sorted by label, beside the folder of the records."""
    into = folder.with_name(f"{folder.name}-{NAME}")
    into.mkdir(exist_ok=True)
    samples: list[NDArray[np.int64]] = []
    try:
        for batches in (begun, rest):
            for batch in batches:
                numbers, records = zip(*batch, strict=True)
                write_rows(into, len(samples), numbers, records)
                samples.append(sampled(records))
        yield Filed(str(into), len(samples)), list(label_ranges(samples))
    finally:
        shutil.rmtree(into)


def _merged(
    measures: Measures, parts: Parts, ranges: Ranges, execution: Execution, progress: Progress
) -> Columns:
    """Merge all ranges of one frame and chain their columns."""
    if len(ranges) == 1:
        return measures.table(parts, *ranges[0])
    done = 0

    def advance(n: int) -> None:
        nonlocal done
        done += n
        progress(NAME, done, len(ranges))

    calls = [Call(RangeTask(measures, parts, *limits), NAME) for limits in ranges]
    found: list[Columns] = []
    for part in execution.compute(calls, advance):
        if isinstance(part, Failure):
            raise part.error
        found.append(part)
    return {name: np.concatenate([part.pop(name) for part in found]) for name in list(found[0])}
