"""Which axes are looped over: cutting frames out of arrays and putting them back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chunkseg.geometry.boxes import Box
from chunkseg.geometry.layout import Layout

some = settings(deadline=None, max_examples=100)


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    dims = draw(st.permutations("tczyx").map(lambda names: names[: draw(st.integers(1, 5))]))
    if not set(dims) - {"t", "c"}:
        dims = [*dims, "x"]
    return Layout.of([draw(st.integers(1, 4)) for _ in dims], dims)


def test_named_axes() -> None:
    layout = Layout.of((2, 5, 3, 7), ("t", "y", "c", "x"))
    assert (layout.looped, layout.spatial) == ((0, 2), (1, 3))
    assert (layout.loop_shape, layout.frame_shape) == ((2, 3), (5, 7))
    assert (layout.frames, layout.ndim) == (6, 2)


def test_axes_without_names_are_all_spatial() -> None:
    layout = Layout.of((2, 5, 3))
    assert (layout.looped, layout.spatial, layout.frames) == ((), (0, 1, 2), 1)
    pixels = np.arange(30).reshape(2, 5, 3)
    np.testing.assert_array_equal(layout.map_frames(np.negative, pixels), -pixels)


@some
@given(st.data(), layouts())
def test_frames_are_counted_in_c_order_and_come_back(data: st.DataObject, layout: Layout) -> None:
    pixels = np.arange(np.prod(layout.shape)).reshape(layout.shape)
    rebuilt = np.full_like(pixels, -1)
    whole = Box.whole(layout.frame_shape)
    for frame, where in enumerate(np.ndindex(*layout.loop_shape)):
        part = pixels[layout.slices(frame, whole)]
        plane = layout.take_frame(part)
        assert plane.shape == layout.frame_shape
        moved = np.moveaxis(pixels, layout.looped, range(len(layout.looped)))
        np.testing.assert_array_equal(plane, moved[where])
        assert layout.give_frame(plane).shape == part.shape
        rebuilt[layout.slices(frame, whole)] = layout.give_frame(plane)
    np.testing.assert_array_equal(rebuilt, pixels)


@some
@given(layouts())
def test_a_box_of_a_frame(layout: Layout) -> None:
    pixels = np.arange(np.prod(layout.shape)).reshape(layout.shape)
    box = Box(tuple(n // 2 for n in layout.frame_shape), layout.frame_shape)
    last = layout.frames - 1
    whole = layout.take_frame(pixels[layout.slices(last, Box.whole(layout.frame_shape))])
    np.testing.assert_array_equal(
        layout.take_frame(pixels[layout.slices(last, box)]), whole[box.slices()]
    )


@some
@given(layouts())
def test_map_frames_sees_each_frame_alone(layout: Layout) -> None:
    pixels = np.random.default_rng(0).random(layout.shape)
    expected = pixels - pixels.min(axis=layout.spatial, keepdims=True)
    found = layout.map_frames(lambda frame: frame - frame.min(), pixels)
    np.testing.assert_array_equal(found, expected)


def test_map_frames_may_change_the_dtype() -> None:
    layout = Layout.of((2, 3, 4), "tyx")
    assert layout.map_frames(lambda frame: frame > 0, np.ones((2, 3, 4))).dtype == bool


def test_per_axis_spreads_values() -> None:
    assert Layout.of((2, 3, 4, 5), "tzcy").per_axis((7, 9), 0) == (0, 7, 0, 9)


@pytest.mark.parametrize("frame", [0, 5])
def test_slices_keep_all_axes(frame: int) -> None:
    layout = Layout.of((2, 5, 3), ("t", "y", "c"))
    where = layout.slices(frame, Box((1,), (4,)))
    assert where[1] == slice(1, 4)
    assert np.empty(layout.shape)[where].shape == (1, 3, 1)
