"""Limits of a blur: blocks of which they say all are not blurred, and the answers are the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chunkseg.geometry.boxes import Block, Box
from chunkseg.passes import steps
from chunkseg.passes.steps import Blur, BlurAbove
from chunkseg.runner.tasks import Chained, CountsTask, RangeTask

DTYPES = ("bool", "uint8", "uint16", "int16", "float32", "float64")


@settings(deadline=None, max_examples=100)
@given(st.data(), st.sampled_from(DTYPES), st.integers(1, 3))
def test_no_voxel_is_beyond_the_limits(data: st.DataObject, dtype: str, ndim: int) -> None:
    """Of arrays of few neighbouring values: of one value, the limits are what it becomes."""
    shape = tuple(data.draw(st.integers(1, 40)) for _ in range(ndim))
    sigma = tuple(data.draw(st.sampled_from([0.0, 0.4, 1.0, 3.3])) for _ in range(ndim))
    spread = data.draw(st.sampled_from([1, 2, 100]))
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    values = data.draw(st.integers(0, 100)) + rng.integers(0, spread, shape)
    image = (values / (1 if dtype[0] in "bui" else 7)).astype(dtype)
    blur = Blur(sigma, mode=data.draw(st.sampled_from(["nearest", "reflect", "wrap"])))
    whole = blur(image, (slice(None),) * ndim)
    bounds = blur.bounds(image)
    assert bounds is not None
    low, high = bounds
    assert low.dtype == high.dtype == whole.dtype
    assert low.item() <= whole.min() <= whole.max() <= high.item()
    if spread == 1:
        assert low.item() == whole.min() == whole.max() == high.item()


def test_a_blur_of_one_value_need_not_be_that_value() -> None:
    """Else the kernel would not have to be asked."""
    found = [Blur((sigma,) * 3).bounds(np.full((5, 5, 5), 0.1)) for sigma in (0.7, 1.0, 1.7, 3.0)]
    assert any(bounds is not None and bounds[0].item() != 0.1 for bounds in found)


def test_beyond_the_image_there_may_be_another_value() -> None:
    assert Blur((1.0,), mode="constant", cval=3).bounds(np.ones(9)) is None
    assert Blur((1.0,)).bounds(np.ones(0)) is None


def answers(image: Any) -> tuple[Any, Any, Any]:
    """Range, counts and mask of a block of 20 voxels along an edge, read with its halo."""
    block = Block(0, 0, (0, 0, 0), Box((0, 0, 0), (20, 20, 20)))
    chained = Chained(Box.whole((30, 30, 30)), (Blur((2.0,) * 3),))
    ends = RangeTask(chained)(block, image)
    top = max(ends.high.item(), 0.5)
    counts = CountsTask(chained, {0: (ends.low.item(), top)}, 256)(block, image)
    mask = BlurAbove(Blur((2.0,) * 3), 0.3)(image, (slice(0, 20),) * 3)
    return ends, counts, mask


CASES = {
    "one value": ([7700], 0),
    "one bin": ([0, 0, 0, 100], 1),
    "over bins": ([15000, 30000], 3),
}


@pytest.mark.parametrize(("values", "blurred"), CASES.values(), ids=CASES)
def test_blocks_are_blurred_only_where_that_tells_more(
    monkeypatch: pytest.MonkeyPatch, values: list[int], blurred: int
) -> None:
    image = np.random.default_rng(1).choice(np.array(values, np.uint16), (28, 28, 28))
    real = Blur.bounds
    monkeypatch.setattr(Blur, "bounds", lambda self, array: None)
    expected = answers(image)
    monkeypatch.setattr(Blur, "bounds", real)
    blurs: list[int] = []
    in_parts = steps.gaussian_parts

    def counted(array: Any, *rest: Any, **options: Any) -> Any:
        blurs.append(array.size)
        return in_parts(array, *rest, **options)

    monkeypatch.setattr(steps, "gaussian_parts", counted)
    found = answers(image)
    assert len(blurs) == blurred
    assert found[0] == expected[0]
    np.testing.assert_array_equal(found[1].counts, expected[1].counts)
    np.testing.assert_array_equal(found[2], expected[2])
