"""Shapes of blocks, from the shape of a frame alone.

They must not depend on the machine or on the number of workers, since float sums are merged block
by block and tables are to be the same to the byte everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from chunkseg.errors import ParameterError
from chunkseg.geometry.boxes import Shape

BLOCK_VOXELS = 2**24
_ROUND = 64


def block_shape(frame_shape: Sequence[int], requested: Sequence[int] | None = None) -> Shape:
    """Shape of the blocks of a frame.

    Parameters
    ----------
    frame_shape
        Voxels along each axis.
    requested
        What the user asked for; clipped to the frame.

    Returns
    -------
    tuple of int
        By default the frame halved along its longest edge until a block has at most 2**24 voxels,
        edges rounded up to multiples of 64.

    Raises
    ------
    ParameterError
        If ``requested`` has not one positive length per axis.

    Examples
    --------
    >>> block_shape((512, 512, 512)), block_shape((40, 3000, 3000))
    ((256, 256, 256), (40, 384, 768))
    """
    if requested is not None:
        if len(requested) != len(frame_shape) or min(requested) < 1:
            raise ParameterError(
                f"block_shape needs one positive length for each of {len(frame_shape)} axes; "
                f"got {tuple(requested)}"
            )
        return tuple(max(1, min(b, n)) for b, n in zip(requested, frame_shape, strict=True))
    block = [max(1, n) for n in frame_shape]
    while math.prod(block) > BLOCK_VOXELS:
        longest = block.index(max(block))
        block[longest] = -(-block[longest] // 2)
    return tuple(
        min(n, -(-b // _ROUND) * _ROUND) if b < n else n
        for b, n in zip(block, frame_shape, strict=True)
    )
