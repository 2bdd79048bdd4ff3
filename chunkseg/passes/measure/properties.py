"""The properties: which contributions each needs, and how it is finished from the merged sums.

Adding a measure is adding a line to ``PROPERTIES`` (and, where it needs a new sum, a
:class:`~chunkseg.passes.measure.contributions.Contribution`). Names, shapes, order and dtypes are
scikit-image's. Where scikit-image gives infinity, as for the aspect ratio of a line, a property is
NaN; where it refuses the input, the property says so by ``dimensions`` and ``spacing``. ``WHOLES``
are the properties that are not sums: they are measured on each object's crop.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from chunkseg.kernels.neighbourhood import crofton_finish, euler_finish, perimeter_finish
from chunkseg.kernels.surface import sphericity, surface_finish
from chunkseg.kernels.wholes import INTENSITIES, SHAPES
from chunkseg.passes.measure.contributions import Array
from chunkseg.passes.measure.merged import (
    Merged,
    eccentricity,
    equivalent_diameter,
    hu,
    orientation,
)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What a property looks like and for which input it is defined.

    Attributes
    ----------
    shape
        Shape of one region's value, where ``d`` stands for the number of axes: ``"d"``, ``"2d"``,
        ``"dd"``, ``"4^d"``, ``"7"``, or ``""`` for a single number.
    dtype
        Of the columns.
    intensity
        Whether an intensity image is needed.
    dimensions
        Numbers of axes for which it is defined.
    spacing
        ``"any"``, ``"isotropic"``, or ``"one"`` where only voxels of size 1 will do.
    """

    shape: str = ""
    dtype: Any = np.float64
    intensity: bool = False
    dimensions: tuple[int, ...] = (2, 3)
    spacing: str = "any"

    def index_shape(self, ndim: int) -> tuple[int, ...]:
        """Shape of one region's value."""
        shapes = {"": (), "d": (ndim,), "2d": (2 * ndim,), "dd": (ndim, ndim)}
        return {**shapes, "4^d": (4,) * ndim, "7": (7,)}[self.shape]


@dataclass(frozen=True, kw_only=True)
class Property(Kind):
    """A property that is made of sums over blocks.

    Attributes
    ----------
    finish
        Gives its values: one row per region, then the axes that ``shape`` says, then one axis of
        channels if ``intensity``.
    needs
        Names of its contributions.
    """

    finish: Callable[[Merged], Array]
    needs: frozenset[str] = frozenset()


def _of(
    finish: Callable[[Merged], Array], *needs: str, shape: str = "", **options: Any
) -> Property:
    return Property(finish=finish, needs=frozenset(needs), shape=shape, **options)


def _channels(name: str) -> Callable[[Merged], Array]:
    return lambda m: m[name].astype(float)


def _mean(m: Merged) -> Array:
    return m["totals"] / m.num_pixels[:, np.newaxis]


def _std(m: Merged) -> Array:
    return np.sqrt(m["deviations"] / m.num_pixels[:, np.newaxis])


def _hu_weighted(m: Merged) -> Array:
    nu = m.normalized(m.moments_weighted_central)
    return np.stack([hu(nu[..., c]) for c in range(nu.shape[-1])], axis=-1)


def _roundness(m: Merged) -> Array:
    return 4 * m.area / math.pi / m.axis_lengths[:, 0] ** 2


def _perimeter(m: Merged) -> Array:
    return perimeter_finish(m["perimeter"], m.spacing[0])


def _sphericity(m: Merged) -> Array:
    return sphericity(m.area, surface_finish(m["surface"]))


_BOX, _SHAPE = ("bbox", "coordinates"), ("coordinates", "second")
_FULL, _WEIGHTED = ("coordinates", "moments"), ("bbox", "coordinates", "weighted")
_FLAT: dict[str, Any] = {"dimensions": (2,)}
_SOLID: dict[str, Any] = {"dimensions": (3,)}
_INTENSITY: dict[str, Any] = {"intensity": True}
_OUTLINE: dict[str, Any] = {"spacing": "isotropic", "dimensions": (2,)}

PROPERTIES: dict[str, Property] = {
    "label": _of(lambda m: m.label, dtype=np.int64),
    "num_pixels": _of(lambda m: m.num_pixels, dtype=np.int64),
    "area": _of(lambda m: m.area),
    "bbox": _of(
        lambda m: np.concatenate([m["bbox_start"], m["bbox_stop"]], axis=1),
        "bbox",
        shape="2d",
        dtype=np.int64,
    ),
    "area_bbox": _of(lambda m: m.area_bbox, "bbox"),
    "extent": _of(lambda m: m.area / m.area_bbox, "bbox"),
    "equivalent_diameter_area": _of(lambda m: equivalent_diameter(m.area, m.ndim)),
    "centroid": _of(lambda m: m.centroid, "coordinates", shape="d"),
    "centroid_local": _of(lambda m: m.centroid_local, *_BOX, shape="d"),
    "intensity_mean": _of(_mean, "totals", **_INTENSITY),
    "intensity_min": _of(_channels("smallest"), "extremes", **_INTENSITY),
    "intensity_max": _of(_channels("largest"), "extremes", **_INTENSITY),
    "intensity_std": _of(_std, "deviations", **_INTENSITY),
    "centroid_weighted": _of(
        lambda m: m.centroid_weighted, *_BOX, "weighted_first", shape="d", **_INTENSITY
    ),
    "centroid_weighted_local": _of(
        lambda m: m.centroid_weighted_local, *_BOX, "weighted_first", shape="d", **_INTENSITY
    ),
    "moments": _of(lambda m: m.moments, "bbox", *_FULL, shape="4^d"),
    "moments_central": _of(lambda m: m.moments_central, *_FULL, shape="4^d"),
    "moments_normalized": _of(lambda m: m.normalized(m.moments_central), *_FULL, shape="4^d"),
    "moments_hu": _of(
        lambda m: hu(m.normalized(m.moments_central)), *_FULL, shape="7", spacing="one", **_FLAT
    ),
    "moments_weighted": _of(lambda m: m.moments_weighted, *_WEIGHTED, shape="4^d", **_INTENSITY),
    "moments_weighted_central": _of(
        lambda m: m.moments_weighted_central, *_WEIGHTED, shape="4^d", **_INTENSITY
    ),
    "moments_weighted_normalized": _of(
        lambda m: m.normalized(m.moments_weighted_central), *_WEIGHTED, shape="4^d", **_INTENSITY
    ),
    "moments_weighted_hu": _of(
        _hu_weighted, *_WEIGHTED, shape="7", spacing="one", **_INTENSITY, **_FLAT
    ),
    "inertia_tensor": _of(lambda m: m.inertia_tensor, *_SHAPE, shape="dd"),
    "inertia_tensor_eigvals": _of(lambda m: m.inertia_tensor_eigvals, *_SHAPE, shape="d"),
    "axis_major_length": _of(lambda m: m.axis_lengths[:, 0], *_SHAPE),
    "axis_intermediate_length": _of(lambda m: m.axis_lengths[:, 1], *_SHAPE, **_SOLID),
    "axis_minor_length": _of(lambda m: m.axis_lengths[:, -1], *_SHAPE),
    "eccentricity": _of(lambda m: eccentricity(m.inertia_tensor_eigvals), *_SHAPE, **_FLAT),
    "orientation": _of(lambda m: orientation(m.inertia_tensor), *_SHAPE, **_FLAT),
    "aspect_ratio": _of(lambda m: m.axis_lengths[:, 0] / m.axis_lengths[:, 1], *_SHAPE, **_FLAT),
    "roundness": _of(_roundness, *_SHAPE, **_FLAT),
    "circularity": _of(
        lambda m: 4 * math.pi * m.area / _perimeter(m) ** 2, "perimeter", **_OUTLINE
    ),
    "perimeter": _of(_perimeter, "perimeter", **_OUTLINE),
    "perimeter_crofton": _of(
        lambda m: crofton_finish(m["crofton"], m.spacing[0]), "crofton", **_OUTLINE
    ),
    "euler_number": _of(lambda m: euler_finish(m["euler"]), "euler", dtype=np.int64),
    "surface_area": _of(lambda m: surface_finish(m["surface"]), "surface", **_SOLID),
    "sphericity": _of(_sphericity, "surface", **_SOLID),
}

WHOLES: dict[str, Kind] = {
    name: Kind(intensity=name in INTENSITIES) for name in SHAPES + INTENSITIES
}
