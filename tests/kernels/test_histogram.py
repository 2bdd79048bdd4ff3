"""Ranges, counts and thresholds equal NumPy's and scikit-image's on the whole image."""

from __future__ import annotations

import math

import numpy as np
import pytest
import skimage.data
import skimage.filters
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chunkseg.errors import KindError, PixelError
from chunkseg.kernels.histogram import (
    bin_centers,
    bin_edges,
    float_histogram,
    integer_histogram,
    nonfinite,
    otsu,
    value_range,
)

INTEGERS = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"]
NBINS = st.sampled_from([1, 2, 3, 7, 16, 256, 1000])


def assert_same(actual, expected):
    assert np.asarray(actual).dtype == np.asarray(expected).dtype
    np.testing.assert_array_equal(actual, expected)


def edges_or_none(low, high, nbins):
    """NumPy's edges, or None where it refuses the range."""
    if not np.isfinite(float(high) - float(low)) or not np.isfinite(high - low):
        return None
    try:
        return np.histogram_bin_edges(np.array([low, high]), nbins)
    except ValueError:
        return None


def steps_around(values):
    down, up = np.nextafter(values, -np.inf), np.nextafter(values, np.inf)
    return np.concatenate([values, down, up, np.nextafter(up, np.inf)])


@st.composite
def ranges(draw):
    """Two floats of one dtype: of any size, neighbours, subnormal or equal."""
    dtype = np.dtype(draw(st.sampled_from(["float32", "float64"])))
    floats = st.floats(width=dtype.itemsize * 8, allow_nan=False, allow_infinity=False)
    low = dtype.type(draw(floats | st.sampled_from([0.0, 0.1, 1.0, -1.0, 65535.0])))
    tiny = float(np.finfo(dtype).smallest_subnormal)
    steps = draw(st.sampled_from([0, 1, 3, 256, 257, 511, 2**14 + 1]))
    near = dtype.type(low + steps * max(float(np.spacing(abs(low))), tiny))
    high = draw(st.just(near) | floats.map(dtype.type))
    assume(np.isfinite(high))
    return min(low, high), max(low, high)


@st.composite
def float_blocks(draw):
    """Values on edges, next to edges, and in between, with the range and number of bins."""
    low, high = draw(ranges().filter(lambda r: edges_or_none(*r, 1) is not None))
    nbins = draw(NBINS)
    edges = edges_or_none(low, high, nbins)
    assume(edges is not None)
    seed = draw(st.integers(0, 2**32 - 1))
    between = np.random.default_rng(seed).uniform(float(low), float(high), 300)
    values = np.concatenate([steps_around(edges), between.astype(edges.dtype), [low, high]])
    values = values[(values >= low) & (values <= high)]
    np.random.default_rng(seed).shuffle(values)
    return values, low, high, nbins


@pytest.mark.filterwarnings("ignore:overflow encountered")
@given(float_blocks(), st.lists(st.integers(0, 1000), max_size=4))
@settings(deadline=None, max_examples=150)
def test_float_counts_equal_numpys_and_those_of_pieces_add_up(block, cuts):
    values, low, high, nbins = block
    counts, edges = np.histogram(values, bins=nbins, range=(low, high))
    assert_same(float_histogram(values, low, high, nbins), counts)
    assert_same(bin_edges(low, high, nbins), edges)
    pieces = np.split(values, sorted(min(c, values.size) for c in cuts))
    assert_same(sum(float_histogram(p, low, high, nbins) for p in pieces), counts)


@pytest.mark.filterwarnings("ignore:overflow encountered")
@given(ranges(), NBINS)
@settings(deadline=None, max_examples=150)
def test_edges_equal_numpys_or_both_refuse(limits, nbins):
    low, high = limits
    expected = edges_or_none(low, high, nbins)
    if expected is None and low == high:
        edges = bin_edges(low, high, nbins)
        assert edges.dtype == low.dtype
        assert edges[0] <= low <= edges[-1]
        assert len(np.unique(edges)) == nbins + 1
    elif expected is None:
        with pytest.raises(PixelError):
            bin_edges(low, high, nbins)
    else:
        assert_same(bin_edges(low, high, nbins), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("low", [0.1, -3.7, 1e-30])
def test_every_edge_and_its_neighbours(dtype, low):
    low, high = np.array([low, low + 1.3], dtype)
    edges = np.histogram_bin_edges(np.array([low, high]), 256)
    values = steps_around(edges)
    values = values[(values >= low) & (values <= high)].reshape(1, -1)
    expected = np.histogram(values, 256, (low, high))[0]
    assert_same(float_histogram(values, low, high), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_outside_and_nan_are_not_counted(dtype):
    values = np.array([np.nan, np.inf, -np.inf, -1e30, 0.5, 1e30, 1, 0, -0.0], dtype)
    low, high = np.array([0, 1], dtype)
    expected = np.histogram(values, 4, (low, high))[0]
    assert_same(float_histogram(values, low, high, 4), expected)


def test_counts_of_a_constant_block():
    values = np.full((3, 4), 7.25, np.float32)
    expected = np.histogram(values, 256, (values[0, 0], values[0, 0]))[0]
    assert_same(float_histogram(values, values[0, 0], values[0, 0]), expected)


@pytest.mark.parametrize(
    "value", [np.float16(1000), np.float32(1e5), np.float32(-3e38), np.float64(1e30)]
)
def test_a_constant_so_large_that_half_a_unit_has_no_bins(value):
    top = np.finfo(value.dtype).max
    for one in (value, -value, top, -top):
        counts = float_histogram(np.full((3, 4), one), one, one)
        assert counts.sum() == counts.max() == 12


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a[::2, ::-1],
        lambda a: a.T,
        lambda a: a.astype(a.dtype.newbyteorder(">")),
        lambda a: np.broadcast_to(a[:1], a.shape),
        lambda a: a[:0],
    ],
    ids=["strided", "transposed", "big-endian", "broadcast", "empty"],
)
def test_memory_layouts(view):
    values = view(np.random.default_rng(0).random((20, 30)))
    low, high = np.float64(0), np.float64(1)
    assert_same(float_histogram(values, low, high), np.histogram(values, 256, (0, 1))[0])
    whole = view(np.random.default_rng(0).integers(0, 60000, (20, 30), "uint16"))
    distinct, counts = integer_histogram(whole)
    expected = np.unique(whole.astype("uint16"), return_counts=True)
    assert_same(distinct, expected[0])
    assert_same(counts, expected[1])


def test_other_dtypes_are_counted_by_numpy():
    values = np.random.default_rng(0).random(500)
    half = values.astype(np.float16)
    low, high = value_range(half)
    assert_same(float_histogram(half, low, high), np.histogram(half, 256, (low, high))[0])
    low, high = np.float32(0), np.float32(1)
    assert_same(float_histogram(values, low, high), np.histogram(values, 256, (low, high))[0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_range_that_bins_cannot_cut(dtype):
    low = np.array(1, dtype)[()]
    with pytest.raises(PixelError, match=r"256 bins of float\d\d between .* can't be told apart"):
        bin_edges(low, np.nextafter(low, low + 1))
    top = np.finfo(dtype).max
    for limits in [(-top, top), (low, top * np.inf), (low * np.nan, top)]:
        with pytest.raises(PixelError, match="needs a range whose width is a finite float"):
            float_histogram(np.zeros(3, dtype), *limits)


@given(hnp.arrays(st.sampled_from([*INTEGERS, "bool", "float16", "float32", "float64"]), (3, 5)))
@settings(deadline=None, max_examples=100)
def test_range_equals_numpys(values):
    low, high = value_range(values)
    assert_same(low, values.min())
    assert_same(high, values.max())
    assert isinstance(low, np.generic)


def test_range_of_nothing():
    with pytest.raises(PixelError, match=r"at least one voxel; got a block of shape \(0, 3\)"):
        value_range(np.zeros((0, 3)))


ODD = st.sampled_from([0.0, 1.0, 6e4, math.nan, math.inf, -math.inf])


@given(
    st.sampled_from(["float16", "float32", "float64"]),
    hnp.arrays("float64", hnp.array_shapes(max_side=4), elements=ODD),
)
@settings(deadline=None, max_examples=100)
def test_nonfinite_counts_and_finds_the_first(dtype, values):
    bad = np.flatnonzero(~np.isfinite(values))
    expected = (bad.size, bad[0] if bad.size else -1)
    assert nonfinite(values.astype(dtype)) == expected
    assert nonfinite(np.asfortranarray(values.astype(dtype))) == expected


def test_nonfinite_of_integers_and_of_nothing():
    assert nonfinite(np.array([[3, 2**63]], np.uint64)) == (0, -1)
    assert nonfinite(np.zeros((0, 3), np.float32)) == (0, -1)


@given(st.sampled_from(INTEGERS).flatmap(lambda d: hnp.arrays(d, hnp.array_shapes(max_side=6))))
@settings(deadline=None, max_examples=100)
def test_integer_counts_equal_numpys(values):
    distinct, counts = integer_histogram(values)
    expected = np.unique(values, return_counts=True)
    assert_same(distinct, expected[0])
    assert_same(counts, expected[1].astype(np.int64))


@pytest.mark.parametrize("dtype", ["float32", "bool"])
def test_only_integers_are_counted_by_value(dtype):
    with pytest.raises(KindError, match=f"needs integers; got {dtype}"):
        integer_histogram(np.zeros(3, dtype))


def otsu_of_integers(image):
    distinct, counts = integer_histogram(image)
    return otsu(counts, distinct)


@st.composite
def integer_images(draw):
    """Few distinct values with wide gaps, in a range that scikit-image can count."""
    dtype = draw(st.sampled_from(INTEGERS))
    top = min(int(np.iinfo(dtype).max), 100_000)
    bottom = max(int(np.iinfo(dtype).min), -1000)
    levels = draw(st.lists(st.integers(bottom, top), min_size=1, max_size=8))
    return draw(hnp.arrays(dtype, st.integers(1, 60), elements=st.sampled_from(levels)))


@given(integer_images())
@settings(deadline=None, max_examples=150)
def test_otsu_of_integers_needs_no_empty_bins(image):
    assert_same(otsu_of_integers(image), skimage.filters.threshold_otsu(image))


@given(
    st.sampled_from(["float32", "float64"]),
    st.integers(0, 2**32 - 1),
    st.integers(2, 3000),
    st.sampled_from([(0, 1), (-5, 5), (1e-12, 3e-12), (100, 65535)]),
    st.integers(1, 12),
)
@settings(deadline=None, max_examples=100)
def test_otsu_of_floats_equals_scikit_image(dtype, seed, size, limits, power):
    values = np.random.default_rng(seed).random(size) ** power
    image = (limits[0] + (limits[1] - limits[0]) * values).astype(dtype)
    low, high = value_range(image)
    try:
        expected = skimage.filters.threshold_otsu(image)
    except ValueError:  # neighbouring floats, too near each other for so many bins
        with pytest.raises(PixelError):
            bin_edges(low, high)
        return
    centers = bin_centers(bin_edges(low, high))
    counts = sum(float_histogram(piece, low, high) for piece in np.array_split(image, 3))
    assert_same(otsu(counts, centers), expected)


@pytest.mark.parametrize("name", ["coins", "cell", "page", "camera"])
def test_otsu_of_real_images(name):
    image = getattr(skimage.data, name)()
    assert_same(otsu_of_integers(image), skimage.filters.threshold_otsu(image))
    blurred = skimage.filters.gaussian(image.astype(np.float32), 2)
    low, high = value_range(blurred)
    threshold = otsu(float_histogram(blurred, low, high), bin_centers(bin_edges(low, high)))
    assert_same(threshold, skimage.filters.threshold_otsu(blurred))


def test_otsu_of_one_value_is_that_value_in_its_dtype():
    assert_same(otsu(np.array([0, 5, 0]), np.array([1, 4, 9], np.uint8)), np.uint8(4))


def test_otsu_of_counts_that_float32_cannot_hold():
    counts = np.array([2**24 + 1, 3, 2**25 + 3, 1, 2**26 + 5], np.int64)
    values = np.array([3, 10, 11, 40, 90], np.uint8)
    gaps = np.zeros(91, np.int64)
    gaps[values] = counts
    assert_same(otsu(counts, values), skimage.filters.threshold_otsu(hist=(gaps, np.arange(91))))


def test_otsu_of_no_voxels():
    with pytest.raises(PixelError, match="at least one voxel"):
        otsu(np.zeros(3, np.int64), np.arange(3))
