"""What is seen of blocks that are copied: the range of their values, or where copies differ."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Extremes:
    """Lowest and highest finite value of a block; None where there is none."""

    low: float | None
    high: float | None


def extremes(values: NDArray[Any]) -> Extremes:
    """Range of the finite values of a block.

    Examples
    --------
    >>> extremes(np.array([3.0, np.nan, -1.0]))
    Extremes(low=-1.0, high=3.0)
    """
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    return (
        Extremes(finite.min().item(), finite.max().item()) if finite.size else Extremes(None, None)
    )


def whole_range(found: Iterable[Extremes]) -> tuple[float, float]:
    """Range of several blocks; 0 to 0 where there is none."""
    known = [(e.low, e.high) for e in found if e.low is not None and e.high is not None]
    return min((low for low, _ in known), default=0), max((high for _, high in known), default=0)


@dataclass(frozen=True, slots=True)
class Differing:
    """Number of voxels of a block that differ from what they should be."""

    voxels: int


def differing(values: NDArray[Any], expected: NDArray[Any]) -> Differing:
    """Count differing voxels; NaN is like NaN.

    Examples
    --------
    >>> differing(np.array([1.0, np.nan, 3.0]), np.array([1.0, np.nan, 2.0]))
    Differing(voxels=1)
    """
    same = values == expected
    if values.dtype.kind == "f":
        same |= np.isnan(values) & np.isnan(expected)
    return Differing(int(same.size - np.count_nonzero(same)))
