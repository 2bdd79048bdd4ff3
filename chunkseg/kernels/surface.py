"""Surface area and sphericity: the meshes of marching cubes, summed window by window.

scikit-image's :func:`~skimage.measure.marching_cubes` (Lewiner, Lopes, Vieira and Tavares 2003,
"Efficient implementation of marching cubes' cases with topological guarantees") gives each window
of 2 x 2 x 2 voxels of a binary image triangles that follow from its eight bits alone: at half the
level all vertices lie halfway, and each test of an ambiguous face or interior comes out as the bits
have it. So the surface of an object is the sum over its windows of an entry in a table of 256
areas, which is taken from scikit-image's own meshes, once per spacing. The entries are rounded to
multiples of one power of two: sums of them are exact in float64 and do not depend on the grid of
blocks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.measure import marching_cubes, mesh_surface_area

from chunkseg.kernels.runs import Local
from chunkseg.kernels.windows import need_dimensions, window, window_sums

_AREA_BITS = 32


def surface_sums(
    grown: Local, inner: Sequence[slice], count: int, spacing: Sequence[float]
) -> NDArray[np.float64]:
    """What a 3-D block adds to the surface areas of its regions.

    Parameters
    ----------
    grown : (M, N, P) uint32 array
        Local ids of a block grown by 1 voxel (``windows.HALO``) or more, clipped to the frame.
    inner : sequence of slice
        The core within ``grown``.
    count : int
        Number of local ids that the core holds: 1 to ``count``.
    spacing : sequence of float
        Voxel size along the axes.

    Returns
    -------
    (count, 1) float64 array
        In squared units of ``spacing``. All rows are multiples of one power of two, chosen so
        that sums over any blocks are exact up to some 2 million times the largest window.

    Raises
    ------
    KindError
        If the block is not 3-D.

    Examples
    --------
    >>> surface_sums(np.ones((1, 1, 1), np.uint32), (slice(None),) * 3, 1, (1, 1, 1)).round(4)
    array([[1.7321]])
    """
    need_dimensions("surface_area", grown, (3,))
    return window_sums(grown, inner, count, _area_table(tuple(map(float, spacing))))


def surface_finish(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Surface areas from the merged rows of :func:`surface_sums`.

    Equal to ``mesh_surface_area(*marching_cubes(np.pad(object, 1), 0.5, spacing=spacing)[:2])``
    to 1e-6: scikit-image adds up in float32 where the spacing is 1.

    Examples
    --------
    >>> surface_finish(np.array([[1.5], [0.5]]))
    array([1.5, 0.5])
    """
    return sums[:, 0]


def sphericity(volume: NDArray[Any], surface_area: NDArray[np.float64]) -> NDArray[np.float64]:
    """Surface of the ball of that volume over the surface: 1 for a ball.

    Single voxels and other small objects come out above 1, for the mesh that gives their surface
    holds less than their volume.

    Parameters
    ----------
    volume, surface_area : (regions,) arrays
        In units of the spacing, cubed and squared.

    Examples
    --------
    >>> sphericity(np.array([4 / 3 * np.pi, 8]), np.array([4 * np.pi, 24])).round(4)
    array([1.   , 0.806])
    """
    return np.cbrt(np.pi) * np.cbrt(6 * volume) ** 2 / surface_area


@lru_cache(maxsize=16)
def _area_table(spacing: tuple[float, ...]) -> NDArray[np.float64]:
    """Area of the mesh in each window, rounded to a power of two far below the largest."""
    areas = np.zeros((256, 1))
    for code in range(1, 255):
        areas[code] = _mesh_area(window(code), spacing)
    unit = 2.0 ** (math.frexp(areas.max())[1] - _AREA_BITS)
    return np.rint(areas / unit) * unit


def _mesh_area(bits: NDArray[np.bool_], spacing: tuple[float, ...]) -> float:
    # vertices stay float32 where the spacing is 1, so the spacing is applied here
    vertices, faces = marching_cubes(bits, level=0.5)[:2]
    return float(mesh_surface_area(vertices.astype(np.float64) * spacing, faces))
