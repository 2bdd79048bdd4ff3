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
    contact,
    decode_face,
    encode_faces,
    forward_neighbours,
    touching_pairs,
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
        plane = decode_face(faces, local.shape, axis, side)
        assert plane.dtype == np.uint32
        np.testing.assert_array_equal(plane, np.take(local, side, axis=axis))


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
@given(st.data(), st.integers(1, 3))
def test_pairs_are_those_of_brute_force(data: st.DataObject, ndim: int) -> None:
    """For every neighbour, all connectivities, with and without values."""
    connectivity = data.draw(st.integers(1, ndim))
    offset = data.draw(st.sampled_from(list(forward_neighbours(ndim, connectivity))))
    lengths = [data.draw(st.integers(1, 4)) for _ in offset]
    later = [
        n if o == 0 else data.draw(st.integers(1, 4)) for n, o in zip(lengths, offset, strict=True)
    ]
    a, b = data.draw(blocks(tuple(lengths))), data.draw(blocks(tuple(later)))
    sides = contact(encode_faces(id_runs(a)), a.shape, encode_faces(id_runs(b)), b.shape, offset)
    assert sides[0].shape == sides[1].shape
    hops = connectivity - sum(map(abs, offset))
    expected = neighbours(a, b, offset, connectivity)
    pairs = touching_pairs(*sides, hops)
    assert (pairs.dtype, pairs.shape[1]) == (np.int64, 2)
    assert len({tuple(p) for p in pairs.tolist()}) == len(pairs)
    assert {tuple(p) for p in pairs.tolist()} == expected
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    ours, theirs = rng.integers(0, 2, 50), rng.integers(0, 2, 50)
    equal = touching_pairs(*sides, hops, ours, theirs)
    assert {tuple(p) for p in equal.tolist()} == {
        (i, j) for i, j in expected if ours[i - 1] == theirs[j - 1]
    }
