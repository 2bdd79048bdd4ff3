"""Shapes of blocks: as large as they may be, whole stored chunks where that can be had.

Around every block voxels are read and computed again: with small blocks that is most of the work,
with large ones most of the memory. Both are known beforehand, per pass (``plan.costs``). So of the
shapes whose hungriest pass fits the memory of a task, the one with the least work is taken:
decoding stored chunks as a whole, blurring and eroding what lies around the core again. Edges are
multiples or halves of the stored chunk's, or multiples of 64 where any voxel can be read alone.

By default a block has at most 2**24 voxels whatever the machine: float sums are merged block by
block, and tables are to be the same to the byte everywhere. A memory limit that is given may change
the shape; nothing else of a machine does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.errors import ParameterError
from chunkseg.geometry.boxes import Shape
from chunkseg.plan.costs import DECODE, PassCost
from chunkseg.storage.sources import axis_amplification

BLOCK_VOXELS = 2**24
MISSED = 0.3
"""Share of the chunks that several blocks need which are decoded again, not found in the cache."""
_ROUND = 64
_MOST_EDGES = 24


def requested_shape(frame_shape: Sequence[int], requested: Sequence[int]) -> Shape:
    """Clip the shape of a block that a user asked for to the frame.

    Raises
    ------
    ParameterError
        If it has not one positive length per axis.

    Examples
    --------
    >>> requested_shape((40, 3000, 3000), (64, 64, 64))
    (40, 64, 64)
    """
    if len(requested) != len(frame_shape) or min(requested) < 1:
        raise ParameterError(
            f"block_shape needs one positive length for each of {len(frame_shape)} axes; "
            f"got {tuple(requested)}"
        )
    return tuple(max(1, min(b, n)) for b, n in zip(requested, frame_shape, strict=True))


def fitting_shape(
    frame_shape: Sequence[int],
    stored: Sequence[int],
    costs: Sequence[PassCost],
    memory: float,
) -> Shape | None:
    """Shape of block that takes the least work within the memory of a task.

    Parameters
    ----------
    frame_shape
        Voxels along each axis.
    stored
        The image's stored chunk along each axis.
    costs
        The passes.
    memory
        Bytes that a task of any of them may use.

    Returns
    -------
    tuple of int or None
        None if no shape fits.

    Examples
    --------
    >>> from chunkseg.plan.costs import pass_costs
    >>> from chunkseg.plan.parameters import Parameters
    >>> workflow = Parameters(sigma=3, erosion_radius=10)
    >>> costs = pass_costs(workflow, np.dtype("uint16"), (1.0, 1.0, 1.0))
    >>> for mib in (512, 64, 8):
    ...     print(fitting_shape((512, 512, 512), (64, 64, 64), costs, mib * 2**20))
    (256, 256, 256)
    (128, 128, 256)
    (64, 64, 64)
    """
    edges = [_edges(n, c) for n, c in zip(frame_shape, stored, strict=True)]
    mesh = np.meshgrid(*edges, indexing="ij", sparse=True)
    size = np.ones([len(e) for e in edges])
    for lengths in mesh:
        size = size * lengths
    fits = (size <= BLOCK_VOXELS) & (most_memory(costs, mesh, frame_shape) <= memory)
    if not fits.any():
        return None
    work = np.where(fits, np.round(_work(costs, edges, frame_shape, stored), 6), np.inf)
    best = np.unravel_index(int(np.argmin(work)), work.shape)
    return tuple(int(e[i]) for e, i in zip(edges, best, strict=True))


def smallest_shape(frame_shape: Sequence[int], stored: Sequence[int]) -> Shape:
    """Return the smallest shape of block that is considered."""
    return tuple(int(_edges(n, c)[0]) for n, c in zip(frame_shape, stored, strict=True))


def most_memory(costs: Sequence[PassCost], block: Sequence[Any], frame: Sequence[int]) -> Any:
    """Bytes that a task of the hungriest pass needs at its peak."""
    most: Any = 0
    for cost in costs:
        most = np.maximum(most, cost.peak(block, frame))
    return most


def _edges(n: int, chunk: int) -> NDArray[np.int64]:
    """Lengths of a block along one axis that are considered, ascending."""
    if n <= _ROUND:
        return np.array([max(1, n)])
    unit = chunk if 1 < chunk < n else _ROUND
    fractions: list[int] = []
    while (unit >> len(fractions)) % 2 == 0 and unit >> len(fractions) > _ROUND:
        fractions.append(unit >> len(fractions) + 1)
    unit *= -(-_ROUND // (2 * unit))
    multiples = unit * np.arange(1, min(-(-n // unit), _MOST_EDGES + 1))
    return np.unique([*fractions, *multiples, n])


def _work(
    costs: Sequence[PassCost],
    edges: Sequence[NDArray[np.int64]],
    frame: Sequence[int],
    stored: Sequence[int],
) -> NDArray[np.float64]:
    """Nanoseconds per voxel for each combination of edges."""
    total = np.zeros([len(e) for e in edges])
    for cost in costs:
        if cost.reads:
            decoded = _repeated(edges, frame, stored, cost.halo)
            total += DECODE * (1 + MISSED * (decoded - 1))
        total += cost.work * _repeated(edges, frame, (1,) * len(frame), cost.near)
    return total


def _repeated(
    edges: Sequence[NDArray[np.int64]],
    frame: Sequence[int],
    units: Sequence[int],
    halo: Sequence[int],
) -> NDArray[np.float64]:
    """How often each voxel is touched, for each combination of edges."""
    axes = [
        np.array([axis_amplification(n, unit, int(b), h) for b in lengths])
        for lengths, n, unit, h in zip(edges, frame, units, halo, strict=True)
    ]
    result = np.ones(())
    for axis in axes:
        result = np.multiply.outer(result, axis)
    return result
