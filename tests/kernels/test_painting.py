"""Painting of runs, and planes and parts cut out of them, against slices of the array."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chunkseg.geometry.boxes import Box, Grid
from chunkseg.kernels.painting import paint, plane, within
from chunkseg.kernels.runs import background_runs, id_runs
from tests.strategies import label_images

some = settings(deadline=None, max_examples=100)


def a_box(data: st.DataObject, shape: tuple[int, ...]) -> Box:
    start = tuple(data.draw(st.integers(0, n - 1)) for n in shape)
    stop = tuple(data.draw(st.integers(a + 1, n)) for a, n in zip(start, shape, strict=True))
    return Box(start, stop)


@some
@given(st.data())
def test_blocks_painted_into_any_box(data: st.DataObject) -> None:
    image = data.draw(label_images([np.uint32]))
    chunk = [data.draw(st.integers(1, n)) for n in image.shape]
    grid = Grid.regular(image.shape, chunk)
    box = a_box(data, image.shape)
    dtype = data.draw(st.sampled_from([np.uint32, np.uint64, np.int32]))
    table = np.arange(int(image.max()) + 1).astype(dtype)[::-1].copy()
    out = np.full(box.shape, table[0], dtype)
    for block in grid.overlapping(box):
        runs = id_runs(np.ascontiguousarray(image[block.core.slices()]))
        paint(runs, block.core, table, out, box)
    np.testing.assert_array_equal(out, table[image[box.slices()]])


@some
@given(st.data())
def test_planes_and_parts(data: st.DataObject) -> None:
    image = data.draw(label_images([np.uint32]))
    runs = id_runs(image)
    axis = data.draw(st.integers(0, image.ndim - 1))
    for side in (0, -1):
        expected = np.take(image, side, axis=axis).reshape(-1)
        np.testing.assert_array_equal(plane(runs, axis, side), expected)
    part = a_box(data, image.shape).slices()
    np.testing.assert_array_equal(within(runs, part), image[part])


def test_four_axes() -> None:
    image = np.random.default_rng(0).integers(0, 3, (2, 3, 4, 5)).astype(np.uint32)
    np.testing.assert_array_equal(plane(id_runs(image), 1, -1), image[:, -1].reshape(-1))


@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 4)])
def test_background(shape: tuple[int, ...]) -> None:
    ours: Any = background_runs(shape)
    expected: Any = id_runs(np.zeros(shape, np.uint32))
    assert ours.shape == expected.shape
    np.testing.assert_array_equal(ours.stop, expected.stop)
    np.testing.assert_array_equal(ours.region, expected.region)


def test_blocks_of_four_axes_painted() -> None:
    image = np.random.default_rng(0).integers(0, 4, (3, 4, 5, 6)).astype(np.uint32)
    table, box = np.array([8, 0, 5, 8], np.uint32), Box((2, 0, 1, 3), (4, 9, 4, 9))
    out = np.full(box.shape, 8, np.uint32)
    core = Box((1, 2, 0, 0), (4, 6, 5, 6))
    paint(id_runs(image), core, table, out, box)
    expected = np.full((9,) * 4, 8, np.uint32)
    expected[core.slices()] = table[image]
    np.testing.assert_array_equal(out, expected[box.slices()])


def test_a_box_beside_the_block_stays_as_it_is() -> None:
    out = np.full((2, 2), 7, np.uint32)
    runs = id_runs(np.ones((2, 2), np.uint32))
    paint(runs, Box((0, 0), (2, 2)), np.array([0, 5], np.uint32), out, Box((2, 0), (4, 2)))
    assert (out == 7).all()
