"""Erosion by any footprint as :func:`skimage.morphology.erosion` has it: mirrored at the edges."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi


def erode_reflected(mask: NDArray[np.bool_], footprint: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Erode a mask; beyond its edges it goes on as its mirror image.

    That differs from foreground beyond the edges where a voxel's mirror image is not in the
    footprint with it, as of one that is not symmetric.

    Parameters
    ----------
    mask : ndarray of bool
    footprint : ndarray of bool
        Of as many axes, odd lengths and one voxel at least.

    Returns
    -------
    ndarray of bool

    Examples
    --------
    >>> erode_reflected(np.array([False, True, True]), np.array([True, False, False]))
    array([False, False,  True])
    """
    eroded: NDArray[Any] = ndi.grey_erosion(mask, footprint=footprint, mode="reflect")
    return eroded
