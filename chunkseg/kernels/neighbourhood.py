"""Perimeter, Crofton perimeter and Euler number, as whole-number sums over a block's regions.

Each of these measures of an object is a sum over small neighbourhoods of a number that depends only
on which of their voxels belong to the object: windows of 2 x 2 (x 2) voxels (see
:mod:`chunkseg.kernels.windows`), or, for the perimeter, border pixels with their eight neighbours,
which belong to the block whose core holds the pixel. So the rows of blocks add up to those of whole
objects, and, being counts of crossings, cells or half steps, do so exactly for any grid of blocks;
the finishing functions, which see the merged rows, make lengths of them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.kernels.compiled import compiled
from chunkseg.kernels.runs import Local
from chunkseg.kernels.windows import need_dimensions, surrounded, window_sums, window_table

PERIMETER_HALO = 2


def perimeter_sums(grown: Local, inner: Sequence[slice], count: int) -> NDArray[np.int64]:
    """Steps along the borders of the regions of a 2-D block.

    Parameters
    ----------
    grown : (M, N) uint32 array
        Local ids of a block grown by 2 pixels (``PERIMETER_HALO``) or more, clipped to the frame.
    inner : sequence of slice
        The core within ``grown``.
    count : int
        Number of local ids that the core holds: 1 to ``count``.

    Returns
    -------
    (count, 2) int64 array
        Half steps of length 1, and half steps of length sqrt(2).

    Raises
    ------
    KindError
        If the block is not 2-D.

    Notes
    -----
    The border of a region are its pixels with a 4-neighbour outside it; what step a border pixel
    stands for follows from the number of its 4- and of its diagonal neighbours on the border, as in
    :func:`skimage.measure.perimeter` (Benkrid and Crookes, "Design and FPGA implementation of a
    perimeter estimator", 2000).

    Examples
    --------
    >>> square = np.ones((3, 3), np.uint32)
    >>> perimeter_sums(square, (slice(None), slice(None)), 1)
    array([[16,  0]])
    """
    need_dimensions("perimeter", grown, (2,))
    sums = np.zeros((count, 2), np.int64)
    _perimeter_sums(surrounded(grown, inner, PERIMETER_HALO), _step_table(), sums)
    return sums


def perimeter_finish(sums: NDArray[np.int64], scale: float = 1.0) -> NDArray[np.float64]:
    """Perimeters from the merged rows of :func:`perimeter_sums`.

    Parameters
    ----------
    sums : (regions, 2) int64 array
    scale : float
        Edge of a pixel, as in :func:`skimage.measure.regionprops` with isotropic spacing.

    Returns
    -------
    (regions,) float64 array
        Equal to scikit-image's but for the rounding of its sum; 0 for single pixels.

    Examples
    --------
    >>> perimeter_finish(np.array([[16, 0]]))
    array([8.])
    """
    return (sums[:, 0] + sums[:, 1] * math.sqrt(2)) / 2 * scale


def crofton_sums(grown: Local, inner: Sequence[slice], count: int) -> NDArray[np.int64]:
    """Crossings of the regions' outlines in a 2-D block by lines in four directions.

    Parameters
    ----------
    grown : (M, N) uint32 array
        Local ids of a block grown by 1 pixel (``windows.HALO``) or more, clipped to the frame.
    inner : sequence of slice
        The core within ``grown``.
    count : int
        Number of local ids that the core holds: 1 to ``count``.

    Returns
    -------
    (count, 2) int64 array
        How often lines along the axes, and along the diagonals, enter (or leave) each region.

    Raises
    ------
    KindError
        If the block is not 2-D.

    Examples
    --------
    >>> crofton_sums(np.ones((1, 3), np.uint32), (slice(None), slice(None)), 1)
    array([[4, 6]])
    """
    need_dimensions("perimeter_crofton", grown, (2,))
    return window_sums(grown, inner, count, _crossing_table())


def crofton_finish(sums: NDArray[np.int64], scale: float = 1.0) -> NDArray[np.float64]:
    """Crofton perimeters, in four directions, from the merged rows of :func:`crofton_sums`.

    Parameters
    ----------
    sums : (regions, 2) int64 array
    scale : float
        Edge of a pixel, as in :func:`skimage.measure.regionprops` with isotropic spacing.

    Returns
    -------
    (regions,) float64 array
        Equal to :func:`skimage.measure.perimeter_crofton` but for the rounding of its sum.

    Notes
    -----
    Crofton's formula: pi times the mean over the directions of the number of crossings times the
    distance of the lines, which is 1 along the axes and 1/sqrt(2) along the diagonals.

    Examples
    --------
    >>> crofton_finish(np.array([[4, 6]])).round(4)
    array([6.4738])
    """
    return math.pi / 4 * (sums[:, 0] + sums[:, 1] / math.sqrt(2)) * scale


def euler_sums(grown: Local, inner: Sequence[slice], count: int) -> NDArray[np.int64]:
    """What a block adds to the Euler numbers of its regions.

    Parameters
    ----------
    grown : (M, N[, P]) uint32 array
        Local ids of a block grown by 1 voxel (``windows.HALO``) or more, clipped to the frame.
    inner : sequence of slice
        The core within ``grown``.
    count : int
        Number of local ids that the core holds: 1 to ``count``.

    Returns
    -------
    (count, 1) int64 array

    Raises
    ------
    KindError
        If the block is neither 2-D nor 3-D.

    Notes
    -----
    Voxels that share a corner are connected, as in :func:`skimage.measure.regionprops`. A region
    is taken for the union of its closed voxels, and its corners, edges, faces and voxels are
    counted with alternating sign, each with the window around its first corner.

    Examples
    --------
    >>> ring = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.uint32)
    >>> euler_sums(ring, (slice(None), slice(None)), 1)
    array([[0]])
    """
    need_dimensions("euler_number", grown, (2, 3))
    return window_sums(grown, inner, count, _euler_table(grown.ndim))


def euler_finish(sums: NDArray[np.int64]) -> NDArray[np.int64]:
    """Euler numbers from the merged rows of :func:`euler_sums`: equal to scikit-image's.

    Examples
    --------
    >>> euler_finish(np.array([[0], [1]]))
    array([0, 1])
    """
    return sums[:, 0]


@lru_cache
def _crossing_table() -> NDArray[np.int64]:
    return window_table(2, _crossings)


def _crossings(bits: NDArray[np.bool_]) -> tuple[int, int]:
    """Crossings along the two axes, and along the two diagonals, that a window is to count."""
    (up_left, up), (left, here) = bits.tolist()
    along_axes = (here and not up) + (up_left and not up)
    return along_axes, (here and not up_left) + (up and not left)


@lru_cache
def _euler_table(ndim: int) -> NDArray[np.int64]:
    return window_table(ndim, _euler_cells)


def _euler_cells(bits: NDArray[np.bool_]) -> tuple[int]:
    """Alternating number of the cells that start at the centre: a corner, edges, ..., a voxel.

    A cell that extends along some of the axes is there if a voxel beyond the centre along these
    axes is.
    """
    total = 0
    for extent in itertools.product((0, 1), repeat=bits.ndim):
        touching = bits[tuple(slice(first, None) for first in extent)]
        total += (-1) ** sum(extent) * int(touching.any())
    return (total,)


@lru_cache
def _step_table() -> NDArray[np.int64]:
    """Half steps of length 1 and sqrt(2), by the numbers of 4- and of diagonal neighbours."""
    table = np.zeros((5, 5, 2), np.int64)
    table[2:4, :3] = 2, 0
    table[0, 2] = table[1, 3] = 0, 2
    table[1, 1:3] = 1, 1
    return table


@compiled()
def _perimeter_sums(labels: Any, table: Any, sums: Any) -> None:  # pragma: no cover - compiled
    ny, nx = labels.shape
    border = _border(labels)
    for y in range(2, ny - 2):
        for x in range(2, nx - 2):
            if not border[y, x]:
                continue
            here = labels[y, x]
            faces = 0
            corners = 0
            for dy in range(-1, 2):
                for dx in range(-1, 2):
                    if border[y + dy, x + dx] and labels[y + dy, x + dx] == here:
                        corners += dy * dx != 0
                        faces += (dy == 0) != (dx == 0)
            sums[here - 1, 0] += table[faces, corners, 0]
            sums[here - 1, 1] += table[faces, corners, 1]


@compiled()
def _border(labels: Any) -> Any:  # pragma: no cover - compiled
    """Which pixels have a 4-neighbour of another value; not known, and False, at the rim."""
    ny, nx = labels.shape
    border = np.zeros((ny, nx), np.bool_)
    for y in range(1, ny - 1):
        before, here, after = labels[y - 1], labels[y], labels[y + 1]
        for x in range(1, nx - 1):
            value = here[x]
            other = (value ^ before[x]) | (value ^ after[x])
            other |= (value ^ here[x - 1]) | (value ^ here[x + 1])
            border[y, x] = (other != 0) & (value != 0)
    return border
