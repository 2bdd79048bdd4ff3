"""Blocks whose voxels are all equal: most of a stack is often background, absent from its store."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray


def is_constant(block: NDArray[Any]) -> bool:
    """Whether all voxels of a block have the same bits; ends at the first plane that differs.

    Parameters
    ----------
    block
        Of one or more axes. A block of no voxels, or of numbers of more than eight bytes, is not
        called constant.

    Examples
    --------
    >>> import numpy as np
    >>> is_constant(np.zeros((2, 3))), is_constant(np.array([0.0, -0.0]))
    (True, False)
    """
    if not block.size or block.dtype.itemsize not in (1, 2, 4, 8):
        return False
    bits = block.view(f"u{block.dtype.itemsize}")
    first = bits.flat[0]
    return all(bool((plane == first).all()) for plane in bits)
