"""Expansion of labels against scikit-image on the whole array, ties included."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes
from skimage import segmentation

from chunkseg.errors import KindError, ParameterError
from chunkseg.geometry.boxes import Box, Grid
from chunkseg.kernels import expansion
from chunkseg.kernels.expansion import UNBOUNDED, expand_labels, expansion_halo

DTYPES = ["bool", "uint8", "int16", ">u2", "int32", ">i4", "uint32", "int64", "uint64"]
DISTANCES = st.one_of(
    st.sampled_from([0, 0.5, 1, 1.5, 2, 3, 4, 5, 40, math.inf]),
    st.integers(1, 40).map(math.sqrt),
    st.integers(1, 40).map(lambda d2: math.nextafter(math.sqrt(d2), 0)),
    st.floats(0, 8),
)
SPACINGS = [(0.3, 1, 1), (2.5, 0.7, 0.7), (0.29, 0.26, 0.26), (1, 0.5, 0.5), (0.1, 0.2, 0.3)]


def assert_same(actual, expected):
    assert actual.dtype == expected.dtype.newbyteorder("=")
    np.testing.assert_array_equal(actual, expected)


def seeds(shape, density, seed, dtype="int32"):
    rng = np.random.default_rng(seed)
    values = rng.integers(1, 100, shape)
    return np.where(rng.random(shape) < density, values, 0).astype(dtype)


@st.composite
def label_images(draw, min_dims=1, max_dims=3, max_side=13):
    """From arrays with no label to dense ones; sparse ones have many ties at long distances."""
    shape = draw(array_shapes(min_dims=min_dims, max_dims=max_dims, max_side=max_side))
    density = draw(st.sampled_from([0.003, 0.02, 0.1, 0.3, 0.8]))
    return seeds(shape, density, draw(st.integers(0, 2**32 - 1)), draw(st.sampled_from(DTYPES)))


def assert_blocks_give_the_whole(labels, distance, spacing, grid):
    """Compare the inner part of every grown block with that of the whole array."""
    expected = segmentation.expand_labels(labels, distance, spacing)
    sampling = np.broadcast_to(spacing, labels.ndim)
    halo = expansion_halo(distance, tuple(sampling))
    for block in grid.overlapping(grid.frame):
        grown = block.core.grow(halo, grid.frame)
        inner = block.core.slices(grown.start)
        part = expand_labels(labels[grown.slices()], distance, spacing, inner)
        assert_same(part, expected[block.core.slices()])


@given(labels=label_images(), distance=DISTANCES)
@settings(deadline=None, max_examples=150)
def test_equals_scikit_image_on_the_whole_array(labels, distance):
    expected = segmentation.expand_labels(labels, distance)
    assert_same(expand_labels(labels, distance), expected)


@given(labels=label_images(min_dims=3), distance=DISTANCES, spacing=st.sampled_from(SPACINGS))
@settings(deadline=None, max_examples=60)
def test_equals_scikit_image_with_other_spacings(labels, distance, spacing):
    expected = segmentation.expand_labels(labels, distance, spacing)
    assert_same(expand_labels(labels, distance, spacing), expected)


@given(labels=label_images(), distance=DISTANCES, data=st.data())
@settings(deadline=None, max_examples=100)
def test_grown_blocks_give_the_whole(labels, distance, data):
    grid = Grid.regular(labels.shape, [data.draw(st.integers(1, n)) for n in labels.shape])
    assert_blocks_give_the_whole(labels, distance, 1, grid)


@given(
    labels=label_images(min_dims=3, max_side=11),
    distance=st.one_of(DISTANCES, st.sampled_from([0.3, 0.6, 0.9, 0.29 * 3, 2.6, 2.1, 2.5])),
    spacing=st.sampled_from(SPACINGS),
    data=st.data(),
)
@settings(deadline=None, max_examples=150)
def test_grown_blocks_give_the_whole_with_other_spacings(labels, distance, spacing, data):
    grid = Grid.regular(labels.shape, [data.draw(st.integers(1, n)) for n in labels.shape])
    assert_blocks_give_the_whole(labels, distance, spacing, grid)


@given(labels=label_images(), distance=DISTANCES, data=st.data())
@settings(deadline=None, max_examples=60)
def test_inner_is_a_part_of_the_whole_result(labels, distance, data):
    stop = [data.draw(st.integers(0, n)) for n in labels.shape]
    start = [data.draw(st.integers(0, b)) for b in stop]
    inner = Box(tuple(start), tuple(stop)).slices()
    expected = segmentation.expand_labels(labels, distance)[inner]
    assert_same(expand_labels(labels, distance, inner=inner), expected)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("step", [2, 3, 4, 5])
def test_lattices_where_every_gap_is_a_tie(ndim, step):
    labels = np.zeros((17,) * ndim, np.int32)
    points = labels[(slice(1, None, step),) * ndim]
    points[...] = np.arange(1, points.size + 1).reshape(points.shape)
    for distance in (1, 2, math.sqrt(3), 5):
        expected = segmentation.expand_labels(labels, distance)
        assert_same(expand_labels(labels, distance), expected)


@pytest.mark.parametrize("spacing", [1, 0.29, (0.3, 1, 1), (2.5, 0.7, 0.7)])
def test_chunked_lattices_where_every_gap_is_a_tie(spacing):
    labels = np.zeros((11, 12, 13), np.int32)
    points = labels[::4, 1::4, ::4]
    points[...] = np.arange(1, points.size + 1).reshape(points.shape)
    grid = Grid.regular(labels.shape, (3, 4, 5))
    for distance in (1, 2, 3.5):
        assert_blocks_give_the_whole(labels, distance, spacing, grid)


def test_every_pair_of_labels_around_a_voxel_ties_as_scikit_image_does():
    shell = [k for k in itertools.product((-2, -1, 0, 1, 2), repeat=3) if np.dot(k, k) == 5]
    for first, second in itertools.combinations(shell, 2):
        labels = np.zeros((5, 5, 5), np.uint8)
        labels[tuple(np.add(first, 2))] = 1
        labels[tuple(np.add(second, 2))] = 2
        expected = segmentation.expand_labels(labels, 3)
        assert_same(expand_labels(labels, 3), expected)


@pytest.mark.parametrize("distance", [7, 15, 31, 32, 45, 46, 63, 64])
def test_distances_at_the_limits_of_the_key_types(distance):
    labels = np.zeros((20, 70, 140), np.uint16)
    labels[3, 35, 70], labels[17, 10, 10], labels[19, 69, 139] = 7, 300, 65535
    expected = segmentation.expand_labels(labels, distance)
    assert_same(expand_labels(labels, distance), expected)


@pytest.mark.parametrize("distance", [253, 254, 255, 256, 1e300, math.inf])
@pytest.mark.parametrize("shape", [(800,), (3, 800), (800, 3), (600, 2, 2), (250, 255)])
def test_distances_at_the_limit_of_the_search(shape, distance):
    labels = np.zeros(shape, np.int64)
    labels.flat[labels.size // 2] = 5
    expected = segmentation.expand_labels(labels, distance)
    assert_same(expand_labels(labels, distance), expected)


@pytest.mark.parametrize("squared", [2, 3, 5, 6, 13, 29, 30])
def test_distances_next_to_a_square_root(squared):
    labels = np.zeros((13, 13, 13), np.int32)
    labels[6, 6, 6] = 1
    root = math.sqrt(squared)
    for distance in (math.nextafter(root, 0), root, math.nextafter(root, 99)):
        expected = segmentation.expand_labels(labels, distance)
        assert_same(expand_labels(labels, distance), expected)


@pytest.mark.parametrize("distance", [0, -0.0, -1, -math.inf, math.nan, math.inf, np.float32(2.5)])
@pytest.mark.parametrize("spacing", [1, (0.5, 2)])
def test_unusual_distances(distance, spacing):
    labels = seeds((9, 8), 0.1, 4)
    expected = segmentation.expand_labels(labels, distance, spacing)
    assert_same(expand_labels(labels, distance, spacing), expected)


@pytest.mark.parametrize("spacing", [1, (0.3, 1, 1)])
@pytest.mark.parametrize("distance", [1, 4, math.inf])
def test_without_labels_there_is_nothing_to_expand(distance, spacing):
    labels = np.zeros((4, 5, 6), np.uint16)
    assert_same(expand_labels(labels, distance, spacing), labels)


@pytest.mark.parametrize("spacing", [1, (0.3, 1, 1)])
def test_a_block_without_labels_never_reaches_scipy(spacing, monkeypatch):
    def called(*args, **kwargs):
        raise AssertionError("measured to a voxel outside of the block")

    monkeypatch.setattr(expansion.ndimage, "distance_transform_edt", called)
    labels = np.zeros((40, 5, 6), np.uint16)
    assert not expand_labels(labels, 4, spacing).any()
    labels[0, 0, 0] = 3
    assert not expand_labels(labels, 4, spacing, (slice(20, 40), slice(5), slice(6))).any()


def test_labels_out_of_reach_of_the_inner_part_are_not_seen():
    labels = np.zeros((30, 30), np.int32)
    labels[0, 0] = 9
    assert not expand_labels(labels, 3, (1, 2), (slice(20, 30),) * 2).any()


@pytest.mark.parametrize("spacing", [1, (0.3, 1, 1)])
def test_a_full_block_stays_as_it_is_and_is_copied(spacing):
    labels = np.arange(1, 121, dtype=np.int32).reshape(4, 5, 6)
    expanded = expand_labels(labels, 2, spacing)
    assert_same(expanded, labels)
    assert not np.shares_memory(expanded, labels)


def test_four_axes():
    labels = seeds((5, 4, 6, 5), 0.02, 1)
    for distance in (1, 2.5, math.inf):
        assert_same(expand_labels(labels, distance), segmentation.expand_labels(labels, distance))
    assert_blocks_give_the_whole(labels, 1, 1, Grid.regular(labels.shape, (2, 3, 3, 2)))


@pytest.mark.parametrize("shape", [(0,), (0, 4), (3, 0, 2)])
def test_arrays_without_extent(shape):
    labels = np.zeros(shape, np.int32)
    assert_same(expand_labels(labels, 2), labels)


def test_an_array_without_axes_is_returned():
    assert_same(expand_labels(np.array(3), 2), np.array(3))


@pytest.mark.parametrize("spacing", [1, (0.5, 1)])
def test_extreme_values_and_negative_labels_are_kept(spacing):
    for dtype in ("int8", "int64", "uint64"):
        labels = np.zeros((6, 9), dtype)
        labels[1, 1], labels[4, 7] = np.iinfo(dtype).min or 1, np.iinfo(dtype).max
        expected = segmentation.expand_labels(labels, 2, spacing)
        assert_same(expand_labels(labels, 2, spacing), expected)


@given(labels=label_images(min_dims=2), distance=DISTANCES)
@settings(deadline=None, max_examples=50)
def test_memory_order_does_not_matter_and_the_result_is_owned(labels, distance):
    before = labels.copy()
    for view in (labels.T, labels[::-1, ::2], np.asfortranarray(labels)):
        expanded = expand_labels(view, distance)
        assert_same(expanded, segmentation.expand_labels(view, distance))
        assert expanded.flags.c_contiguous
        assert expanded.dtype.isnative
        assert not np.shares_memory(expanded, labels)
    np.testing.assert_array_equal(labels, before)


@given(
    distance=st.floats(0, 1e6),
    spacing=st.one_of(st.sampled_from([0.1, 0.26, 0.29, 0.3, 0.7]), st.floats(1e-3, 1e3)),
    steps=st.integers(0, 10**6),
)
@settings(deadline=None, max_examples=150)
def test_the_halo_is_never_too_small(distance, spacing, steps):
    # as SciPy measures `steps` voxels, at this distance and at just the distance they are away
    measured = float(np.sqrt(np.square(steps * spacing)))
    for reach in (distance, measured, math.nextafter(measured, math.inf)):
        if measured <= reach:
            assert expansion_halo(reach, (spacing,))[0] >= steps


@pytest.mark.parametrize(
    ("distance", "spacing", "halo"),
    [
        (10, (1, 1, 1), (10, 10, 10)),
        (10, (0.29, 0.26, 0.26), (35, 39, 39)),
        (2.5, (1, 2.5), (3, 1)),
        (0, (1, 0.3), (0, 0)),
        (-3, (1,), (0,)),
        (math.nan, (1,), (0,)),
        (math.inf, (1, 0.1), (UNBOUNDED, UNBOUNDED)),
        (1e300, (1e-100,), (UNBOUNDED,)),
        (1e-300, (1,), (1,)),
    ],
)
def test_halo(distance, spacing, halo):
    result = expansion_halo(distance, spacing)
    assert result == halo
    assert all(type(h) is int for h in result)


@pytest.mark.parametrize("dtype", ["float32", "complex64", "U3"])
def test_labels_are_whole_numbers(dtype):
    with pytest.raises(KindError, match="integers or booleans"):
        expand_labels(np.zeros((3, 3), dtype), 1)


@pytest.mark.parametrize("value", ["3", None, 1j, 10**400, (1, 2)])
def test_numbers_are_real_numbers(value):
    with pytest.raises(KindError, match="distance must be a real number"):
        expand_labels(np.zeros((3, 3), int), value)
    with pytest.raises(KindError, match="spacing must be a real number"):
        expansion_halo(1, (value,))


@pytest.mark.parametrize("spacing", [0, -1, math.nan, math.inf, 1e-101, (1, 1e101)])
def test_spacing_is_positive_and_of_usable_size(spacing):
    with pytest.raises(ParameterError, match="between 1e-100 and 1e100"):
        expand_labels(np.zeros((3, 3), int), 1, spacing)


@pytest.mark.parametrize("spacing", [(1,), (1, 1, 1), ()])
def test_spacing_is_one_number_or_one_per_axis(spacing):
    with pytest.raises(ParameterError, match="one number or 2"):
        expand_labels(np.zeros((3, 3), int), 1, spacing)


def test_inner_is_checked():
    with pytest.raises(ParameterError, match="inner must be"):
        expand_labels(np.zeros((3, 3), int), 1, 1, (slice(None),))
