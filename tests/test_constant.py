"""Blocks of one value: what is known of them without a blur is what the blur gives, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chunkseg.geometry.boxes import Block, Box
from chunkseg.kernels.constant import is_constant
from chunkseg.passes import steps
from chunkseg.passes.steps import Blur, BlurAbove
from chunkseg.runner.tasks import Chained, CountsTask, RangeTask

DTYPES = ("uint8", "uint16", "int16", "float32", "float64")


@settings(deadline=None, max_examples=80)
@given(st.data(), st.sampled_from(DTYPES), st.integers(1, 3))
def test_a_constant_stays_one_and_is_known_from_one_voxel(
    data: st.DataObject, dtype: str, ndim: int
) -> None:
    shape = tuple(data.draw(st.integers(1, 40)) for _ in range(ndim))
    sigma = tuple(data.draw(st.sampled_from([0.0, 0.4, 1.0, 3.3])) for _ in range(ndim))
    value = data.draw(st.integers(0, 200)) / (1 if dtype[0] in "ui" else 7)
    image = np.full(shape, value, dtype)
    blur = Blur(sigma, mode=data.draw(st.sampled_from(["nearest", "reflect", "wrap"])))
    whole = blur(image, (slice(None),) * ndim)
    one = blur.constant(image)
    assert one is not None
    assert one.dtype == whole.dtype
    np.testing.assert_array_equal(whole, np.broadcast_to(one.reshape((1,) * ndim), shape))


def test_a_blur_of_a_constant_need_not_be_that_constant() -> None:
    """Else the kernel would not have to be asked."""
    image = np.full((5, 5, 5), 0.1)
    found = [Blur((sigma,) * 3).constant(image) for sigma in (0.7, 1.0, 1.7, 3.0)]
    assert any(one is not None and one.item() != 0.1 for one in found)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.zeros((3, 4, 5), np.uint16), True),
        (np.full((2, 2), np.nan), True),
        (np.array([0.0, -0.0]), False),
        (np.array([[1, 1], [1, 2]], np.uint8), False),
        (np.zeros((0, 3)), False),
        (np.zeros(3, np.longdouble), False),
        (np.ones((4, 6), np.uint8)[:, ::2], True),
    ],
)
def test_what_is_constant(array: Any, expected: bool) -> None:
    assert is_constant(array) is expected


def test_beyond_the_image_it_may_be_another_value() -> None:
    assert Blur((1.0,), mode="constant", cval=3).constant(np.ones(9)) is None


def test_tasks_of_constant_blocks_blur_one_voxel(monkeypatch: pytest.MonkeyPatch) -> None:
    """And their records are those of the whole block."""
    frame = Box.whole((30, 30, 30))
    block = Block(0, 0, (0, 0, 0), Box((0, 0, 0), (20, 20, 20)))
    chained = Chained(frame, (Blur((2.0,) * 3),))
    image = np.full((28, 28, 28), 77, np.uint8)
    inner = (slice(0, 20),) * 3
    above = BlurAbove(Blur((2.0,) * 3), 0.3)
    counts = CountsTask(chained, {0: (0.0, 1.0)}, 256)
    slow = Blur.constant
    monkeypatch.setattr(Blur, "constant", lambda self, array: None)
    expected = RangeTask(chained)(block, image), counts(block, image), above(image, inner)
    monkeypatch.setattr(Blur, "constant", slow)
    sizes: list[int] = []
    blurred = steps.gaussian

    def counted(array: Any, *rest: Any, **options: Any) -> Any:
        sizes.append(array.size)
        return blurred(array, *rest, **options)

    monkeypatch.setattr(steps, "gaussian", counted)
    monkeypatch.setattr(steps, "gaussian_parts", None)
    found = RangeTask(chained)(block, image), counts(block, image), above(image, inner)
    assert sizes == [1, 1, 1]
    assert found[0] == expected[0]
    np.testing.assert_array_equal(found[1].counts, expected[1].counts)
    np.testing.assert_array_equal(found[2], expected[2])
