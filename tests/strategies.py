"""What hypothesis draws: arrays together with their chunking, small and full of ties."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
from hypothesis import strategies as st

shapes = st.integers(2, 3).flatmap(
    lambda ndim: st.tuples(*[st.integers(1, 14 if ndim == 2 else 8)] * ndim)
)


@st.composite
def cuts(draw: st.DrawFn, n: int) -> tuple[int, ...]:
    """Cut a length into chunks of 1 to 7: equal ones with a ragged last, or any."""
    if draw(st.booleans()):
        size = draw(st.integers(1, 7))
        return (size,) * (n // size) + ((n % size,) if n % size else ())
    lengths: list[int] = []
    while sum(lengths) < n:
        lengths.append(min(draw(st.integers(1, 7)), n - sum(lengths)))
    return tuple(lengths)


@st.composite
def chunked(draw: st.DrawFn, array: np.ndarray[Any, Any]) -> da.Array:
    """Chunk an array anyhow."""
    return da.from_array(array, chunks=tuple(draw(cuts(n)) for n in array.shape))


@st.composite
def masks(draw: st.DrawFn) -> np.ndarray[Any, Any]:
    """Masks from sparse to full."""
    shape = draw(shapes)
    density = draw(st.sampled_from([0.05, 0.2, 0.35, 0.5, 0.8, 1.0]))
    seed = draw(st.integers(0, 2**32 - 1))
    return np.random.default_rng(seed).random(shape) < density


@st.composite
def label_images(draw: st.DrawFn, dtypes: Any = None) -> np.ndarray[Any, Any]:
    """Label images of few values, so that equal ones often touch."""
    dtype = draw(st.sampled_from(dtypes or [np.uint8, np.int32, np.int64, np.uint16]))
    mask = draw(masks())
    seed = draw(st.integers(0, 2**32 - 1))
    top = draw(st.sampled_from([1, 2, 3, 40]))
    values = np.random.default_rng(seed).integers(1, top + 1, mask.shape)
    return (values * mask).astype(dtype)


@st.composite
def images(draw: st.DrawFn) -> np.ndarray[Any, Any]:
    """Images of every dtype that matters, few distinct values or many."""
    dtype = draw(st.sampled_from([np.uint8, np.uint16, np.int16, np.float32, np.float64]))
    shape = draw(shapes)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    top = draw(st.sampled_from([2, 10, 200]))
    if np.dtype(dtype).kind == "f":
        return (rng.integers(0, top, shape) / draw(st.sampled_from([1, 7, 100]))).astype(dtype)
    return rng.integers(0, min(top, np.iinfo(dtype).max), shape).astype(dtype)
