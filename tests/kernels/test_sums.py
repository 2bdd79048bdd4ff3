"""Sums per label of one block, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from chunkseg.kernels.sums import compact, region_sums
from tests.strategies import label_images

Array = np.ndarray[Any, Any]
some = settings(deadline=None, max_examples=120)


@some
@given(label_images([np.uint32]))
def test_region_sums(local: Array) -> None:
    count = int(local.max()) + 2
    found = region_sums(local, count)
    for i in range(1, count + 1):
        where = np.argwhere(local == i)
        assert found.num_pixels[i - 1] == len(where)
        if len(where):
            assert found.bbox_start[i - 1].tolist() == where.min(0).tolist()
            assert found.bbox_stop[i - 1].tolist() == (where.max(0) + 1).tolist()
        assert found.coordinates[i - 1].tolist() == where.sum(0).tolist()
    for column in (found.num_pixels, found.bbox_start, found.bbox_stop, found.coordinates):
        assert column.dtype == np.int64


def assert_compact(labels: Array) -> None:
    ids, local = compact(labels)
    assert (ids.dtype, local.dtype, local.shape) == (np.int64, np.uint32, labels.shape)
    table = np.concatenate([[0], ids])
    np.testing.assert_array_equal(table[local], labels.astype(np.int64))
    order = labels.ravel()[labels.ravel() != 0].astype(np.int64)
    _, first = np.unique(order, return_index=True)
    assert ids.tolist() == order[np.sort(first)].tolist(), "in order of first occurrence"


@some
@given(label_images([np.uint8, np.int8, np.uint16, np.int32, np.int64, np.uint64]))
def test_compact(labels: Array) -> None:
    assert_compact(labels)


@pytest.mark.parametrize("count", [1, 511, 512, 513, 1024, 1025, 5000, 70_000])
def test_compact_many_labels(count: int) -> None:
    """The table grows at 512 labels, and each time it is full again."""
    rng = np.random.default_rng(count)
    labels = rng.permutation(np.repeat(np.arange(1, count + 1), 2)) * 7919
    assert_compact(labels)
    assert_compact(-labels)


@pytest.mark.parametrize(
    "values",
    [
        [2**62, 2**62 + 1, 2**63 - 1],
        [-(2**63), -1, 1],
        [k * 2**24 for k in range(1, 3000)],
        [k * 2**40 for k in range(1, 3000)],
        [k * 1024 for k in range(1, 3000)],
    ],
    ids=["largest", "negative", "equal low bits", "equal lower bits", "equal modulo table"],
)
def test_compact_huge_and_colliding_labels(values: list[int]) -> None:
    assert_compact(np.array([*values, 0, *values[::-1]], np.int64))


def test_compact_labels_of_uint64() -> None:
    assert_compact(np.array([[2**63 - 1, 0], [5, 2**40]], np.uint64))


@pytest.mark.parametrize("shape", [(0,), (3, 0), (2, 3)])
def test_compact_background_only(shape: tuple[int, ...]) -> None:
    assert_compact(np.zeros(shape, np.int32))


def test_compact_views() -> None:
    labels = np.random.default_rng(0).integers(0, 9, (6, 8))
    for view in (labels[::2, ::3], labels.T, np.asfortranarray(labels), labels[:, ::-1]):
        assert_compact(view)
