"""The blur of a block equals scikit-image's of the whole image, bit for bit."""

from __future__ import annotations

import logging
import math
import warnings

import numpy as np
import pytest
import skimage.data
import skimage.filters
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from chunkseg.errors import ParameterError
from chunkseg.kernels import blur
from chunkseg.kernels.blur import gaussian, gaussian_halo, gaussian_parts

DTYPES = ["uint8", "uint16", "float32", "float64"]
SIGMAS = st.sampled_from([0, 0.05, 0.3, 0.5, 1, 1.5, 2.2, 3, 5, np.float32(0.7), np.float64(1.3)])


SELF_CHECK = blur._agrees_with_scipy


@pytest.fixture(autouse=True)
def _no_self_check(monkeypatch):
    """Compare the fast way itself: a failed self-check would hand SciPy's own result to SciPy."""
    monkeypatch.setattr(blur, "_agrees_with_scipy", lambda dtype: True)


@pytest.fixture
def self_check(_no_self_check, monkeypatch):
    monkeypatch.setattr(blur, "_agrees_with_scipy", SELF_CHECK)
    SELF_CHECK.cache_clear()
    blur._warn_of_disagreement.cache_clear()
    yield SELF_CHECK
    SELF_CHECK.cache_clear()
    blur._warn_of_disagreement.cache_clear()


def assert_same(actual, expected):
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(actual, expected)
    assert actual.flags.c_contiguous
    assert actual.base is None


def noise(shape, dtype, seed=0):
    values = np.random.default_rng(seed).random(shape)
    top = np.iinfo(dtype).max if np.dtype(dtype).kind in "ui" else 1000
    return (values * top).astype(dtype)


@st.composite
def blocks(draw):
    """An image, a sigma for each axis and the part of the image that is wanted."""
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=12))
    image = noise(shape, draw(st.sampled_from(DTYPES)), draw(st.integers(0, 99)))
    bounds = [sorted(draw(st.tuples(st.integers(0, n), st.integers(0, n)))) for n in shape]
    inner = draw(st.none() | st.just(tuple(slice(a, b) for a, b in bounds)))
    return image, tuple(draw(SIGMAS) for _ in shape), inner


@given(blocks(), st.booleans(), st.sampled_from([0.0, 1.0, 4.0, 4.7]))
@settings(deadline=None, max_examples=150)
def test_equals_scikit_image(block, preserve_range, truncate):
    image, sigma, inner = block
    options = {"preserve_range": preserve_range, "truncate": truncate}
    expected = skimage.filters.gaussian(image, sigma, **options)
    assert_same(gaussian(image, sigma, inner=inner, **options), expected[inner or ...])


@given(blocks(), st.data())
@settings(deadline=None, max_examples=100)
def test_core_of_a_grown_block_equals_the_whole_image(block, data):
    image, sigma, _ = block
    core, grown, inner = [], [], []
    for n, h in zip(image.shape, gaussian_halo(sigma), strict=True):
        a = data.draw(st.integers(0, n - 1))
        b = data.draw(st.integers(a + 1, n))
        low = max(a - h, 0)
        core.append(slice(a, b))
        grown.append(slice(low, min(b + h, n)))
        inner.append(slice(a - low, b - low))
    expected = skimage.filters.gaussian(image, sigma)[tuple(core)]
    assert_same(gaussian(image[tuple(grown)], sigma, inner=tuple(inner)), expected)


FLOATS = st.sampled_from(
    [0.0, -0.0, 1.0, -3.5, 1e-310, 1e-40, 3e38, 1e300, np.nan, np.inf, -np.inf]
)


@given(
    st.sampled_from(["float32", "float64"]),
    hnp.arrays("float64", hnp.array_shapes(min_dims=2, max_dims=3, max_side=7), elements=FLOATS),
    SIGMAS,
)
@settings(deadline=None, max_examples=100)
def test_odd_floats_equal_scikit_image(dtype, values, sigma):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        image = values.astype(dtype)
    actual = gaussian(image, (sigma,) * image.ndim)
    expected = skimage.filters.gaussian(image, sigma)
    assert_same(actual, expected)
    zero = expected == 0
    np.testing.assert_array_equal(np.signbit(actual[zero]), np.signbit(expected[zero]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("shape", "sigma"),
    [
        ((3, 4, 5), (9, 11, 13)),
        ((1, 1, 1), (2, 2, 2)),
        ((1, 40, 1), (3, 1, 2)),
        ((23, 1, 19), (1, 5, 0.2)),
        ((18, 20, 9), (1.4, 0, 2.1)),
        ((6, 7, 8), (0, 0, 0)),
        ((6, 7, 8), (1e-15, 1.1e-15, 1e-16)),
        ((3, 2, 1100), (1, 1, 2)),
        ((2, 1030), (0.5, 40)),
        ((50,), (2,)),
    ],
)
def test_named_shapes(dtype, shape, sigma):
    image = noise(shape, dtype)
    assert_same(gaussian(image, sigma), skimage.filters.gaussian(image, sigma))


@pytest.mark.parametrize("name", ["coins", "cell", "page"])
def test_real_images(name):
    image = getattr(skimage.data, name)()[:200]
    assert_same(gaussian(image, (2, 2)), skimage.filters.gaussian(image, (2, 2)))


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a[::2, ::-1],
        lambda a: np.asfortranarray(a),
        lambda a: a.transpose(2, 0, 1),
        lambda a: a.astype(a.dtype.newbyteorder(">")),
        lambda a: np.broadcast_to(a[:1], a.shape),
        lambda a: np.frombuffer(b"?" + a.tobytes(), np.uint8)[1:].view(a.dtype).reshape(a.shape),
    ],
    ids=["strided", "fortran", "transposed", "big-endian", "broadcast", "unaligned"],
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_memory_layouts(view, dtype):
    image = view(noise((9, 8, 11), dtype))
    sigma = (1, 0.6, 1.2)
    assert_same(gaussian(image, sigma), skimage.filters.gaussian(image, sigma))


@pytest.mark.parametrize("dtype", ["bool", "int8", "int16", "uint32", "int64", "float16"])
def test_other_dtypes_are_left_to_scikit_image(dtype):
    image = noise((6, 7, 8), dtype) if dtype != "bool" else noise((6, 7, 8), "uint8") > 127
    inner = (slice(1, 4), slice(None), slice(-3, -1))
    expected = skimage.filters.gaussian(image, (1, 0, 2))
    assert_same(gaussian(image, (1, 0, 2)), expected)
    assert_same(gaussian(image, (1, 0, 2), inner=inner), expected[inner])


@pytest.mark.parametrize("mode", ["reflect", "constant", "mirror", "wrap"])
def test_other_modes_are_left_to_scikit_image(mode):
    image = noise((9, 10), "uint16")
    options = {"mode": mode, "cval": 0.25, "truncate": 3.0}
    assert_same(
        gaussian(image, (2, 1), **options), skimage.filters.gaussian(image, (2, 1), **options)
    )


def test_four_axes():
    image = noise((3, 4, 5, 6), "uint8")
    sigma = (0, 1, 0.5, 2)
    assert_same(gaussian(image, sigma), skimage.filters.gaussian(image, sigma))


@pytest.mark.parametrize("shape", [(0, 5, 6), (5, 0), (0,)])
def test_no_voxels(shape):
    image = np.zeros(shape, "uint16")
    actual = gaussian(image, (1,) * len(shape))
    assert (actual.shape, actual.dtype) == (shape, np.float64)


def test_input_is_left_alone():
    image = noise((9, 8, 7), "float32")
    before = image.copy()
    result = gaussian(image, (0, 0, 0))
    result[:] = -1
    np.testing.assert_array_equal(image, before)


@given(st.floats(0, 50), st.floats(0, 6))
def test_halo_is_the_radius_of_scipys_kernel(sigma, truncate):
    (radius,) = gaussian_halo((sigma,), truncate)
    line = np.zeros(2 * radius + 5)
    line[radius + 2] = 1e300
    reached = np.flatnonzero(ndimage.gaussian_filter(line, sigma, truncate=truncate))
    assert reached.max() - (radius + 2) <= radius
    if sigma > 1e-3:
        assert radius == int(truncate * sigma + 0.5)


def test_halo_of_a_skipped_axis_is_zero():
    assert gaussian_halo((1e-15, 0, 3), truncate=1e16) == (0, 0, int(3e16 + 0.5))


@pytest.mark.parametrize("bad", [-1, math.nan, math.inf])
def test_bad_sigma_or_truncate(bad):
    with pytest.raises(ParameterError, match=r"sigma must be a finite number.*got"):
        gaussian_halo((1, bad))
    with pytest.raises(ParameterError, match=r"truncate must be a finite number.*got"):
        gaussian(np.zeros((2, 2)), (1, 1), truncate=bad)


def test_sigma_needs_one_number_per_axis():
    with pytest.raises(ParameterError, match=r"sigma needs an entry.*each of the 3 axes.*got 2"):
        gaussian(np.zeros((2, 2, 2)), (1, 1))


def test_inner_needs_one_plain_slice_per_axis():
    with pytest.raises(ParameterError, match=r"inner needs an entry.*each of the 2 axes.*got 1"):
        gaussian(np.zeros((2, 2)), (1, 1), inner=(slice(None),))
    with pytest.raises(ParameterError, match="step 1"):
        gaussian(np.zeros((2, 2)), (1, 1), inner=(slice(None), slice(None, None, 2)))


def test_the_fast_way_is_taken(self_check, monkeypatch):
    image = noise((5, 6, 7), "uint16")
    gaussian(image, (1, 1, 1))
    monkeypatch.setattr(skimage.filters, "gaussian", None)
    gaussian(image, (1, 1, 1))


def test_where_the_self_check_fails_scipys_is_used_and_one_warning_logged(
    self_check, monkeypatch, caplog
):
    true_kernel = blur._half_kernel
    monkeypatch.setattr(blur, "_half_kernel", lambda s, r: np.nextafter(true_kernel(s, r), 2))
    with caplog.at_level(logging.WARNING, "chunkseg"):
        for dtype in DTYPES * 2:
            image = noise((8, 9, 10), dtype)
            assert_same(gaussian(image, (1, 2, 1)), skimage.filters.gaussian(image, (1, 2, 1)))
    assert [r.name for r in caplog.records] == ["chunkseg"]
    assert "multiply-add" in caplog.text


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_self_check_sees_a_last_bit(self_check, monkeypatch, dtype):
    assert self_check(dtype)
    true_blur = skimage.filters.gaussian
    self_check.cache_clear()

    def off_by_one_bit(image, sigma):
        result = true_blur(image, sigma)
        result[3, 3, 3] = np.nextafter(result[3, 3, 3], np.inf, dtype=result.dtype)
        return result

    monkeypatch.setattr(skimage.filters, "gaussian", off_by_one_bit)
    assert not self_check(dtype)


@given(blocks(), st.sampled_from(["nearest", "reflect"]))
@settings(deadline=None, max_examples=60)
def test_parts_make_up_the_whole(block, mode):
    """Also over the edges of the tiles, since blocks are then wider than a part has planes."""
    image, sigma, inner = block
    whole = gaussian(image, sigma, mode=mode, inner=inner)
    parts = [part.copy() for part in gaussian_parts(image, sigma, mode=mode, inner=inner)]
    if whole.size:
        assert_same(np.concatenate(parts).copy(), whole)
    assert all(len(part) <= blur.PLANES for part in parts) or image.ndim < 3 or mode == "reflect"


def test_parts_share_their_memory():
    parts = [part.base for part in gaussian_parts(np.zeros((20, 3, 3)), (1, 1, 1))]
    assert len(parts) == 3
    assert all(base is parts[0] for base in parts)
