"""Halving: an array at half its resolution along some axes.

Labels keep the voxel at each even index, images the mean of the two voxels per halved axis. Where
an axis has an odd length, the last voxel is its own neighbour. Both depend on the array alone, so
a block that starts at even indices gives its part of what the whole array gives.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.kernels.blank import is_blank


def halved(array: NDArray[Any], steps: Sequence[int], mean: bool) -> NDArray[Any]:
    """Halve an array along the axes whose step is 2; the others have step 1.

    Parameters
    ----------
    array
        Booleans or real numbers.
    steps
        1 or 2 per axis.
    mean
        Whether voxels are averaged, integers rounded half up (real numbers in float64; NaN stays
        NaN); else, and for booleans, the one at the even index is taken.

    Returns
    -------
    ndarray
        Of the same dtype, and half the length (rounded up) along the halved axes.

    Examples
    --------
    >>> halved(np.array([1, 2, 6, 9, 5], np.uint8), (2,), mean=True)
    array([2, 8, 5], dtype=uint8)
    >>> halved(np.array([1, 2, 6, 9, 5], np.uint8), (2,), mean=False)
    array([1, 6, 5], dtype=uint8)
    """
    if not mean or array.dtype.kind == "b":
        kept = array[tuple(slice(None, None, s) for s in steps)]
        return kept if is_blank(kept) else np.ascontiguousarray(kept)
    odd = [(0, -n % s) for n, s in zip(array.shape, steps, strict=True)]
    even = np.pad(array, odd, mode="edge") if any(more for _, more in odd) else array
    starts = itertools.product(*(range(s) for s in steps))
    parts = [even[tuple(map(_from, start, steps))] for start in starts]
    return _mean_real(parts) if array.dtype.kind == "f" else _mean_whole(parts)


def _from(start: int, step: int) -> slice:
    return slice(start, None, step)


def _mean_real(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    total = parts[0].astype(np.float64)
    for part in parts[1:]:
        total += part
    return (total / len(parts)).astype(parts[0].dtype)


def _mean_whole(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Mean of integers in their own dtype: quotients and remainders are added up apart."""
    bits, one = len(parts).bit_length() - 1, parts[0].dtype.type(1)
    quotient = np.zeros(parts[0].shape, parts[0].dtype)
    remainder = np.full_like(quotient, len(parts) // 2)
    for part in parts:
        quotient += part >> (one * bits)
        remainder += part & (one * (len(parts) - 1))
    return np.asarray(quotient + (remainder >> (one * bits)))
