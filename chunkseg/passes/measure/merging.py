"""Records of measurements, and their merge: sort by label, reduce over runs of equal labels.

A block's record is sorted by label, so the rows of any range of labels are a slice of it. The merge
goes range by range: beyond the records themselves it needs the memory of one range and of the
result, and rows of one label meet in block order whatever the ranges are, so float sums are
reproducible to the byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from chunkseg.passes.measure.contributions import Array, Contribution, Rows, View

RANGE_ROWS = 2**19


@dataclass(frozen=True, slots=True)
class MeasureRecord:
    """What is known of the regions of one block, or of a frame: one row per label, ascending.

    Attributes
    ----------
    label
        The regions' labels.
    columns
        Partial sums by name, first axis as ``label``; see :class:`Contribution`.
    """

    label: NDArray[np.int64]
    columns: dict[str, Array]

    def between(self, low: int, high: int) -> MeasureRecord:
        """Rows of the labels ``low <= label < high``."""
        start, stop = np.searchsorted(self.label, [low, high])
        return MeasureRecord(
            self.label[start:stop], {k: v[start:stop] for k, v in self.columns.items()}
        )


def measure_block(
    view: View, ids: NDArray[np.int64], contributions: Sequence[Contribution]
) -> MeasureRecord:
    """Measure one block.

    Parameters
    ----------
    view
        The block.
    ids
        Label of each local id; 0 for one that is not to be measured.
    contributions
        What to sum.
    """
    there = np.flatnonzero((ids != 0) & (view.regions.num_pixels > 0))
    kept = there[np.argsort(ids[there], kind="stable")]
    columns = {name: rows[kept] for c in contributions for name, rows in c.block(view).items()}
    return MeasureRecord(ids[kept].astype(np.int64), columns)


def merge_measures(
    records: Iterable[MeasureRecord], contributions: Sequence[Contribution]
) -> MeasureRecord:
    """Merge the rows of equal label; the records must come in block order, at least one."""
    parts = [merge_range(part, contributions) for part in label_ranges(list(records))]
    names = parts[0].columns
    return MeasureRecord(
        np.concatenate([p.label for p in parts]),
        {name: np.concatenate([p.columns[name] for p in parts]) for name in names},
    )


def label_ranges(records: Sequence[MeasureRecord]) -> Iterator[list[MeasureRecord]]:
    """Cut records into ranges of labels of about ``RANGE_ROWS`` rows: at least one range."""
    labels = np.concatenate([record.label for record in records])
    if len(labels) <= RANGE_ROWS:
        yield list(records)
        return
    cuts = np.arange(RANGE_ROWS, len(labels), RANGE_ROWS)
    inner = np.unique(np.partition(labels, cuts)[cuts])
    edges = [int(labels.min()), *inner.tolist(), int(labels.max()) + 1]
    del labels
    for low, high in pairwise(edges):
        parts = [record.between(low, high) for record in records]
        yield [part for part in parts if len(part.label)] or parts[:1]


def merge_range(
    records: Sequence[MeasureRecord], contributions: Sequence[Contribution]
) -> MeasureRecord:
    """Merge the rows of equal label of some records at once."""
    labels = np.concatenate([record.label for record in records])
    order = np.argsort(labels, kind="stable")
    labels = labels[order]
    starts = np.flatnonzero(np.concatenate([[True], labels[1:] != labels[:-1]])[: len(labels)])
    columns = {
        name: np.concatenate([record.columns[name] for record in records])[order]
        for name in records[0].columns
    }
    rows = Rows(columns, starts)
    for contribution in contributions:
        for name, merge in contribution.merge.items():
            rows.merged[name] = merge(rows, name)
    return MeasureRecord(labels[starts], rows.merged)
