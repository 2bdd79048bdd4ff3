"""How tables of measures are compared with scikit-image's: the tolerances, each with its reason.

A value is compared to ``tolerance`` times the property's natural scale: for a position or length
that of the object's box, for a moment the sum of the absolute terms' bounds, for an intensity the
largest one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import skimage as ski

from chunkseg.passes.measure.properties import PROPERTIES

Array = np.ndarray[Any, Any]
TOLERANCE = 1e-9

EXACT = {
    *("label", "num_pixels", "area", "bbox", "area_bbox", "extent"),
    *("intensity_min", "intensity_max", "euler_number"),
}

DEVIATIONS = {
    "intensity_mean": "float32 images to 1e-6: scikit-image adds them up in single precision",
    "intensity_std": "float32 images to 1e-6 of the largest intensity: as above; squares compared, "
    "since the root of rounding noise is what scikit-image gives for equal intensities",
    "axis_major_length": "squares compared: roots of eigenvalues that may be rounding noise",
    "axis_intermediate_length": "as axis_major_length; not in scikit-image's table, so compared "
    "with its function of the eigenvalues",
    "axis_minor_length": "as axis_major_length",
    "eccentricity": "squares compared: root of rounding noise where the axes are equal",
    "orientation": "the angle times the difference of the axes' moments, so any angle where they "
    "are equal; modulo pi, as both ends of an axis are one",
    "aspect_ratio": "squared reciprocals compared: the minor axis may be rounding noise; NaN where "
    "it is 0 (infinity as napari-skimage-regionprops defines it)",
    "roundness": "NaN for one pixel (infinity as napari-skimage-regionprops defines it)",
    "circularity": "NaN for one pixel (infinity as napari-skimage-regionprops defines it)",
    "surface_area": "to 1e-6: scikit-image's vertices are of single precision",
    "sphericity": "to 1e-6: as surface_area; not in scikit-image, so compared with its definition",
    "moments_normalized": "NaN, never infinite",
    "moments_weighted_normalized": "NaN, never infinite, where the intensities add up to 0",
}


@dataclass(frozen=True)
class Truth:
    """What scikit-image knows of one label image.

    Attributes
    ----------
    labels, image
        The arrays.
    spacing
        One number per axis.
    """

    labels: Array
    image: Array
    spacing: tuple[float, ...]
    _tables: dict[tuple[str, ...], dict[str, Array]] = field(default_factory=dict, repr=False)

    def table(self, *names: str) -> dict[str, Array]:
        """Columns of some properties, in one array each, by column name; computed once."""
        if names not in self._tables:
            with np.errstate(all="ignore"):
                self._tables[names] = ski.measure.regionprops_table(
                    self.labels, self.image, names, spacing=self.spacing
                )
        return self._tables[names]

    def rows(self, name: str) -> Array:
        """One property, shape (regions, columns)."""
        return np.stack(list(self.table(name).values()), axis=1)

    @property
    def lengths(self) -> Array:
        """Sides of the bounding boxes, in units of the spacing, shape (regions, axes)."""
        box = self.rows("bbox").astype(float)
        ndim = self.labels.ndim
        return (box[:, ndim:] - box[:, :ndim]) * self.spacing

    @property
    def weights(self) -> Array:
        """Sum of the absolute intensities of each region."""
        image = np.abs(self.image.astype(float))
        sums = ski.measure.regionprops_table(self.labels, image, ("intensity_mean", "num_pixels"))
        return sums["intensity_mean"] * sums["num_pixels"]

    @property
    def brightest(self) -> float:
        """Largest absolute intensity."""
        return float(np.abs(self.image.astype(float)).max())


def expected(truth: Truth, name: str) -> Array:
    """Values of a property, shape (regions, columns), from scikit-image or its definition."""
    with np.errstate(all="ignore"):
        if name == "axis_intermediate_length":
            a, b, c = truth.rows("inertia_tensor_eigvals").T
            return np.sqrt(np.maximum(10 * (a - b + c), 0))[:, np.newaxis]
        if name == "aspect_ratio":
            return truth.rows("axis_major_length") / truth.rows("axis_minor_length")
        if name == "circularity":
            return 4 * math.pi * truth.rows("area") / truth.rows("perimeter") ** 2
        if name == "surface_area":
            return surface_areas(truth)
        if name == "sphericity":
            return (36 * math.pi * truth.rows("area") ** 2) ** (1 / 3) / surface_areas(truth)
        if name == "roundness":
            return 4 * truth.rows("area") / math.pi / truth.rows("axis_major_length") ** 2
    return truth.rows(name)


def surface_areas(truth: Truth) -> Array:
    """Area of the mesh of each object's padded crop."""
    areas = []
    for region in ski.measure.regionprops(truth.labels):
        mesh = ski.measure.marching_cubes(np.pad(region.image, 1), 0.5, spacing=truth.spacing)
        areas.append(ski.measure.mesh_surface_area(*mesh[:2]))
    return np.array(areas)[:, np.newaxis]


def _moment_scale(truth: Truth, weights: Array) -> Array:
    """Bound of each moment: the sum of the weights times powers of the box's sides."""
    ndim = truth.labels.ndim
    powers = np.array(list(np.ndindex((4,) * ndim)))
    return weights[:, np.newaxis] * np.prod(
        truth.lengths[:, np.newaxis, :] ** powers[np.newaxis], axis=2
    )


def _normalized_scale(truth: Truth, weights: Array) -> Array:
    ndim = truth.labels.ndim
    degree = np.array(list(np.ndindex((4,) * ndim))).sum(axis=1)
    size = min(truth.spacing) ** degree * weights[:, np.newaxis] ** (degree / ndim + 1)
    return _moment_scale(truth, weights) / size


def _hu_scale(truth: Truth, weights: Array) -> Array:
    nu = _normalized_scale(truth, weights).reshape(-1, 4, 4)
    two = np.maximum(nu[:, 2, 0], nu[:, 0, 2]) + nu[:, 1, 1]
    three = 4 * (nu[:, 3, 0] + nu[:, 0, 3] + nu[:, 2, 1] + nu[:, 1, 2])
    scales = [two, two**2, three**2, three**2, three**4, two * three**2, three**4]
    return 4 * np.stack(scales, axis=1)


def _area(truth: Truth) -> Array:
    return truth.rows("num_pixels")[:, 0].astype(float)


def _reach(truth: Truth) -> Array:
    return np.array([max(np.array(truth.labels.shape) * truth.spacing)])


def _square(truth: Truth) -> Array:
    return (truth.lengths**2).sum(axis=1)[:, np.newaxis]


def _one(truth: Truth) -> Array:
    return np.ones(1)


SCALES: dict[str, Callable[[Truth], Array]] = {
    "equivalent_diameter_area": lambda t: t.rows("equivalent_diameter_area"),
    "centroid": _reach,
    "centroid_local": _reach,
    "centroid_weighted": _reach,
    "centroid_weighted_local": _reach,
    "intensity_mean": lambda t: np.array([t.brightest]),
    "intensity_std": lambda t: np.array([t.brightest**2]),
    "moments": lambda t: _moment_scale(t, _area(t)),
    "moments_central": lambda t: _moment_scale(t, _area(t)),
    "moments_normalized": lambda t: _normalized_scale(t, _area(t)),
    "moments_hu": lambda t: _hu_scale(t, _area(t)),
    "moments_weighted": lambda t: _moment_scale(t, t.weights),
    "moments_weighted_central": lambda t: _moment_scale(t, t.weights),
    "moments_weighted_normalized": lambda t: _normalized_scale(t, t.weights),
    "moments_weighted_hu": lambda t: _hu_scale(t, t.weights),
    "inertia_tensor": _square,
    "inertia_tensor_eigvals": _square,
    "axis_major_length": lambda t: 40 * _square(t),
    "axis_intermediate_length": lambda t: 40 * _square(t),
    "axis_minor_length": lambda t: 40 * _square(t),
    "eccentricity": _one,
    "aspect_ratio": _one,
    "roundness": lambda t: np.nan_to_num(expected(t, "roundness"), posinf=1.0),
    "circularity": lambda t: np.nan_to_num(expected(t, "circularity"), posinf=1.0),
    "perimeter": lambda t: t.lengths.sum(axis=1)[:, np.newaxis],
    "perimeter_crofton": lambda t: t.lengths.sum(axis=1)[:, np.newaxis],
    "surface_area": surface_areas,
    "sphericity": _one,
}

SQUARED = {
    *("axis_major_length", "axis_intermediate_length", "axis_minor_length"),
    *("eccentricity", "intensity_std"),
}


def compare(name: str, ours: Array, truth: Truth) -> None:
    """Compare a property's columns, shape (regions, columns), with scikit-image's."""
    theirs = expected(truth, name)
    assert ours.dtype == np.dtype(PROPERTIES[name].dtype)
    assert ours.shape == theirs.shape
    if name in EXACT:
        np.testing.assert_array_equal(ours, theirs)
        return
    if name == "orientation":
        _compare_angles(ours[:, 0], theirs[:, 0], truth)
        return
    theirs = np.where(np.isinf(theirs), np.nan, theirs)
    if name == "aspect_ratio":
        single = truth.rows("num_pixels") == 1
        np.testing.assert_array_equal(np.isnan(ours) >= single, True)
        ours, theirs = (np.nan_to_num(a) for a in (ours, theirs))
        ours, theirs = (np.divide(1, a, out=np.zeros_like(a), where=a > 0) for a in (ours, theirs))
    if name in SQUARED or name == "aspect_ratio":
        ours, theirs = ours**2, theirs**2
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
    single = name in ("surface_area", "sphericity") or (
        truth.image.dtype == np.float32 and name in ("intensity_mean", "intensity_std")
    )
    tolerance = 1e-6 if single else TOLERANCE
    excess = np.abs(ours - theirs) - tolerance * SCALES[name](truth)
    assert not (excess > 0).any(), (name, ours, theirs)


def _compare_angles(ours: Array, theirs: Array, truth: Truth) -> None:
    tensor = truth.rows("inertia_tensor")
    difference = np.hypot(tensor[:, 0] - tensor[:, 3], 2 * tensor[:, 1])
    turn = (ours - theirs + math.pi / 2) % math.pi - math.pi / 2
    assert (np.abs(turn) * difference <= TOLERANCE * _square(truth)[:, 0]).all()
    assert (np.abs(ours) <= math.pi / 2).all()
