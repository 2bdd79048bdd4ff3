"""Components of one block against scikit-image and SciPy, numbers included."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import skimage as ski
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage as ndi

from chunkseg.kernels.components import (
    components,
    first_voxels,
    look_up,
    occurring,
    smallest_members,
)
from tests.strategies import label_images, masks

Array = np.ndarray[Any, Any]
some = settings(deadline=None, max_examples=150)


def assert_components(image: Array, hops: int, expected: Array, background: Any = None) -> None:
    """The same ids, and the first voxel of each."""
    runs, first = components(image, hops, background)
    local = runs.filled()
    assert local.dtype == np.uint32
    np.testing.assert_array_equal(local, expected)
    np.testing.assert_array_equal(first, first_voxels(local, int(expected.max(initial=0))))


def every_mask(shape: tuple[int, ...]) -> Array:
    """Return all masks of a shape, one per row."""
    size = int(np.prod(shape))
    bits = np.arange(2**size)[:, None] >> np.arange(size) & 1
    return bits.astype(bool).reshape(-1, *shape)


@pytest.mark.parametrize(
    "shape",
    [(1,), (9,), (1, 6), (6, 1), (2, 6), (3, 3), (3, 4), (2, 5), (2, 2, 2), (2, 2, 3), (1, 3, 3),
     (3, 1, 3), (3, 3, 1), (1, 1, 6), (2, 1, 5), (2, 2, 2, 1)],
)  # fmt: skip
def test_every_mask_of_tiny_shapes(shape: tuple[int, ...]) -> None:
    for hops in range(1, len(shape) + 1):
        structure = ndi.generate_binary_structure(len(shape), hops)
        for mask in every_mask(shape):
            expected, number = ndi.label(mask, structure)
            runs, first = components(mask, hops)
            assert len(first) == number
            if not np.array_equal(runs.filled(), expected):
                assert_components(mask, hops, expected)


def test_every_image_of_three_values() -> None:
    for hops in (1, 2):
        for values in itertools.product((0, 1, 2), repeat=8):
            image = np.array(values, np.uint8).reshape(2, 4)
            assert_components(image, hops, ski.measure.label(image, connectivity=hops))


@pytest.mark.parametrize("gap", [0, 1, 2])
@pytest.mark.parametrize("values", [(1, 1, 1), (1, 2, 1), (2, 1, 2)])
def test_runs_that_meet_at_their_ends(gap: int, values: tuple[int, int, int]) -> None:
    """Diagonal contact on either side of a gap, and over it, of equal values and others."""
    image = np.zeros((2, 12), np.uint8)
    image[0, :4], image[0, 4 + gap : 8] = values[0], values[1]
    for start in range(9):
        for stop in range(start + 1, 10):
            image[1] = 0
            image[1, start:stop] = values[2]
            for hops in (1, 2):
                for turned in (image, image[::-1]):
                    expected = ski.measure.label(turned, connectivity=hops)
                    assert_components(turned, hops, expected)


@some
@given(st.data())
def test_masks(data: st.DataObject) -> None:
    mask = data.draw(masks())
    hops = data.draw(st.integers(1, mask.ndim))
    background = data.draw(st.sampled_from([None, 0, 1]))
    expected = ski.measure.label(mask, connectivity=hops, background=background)
    assert_components(mask, hops, expected, background)


@some
@given(st.data())
def test_label_images(data: st.DataObject) -> None:
    dtypes = [np.uint8, np.int8, np.uint16, np.int16, np.int32, np.uint32, np.int64, np.uint64]
    image = data.draw(label_images(dtypes))
    if image.dtype.kind == "i" and data.draw(st.booleans()):
        image = -image
    hops = data.draw(st.integers(1, image.ndim))
    background = data.draw(st.sampled_from([None, 0, 1, 2, -1, 300]))
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]  # scikit-image numbers such integer images along other axes
        hops = min(hops, 2)
    expected = ski.measure.label(image, connectivity=hops, background=background)
    assert_components(image, hops, expected, background)


@pytest.mark.parametrize("order", ["F", "strided", "negative"])
def test_blocks_that_are_not_contiguous(order: str) -> None:
    mask = np.random.default_rng(0).random((6, 7, 8)) < 0.4
    views = {"F": np.asfortranarray(mask), "strided": mask[::2, :, ::3], "negative": mask[:, ::-1]}
    for image in (views[order], views[order] * 3):
        assert_components(image, 3, ski.measure.label(image))


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 0, 0), (2, 0, 3, 1)])
def test_no_voxels(shape: tuple[int, ...]) -> None:
    for dtype in (bool, np.int32):
        runs, first = components(np.zeros(shape, dtype), 1)
        local = runs.filled()
        assert (local.shape, local.dtype, len(first)) == (shape, np.uint32, 0)


def test_checkerboards_have_as_many_components_as_fit() -> None:
    for ndim in (1, 2, 3):
        mask = np.indices((20,) * ndim).sum(0) % 2 == 0
        assert len(components(mask, 1)[1]) == mask.sum()
        assert len(components(mask, ndim)[1]) == (1 if ndim > 1 else mask.sum())


@some
@given(masks())
def test_first_voxels(mask: Array) -> None:
    runs, _ = components(mask, 1)
    flat = runs.filled().ravel()
    count = int(flat.max(initial=0))
    first = first_voxels(flat, count)
    assert first.tolist() == [int(np.flatnonzero(flat == i)[0]) for i in range(1, count + 1)]


def test_occurring() -> None:
    local = np.array([[1, 0, 2], [3, 3, 0]], np.uint32)
    assert occurring([local[:1]], 3).tolist() == [True, True, True, False]
    assert occurring([], 3).tolist() == [False] * 4
    assert occurring([local[local == 3], local[:1, :1]], 3).tolist() == [False, True, False, True]


@pytest.mark.parametrize("dtype", ["?", "u1", "i4", "i8", "u8", "f8"])
def test_look_up(dtype: str) -> None:
    local = np.random.default_rng(0).integers(0, 5, (3, 4, 5)).astype(np.uint32)
    table = np.array([0, 3, 1, 0, 200]).astype(dtype)
    found = look_up(local, table)
    assert found.dtype == table.dtype
    np.testing.assert_array_equal(found, table[local])


@some
@given(st.integers(0, 30), st.data())
def test_smallest_members(count: int, data: st.DataObject) -> None:
    node = st.integers(0, max(count - 1, 0))
    edges = data.draw(st.lists(st.tuples(node, node), max_size=40)) if count else []
    ends = np.array(edges, np.int64).reshape(-1, 2)
    expected = np.arange(count)
    for _ in range(count):
        for a, b in edges:
            expected[a] = expected[b] = min(expected[a], expected[b])
    found = smallest_members(count, ends[:, 0].copy(), ends[:, 1].copy())
    np.testing.assert_array_equal(found, expected)


def test_smallest_members_of_long_chains() -> None:
    count = 200_000
    forward = np.arange(count - 1)
    for order in (slice(None), slice(None, None, -1)):
        left = np.ascontiguousarray(forward[order])
        assert (smallest_members(count, left, left + 1) == 0).all()
        assert (smallest_members(count, left + 1, left) == 0).all()
