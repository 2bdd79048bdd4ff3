"""Connected components of one block, and what a record needs to know of them.

Blocks of up to three dimensions, binary or multi-valued, are labelled run by run; boolean blocks of
more dimensions by SciPy. Local ids run from 1 to n in order of first voxel.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from chunkseg.errors import KindError
from chunkseg.kernels.compiled import compiled
from chunkseg.kernels.linking import join, linked
from chunkseg.kernels.runs import Local, Runs, id_runs


def components(
    image: NDArray[Any], connectivity: int, background: int | None = None
) -> tuple[Runs, NDArray[np.int64]]:
    """Label the connected components of equal value in a block.

    Parameters
    ----------
    image
        Boolean or integer block.
    connectivity
        Orthogonal hops that still make a neighbour, from 1 to ``image.ndim``.
    background
        The value that is no component; None stands for 0, as in :func:`skimage.measure.label`.

    Returns
    -------
    runs : Runs
        Runs of the components' ids, from 1 in order of their first voxel in raster order;
        background is 0.
    first : int64 array
        Flat C-order index within the block of the first voxel of each component.

    Raises
    ------
    KindError
        If the block is of integers and has more than three axes (as scikit-image refuses it).

    Examples
    --------
    >>> runs, first = components(np.array([[1, 0, 2], [1, 0, 2]]), connectivity=1)
    >>> runs.filled().tolist(), first.tolist()
    ([[1, 0, 2], [1, 0, 2]], [0, 2])
    """
    if image.size == 0:
        return Runs(image.shape, np.zeros(0, np.int64), np.zeros(0, np.uint32)), np.zeros(
            0, np.int64
        )
    image = _background_to_zero(image, background)
    if image.ndim > 3:
        return _components_nd(image, connectivity)
    return linked(image, connectivity)


def _background_to_zero(image: NDArray[Any], background: int | None) -> NDArray[Any]:
    """Swap the values 0 and ``background``: components of equal value stay what they are."""
    if image.dtype == np.bool_:
        return ~image if background == 1 else image
    if not background:
        return image
    image = image.astype(np.int64)
    return np.where(image == background, 0, np.where(image == 0, background, image))


def _components_nd(image: NDArray[Any], connectivity: int) -> tuple[Runs, NDArray[np.int64]]:
    if image.dtype != np.bool_:
        raise KindError(
            f"label works on integer images of 1 to 3 dimensions, as scikit-image does; got "
            f"{image.ndim} dimensions. Name looped axes 't' or 'c', or pass a boolean mask."
        )
    structure = ndimage.generate_binary_structure(image.ndim, connectivity)
    local, count = ndimage.label(image, structure)
    return id_runs(local.astype(np.uint32)), first_voxels(local, int(count))


def first_voxels(local: Local, count: int) -> NDArray[np.int64]:
    """Flat C-order index within the block of the first voxel of each of ``count`` components."""
    return _first_voxels(local.reshape(-1), count)


@compiled()
def _first_voxels(flat: Local, count: int) -> NDArray[np.int64]:  # pragma: no cover - compiled
    first = np.full(count, -1, np.int64)
    missing = count
    for i in range(flat.size):
        component = flat[i]
        if component and first[component - 1] < 0:
            first[component - 1] = i
            missing -= 1
            if missing == 0:
                break
    return first


def occurring(parts: Iterable[Local], count: int) -> NDArray[np.bool_]:
    """Which of ``count`` local ids (index 0: background) occur in any of the arrays."""
    result = np.zeros(count + 1, np.bool_)
    for part in parts:
        result[part] = True
    return result


def sizes(runs: Runs, count: int) -> NDArray[np.int64]:
    """Number of voxels of each of ``count`` local ids."""
    result = np.zeros(count + 1, np.int64)
    np.add.at(result, runs.region, runs.lengths)
    return result[1:]


def look_up(local: Local, table: NDArray[Any]) -> NDArray[Any]:
    """Replace each local id by its entry in ``table`` (``table[0]`` is the background's)."""
    return _look_up(local.reshape(-1), table).reshape(local.shape)


@compiled()
def _look_up(flat: Local, table: NDArray[Any]) -> NDArray[Any]:  # pragma: no cover - compiled
    result = np.empty(flat.size, table.dtype)
    for i in range(flat.size):
        result[i] = table[flat[i]]
    return result


def smallest_members(
    count: int, left: NDArray[np.int64], right: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Connected components of a graph of ``count`` nodes, each named by its smallest node.

    Parameters
    ----------
    count
        Number of nodes.
    left, right
        The two ends of each edge, node numbers from 0.

    Returns
    -------
    int64 array of length ``count``
        For each node the smallest node that it is connected with.
    """
    return _smallest_members(count, left, right)


@compiled()
def _smallest_members(
    count: int, left: NDArray[np.int64], right: NDArray[np.int64]
) -> NDArray[np.int64]:  # pragma: no cover - compiled
    parent = np.arange(count)
    for i in range(left.size):
        join(parent, left[i], right[i])
    for i in range(count):
        parent[i] = parent[parent[i]]
    return parent
