"""Moments of a block's regions against sums over their voxels, and what a shift does to them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage as ndi

from chunkseg.kernels.moments import exponents, moment_sums, shifted
from chunkseg.kernels.runs import compact, id_runs
from chunkseg.kernels.sums import (
    intensity_extremes,
    intensity_totals,
    squared_deviations,
)
from tests.strategies import label_images

Array = np.ndarray[Any, Any]
some = settings(deadline=None, max_examples=80)
POWERS = {2: exponents(2, 3, 6), 3: exponents(3, 3, 9)}


def by_voxel(local: Array, origin: Array, powers: Any, weights: Array) -> Array:
    """Moments, term by term."""
    sums = np.zeros((len(origin), len(powers)))
    for place in np.argwhere(local):
        row = local[tuple(place)] - 1
        steps = (place - origin[row]).astype(float)
        for m, power in enumerate(powers):
            sums[row, m] += weights[tuple(place)] * np.prod(steps**power)
    return sums


@some
@given(labels=label_images(), seed=st.integers(0, 2**32 - 1), weighted=st.booleans())
def test_moments_are_the_sums_over_voxels(labels: Array, seed: int, weighted: bool) -> None:
    ids, local = compact(labels)
    rng = np.random.default_rng(seed)
    origin = rng.integers(-2, 9, (len(ids), labels.ndim))
    weights = rng.integers(0, 2**16, labels.shape).astype(np.uint16)
    powers = POWERS[labels.ndim]
    ours = moment_sums(id_runs(local), origin, powers, weights if weighted else None)
    expected = by_voxel(local, origin, powers, weights if weighted else np.ones(labels.shape))
    assert ours.dtype == np.float64
    np.testing.assert_array_equal(ours, expected)  # whole numbers below 2**53


@some
@given(labels=label_images(), seed=st.integers(0, 2**32 - 1))
def test_a_shift_is_another_reference_point(labels: Array, seed: int) -> None:
    ids, local = compact(labels)
    rng = np.random.default_rng(seed)
    old, new = rng.integers(-3, 9, (2, len(ids), labels.ndim))
    powers = POWERS[labels.ndim]
    before = moment_sums(id_runs(local), old, powers)
    after = shifted(before, powers, old - new)
    np.testing.assert_array_equal(after, moment_sums(id_runs(local), new, powers))
    np.testing.assert_array_equal(before, moment_sums(id_runs(local), old, powers))


@pytest.mark.parametrize(("each", "total", "count"), [(1, 1, 4), (2, 2, 10), (3, 9, 64)])
def test_exponents_are_closed_downwards(each: int, total: int, count: int) -> None:
    powers = exponents(3, each, total)
    assert len(powers) == count
    assert list(powers) == sorted(powers)
    for power in powers:
        for axis, p in enumerate(power):
            assert p == 0 or (*power[:axis], p - 1, *power[axis + 1 :]) in powers


def test_a_run_of_a_hundred_thousand_voxels_keeps_its_digits() -> None:
    local = np.ones((1, 100_001), np.uint32)
    sums = moment_sums(id_runs(local), np.array([[0, 50_000]]), ((0, 0), (0, 1), (0, 2), (0, 3)))
    exact = [sum(int(i) ** k for i in range(-50_000, 50_001)) for k in range(4)]
    np.testing.assert_allclose(sums[0], exact, rtol=1e-15, atol=1e-15 * 50_000**4)


DTYPES = ["bool", "uint8", "int16", "uint32", "int64", "uint64", "float16", "float32", "float64"]


@pytest.mark.parametrize("dtype", DTYPES)
@settings(deadline=None, max_examples=15)
@given(labels=label_images(), seed=st.integers(0, 2**32 - 1))
def test_intensities(dtype: str, labels: Array, seed: int) -> None:
    ids, local = compact(labels)
    image = np.random.default_rng(seed).integers(0, 100, labels.shape).astype(dtype)
    each = np.arange(1, len(ids) + 1)
    exact = image.astype(float)
    totals = intensity_totals(id_runs(local), len(ids), image)
    assert totals.dtype == (np.int64 if dtype in DTYPES[:4] else np.float64)
    np.testing.assert_array_equal(totals, ndi.sum_labels(exact, local, each))
    for ours, theirs in zip(
        intensity_extremes(id_runs(local), len(ids), image), (ndi.minimum, ndi.maximum), strict=True
    ):
        assert ours.dtype == {"bool": np.uint8, "float16": np.float32}.get(dtype, image.dtype)
        np.testing.assert_array_equal(ours, theirs(exact, local, each))
    means = totals / np.bincount(local.ravel(), minlength=len(ids) + 1)[1:]
    deviations = squared_deviations(id_runs(local), image, means)
    expected = ndi.sum_labels((exact - np.append(0, means)[local]) ** 2, local, each)
    np.testing.assert_allclose(deviations, expected, rtol=1e-12)


def test_rows_without_a_voxel() -> None:
    local = np.zeros((2, 3), np.uint32)
    image = np.ones((2, 3), np.int16)
    smallest, largest = intensity_extremes(id_runs(local), 1, image)
    assert (smallest[0], largest[0]) == (np.iinfo(np.int16).max, np.iinfo(np.int16).min)
    assert intensity_totals(id_runs(local), 1, image).tolist() == [0]
    assert moment_sums(id_runs(local), np.zeros((1, 2), np.int64), POWERS[2]).tolist() == [
        [0.0] * 16
    ]
