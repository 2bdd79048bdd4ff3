"""What a label image must be by itself, told from the records of one sweep over it.

Components of equal value are found anew, block by block, and joined across seams. In the order of
their first voxels their values must be 1, 2, ..., n: then labels are without gaps, each is one
connected piece, and ids are ranked as scikit-image ranks them. What is told here is which of that
fails, and where.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chunkseg.passes.components import Components, ComponentsRecord
from chunkseg.passes.measure import MeasureRecord


@dataclass(frozen=True, slots=True)
class LabelsSeen:
    """What one sweep over a label image keeps of a block.

    Attributes
    ----------
    foreground
        Voxels that are not 0.
    checksum
        CRC32C of the voxels.
    components
        The components of equal value.
    measures
        Sums by label.
    """

    foreground: int
    checksum: int
    components: ComponentsRecord
    measures: MeasureRecord


def values_of(components: Components) -> NDArray[np.int64]:
    """Value of each component in the order of first voxels."""
    return np.zeros(0, np.int64) if components.values is None else components.values


def gap(values: NDArray[np.int64]) -> str | None:
    """Say which label is missing; None if they run from 1 to n.

    Examples
    --------
    >>> gap(np.array([2, 1])), gap(np.array([1, 4]))
    (None, 'there are 2 labels up to 4, and none is 2')
    """
    there = np.unique(values)
    wrong = np.flatnonzero(there != np.arange(1, len(there) + 1))
    if not len(wrong):
        return None
    return f"there are {len(there)} labels up to {there[-1]}, and none is {wrong[0] + 1}"


def torn(values: NDArray[np.int64]) -> str | None:
    """Say which label is not connected; None if each is.

    Examples
    --------
    >>> torn(np.array([1, 2, 1, 3]))
    'label 1 is in 2 pieces (1 of 3 labels are not connected)'
    """
    labels, pieces = np.unique(values, return_counts=True)
    several = np.flatnonzero(pieces > 1)
    if not len(several):
        return None
    first = several[0]
    return (
        f"label {labels[first]} is in {pieces[first]} pieces ({len(several)} of {len(labels)} "
        "labels are not connected)"
    )


def misplaced(values: NDArray[np.int64]) -> str | None:
    """Say which label comes too early; None if they are ranked by first voxel.

    Examples
    --------
    >>> misplaced(np.array([1, 2, 1, 3])), misplaced(np.array([1, 3, 2]))
    (None, 'label 3 comes before label 2')
    """
    _, first = np.unique(values, return_index=True)
    order = values[np.sort(first)]
    falling = np.flatnonzero(order[1:] < order[:-1])
    if not len(falling):
        return None
    return f"label {order[falling[0]]} comes before label {order[falling[0] + 1]}"


def at_border(components: Components) -> str | None:
    """Say which label touches the border that was to be cleared; None if none does."""
    found = values_of(components)[components.touches]
    if not len(found):
        return None
    return f"label {found.min()} touches the border ({len(found)} do)"


def tables_differ(
    found: pd.DataFrame, expected: pd.DataFrame, tolerance: float = 0.0
) -> str | None:
    """Say where a table is not what was expected, which may lack some of its columns.

    Parameters
    ----------
    found, expected
        One row per label, in the same order.
    tolerance
        Largest relative difference of numbers that are not whole.

    Examples
    --------
    >>> one = pd.DataFrame({"label": [1, 2], "area": [3.0, 4.0]})
    >>> tables_differ(one, one[:1])
    '2 rows, and 1 is right'
    >>> tables_differ(one, one.assign(area=[3.0, 5.0]))
    'area of label 2 is 4.0, and 5.0 is right'
    """
    if len(found) != len(expected):
        return f"{len(found)} rows, and {len(expected)} is right"
    for name in expected.columns:
        if name not in found.columns:
            return f"it has no column {name}"
        ours, right = found[name].to_numpy(), expected[name].to_numpy()
        same = (
            np.isclose(ours, right, rtol=tolerance, atol=tolerance) if tolerance else ours == right
        )
        if not same.all():
            row = int(np.flatnonzero(~same)[0])
            label = expected["label"].iloc[row]
            return f"{name} of label {label} is {ours[row]}, and {right[row]} is right"
    return None
