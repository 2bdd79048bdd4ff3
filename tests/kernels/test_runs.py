"""Runs of labels and labels numbered anew, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chunkseg.kernels.runs import compact, id_runs, label_runs
from tests.strategies import label_images

Array = np.ndarray[Any, Any]
some = settings(deadline=None, max_examples=120)


def assert_runs(labels: Array) -> None:
    """Runs end where the value changes and at the end of each row, and nowhere else."""
    ids, runs = label_runs(labels)
    assert (runs.stop.dtype, runs.region.dtype) == (np.int64, np.uint32)
    changes = np.ones(labels.shape, bool)
    changes[..., :-1] = labels[..., 1:] != labels[..., :-1]
    assert runs.stop.tolist() == (np.flatnonzero(changes) + 1).tolist()
    found = np.concatenate([[0], ids])[runs.region]
    assert found.tolist() == labels[changes].astype(np.int64).tolist()
    again = id_runs(runs.filled())
    assert again.stop.tolist() == runs.stop.tolist()
    assert again.region.tolist() == runs.region.tolist()


@some
@given(label_images([np.uint8, np.int16, np.uint32, np.int64]))
def test_runs(labels: Array) -> None:
    assert_runs(labels)


@pytest.mark.parametrize("length", [1, 15, 16, 17, 18, 33, 64, 200])
def test_runs_of_any_length(length: int) -> None:
    """Runs are followed many voxels at a time: each length, from each place, ends where it does."""
    rng = np.random.default_rng(length)
    rows = [np.repeat(rng.integers(0, 3, 40), rng.integers(1, 40, 40))[:length] for _ in range(50)]
    assert_runs(np.stack(rows).astype(np.uint16))
    assert_runs(np.full((3, length), 7, np.int32))


@some
@given(data=st.data(), labels=label_images([np.uint16]))
def test_runs_of_a_part_are_those_of_the_part(data: st.DataObject, labels: Array) -> None:
    bounds = [sorted(data.draw(st.tuples(*[st.integers(0, n)] * 2))) for n in labels.shape]
    inner = tuple(slice(a, b) for a, b in bounds)
    _, runs = label_runs(labels)
    part, local = runs.within(inner), runs.filled()[inner]
    assert part.shape == local.shape
    np.testing.assert_array_equal(part.filled(), local)
    assert part.stop.tolist() == (id_runs(local).stop.tolist() if local.size else [])


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
