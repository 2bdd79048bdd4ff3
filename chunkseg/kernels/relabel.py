"""Renumbering of labels: scikit-image's own rule, applied to the distinct labels only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import relabel_sequential

from chunkseg.kernels.components import look_up
from chunkseg.kernels.runs import compact


def renumber(present: NDArray[Any], offset: int) -> tuple[NDArray[Any], Any, Any]:
    """New numbers of the labels that occur in an image.

    Parameters
    ----------
    present
        The distinct labels, ascending, with 0 if any voxel is background; in the image's dtype.
    offset
        First new number.

    Returns
    -------
    numbers : array
        New number of each entry of ``present``, in the dtype of the renumbered image.
    forward_map, inverse_map : skimage.util.ArrayMap
        From old to new labels and back.
    """
    numbers, forward_map, inverse_map = relabel_sequential(present, offset)
    return numbers, forward_map, inverse_map


def map_labels(
    labels: NDArray[Any], present: NDArray[np.int64], numbers: NDArray[Any]
) -> NDArray[Any]:
    """Replace each label of a block by its new number; ``present`` is ascending, without 0."""
    ids, local = compact(labels)
    table = np.zeros(len(ids) + 1, numbers.dtype)
    table[1:] = numbers[np.searchsorted(present, ids)]
    return look_up(local, table)
