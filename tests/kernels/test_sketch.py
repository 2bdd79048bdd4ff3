"""Sketches: fine histograms made before the range is known, of which any two can be added."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chunkseg.kernels.sketch import BINS, Sketch, Sketcher, merge_sketches

FLOATS = st.one_of(
    st.floats(0, 1),
    st.floats(-1e3, 1e3),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.0, -0.0, 5e-324, 1e-300, -1e308, 1.7e308, 2.0**-20, 0.1]),
)


def sketched(*parts: Any) -> Sketch:
    sketcher = Sketcher()
    for part in parts:
        assert sketcher.add(part) == (part.min(), part.max())
    return sketcher.sketch()


def same(one: Sketch, other: Sketch) -> None:
    assert (one.exponent, one.first) == (other.exponent, other.first)
    assert one.counts.tolist() == other.counts.tolist()


@settings(deadline=None, max_examples=200)
@given(st.lists(st.lists(FLOATS, min_size=1, max_size=9), min_size=1, max_size=5), st.booleans())
def test_every_value_is_in_its_bin_whatever_the_order(values: list[list[float]], single: bool):
    parts = [np.array(part, np.float64) for part in values]
    if single:
        parts = [np.clip(part, -3e38, 3e38).astype(np.float32) for part in parts]
    found = sketched(*parts)
    same(found, sketched(*parts[::-1]))
    everything = np.concatenate(parts)
    same(found, sketched(everything))
    assert 1 <= len(found.counts) <= BINS
    bins = [math.floor(Fraction(float(v)) / Fraction(2) ** found.exponent) for v in everything]
    assert (min(bins), max(bins)) == (found.first, found.first + len(found.counts) - 1)
    assert found.counts.tolist() == np.bincount(np.array(bins) - found.first).tolist()


@settings(deadline=None, max_examples=100)
@given(st.lists(st.lists(FLOATS, min_size=1, max_size=9), min_size=2, max_size=5))
def test_sketches_of_pieces_add_up_to_that_of_the_whole(values: list[list[float]]):
    parts = [np.array(part) for part in values]
    merged = merge_sketches([Sketch(0, 0, np.zeros(0, np.int64)), *map(sketched, parts)])
    same(merged, sketched(np.concatenate(parts)))


@settings(deadline=None, max_examples=100)
@given(st.lists(FLOATS, min_size=1, max_size=30), st.integers(1, 300))
def test_counts_between_edges_add_up(values: list[float], nbins: int):
    found = sketched(np.array(values))
    low, high = min(values) / 2, max(values) / 2
    edges = np.linspace(low, high, nbins + 1) * 2
    counts = found.between(edges)
    assert counts.dtype == np.int64
    assert (counts >= 0).all()
    assert counts.sum() == len(values)


@pytest.mark.parametrize(("length", "exponent"), [(BINS - 0.5, 0), (BINS, 1)])
def test_bins_are_the_narrowest_that_are_enough(length: float, exponent: int) -> None:
    values = np.array([0.0, length])
    found = sketched(values)
    assert (found.exponent, len(found.counts)) == (exponent, BINS >> exponent | exponent)
    same(found, merge_sketches(map(sketched, np.split(values, 2))))


def test_edges_that_are_ends_of_bins_tell_the_counts() -> None:
    values = np.random.default_rng(0).random(5000)
    values[:2] = 0, 1
    found = sketched(values)
    edges = np.linspace(0, 1, 257)
    np.testing.assert_array_equal(found.between(edges)[:-1], np.histogram(values, edges)[0][:-1])


def test_many_values_are_estimated_well() -> None:
    values = np.random.default_rng(0).gamma(2, 0.1, 200_000)
    edges = np.histogram_bin_edges(values, 256)
    difference = sketched(values).between(edges) - np.histogram(values, edges)[0]
    assert np.abs(difference).max() < 60  # of some 3,000 in the largest bins


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_left_out(value: float) -> None:
    assert sketched(np.array([1.5]), np.array([2.0]), np.array([1.5, 1.5])).counts.sum() == 4
    sketcher = Sketcher()
    for part in ([1.0, value], [2.0]):
        sketcher.add(np.array(part))
    assert sketcher.sketch().counts.tolist() == [1]
    alone = Sketcher()
    alone.add(np.array([value]))
    assert alone.sketch().counts.size == 0


def test_counts_take_as_few_bytes_as_they_need() -> None:
    assert sketched(np.zeros(200)).counts.dtype == np.uint8
    assert sketched(np.zeros(70_000)).counts.dtype == np.uint32
