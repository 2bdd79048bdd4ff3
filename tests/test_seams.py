"""Seams: planes through their run-length code, contacts against brute force."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chunkseg.kernels.runs import id_runs
from chunkseg.passes.seams import (
    _filled,
    encode_faces,
    face_runs,
    forward_neighbours,
    touching,
)

Array = np.ndarray[Any, Any]
some = settings(deadline=None, max_examples=120)


@st.composite
def blocks(draw: st.DrawFn, shape: tuple[int, ...]) -> Array:
    density = draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    top = draw(st.sampled_from([1, 3, 50]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return (rng.integers(1, top + 1, shape) * (rng.random(shape) < density)).astype(np.uint32)


@some
@given(st.data(), st.integers(1, 4))
def test_faces_come_back(data: st.DataObject, ndim: int) -> None:
    local = data.draw(blocks(tuple(data.draw(st.integers(1, 5)) for _ in range(ndim))))
    faces = encode_faces(id_runs(local))
    assert len(faces.starts) == len(faces.ids) == faces.lengths.sum()
    for axis, side in itertools.product(range(ndim), (0, -1)):
        expected = np.take(local, side, axis=axis)
        runs = face_runs(faces, axis, side)
        plane = _filled(runs, expected.shape) if len(runs[0]) else np.zeros_like(expected)
        assert plane.dtype == np.uint32
        np.testing.assert_array_equal(plane, expected)


def test_faces_are_short_for_background_and_for_one_object() -> None:
    empty, full = (encode_faces(id_runs(np.full((64,) * 3, value, "u4"))) for value in (0, 1))
    assert empty.lengths.tolist() == [0] * 6
    assert full.lengths.tolist() == [1] * 6


@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0, 4)])
def test_faces_of_no_voxels(shape: tuple[int, ...]) -> None:
    faces = encode_faces(id_runs(np.zeros(shape, np.uint32)))
    assert faces.lengths.tolist() == [0] * (2 * len(shape))


@pytest.mark.parametrize(
    ("ndim", "connectivity", "count"),
    [(1, 1, 1), (2, 1, 2), (2, 2, 4), (3, 1, 3), (3, 2, 9), (3, 3, 13), (4, 4, 40)],
)
def test_forward_neighbours_are_half_of_all(ndim: int, connectivity: int, count: int) -> None:
    found = set(forward_neighbours(ndim, connectivity))
    mirrored = {tuple(-o for o in offset) for offset in found}
    assert len(found) == count
    assert not found & mirrored
    every = set(itertools.product((-1, 0, 1), repeat=ndim)) - {(0,) * ndim}
    assert found | mirrored == {o for o in every if sum(map(abs, o)) <= connectivity}


def neighbours(a: Array, b: Array, offset: tuple[int, ...], hops: int) -> set[tuple[int, int]]:
    """Pairs in contact by definition: each voxel of one block against each of the other."""
    origin = [
        n if o == 1 else -m if o == -1 else 0
        for o, n, m in zip(offset, a.shape, b.shape, strict=True)
    ]
    pairs = set()
    for p in map(tuple, np.argwhere(a)):
        for q in map(tuple, np.argwhere(b)):
            apart = [abs(i + o - j) for i, o, j in zip(q, origin, p, strict=True)]
            if max(apart) <= 1 and sum(apart) <= hops:
                pairs.add((int(a[p]), int(b[q])))
    return pairs


@some
@given(st.data(), st.integers(1, 4))
def test_pairs_are_those_of_brute_force(data: st.DataObject, ndim: int) -> None:
    """For every neighbour and all connectivities."""
    connectivity = data.draw(st.integers(1, ndim))
    offset = data.draw(st.sampled_from(list(forward_neighbours(ndim, connectivity))))
    longest = 4 if ndim < 4 else 2
    lengths = [data.draw(st.integers(1, longest)) for _ in offset]
    later = [
        n if o == 0 else data.draw(st.integers(1, longest))
        for n, o in zip(lengths, offset, strict=True)
    ]
    a, b = data.draw(blocks(tuple(lengths))), data.draw(blocks(tuple(later)))
    sides = encode_faces(id_runs(a)), a.shape, encode_faces(id_runs(b)), b.shape
    pairs = touching(*sides, offset, connectivity)
    assert (pairs.dtype, pairs.shape[1]) == (np.int64, 2)
    assert len({tuple(p) for p in pairs.tolist()}) == len(pairs)
    assert {tuple(p) for p in pairs.tolist()} == neighbours(a, b, offset, connectivity)


def test_many_pairs_in_one_plane() -> None:
    """More than the kernel has room for at first."""
    a = np.arange(1, 901, dtype=np.uint32).reshape(1, 30, 30)
    faces = encode_faces(id_runs(a))
    pairs = touching(faces, a.shape, faces, a.shape, (1, 0, 0), 3)
    assert len(pairs) == (3 * 30 - 2) ** 2
    assert pairs.max() == 900
