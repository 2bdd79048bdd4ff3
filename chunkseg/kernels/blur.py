"""Gaussian blur of one block, equal to scikit-image's to the last bit.

The fast way (:mod:`chunkseg.kernels.blur_tiles`) does SciPy's own arithmetic in SciPy's own order.
SciPy may have been built with fused multiply-add though, so the first blur of each dtype compares
both on a small array; where they differ, SciPy's is used.
"""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import skimage.filters
from numpy.typing import NDArray

from chunkseg.errors import ParameterError
from chunkseg.kernels.blur_tiles import PLANES, blur_box

Inner = tuple[slice, ...]

_SMALLEST_SIGMA = 1e-15
_FAST_DTYPES = ("uint8", "uint16", "float32", "float64")


def gaussian_halo(sigma: Sequence[float], truncate: float = 4.0) -> tuple[int, ...]:
    """Radius of the Gaussian kernel along each axis, in voxels: what a block must be grown by.

    Parameters
    ----------
    sigma
        Standard deviation along each axis, in voxels; 0 leaves the axis alone.
    truncate
        Where the kernel is cut off, in standard deviations.

    Returns
    -------
    tuple of int
        ``int(truncate * sigma + 0.5)`` for each axis, as in :func:`scipy.ndimage.gaussian_filter`;
        0 where SciPy skips the axis (sigma at most 1e-15).

    Raises
    ------
    ParameterError
        A sigma or ``truncate`` is negative, infinite or not a number.

    Examples
    --------
    >>> gaussian_halo((0.5, 3, 0))
    (2, 12, 0)
    """
    for name, value in [("truncate", truncate), *(("sigma", s) for s in sigma)]:
        if not (math.isfinite(value) and value >= 0):
            raise ParameterError(f"{name} must be a finite number, at least 0; got {value}.")
    return tuple(int(truncate * float(s) + 0.5) if s > _SMALLEST_SIGMA else 0 for s in sigma)


def gaussian(
    image: NDArray[Any],
    sigma: Sequence[float],
    *,
    mode: str = "nearest",
    cval: float = 0.0,
    preserve_range: bool = False,
    truncate: float = 4.0,
    inner: Inner | None = None,
) -> NDArray[Any]:
    """Blur a block, or the inner part of it, as :func:`skimage.filters.gaussian` does.

    Parameters
    ----------
    image
        Block of any number of axes and any real dtype or bool. Blocks of one to three axes of
        uint8, uint16, float32 or float64 in mode "nearest" take the fast way.
    sigma
        Standard deviation along each axis, in voxels; 0 leaves the axis alone.
    mode, cval
        How the block goes on beyond its ends, as in :func:`scipy.ndimage.gaussian_filter`.
    preserve_range
        Keep the values of integer images; otherwise they are scaled as
        :func:`skimage.util.img_as_float` does.
    truncate
        Where the kernel is cut off, in standard deviations.
    inner
        The part of the block to return, one slice of step 1 for each axis; None returns all of it.
        A voxel is the same as in the whole image where the block reaches :func:`gaussian_halo`
        voxels beyond it, or ends where the image does.

    Returns
    -------
    ndarray
        float32 for float16 and float32 images, else float64; C-contiguous, owning its memory. NaN
        and infinity spread over the voxels whose kernel meets them.

    Raises
    ------
    ParameterError
        ``sigma`` or ``inner`` does not fit the axes of the image, a sigma or ``truncate`` is
        negative or not finite, or a slice has a step.

    Notes
    -----
    Reference: :func:`skimage.filters.gaussian` of scikit-image 0.26, bit for bit. Beside
    input and output the fast way needs about ``128 * (radius_y + 1) * (320 + 2 * radius_x)``
    bytes, and a copy of the input where that is not C-contiguous, native and writeable.

    Examples
    --------
    >>> block = np.zeros((5, 5), np.uint8)
    >>> block[2, 2] = 255
    >>> gaussian(block, (0.5, 0), inner=(slice(1, 4), slice(1, 4))).round(3)
    array([[0.   , 0.106, 0.   ],
           [0.   , 0.787, 0.   ],
           [0.   , 0.106, 0.   ]])
    """
    image, spans = _checked(image, sigma, inner)
    kernels = _fast_kernels(image, sigma, mode, truncate)
    if kernels is not None:
        out = np.empty([b - a for a, b in spans], _precision(image))
        _fast_gaussian(_readable(image), kernels, _scale(image.dtype, preserve_range), spans, out)
        return out
    result = skimage.filters.gaussian(
        image, sigma, mode=mode, cval=cval, preserve_range=preserve_range, truncate=truncate
    )
    return result if inner is None else result[tuple(slice(a, b) for a, b in spans)].copy()


def gaussian_parts(
    image: NDArray[Any],
    sigma: Sequence[float],
    *,
    mode: str = "nearest",
    cval: float = 0.0,
    preserve_range: bool = False,
    truncate: float = 4.0,
    inner: Inner | None = None,
) -> Iterator[NDArray[Any]]:
    """Blur a block as :func:`gaussian` does, and hand out the result a few planes at a time.

    For what is looked at once: the whole result is never in memory.

    Parameters
    ----------
    image, sigma, mode, cval, preserve_range, truncate, inner
        As for :func:`gaussian`, with its errors.

    Yields
    ------
    ndarray
        The next planes along the first axis, in memory that the planes after them will use. Where
        the fast way is not taken, and with one or two axes, all at once.

    Examples
    --------
    >>> [part.shape for part in gaussian_parts(np.zeros((20, 5, 5)), (1, 1, 1))]
    [(8, 5, 5), (8, 5, 5), (4, 5, 5)]
    """
    image, spans = _checked(image, sigma, inner)
    kernels = _fast_kernels(image, sigma, mode, truncate)
    if kernels is None or image.ndim < 3:
        options: dict[str, Any] = {"mode": mode, "cval": cval, "truncate": truncate}
        yield gaussian(image, sigma, preserve_range=preserve_range, inner=inner, **options)
        return
    block, scale = _readable(image), _scale(image.dtype, preserve_range)
    (start, stop), *rest = spans
    buffer = np.empty([min(PLANES, stop - start), *(b - a for a, b in rest)], _precision(image))
    for z in range(start, stop, PLANES):
        part = buffer[: stop - z]
        _fast_gaussian(block, kernels, scale, [(z, z + len(part)), *rest], part)
        yield part


def _checked(
    image: NDArray[Any], sigma: Sequence[float], inner: Inner | None
) -> tuple[NDArray[Any], list[tuple[int, int]]]:
    """Return the image, and first and last-plus-one index of the wanted part along each axis."""
    image = np.asarray(image)
    _check_lengths(image.ndim, sigma, inner)
    return image, _spans(image.shape, inner)


def _check_lengths(ndim: int, sigma: Sequence[float], inner: Inner | None) -> None:
    for name, given in (("sigma", sigma), ("inner", inner)):
        if given is not None and len(given) != ndim:
            raise ParameterError(
                f"{name} needs an entry for each of the {ndim} axes of the block; got {len(given)}."
            )


def _spans(shape: tuple[int, ...], inner: Inner | None) -> list[tuple[int, int]]:
    """First and last-plus-one index of the wanted part along each axis."""
    if inner is None:
        return [(0, n) for n in shape]
    steps = [s.indices(n) for s, n in zip(inner, shape, strict=True)]
    if any(step != 1 for _, _, step in steps):
        raise ParameterError(f"inner needs slices of step 1; got {inner}.")
    return [(start, max(start, stop)) for start, stop, _ in steps]


def _fast_kernels(
    image: NDArray[Any], sigma: Sequence[float], mode: str, truncate: float
) -> list[NDArray[np.float64]] | None:
    """Half kernels along the axes; None where SciPy is to do the work."""
    halo = gaussian_halo(sigma, truncate)
    if mode == "nearest" and _is_fast(image) and _agrees_with_scipy(image.dtype.name):
        return [_half_kernel(s, r) for s, r in zip(sigma, halo, strict=True)]
    return None


def _is_fast(image: NDArray[Any]) -> bool:
    return 1 <= image.ndim <= 3 and image.size > 0 and image.dtype.name in _FAST_DTYPES


def _precision(image: NDArray[Any]) -> Any:
    return np.float32 if image.dtype.name == "float32" else np.float64


def _readable(image: NDArray[Any]) -> NDArray[Any]:
    """Return the image as the compiled blur takes it."""
    return np.require(image, image.dtype.newbyteorder("="), ["C", "A", "W"])


def _scale(dtype: np.dtype[Any], preserve_range: bool) -> float:
    if preserve_range or dtype.kind != "u":
        return 1.0
    return 1.0 / float(np.iinfo(dtype).max)


def _half_kernel(sigma: float, radius: int) -> NDArray[np.float64]:
    """Weights by distance from the centre, normalised in the order in which SciPy sums them."""
    if radius == 0:
        return np.ones(1)
    x = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 / (sigma * sigma) * x**2)
    return np.ascontiguousarray((weights / weights.sum())[radius:], dtype=np.float64)


def _fast_gaussian(
    block: NDArray[Any],
    kernels: list[NDArray[np.float64]],
    scale: float,
    spans: list[tuple[int, int]],
    out: NDArray[Any],
) -> None:
    missing = 3 - block.ndim
    axes = (1,) * missing
    wz, wy, wx = [np.ones(1)] * missing + kernels
    box = np.array([(0, 1)] * missing + spans, dtype=np.int64)
    volume, into = block.reshape(axes + block.shape), out.reshape(axes + out.shape)
    if out.size:
        blur_box(volume, scale, wz, wy, wx, box, into)


@functools.cache
def _agrees_with_scipy(dtype: str) -> bool:
    """Whether the fast blur of this dtype gives SciPy's bits in this process."""
    shape, sigma = (7, 9, 41), (0.8, 1.1, 1.7)
    image = (np.arange(math.prod(shape)) * 7919 % 65521).astype(dtype).reshape(shape)
    kernels = [_half_kernel(s, r) for s, r in zip(sigma, gaussian_halo(sigma), strict=True)]
    ours = np.empty(shape, _precision(image))
    _fast_gaussian(image, kernels, _scale(image.dtype, False), _spans(shape, None), ours)
    agrees = bool(np.array_equal(ours, skimage.filters.gaussian(image, sigma)))
    if not agrees:
        _warn_of_disagreement()
    return agrees


@functools.cache
def _warn_of_disagreement() -> None:
    logging.getLogger("chunkseg").warning(
        "The fast blur differs from SciPy's in the last bits (SciPy was probably built with fused "
        "multiply-add); SciPy's own, slower one is used instead."
    )
