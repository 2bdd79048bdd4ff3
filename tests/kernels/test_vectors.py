"""Rows weighed in registers have the bits of the plain sum, in SciPy's order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chunkseg.kernels.vectors import weigh, weigh_two


def plain(source, taps, weights, columns):
    """The centre, then the pairs from the outside in."""
    rows = [source[tap : tap + columns] for tap in taps]
    r = len(weights) - 1
    total = rows[r] * weights[0]
    for d in range(r, 0, -1):
        total = total + (rows[r - d] + rows[r + d]) * weights[d]
    return total


def drawn(columns, radius, seed):
    rng = np.random.default_rng(seed)
    source = rng.standard_normal(3000) * 10.0 ** rng.integers(-8, 8, 3000)
    taps = rng.integers(0, 3000 - columns + 1, 2 * radius + 2)
    return source, taps, rng.random(radius + 1)


@given(st.integers(0, 150), st.integers(0, 14), st.integers(0, 99))
@settings(deadline=None, max_examples=80)
def test_rows_alone_and_in_twos(columns, radius, seed):
    source, taps, weights = drawn(columns, radius, seed)
    guarded = np.full((3, columns + 2), 7.0)
    alone, one, other = guarded[:, 1:-1]
    weigh(alone, source, taps[:-1], weights)
    weigh_two(one, other, source, taps, weights)
    np.testing.assert_array_equal(alone, plain(source, taps, weights, columns))
    np.testing.assert_array_equal(one, alone)
    np.testing.assert_array_equal(other, plain(source, taps[1:], weights, columns))
    assert (guarded[:, [0, -1]] == 7).all()


@pytest.mark.parametrize("columns", [5, 100])
def test_order_of_additions_shows(columns):
    """The bits depend on the order: were they added from the inside out, this would differ."""
    source, taps, weights = drawn(columns, 9, 1)
    result = np.empty(columns)
    weigh(result, source, taps[:-1], weights)
    rows = [source[tap : tap + columns] * weights[abs(k - 9)] for k, tap in enumerate(taps[:-1])]
    assert (result != np.sum(rows, axis=0)).any()
