"""Measures of one object that need all of its voxels at once, as scikit-image defines them.

The convex hull is never drawn: it is cut by the rows of the crop, each of which it meets in one
interval, so that its volume and its outermost voxels follow from two numbers per row. The facets
and the tolerance are scikit-image's; a voxel that is not on a facet is off it by far more than
rounding (and those on one are inside, in 2-D as well). The greatest Feret diameter lies between two
corners of the hull: all other points of the outline that scikit-image compares are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.kernels.compiled import compiled
from chunkseg.kernels.components import components

Points = NDArray[Any]

SHAPES = ("area_convex", "solidity", "feret_diameter_max", "area_filled")
INTENSITIES = ("intensity_median",)
WHOLES = SHAPES + INTENSITIES

TOLERANCE = 1e-10
FEW_POINTS = 600
DISTANCES_AT_ONCE = 2**20
PADDING = 2


@dataclass(frozen=True, slots=True)
class Hull:
    """The voxels within the convex hull of an object.

    Attributes
    ----------
    voxels
        Their number; 0 where scikit-image finds no hull (flat 3-D objects).
    ends
        The first and the last voxel of each row along the longest axis, shape (points, axes).
    """

    voxels: int
    ends: Points


def whole_shape(
    mask: NDArray[np.bool_], names: Sequence[str], spacing: Sequence[float]
) -> dict[str, float]:
    """Measure the shape of one object.

    Parameters
    ----------
    mask
        2-D or 3-D crop of the object: its bounding box, True where the object is.
    names
        Which of ``area_convex``, ``solidity``, ``feret_diameter_max`` and ``area_filled``.
    spacing
        Voxel size along each axis.

    Returns
    -------
    dict of float
        Areas (in 3-D volumes) and lengths in units of the spacing, ``solidity`` without unit.
        As in scikit-image a flat 3-D object has ``area_convex`` 0; its ``solidity`` (there
        infinite) and ``feret_diameter_max`` (there an exception) are NaN.

    Notes
    -----
    Equal to :func:`skimage.measure.regionprops`, bit for bit. ``feret_diameter_max`` is that of
    the hull's voxels and goes half a voxel beyond their centres along the axes.

    Examples
    --------
    >>> import numpy as np
    >>> ring = np.ones((3, 3), bool)
    >>> ring[1, 1] = False
    >>> {k: round(v, 3) for k, v in whole_shape(ring, SHAPES, (1.0, 1.0)).items()}
    {'area_convex': 9.0, 'solidity': 0.889, 'feret_diameter_max': 3.606, 'area_filled': 9.0}
    """
    unit = np.prod(spacing)
    values: dict[str, float] = {}
    if set(names) & set(SHAPES[:3]):
        hull = convex_hull(mask)
        values |= hull_measures(hull, int(np.count_nonzero(mask)), names, spacing)
    if "area_filled" in names:
        values["area_filled"] = float(filled_voxels(mask) * unit)
    return {name: values[name] for name in names}


def hull_measures(
    hull: Hull, num_pixels: int, names: Sequence[str], spacing: Sequence[float]
) -> dict[str, float]:
    """Measures that follow from the hull and the number of voxels: see :func:`whole_shape`."""
    unit = np.prod(spacing)
    area = hull.voxels * unit
    solidity = num_pixels * unit / area if hull.voxels else np.nan
    values = {"area_convex": float(area), "solidity": float(solidity)}
    if "feret_diameter_max" in names:
        values["feret_diameter_max"] = feret_diameter(hull, spacing)
    return values


def median_intensity(mask: NDArray[np.bool_], image: NDArray[Any]) -> float:
    """Median intensity of one object, as :func:`numpy.median` gives it; NaN if one voxel is.

    Examples
    --------
    >>> median_intensity(np.array([True, True, False]), np.array([1, 4, 9]))
    2.5
    """
    return float(np.median(image[mask]))


def filled_voxels(mask: NDArray[np.bool_]) -> int:
    """Count the voxels of an object and of its holes.

    A hole is what can't be reached from outside the crop by steps to any neighbour, diagonal ones
    included, as in ``scipy.ndimage.binary_fill_holes`` with a full structure.

    Examples
    --------
    >>> filled_voxels(np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], bool))
    9
    """
    outside = np.pad(~mask, 1, constant_values=True)
    runs, _ = components(outside, mask.ndim)
    return outside.size - int(runs.lengths[runs.region == 1].sum())


def row_ends(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the first and the last True voxel of each row that has one, shape (points, axes).

    Rows go along the longest axis: there are fewest of them. Nothing of an object lies outside the
    convex hull of these voxels.

    Examples
    --------
    >>> row_ends(np.array([[0, 0, 0], [1, 1, 1]], bool)).tolist()
    [[1, 0], [1, 2]]
    """
    order = _longest_last(mask.shape)
    turned = mask.transpose(order)
    first = turned.argmax(axis=-1)
    last = turned.shape[-1] - 1 - turned[..., ::-1].argmax(axis=-1)
    return _ends(np.where(turned.any(axis=-1), first, turned.shape[-1]), last, order)


def _longest_last(shape: Sequence[int]) -> list[int]:
    """Order of the axes in which the longest comes last."""
    longest = int(np.argmax(shape))
    return [axis for axis in range(len(shape)) if axis != longest] + [longest]


def _ends(
    first: NDArray[np.int64], last: NDArray[np.int64], order: Sequence[int]
) -> NDArray[np.int64]:
    """First and last voxel of each row that is not empty, axes in their own order again."""
    rows = np.argwhere(first <= last)
    at = tuple(rows.T)
    both = [np.column_stack([rows, ends[at]]) for ends in (first, last)]
    return np.concatenate(both)[:, np.argsort(order)]


def convex_hull(mask: NDArray[np.bool_]) -> Hull:
    """Find the hull of a crop, as ``skimage.morphology.convex_hull_image`` draws it."""
    return hull_of_points(row_ends(mask), mask.shape)


def corners(points: Points) -> Points:
    """Corners of the convex hull of some points: those of a flat set are all of it.

    Examples
    --------
    >>> corners(np.array([[0, 0], [0, 2], [1, 1], [2, 0], [2, 2]])).tolist()
    [[0, 0], [0, 2], [2, 0], [2, 2]]
    """
    hull = _qhull(points)
    return points if hull is None else points[np.sort(hull.vertices)]


def _qhull(points: Points) -> Any:
    """Hull of some points, None of a flat set; SciPy's part for it is loaded at first use."""
    from scipy.spatial import ConvexHull, QhullError

    try:
        return ConvexHull(points)
    except QhullError:
        return None


def hull_of_points(points: Points, shape: Sequence[int]) -> Hull:
    """Find the voxels of a box within the hull of some of them, half a voxel added.

    Parameters
    ----------
    points
        Voxels in the box, shape (points, axes): at least the corners of the object's hull.
    shape
        Shape of the box, in 2-D or 3-D.
    """
    ndim = len(shape)
    hull = _qhull(points) if ndim == 3 else None
    if hull is not None:
        points = points[hull.vertices]
    if ndim != 3 or hull is not None:
        hull = _qhull(with_half_steps(points))
    if hull is None:
        return Hull(0, np.empty((0, ndim), np.int64))
    facets = hull.equations
    order = _longest_last(shape)
    planes = np.pad(facets[:, [*order, ndim]], ((0, 0), (3 - ndim, 0)))
    turned = [shape[axis] for axis in order]
    first, last = _row_spans(planes, *(1,) * (3 - ndim), *turned)
    voxels = int(np.maximum(last - first + 1, 0).sum())
    return Hull(voxels, _ends(first.reshape(turned[:-1]), last.reshape(turned[:-1]), order))


def with_half_steps(points: Points) -> NDArray[np.float64]:
    """Points half a voxel from each point along each axis, without repetition.

    Examples
    --------
    >>> with_half_steps(np.array([[4, 7]])).tolist()
    [[3.5, 7.0], [4.0, 6.5], [4.0, 7.5], [4.5, 7.0]]
    """
    ndim = points.shape[1]
    steps = np.concatenate([np.eye(ndim, dtype=np.int64), -np.eye(ndim, dtype=np.int64)])
    twice = (2 * points[:, np.newaxis, :] + steps).reshape(-1, ndim)
    low = twice.min(axis=0)
    shape = twice.max(axis=0) - low + 1
    places = np.unique(np.ravel_multi_index((twice - low).T, shape))
    return (np.column_stack(np.unravel_index(places, shape)) + low) / 2


@compiled()
def _row_spans(facets: Any, nz: int, ny: int, nx: int) -> Any:  # pragma: no cover - compiled
    """First and last voxel of each row on the inner side of all facets (first > last: none)."""
    first = np.zeros((nz, ny), np.int64)
    last = np.full((nz, ny), nx - 1)
    for z in range(nz):
        for y in range(ny):
            low, high = -0.5, nx - 0.5
            for i in range(len(facets)):
                slope = facets[i, 2]
                room = TOLERANCE - (facets[i, 0] * z + facets[i, 1] * y + facets[i, 3])
                if slope > 0:
                    high = min(high, room / slope)
                elif slope < 0:
                    low = max(low, room / slope)
                elif room <= 0:
                    high = -1.0
            first[z, y] = np.int64(np.ceil(min(low, nx)))
            last[z, y] = np.int64(np.floor(max(high, -1.0)))
    return first, last


def feret_diameter(hull: Hull, spacing: Sequence[float]) -> float:
    """Greatest distance between two points of the outline of a hull; NaN without one.

    The outline passes half-way between a voxel inside and its neighbour outside.
    """
    if not hull.voxels:
        return float("nan")
    from scipy.spatial.distance import cdist

    points = _few(with_half_steps(_few(hull.ends)))
    placed = (points + PADDING) * np.asarray(spacing)
    step = max(1, DISTANCES_AT_ONCE // len(placed))
    parts = [placed[i : i + step] for i in range(0, len(placed), step)]
    return float(np.sqrt(max(cdist(part, placed, "sqeuclidean").max() for part in parts)))


def _few(points: Points) -> Points:
    return points if len(points) <= FEW_POINTS else corners(points)
