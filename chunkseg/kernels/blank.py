"""Blocks of background that take no memory: an array of zeros that is one voxel seen everywhere.

Most of a large stack is background. What is told of such an array at a glance (its checksum, its
bytes in a file, the array at half its resolution) need not be computed voxel by voxel.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.geometry.boxes import Shape


def blank(shape: Shape, dtype: Any) -> NDArray[Any]:
    """Return an array of zeros that takes the memory of one voxel; nobody may write to it.

    Examples
    --------
    >>> zeros = blank((1000, 1000, 1000), np.uint32)
    >>> is_blank(zeros), is_blank(zeros[::2]), is_blank(np.zeros((2, 2)))
    (True, True, False)
    """
    return np.broadcast_to(np.zeros((), dtype), shape)


def is_blank(data: NDArray[Any]) -> bool:
    """Whether an array is one of :func:`blank`, or a part of it: 0.0 is, -0.0 is not."""
    return data.size > 0 and not any(data.strides) and not any(data[(0,) * data.ndim].tobytes())
