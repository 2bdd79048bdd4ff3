"""Synthetic nuclei: the same for the same seed, of any shape and dtype, and worth splitting."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage as ndi
from skimage.filters import gaussian, threshold_otsu
from skimage.measure import label
from skimage.morphology import ball
from skimage.segmentation import clear_border, expand_labels

from chunkseg.api.synthetic import synthetic_nuclei
from chunkseg.errors import KindError, ParameterError

DTYPES = ["uint8", "uint16", "int16", "uint32", "float32", "float64"]


def test_same_for_the_same_seed() -> None:
    one, two = (synthetic_nuclei((30, 60, 50), seed=7) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert (one != synthetic_nuclei((30, 60, 50), seed=8)).mean() > 0.5


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(1, 40), min_size=2, max_size=3).map(tuple),
    st.sampled_from(DTYPES),
    st.integers(0, 5),
    st.integers(0, 2**32),
)
def test_any_shape_and_dtype(shape: tuple[int, ...], dtype: str, count: int, seed: int) -> None:
    image = synthetic_nuclei(shape, dtype=dtype, count=count, seed=seed, semi_axes=(2, 4))
    assert image.dtype == np.dtype(dtype)
    assert image.shape == shape
    assert np.isfinite(image).all()
    assert image.min() >= 0


def test_background_alone() -> None:
    image = synthetic_nuclei((4, 5, 6), count=0, noise=0, background=0.2, dtype="uint8")
    np.testing.assert_array_equal(image, np.full((4, 5, 6), 51, np.uint8))


def test_noise_has_the_stated_deviation_at_full_intensity() -> None:
    image = synthetic_nuclei((400, 400), count=0, noise=0.1, background=0.25, dtype="float64")
    assert image.std() == pytest.approx(0.1 * np.sqrt(0.25), rel=0.02)


def test_semi_axes_bound_the_objects() -> None:
    image = synthetic_nuclei((80, 80, 80), count=1, semi_axes=(8, 12), noise=0, dtype="float32")
    size = np.count_nonzero(image > 0.2)
    assert 4 / 3 * np.pi * 7**3 < size < 4 / 3 * np.pi * 14**3


def test_pairs_touch() -> None:
    """Two objects make one component, wherever they lie; three make two where there is room."""
    images = [
        synthetic_nuclei((200, 200), count=n, noise=0, seed=s) for s in range(20) for n in (2, 3)
    ]
    parts = [int(label(image > 0.2 * 65535).max()) for image in images]
    assert parts == [1, 2] * 20


def test_number_of_objects_grows_with_the_image() -> None:
    counts = [label(_mask(synthetic_nuclei((n, n), noise=0), 0)).max() for n in (128, 512)]
    assert counts[0] >= 3
    assert counts[1] > 4 * counts[0]


def test_erosion_splits_touching_nuclei_and_some_touch_the_border() -> None:
    """The lesson has something to do: more objects after erosion, fewer off the border."""
    mask = _mask(synthetic_nuclei(), 3)
    eroded = label(ndi.binary_erosion(mask, ball(10), border_value=1))
    final = label(clear_border(expand_labels(eroded, 10)))
    assert 0.1 < mask.mean() < 0.3
    assert label(mask).max() + 5 < eroded.max()
    assert 5 < final.max() < eroded.max()


def _mask(image: np.ndarray[Any, Any], sigma: float) -> np.ndarray[Any, Any]:
    blurred = gaussian(image, sigma=sigma)
    return np.asarray(blurred > threshold_otsu(blurred))


@pytest.mark.parametrize("shape", [(5,), (2, 3, 4, 5), (0, 4), (3, -1, 4)])
def test_refuses_other_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ParameterError, match="two or three positive lengths"):
        synthetic_nuclei(shape)


@pytest.mark.parametrize("dtype", ["bool", "complex64", "U1", "int64", "uint64"])
def test_refuses_other_dtypes(dtype: str) -> None:
    with pytest.raises(KindError, match="float type or integers"):
        synthetic_nuclei((5, 5), dtype=dtype)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"count": -1}, "count must be 0 or more"),
        ({"semi_axes": (0, 4)}, "semi_axes"),
        ({"semi_axes": (5, 4)}, "semi_axes"),
        ({"semi_axes": (5, np.inf)}, "semi_axes"),
        ({"semi_axes": (np.nan, 5)}, "semi_axes"),
        ({"background": 1.5}, "background must be a fraction"),
        ({"noise": -0.1}, "noise must be a fraction"),
        ({"noise": np.nan}, "noise must be a fraction"),
    ],
)
def test_refuses_numbers_out_of_range(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        synthetic_nuclei((5, 5), **wrong)
