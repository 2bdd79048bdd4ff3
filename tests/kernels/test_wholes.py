"""Measures of one object against scikit-image's regionprops."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import ndimage as ndi
from skimage.measure import regionprops
from skimage.morphology import convex_hull_image

from chunkseg.kernels.wholes import (
    SHAPES,
    Hull,
    convex_hull,
    feret_diameter,
    filled_voxels,
    median_intensity,
    whole_shape,
)

SPACINGS = [(1.0, 1.0, 1.0), (0.5, 0.5, 0.5), (0.29, 0.26, 0.26), (0.3, 1.0, 2.7), (3, 1, 1)]


def by_scikit_image(mask, spacing):
    """What regionprops gives; NaN where it raises or gives infinity."""
    region = regionprops(mask.astype(np.uint8), spacing=spacing)[0]
    values = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in SHAPES:
            try:
                value = float(getattr(region, name))
            except (ValueError, RuntimeError):
                value = np.nan
            values[name] = np.nan if np.isinf(value) else value
    return values


def crop(mask):
    return mask[ndi.find_objects(mask.astype(np.uint8))[0]]


@st.composite
def objects(draw):
    """Scattered voxels, blobs with holes, flat and thin things."""
    ndim = draw(st.integers(2, 3))
    shape = draw(st.tuples(*[st.integers(1, 16 if ndim == 2 else 11)] * ndim))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    noise = rng.random(shape)
    smooth = draw(st.sampled_from([0, 1, 2]))
    if smooth:
        noise = ndi.gaussian_filter(noise, smooth)
    mask = noise >= np.quantile(noise, draw(st.sampled_from([0.0, 0.2, 0.5, 0.9, 0.99])))
    return crop(mask)


@settings(deadline=None, max_examples=150)
@given(objects(), st.sampled_from(SPACINGS))
@example(np.ones((1, 1), bool), SPACINGS[0])
@example(np.ones((1, 1, 1), bool), SPACINGS[0])
@example(np.ones((1, 5, 4), bool), SPACINGS[2])
@example(np.eye(6, dtype=bool), SPACINGS[1])
@example(np.ones((2, 2, 2), bool), SPACINGS[3])
def test_shape(mask, spacing):
    spacing = spacing[-mask.ndim :]
    np.testing.assert_equal(whole_shape(mask, SHAPES, spacing), by_scikit_image(mask, spacing))


def ball(radius):
    grid = np.mgrid[(slice(-radius, radius + 1),) * 3]
    return (grid**2).sum(axis=0) <= radius**2


ROWS, COLUMNS = np.mgrid[-14:15, -14:15]
NAMED = {
    "ball": ball(12),
    "shell": ball(9) & ~np.pad(ball(7), 2),
    "open shell": np.where(np.arange(19) < 12, ball(9) & ~np.pad(ball(7), 2), False)[..., :12],
    "tilted plane": np.add.outer(np.add.outer(np.arange(6), np.arange(6)), np.arange(6)) == 7,
    "diagonal line": np.einsum("ij,jk->ijk", np.eye(5), np.eye(5)) > 0,
    "two far corners": np.array([[1, 0, 0, 0, 0, 0, 0, 0, 1]], bool),
    "four voxels": np.array([[[1, 1], [1, 0]], [[1, 0], [0, 0]]], bool),
    "long box": np.ones((40, 3, 2), bool),
    "rotated box": (np.abs(ROWS + 2 * COLUMNS) < 20) & (np.abs(2 * ROWS - COLUMNS) < 14),
    "knight's moves": np.add.outer(np.arange(12) * 2, np.arange(12)) % 5 == 0,
    "large ellipse": np.hypot(*(np.mgrid[-90:91, -60:61] / np.array([90, 60])[:, None, None])) <= 1,
    "ellipsoid": (np.mgrid[-20:21, -14:15, -9:10] ** 2).T.dot([1 / 400, 1 / 196, 1 / 81]).T <= 1,
}


@pytest.mark.parametrize("name", NAMED)
def test_named_shapes(name):
    mask = crop(NAMED[name])
    spacing = (0.29, 0.26, 0.26)[-mask.ndim :]
    np.testing.assert_equal(whole_shape(mask, SHAPES, spacing), by_scikit_image(mask, spacing))


@pytest.mark.parametrize("seed", range(6))
def test_hull_of_points_in_a_large_crop(seed):
    """Many facets, large coordinates: the voxels inside are scikit-image's."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((61, 47, 55), bool)
    mask[tuple(rng.integers(0, n, 40) for n in mask.shape)] = True
    hull = convex_hull(mask)
    drawn = convex_hull_image(mask)
    assert hull.voxels == drawn.sum()
    assert drawn[tuple(hull.ends.T)].all()


def test_flat_in_3d_has_no_hull():
    values = whole_shape(np.ones((1, 4, 4), bool), SHAPES, (1.0, 1.0, 1.0))
    assert values["area_convex"] == 0
    assert values["area_filled"] == 16
    assert np.isnan(values["solidity"])
    assert np.isnan(values["feret_diameter_max"])


def test_feret_without_a_hull_is_nan():
    assert np.isnan(feret_diameter(Hull(0, np.empty((0, 3), np.int64)), (1.0, 1.0, 1.0)))


def test_only_what_is_asked_for():
    assert list(whole_shape(np.ones((3, 3), bool), ["area_filled"], (1, 1))) == ["area_filled"]


@settings(deadline=None, max_examples=100)
@given(objects())
def test_holes(mask):
    filled = ndi.binary_fill_holes(mask, np.ones((3,) * mask.ndim))
    assert filled_voxels(mask) == filled.sum()


@settings(deadline=None, max_examples=60)
@given(
    objects(),
    st.sampled_from([np.bool_, np.uint8, np.uint16, np.int32, np.float32, np.float64]),
    st.integers(0, 99),
)
def test_median(mask, dtype, seed):
    image = (np.random.default_rng(seed).random(mask.shape) * 300).astype(dtype)
    region = regionprops(mask.astype(np.uint8), image)[0]
    assert median_intensity(mask, image) == region.intensity_median


def test_median_with_nan_is_nan():
    assert np.isnan(median_intensity(np.ones(3, bool), np.array([1.0, np.nan, 2.0])))
