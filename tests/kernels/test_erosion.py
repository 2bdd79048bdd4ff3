"""Erosion by a ball against SciPy's with scikit-image's footprints."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes
from scipy import ndimage
from skimage.data import binary_blobs
from skimage.morphology import ball, disk

from chunkseg.errors import KindError, ParameterError
from chunkseg.geometry.boxes import Box, Grid
from chunkseg.kernels.erosion import erode_ball, erosion_halo

FOOTPRINTS = {1: lambda r: np.ones(2 * r + 1, bool), 2: disk, 3: ball}


def oracle(mask, radius):
    return ndimage.binary_erosion(mask, FOOTPRINTS[mask.ndim](radius), border_value=1)


def assert_same(actual, expected):
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(actual, expected)


@st.composite
def masks(draw, min_dims=1, max_dims=3):
    """Masks from nearly empty to nearly full; the latter keep something when eroded."""
    shape = draw(array_shapes(min_dims=min_dims, max_dims=max_dims, min_side=1, max_side=14))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return rng.random(shape) < draw(st.sampled_from([0.1, 0.5, 0.9, 0.97, 0.995]))


@given(mask=masks(), radius=st.integers(0, 6))
@settings(deadline=None, max_examples=150)
def test_equals_scipy_on_the_whole_array(mask, radius):
    assert_same(erode_ball(mask, radius), oracle(mask, radius))


@given(mask=masks(), radius=st.integers(0, 5), data=st.data())
@settings(deadline=None, max_examples=100)
def test_blocks_grown_by_the_radius_give_the_whole(mask, radius, data):
    grid = Grid.regular(mask.shape, [data.draw(st.integers(1, n)) for n in mask.shape])
    expected = oracle(mask, radius)
    for block in grid.overlapping(grid.frame):
        grown = block.core.grow((radius,) * mask.ndim, grid.frame)
        part = erode_ball(mask[grown.slices()], radius, block.core.slices(grown.start))
        assert_same(part, expected[block.core.slices()])


@given(mask=masks(), radius=st.integers(1, 5), data=st.data())
@settings(deadline=None, max_examples=60)
def test_inner_is_a_part_of_the_whole_result(mask, radius, data):
    stop = [data.draw(st.integers(0, n)) for n in mask.shape]
    start = [data.draw(st.integers(0, b)) for b in stop]
    inner = Box(tuple(start), tuple(stop)).slices()
    assert_same(erode_ball(mask, radius, inner), oracle(mask, radius)[inner])


@pytest.mark.parametrize("radius", [1, 7, 180, 181, 182, 254, 255, 256])
def test_radii_at_the_limits_of_the_integer_types(radius):
    mask = np.ones((2, 2 * radius + 40), bool)
    mask[0, radius + 20] = False
    distance = ndimage.distance_transform_edt(mask)
    assert_same(erode_ball(mask, radius), distance > radius)
    assert erode_ball(mask, radius).any()


@pytest.mark.parametrize("radius", [46340, 46341, 65536])
def test_radii_whose_square_needs_more_than_32_bits(radius):
    mask = np.ones((1, 70_000), bool)
    mask[0, 100] = False
    expected = np.abs(np.arange(70_000) - 100)[None] > radius
    assert_same(erode_ball(mask, radius), expected)


@pytest.mark.parametrize("radius", [30, 10**6, 10**30])
def test_a_radius_larger_than_the_block(radius):
    mask = np.ones((5, 6, 7), bool)
    assert erode_ball(mask, radius).all()
    mask[4, 5, 6] = False
    assert not erode_ball(mask, radius).any()


@pytest.mark.parametrize("radius", [1, 2, 3, 5])
@pytest.mark.parametrize("ndim", [2, 3])
def test_a_single_hole_leaves_out_a_ball(ndim, radius):
    mask = np.ones((2 * radius + 5,) * ndim, bool)
    mask[(radius + 2,) * ndim] = False
    hole = np.pad(FOOTPRINTS[ndim](radius).astype(bool), 2)
    assert_same(erode_ball(mask, radius), ~hole)


def test_touching_blobs_of_realistic_size():
    mask = binary_blobs(64, blob_size_fraction=0.3, n_dim=3, volume_fraction=0.4, rng=3)
    for radius in (2, 4):
        assert oracle(mask, radius).any()
        assert_same(erode_ball(mask, radius), oracle(mask, radius))


def test_the_border_of_the_block_does_not_erode():
    assert erode_ball(np.ones((4, 5, 6), bool), 3).all()
    assert not erode_ball(np.zeros((4, 5, 6), bool), 3).any()


def test_four_axes_use_a_ball_of_four_axes():
    mask = np.ones((5, 5, 5, 5), bool)
    mask[2, 2, 2, 2] = False
    away = sum(a * a for a in np.ogrid[-2:3, -2:3, -2:3, -2:3])
    assert_same(erode_ball(mask, 1), away > 1)
    assert_same(erode_ball(mask, 2), away > 4)
    inner = (slice(1, 3),) * 4
    assert_same(erode_ball(mask, 1, inner), (away > 1)[inner])


@pytest.mark.parametrize("shape", [(0,), (0, 4), (3, 0, 2), ()])
def test_arrays_without_extent(shape):
    mask = np.ones(shape, bool)
    assert_same(erode_ball(mask, 3), mask)


@given(mask=masks(min_dims=2), radius=st.integers(0, 3))
@settings(deadline=None, max_examples=50)
def test_memory_order_does_not_matter_and_the_result_is_owned(mask, radius):
    before = mask.copy()
    for view in (mask.T, mask[::-1, ::2], np.asfortranarray(mask)):
        eroded = erode_ball(view, radius)
        assert_same(eroded, oracle(view, radius))
        assert eroded.flags.c_contiguous
        assert not np.shares_memory(eroded, mask)
    np.testing.assert_array_equal(mask, before)


def test_only_masks_are_eroded():
    with pytest.raises(KindError, match="boolean mask, got uint8"):
        erode_ball(np.ones((3, 3), np.uint8), 1)


def test_the_radius_is_an_integer():
    with pytest.raises(KindError, match=r"integer number of voxels, got 1\.5"):
        erode_ball(np.ones((3, 3), bool), 1.5)


def test_the_radius_is_not_negative():
    with pytest.raises(ParameterError, match="0 or larger, got -1"):
        erode_ball(np.ones((3, 3), bool), -1)


def test_inner_is_checked():
    with pytest.raises(ParameterError, match="inner must be"):
        erode_ball(np.ones((3, 3), bool), 1, (slice(None),))


SPACINGS = [(1.0, 1.0, 1.0), (0.1, 0.1, 0.1), (0.29, 0.26, 0.26), (3.0, 0.1, 0.7), (0.3, 1 / 3, 1)]


def physical_oracle(mask, radius, spacing):
    if mask.all():
        return mask
    return ndimage.distance_transform_edt(mask, sampling=spacing) > radius


@st.composite
def radii(draw, spacing):
    """Any, or one that is just the distance between two voxels."""
    if draw(st.booleans()):
        return draw(st.floats(0, 5))
    steps = [draw(st.integers(0, 6)) * size for size in spacing]
    return float(np.sqrt(np.add.reduce(np.square(steps))))


@given(mask=masks(), data=st.data())
@settings(deadline=None, max_examples=150)
def test_with_spacing_equals_the_distance_transform_in_any_blocks(mask, data):
    spacing = data.draw(st.sampled_from(SPACINGS))[: mask.ndim]
    radius = data.draw(radii(spacing))
    expected = physical_oracle(mask, radius, spacing)
    assert_same(erode_ball(mask, radius, spacing=spacing), expected)
    grid = Grid.regular(mask.shape, [data.draw(st.integers(1, n)) for n in mask.shape])
    halo = erosion_halo(radius, spacing, mask.ndim)
    for block in grid.overlapping(grid.frame):
        grown = block.core.grow(halo, grid.frame)
        inner = block.core.slices(grown.start)
        part = erode_ball(mask[grown.slices()], radius, inner, spacing)
        assert_same(part, expected[block.core.slices()])


@pytest.mark.parametrize("steps", [(3, 4), (5, 0), (0, 5), (6, 8), (5, 12)])
@pytest.mark.parametrize("size", [0.1, 0.26, 0.7, 1e-90, 1e90])
def test_a_radius_of_rounded_lengths_is_compared_as_scipy_does(steps, size):
    mask = np.ones((30, 30), bool)
    mask[15, 15] = False
    radius = float(np.hypot(*steps)) * size
    for at in (np.nextafter(radius, 0), radius, np.nextafter(radius, np.inf)):
        expected = physical_oracle(mask, at, (size, size))
        assert_same(erode_ball(mask, at, spacing=(size, size)), expected)


def test_a_spacing_of_one_takes_fractions():
    mask = np.ones((9, 9), bool)
    mask[4, 4] = False
    expected = np.hypot(*np.mgrid[-4:5, -4:5]) > 1.5
    assert_same(erode_ball(mask, 1.5, spacing=(1, 1)), expected)


def test_a_far_physical_radius_leaves_nothing():
    mask = np.ones((5, 6, 7), bool)
    mask[4, 5, 6] = False
    for radius in (100.0, 1e300, np.inf):
        assert not erode_ball(mask, radius, spacing=(0.5, 0.1, 1e-3)).any()


def test_four_axes_with_spacing():
    mask = np.random.default_rng(0).random((5, 5, 5, 5)) < 0.98
    spacing = (1.0, 0.5, 0.25, 2.0)
    assert_same(erode_ball(mask, 0.6, spacing=spacing), physical_oracle(mask, 0.6, spacing))


def test_the_halo_of_a_physical_radius():
    assert erosion_halo(1.3, (0.29, 0.26, 0.1), 3) == (4, 5, 13)
    assert erosion_halo(0, (0.1,), 1) == (0,)
    assert erosion_halo(np.inf, (0.1,), 1) == (2**62,)


@pytest.mark.parametrize("spacing", [(1.0,), (1.0, 0.0), (1.0, float("nan")), (1.0, 1e101)])
def test_the_spacing_is_checked(spacing):
    with pytest.raises(ParameterError, match="spacing must be 2 sizes"):
        erode_ball(np.ones((3, 3), bool), 1, spacing=spacing)


@pytest.mark.parametrize("radius", ["1", None, 1j])
def test_a_physical_radius_is_a_number(radius):
    with pytest.raises(KindError, match="radius must be a number"):
        erode_ball(np.ones((3, 3), bool), radius, spacing=(1, 1))


@pytest.mark.parametrize("radius", [-0.5, float("nan")])
def test_a_physical_radius_is_not_negative(radius):
    with pytest.raises(ParameterError, match="0 or larger"):
        erode_ball(np.ones((3, 3), bool), radius, spacing=(1, 1))


@pytest.mark.parametrize(
    ("spacing", "offsets"),
    [
        ((0.7, 0.35, 0.7), [(-2, 3, 1), (-1, -3, -2), (1, 3, 2)]),
        ((0.1, 0.1, 0.1), [(1, -2, 5), (5, -1, 2), (5, 2, 1)]),
        ((0.3, 0.1, 0.1), [(1, -4, 3), (1, 0, 5), (1, 4, -3)]),
        ((0.6, 0.2, 0.2), [(0, -4, -1), (0, -1, -4), (1, 2, 2)]),
    ],
)
def test_where_rounding_decides_scipy_is_followed(spacing, offsets):
    """Distances equal but for the last bit, of which SciPy does not find the smallest."""
    mask = np.ones((16, 16, 16), bool)
    mask[tuple(np.add(offsets, 8).T)] = False
    lengths = np.square(np.array(offsets) * np.array(spacing))
    radius = float(np.sqrt((lengths[:, 0] + lengths[:, 1] + lengths[:, 2]).min()))
    expected = physical_oracle(mask, radius, spacing)
    assert expected[8, 8, 8]
    assert_same(erode_ball(mask, radius, spacing=spacing), expected)
    grown = Box((7, 8, 8), (9, 9, 10)).grow(erosion_halo(radius, spacing, 3), Box.whole(mask.shape))
    inner = Box((7, 8, 8), (9, 9, 10)).slices(grown.start)
    part = erode_ball(mask[grown.slices()], radius, inner, spacing)
    assert_same(part, expected[7:9, 8:9, 8:10])
