"""Rows of measurements in files sorted by label, for a merge by ranges of labels.

A file holds one item of fixed length per row, so that a range of labels is one stretch of it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chunkseg.passes.measure import MeasureRecord
from chunkseg.passes.measure.merging import chained
from chunkseg.storage.commit import committed

BLOCK, LABEL = "block", "label"


@dataclass(frozen=True, slots=True)
class Filed:
    """Rows in the files that :func:`write_rows` wrote to a folder as 0 to ``count - 1``."""

    folder: str
    count: int

    def between(self, first: int, last: int) -> MeasureRecord:
        """Rows of the labels from first to last, by label and within a label by block."""
        cuts = [_cut(Path(self.folder), n, first, last) for n in range(self.count)]
        rows = np.concatenate([cut for cut in cuts if len(cut)] or cuts[:1])
        rows = rows[np.lexsort((rows[BLOCK], rows[LABEL]))]
        names = [name for name in rows.dtype.names or () if name not in (BLOCK, LABEL)]
        columns = {name: np.ascontiguousarray(rows[name]) for name in names}
        return MeasureRecord(np.ascontiguousarray(rows[LABEL]), columns)


def write_rows(
    folder: Path, file: int, numbers: Sequence[int], records: Sequence[MeasureRecord]
) -> None:
    """Write the rows of some blocks, given with their numbers, as one file of a folder."""
    with_blocks = [
        MeasureRecord(r.label, {BLOCK: np.full(len(r.label), number), **r.columns})
        for number, r in zip(numbers, records, strict=True)
    ]
    rows = chained(with_blocks)
    fields = {LABEL: rows.label, **rows.columns}
    items = np.empty(len(rows.label), [(n, c.dtype, c.shape[1:]) for n, c in fields.items()])
    for name, column in fields.items():
        items[name] = column
    with committed(_path(folder, file)) as partial, partial.open("wb") as out:
        np.save(out, items)


def _path(folder: Path, file: int) -> Path:
    return folder / f"{file:06d}.npy"


def _cut(folder: Path, file: int, first: int, last: int) -> NDArray[np.void]:
    """Rows of a file with labels from first to last."""
    rows = np.load(_path(folder, file), mmap_mode="r")
    start, stop = bisect_left(rows[LABEL], first), bisect_right(rows[LABEL], last)
    return np.array(rows[start:stop])
