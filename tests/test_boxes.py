"""Boxes, halos and the block grid."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chunkseg.geometry.boxes import Block, Box, Grid, add_halos
from tests.strategies import cuts

some = settings(deadline=None, max_examples=150)


@st.composite
def boxes(draw: st.DrawFn, ndim: int, top: int = 9) -> Box:
    start = tuple(draw(st.integers(0, top)) for _ in range(ndim))
    return Box(start, tuple(a + draw(st.integers(0, top)) for a in start))


@st.composite
def grids(draw: st.DrawFn, longest: int = 20) -> Grid:
    ndim = draw(st.integers(1, 4))
    return Grid(tuple(draw(cuts(draw(st.integers(1, longest)))) for _ in range(ndim)))


def drawn(box: Box, shape: tuple[int, ...]) -> np.ndarray:
    canvas = np.zeros(shape, int)
    canvas[box.slices()] = 1
    return canvas


def test_shape_size_and_slices() -> None:
    box = Box((1, 2), (4, 2))
    assert box.shape == (3, 0)
    assert box.size == 0
    assert Box.whole((3, 4)) == Box((0, 0), (3, 4))
    assert Box((5, 6), (7, 9)).slices(origin=(5, 4)) == (slice(0, 2), slice(2, 5))


@some
@given(st.data(), st.integers(1, 3))
def test_intersection_is_what_both_cover(data: st.DataObject, ndim: int) -> None:
    a, b = data.draw(boxes(ndim)), data.draw(boxes(ndim))
    both = a.intersect(b)
    shape = (20,) * ndim
    np.testing.assert_array_equal(drawn(both, shape), drawn(a, shape) * drawn(b, shape))
    assert both.size == b.intersect(a).size
    assert min(both.shape) >= 0


@some
@given(st.data(), st.integers(1, 3))
def test_growing_reaches_the_halo_or_the_limit(data: st.DataObject, ndim: int) -> None:
    box = data.draw(boxes(ndim))
    frame = Box.whole([b + data.draw(st.integers(0, 5)) for b in box.stop])
    halo = tuple(data.draw(st.integers(0, 12)) for _ in range(ndim))
    grown = box.grow(halo, frame)
    for axis, h in enumerate(halo):
        near = [i for i in range(frame.stop[axis]) if box.start[axis] - h <= i < box.stop[axis] + h]
        assert list(range(grown.start[axis], grown.stop[axis])) == near


def test_halos_add_up() -> None:
    assert add_halos((1, 2), (10, 0), (0, 5)) == (11, 7)


@some
@given(grids())
def test_cores_tile_the_frame_in_raster_order(grid: Grid) -> None:
    covered = np.zeros(grid.shape, int)
    indices = itertools.product(*map(range, grid.counts))
    for number, index in enumerate(indices):
        block = grid.block(index, frame=3)
        assert (block.frame, block.number, block.index) == (3, number, index)
        assert block.core.shape == tuple(c[i] for c, i in zip(grid.chunks, index, strict=True))
        covered[block.core.slices()] += 1
    assert number + 1 == len(grid) == math.prod(grid.counts)
    assert (covered == 1).all()
    assert grid.frame == Box.whole(grid.shape)
    assert grid.ndim == len(grid.shape)


@some
@given(st.data(), grids())
def test_overlapping_finds_the_blocks_that_a_box_meets(data: st.DataObject, grid: Grid) -> None:
    start = tuple(data.draw(st.integers(0, n - 1)) for n in grid.shape)
    stop = tuple(data.draw(st.integers(a + 1, n)) for a, n in zip(start, grid.shape, strict=True))
    box = Box(start, stop)
    every = [grid.block(index) for index in itertools.product(*map(range, grid.counts))]
    assert list(grid.overlapping(box)) == [b for b in every if b.core.intersect(box).size]


@pytest.mark.parametrize(
    ("length", "block", "chunks"),
    [(10, 4, (4, 4, 2)), (8, 4, (4, 4)), (3, 5, (3,)), (0, 5, (0,)), (5, 1, (1,) * 5)],
)
def test_regular_grids(length: int, block: int, chunks: tuple[int, ...]) -> None:
    assert Grid.regular((length,), (block,)).chunks == (chunks,)


def test_a_frame_without_voxels_is_one_empty_block() -> None:
    grid = Grid.regular((3, 0), (2, 2))
    assert grid.shape == (3, 0)
    assert [b.core.size for region in grid.regions(1, 8) for b in region] == [0, 0]


@some
@given(grids(), st.integers(1, 5), st.integers(1, 40))
def test_regions_hold_every_block_once_and_few_at_a_time(
    grid: Grid, frames: int, limit: int
) -> None:
    regions = list(grid.regions(frames, limit))
    seen = [(b.frame, b.number) for region in regions for b in region]
    assert sorted(seen) == [(f, n) for f in range(frames) for n in range(len(grid))]
    assert all(1 <= len(region) <= limit for region in regions)
    order = [frame for frame, _ in seen]
    assert order == sorted(order), "a frame's blocks come together, frame after frame"
    for region in regions:
        assert all(b == grid.block(b.index, b.frame) for b in region)
        numbers = [(b.frame, b.number) for b in region]
        assert numbers == sorted(numbers)


@some
@given(grids(), st.integers(1, 40))
def test_a_region_is_a_box_of_blocks_or_whole_frames(grid: Grid, limit: int) -> None:
    for region in grid.regions(2, limit):
        frames = {b.frame for b in region}
        if len(grid) <= limit:
            assert len(region) == len(frames) * len(grid)
            continue
        assert len(frames) == 1
        spans = [sorted({b.index[axis] for b in region}) for axis in range(grid.ndim)]
        assert all(span == list(range(span[0], span[-1] + 1)) for span in spans)
        assert len(region) == math.prod(len(span) for span in spans)


def test_regions_of_a_large_frame_are_near_cubes() -> None:
    regions = list(Grid.regular((80, 80, 80), (10, 10, 10)).regions(1, 64))
    assert [len(region) for region in regions] == [64] * 8
    thin = list(Grid.regular((10, 160, 160), (10, 10, 10)).regions(1, 64))
    assert [len(region) for region in thin] == [64] * 4


def test_small_frames_share_a_region() -> None:
    grid = Grid.regular((4, 4), (2, 2))
    regions = [[b.frame for b in region] for region in grid.regions(5, 9)]
    assert regions == [[0] * 4 + [1] * 4, [2] * 4 + [3] * 4, [4] * 4]


def test_no_frames_no_regions() -> None:
    assert list(Grid.regular((4, 4), (2, 2)).regions(0, 8)) == []


def test_blocks_are_values() -> None:
    assert Block(0, 1, (0, 1), Box((0, 2), (2, 4))) == Grid.regular((4, 4), (2, 2)).block((0, 1))
