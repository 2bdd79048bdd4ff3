"""What erosion and expansion share: distances on the voxel grid, one axis after the other.

Squared Euclidean distance adds up over the axes, so the nearest marked voxel of a block is found
axis by axis: two scans along the first one, then, along each other axis, the minimum over a window
of "what the row at offset k found, plus k squared" (min-plus; Saito and Toriwaki 1994, "New
algorithms for Euclidean distance transformation of an n-dimensional digitized picture with
applications", Pattern Recognition 27). The window is bounded by the reach of the operation, and
every inner loop runs over a contiguous row, so that the compiler makes vector code of it.

A block is handled as a volume of three axes; missing ones have length one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.errors import ParameterError
from chunkseg.geometry.boxes import Box
from chunkseg.kernels.compiled import compiled


def inner_box(shape: Sequence[int], inner: Sequence[slice] | None) -> Box:
    """Box that ``inner`` cuts out of a block; the whole block for ``None``.

    Parameters
    ----------
    shape
        Shape of the block.
    inner
        One slice of step 1 per axis; negative and missing ends count as in indexing.

    Raises
    ------
    ParameterError
        If there is not one slice per axis, or a slice has another step.

    Examples
    --------
    >>> inner_box((5, 8), (slice(1, -1), slice(None)))
    Box(start=(1, 0), stop=(4, 8))
    """
    if inner is None:
        return Box.whole(shape)
    if len(inner) != len(shape) or any(s.step not in (None, 1) for s in inner):
        raise ParameterError(
            f"inner must be one slice of step 1 for each of the {len(shape)} axes, got {inner}"
        )
    ends = [s.indices(n)[:2] for s, n in zip(inner, shape, strict=True)]
    return Box(tuple(a for a, _ in ends), tuple(max(a, b) for a, b in ends))


def diagonal(shape: Sequence[int]) -> int:
    """Squared distance, in voxels, between opposite corners of an array of that shape.

    Examples
    --------
    >>> diagonal((4, 5))
    25
    """
    return sum((n - 1) ** 2 for n in shape)


def as_volume(array: NDArray[Any]) -> NDArray[Any]:
    """View an array of up to three axes as one of three, with leading axes of length one."""
    return array.reshape((1,) * (3 - array.ndim) + array.shape)


def volume_axes(numbers: Sequence[int], fill: int) -> tuple[int, int, int]:
    """Numbers per axis for the view of :func:`as_volume`, ``fill`` for the axes of length one."""
    z, y, x = (fill,) * (3 - len(numbers)) + tuple(numbers)
    return z, y, x


def start_scan(free: NDArray[np.bool_], reach: int) -> NDArray[Any]:
    """Array for :func:`scan_back`: 0 at marked voxels, ``reach + 1`` ("far") at free ones.

    Its dtype is the narrowest unsigned one that holds ``reach + 1``.
    """
    dtype = np.min_scalar_type(reach + 1)
    return np.multiply(free, dtype.type(reach + 1), dtype=dtype, order="C")


@compiled()
def scan_back(steps: NDArray[Any], far: int) -> None:
    """Along the first axis, in place: steps to the next marked voxel, at most ``far``."""
    planes, rows, columns = steps.shape
    for z in range(planes - 2, -1, -1):
        for y in range(rows):
            here, after = steps[z, y], steps[z + 1, y]
            for x in range(columns):
                step = after[x] + (after[x] < far)
                here[x] = min(here[x], here.dtype.type(step))


@compiled()
def scan_on(before: NDArray[Any], steps: NDArray[Any], far: int) -> None:
    """Carry the steps back to the last marked voxel from one plane to the next, in place.

    ``before`` holds them for the plane before and gets them for this plane, of which ``steps``
    is what :func:`scan_back` left: 0 where a voxel is marked.
    """
    rows, columns = before.shape
    for y in range(rows):
        here, last = steps[y], before[y]
        for x in range(columns):
            step = last.dtype.type(last[x] + (last[x] < far))
            last[x] = step if here[x] != 0 else last.dtype.type(0)


@compiled()
def min_plus(best: NDArray[Any], row: NDArray[Any], weight: int) -> None:
    """Lower ``best`` to ``row + weight`` wherever that is smaller, in place."""
    add = best.dtype.type(weight)
    for i in range(best.size):
        best[i] = min(best[i], best.dtype.type(row[i] + add))
