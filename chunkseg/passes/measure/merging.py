"""Records of measurements, and their merge: sort by label, reduce over runs of equal labels.

A block's record is sorted by label, so the rows of any range of labels are a slice of it, and
ranges of labels can be merged independently of each other, in any order and anywhere. Within a
label rows meet in the order of their blocks' numbers, whatever the order they came in: the result
is the same to the byte for any ranges.

Not a tree of pairwise merges: the shape of a tree would show in the last bits of float sums,
squared deviations and moments are moved to the mean of *all* rows of a label before they are added,
and every row would be copied once per level; here it is sorted once.

Rows wait for that as :class:`Parts`: in memory (:class:`Held`) or in files (``storage.rows``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from chunkseg.passes.measure.contributions import Array, Contribution, Rows, View

RANGE_ROWS = 2**18
SAMPLED_ROWS = 2**10


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

    def between(self, first: int, last: int) -> MeasureRecord:
        """Rows of the labels from ``first`` to ``last``, both included."""
        start = np.searchsorted(self.label, first, side="left")
        return self.take(slice(start, np.searchsorted(self.label, last, side="right")))

    def take(self, rows: Any) -> MeasureRecord:
        """Some of the rows."""
        return MeasureRecord(self.label[rows], {k: v[rows] for k, v in self.columns.items()})


class Parts(Protocol):
    """Rows of the blocks of a frame, of which those of a range of labels can be had."""

    def between(self, first: int, last: int) -> MeasureRecord:
        """Rows of the labels from first to last, by label and within a label by block."""


@dataclass(frozen=True, slots=True)
class Held:
    """Rows in memory: the records of the blocks in the order of the blocks' numbers."""

    records: Sequence[MeasureRecord]

    def between(self, first: int, last: int) -> MeasureRecord:
        """Rows of the labels from first to last, by label and within a label by block."""
        full = (r for r in self.records if len(r.label))
        near = [r.between(first, last) for r in full if r.label[0] <= last and r.label[-1] >= first]
        return chained(near or [self.records[0].take(slice(0))])


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


def chained(records: Sequence[MeasureRecord]) -> MeasureRecord:
    """Chain records and sort the rows by label; those of one label stay in the records' order.

    Records without rows say nothing of the columns' dtypes, unless there are no others.
    """
    full = [r for r in records if len(r.label)] or records[:1]
    columns = {name: np.concatenate([r.columns[name] for r in full]) for name in full[0].columns}
    rows = MeasureRecord(np.concatenate([r.label for r in full]), columns)
    return rows.take(np.argsort(rows.label, kind="stable"))


def merge_rows(rows: MeasureRecord, contributions: Sequence[Contribution]) -> MeasureRecord:
    """Merge the rows of equal label, which come by label and within a label by block."""
    labels = rows.label
    starts = np.flatnonzero(np.concatenate([[True], labels[1:] != labels[:-1]])[: len(labels)])
    merging = Rows(rows.columns, starts)
    for contribution in contributions:
        for name, merge in contribution.merge.items():
            merging.merged[name] = merge(merging, name)
    return MeasureRecord(labels[starts], merging.merged)


def merge_measures(
    records: Iterable[MeasureRecord], contributions: Sequence[Contribution]
) -> MeasureRecord:
    """Merge records at once; they must come in block order, at least one."""
    return merge_rows(chained(list(records)), contributions)


def sampled(records: Sequence[MeasureRecord]) -> NDArray[np.int64]:
    """Every ``SAMPLED_ROWS``-th label of some records, ascending."""
    labels: NDArray[np.int64] = np.sort(np.concatenate([record.label for record in records]))
    return labels[::SAMPLED_ROWS]


def label_ranges(samples: Sequence[NDArray[np.int64]]) -> Iterator[tuple[int, int]]:
    """Cut all labels into ranges, from first to last, of about ``RANGE_ROWS`` rows: at least one.

    A range is longer by ``SAMPLED_ROWS`` rows per sample at most, and by the rows of one label.
    """
    labels = np.sort(np.concatenate(samples))
    step = max(1, RANGE_ROWS // SAMPLED_ROWS)
    cuts = np.unique(labels[step::step]).tolist()
    ends = np.iinfo(np.int64)
    lasts = [cut - 1 for cut in cuts] + [int(ends.max)]
    yield from zip([int(ends.min), *cuts], lasts, strict=True)
