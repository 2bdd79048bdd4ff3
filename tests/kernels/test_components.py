"""Components of one block against scikit-image and SciPy, up to how they are numbered."""

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
    smallest_members,
    touched,
)
from tests.strategies import label_images, masks

Array = np.ndarray[Any, Any]
some = settings(deadline=None, max_examples=150)


def assert_equivalent(local: Array, count: int, expected: Array) -> None:
    """The same components whatever their numbers, which run from 1 to ``count`` without gaps."""
    assert local.dtype == np.uint32
    assert count == expected.max(initial=0)
    pairs = np.unique(np.stack([local.ravel(), expected.ravel()], axis=1), axis=0)
    assert sorted(pairs[:, 0]) == sorted(pairs[:, 1])
    assert len(set(pairs[:, 0])) == len(pairs)
    assert set(pairs[pairs[:, 0] > 0, 0]) == set(range(1, count + 1))
    assert ((local == 0) == (expected == 0)).all()


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
            local, count = components(mask, hops)
            assert count == number
            if not np.array_equal(local, expected):
                assert_equivalent(local, count, expected)


def test_every_image_of_three_values() -> None:
    for hops in (1, 2):
        for values in itertools.product((0, 1, 2), repeat=8):
            image = np.array(values, np.uint8).reshape(2, 4)
            expected = ski.measure.label(image, connectivity=hops)
            local, count = components(image, hops)
            if not np.array_equal(local, expected):
                assert_equivalent(local, count, expected)


def test_where_the_library_errs_for_bool() -> None:
    """cc3d 4.1's own path for bool errs here; it is not called, not even to show it."""
    mask = np.array([[1, 0, 0, 1, 1, 1]], bool)
    local, count = components(mask, 2)
    assert_equivalent(local, count, ndi.label(mask, np.ones((3, 3)))[0])


@some
@given(st.data())
def test_masks(data: st.DataObject) -> None:
    mask = data.draw(masks())
    hops = data.draw(st.integers(1, mask.ndim))
    background = data.draw(st.sampled_from([None, 0, 1]))
    local, count = components(mask, hops, background)
    expected = ski.measure.label(mask, connectivity=hops, background=background)
    assert_equivalent(local, count, expected)


@some
@given(st.data())
def test_label_images(data: st.DataObject) -> None:
    dtypes = [np.uint8, np.int8, np.uint16, np.int16, np.int32, np.uint32, np.int64, np.uint64]
    image = data.draw(label_images(dtypes))
    if image.dtype.kind == "i" and data.draw(st.booleans()):
        image = -image
    hops = data.draw(st.integers(1, image.ndim))
    background = data.draw(st.sampled_from([None, 0, 1, 2, -1, 300]))
    local, count = components(image, hops, background)
    expected = ski.measure.label(image, connectivity=hops, background=background)
    assert_equivalent(local, count, expected)


@pytest.mark.parametrize("order", ["F", "strided", "negative"])
def test_blocks_that_are_not_contiguous(order: str) -> None:
    mask = np.random.default_rng(0).random((6, 7, 8)) < 0.4
    views = {"F": np.asfortranarray(mask), "strided": mask[::2, :, ::3], "negative": mask[:, ::-1]}
    for image in (views[order], views[order] * 3):
        expected = ski.measure.label(image)
        assert_equivalent(*components(image, 3), expected)


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 0, 0), (2, 0, 3, 1)])
def test_no_voxels(shape: tuple[int, ...]) -> None:
    for dtype in (bool, np.int32):
        local, count = components(np.zeros(shape, dtype), 1)
        assert (local.shape, local.dtype, count) == (shape, np.uint32, 0)


def test_checkerboards_have_as_many_components_as_fit() -> None:
    for ndim in (1, 2, 3):
        mask = np.indices((20,) * ndim).sum(0) % 2 == 0
        assert components(mask, 1)[1] == mask.sum()
        assert components(mask, ndim)[1] == (1 if ndim > 1 else mask.sum())


@some
@given(masks())
def test_first_voxels(mask: Array) -> None:
    local, count = components(mask, 1)
    first = first_voxels(local, count)
    flat = local.ravel()
    assert first.tolist() == [int(np.flatnonzero(flat == i)[0]) for i in range(1, count + 1)]


def test_touched() -> None:
    local = np.array([[1, 0, 2], [3, 3, 0]], np.uint32)
    assert touched(local, 3, [(slice(0, 1),)]).tolist() == [True, True, True, False]
    assert touched(local, 3, []).tolist() == [False] * 4
    assert touched(local, 3, [local == 3, local == 1]).tolist() == [False, True, False, True]


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
