"""Gaussian blur of one block, equal to scikit-image's to the last bit.

SciPy sweeps the whole array once per axis and keeps every sweep's result in memory. Here the three
sweeps (z, y, x) are fused: a few planes are blurred together, a row of voxels at a time. The z
sweep turns the rows of one y into doubles once and writes one row per plane into a ring that holds
as many rows as the y kernel is long; the y sweep combines a ring into one row; the x sweep combines
that row with itself, shifted, into the output. All between input and output stays in cache.

Bits are kept because each voxel sees SciPy's own arithmetic in SciPy's own order: the centre first,
then the symmetric pairs from the outside in, in double precision, rounded to the image's precision
after each axis. Nothing is contracted or reordered. SciPy may have been built with fused
multiply-add though, so the first blur of each dtype compares both on a small array; where they
differ, SciPy's is used.
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
from chunkseg.kernels.compiled import compiled
from chunkseg.kernels.vectors import weigh, weigh_two

Inner = tuple[slice, ...]

_SMALLEST_SIGMA = 1e-15
_FAST_DTYPES = ("uint8", "uint16", "float32", "float64")
_PLANES = 8
_TILE = 320


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
    buffer = np.empty([min(_PLANES, stop - start), *(b - a for a, b in rest)], _precision(image))
    for z in range(start, stop, _PLANES):
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
    _blur(block.reshape(axes + block.shape), scale, wz, wy, wx, box, out.reshape(axes + out.shape))


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


@compiled()
def _blur(image: Any, scale: float, wz: Any, wy: Any, wx: Any, box: Any, out: Any) -> None:
    """Blur ``image`` over ``box`` into ``out``, tile by tile of a few planes and some columns."""
    tile = box.copy()
    columns = box[2, 1] - box[2, 0]
    tiles = max(1, -(-columns // _TILE))
    for z in range(box[0, 0], box[0, 1], _PLANES):
        tile[0] = z, min(z + _PLANES, box[0, 1])
        for i in range(tiles):
            tile[2] = box[2, 0] + columns * i // tiles, box[2, 0] + columns * (i + 1) // tiles
            _blur_tile(image, scale, wz, wy, wx, box[:, 0], tile, out)


@compiled()
def _blur_tile(
    image: Any, scale: float, wz: Any, wy: Any, wx: Any, origin: Any, tile: Any, out: Any
) -> None:
    """Sweep down the rows of a few planes: z into the rings, rings into a row, row into ``out``."""
    nz, ny, nx = image.shape
    z, x = tile[0, 0], tile[2, 0]
    planes, columns = tile[0, 1] - z, tile[2, 1] - x
    rz, ry, rx = wz.size - 1, wy.size - 1, wx.size - 1
    left, right = max(x - rx, 0), min(x + columns + rx, nx)
    width = right - left
    depth = min(2 * ry + 2, ny)
    rings = np.empty(planes * depth * width)
    stack = np.empty(min(nz, planes + 2 * rz) * width)
    rows = np.empty((2, columns + 2 * rx))
    line = np.empty(columns)
    taps = np.empty(2 * max(rz, ry) + 2, np.int64)
    shifts = np.arange(2 * rx + 1)
    ready = max(tile[1, 0] - ry, 0)
    for y in range(tile[1, 0], tile[1, 1], 2):
        both = y + 1 < tile[1, 1]
        while ready < min(y + both + ry + 1, ny):
            first = _load(image, scale, z - rz, z + planes + rz, ready, left, stack, width)
            ring = rings[ready % depth * width :]
            _sweep_z(stack, wz, z, planes, nz, first, taps, ring, depth * width, width)
            for p in range(planes):
                _round(ring[p * depth * width :][:width], out)
            ready += 1
        _row_taps(taps, y, ry, ny, 0, depth, width)
        middle = rows[:, left - x + rx : right - x + rx]
        for p in range(planes):
            ring = rings[p * depth * width : (p + 1) * depth * width]
            _weigh_rows(middle[0], middle[1], both, ring, taps[: 2 * ry + 2], wy)
            for k in range(1 + both):
                row = rows[k]
                _round(middle[k], out)
                row[: left - x + rx] = middle[k, 0]
                row[right - x + rx :] = middle[k, -1]
                weigh(line, row, shifts, wx)
                _store(out[z + p - origin[0], y + k - origin[1]], line, x - origin[2])


@compiled()
def _sweep_z(
    stack: Any,
    weights: Any,
    z: int,
    planes: int,
    nz: int,
    first: int,
    taps: Any,
    ring: Any,
    step: int,
    width: int,
) -> None:
    """Combine the rows of one y over z, one row per plane, ``step`` apart in the rings."""
    radius = weights.size - 1
    for p in range(0, planes, 2):
        both = p + 1 < planes
        _row_taps(taps, z + p, radius, nz, first, nz, width)
        one, other = ring[p * step :][:width], ring[(p + both) * step :][:width]
        _weigh_rows(one, other, both, stack, taps[: 2 * radius + 2], weights)


@compiled()
def _weigh_rows(one: Any, other: Any, both: bool, source: Any, taps: Any, weights: Any) -> None:
    """Weigh one row, or ``both`` of two that follow each other."""
    if both:
        weigh_two(one, other, source, taps, weights)
    else:
        weigh(one, source, taps[:-1], weights)


@compiled()
def _load(
    image: Any, scale: float, start: int, stop: int, y: int, left: int, stack: Any, width: int
) -> int:
    """Fill ``stack`` with row ``y`` of the planes start..stop-1, scaled; return the first plane."""
    first = max(start, 0)
    for z in range(first, min(stop, image.shape[0])):
        source = image[z, y, left : left + width]
        target = stack[(z - first) * width : (z - first + 1) * width]
        for i in range(width):
            target[i] = source[i] * scale
    return first


@compiled()
def _row_taps(
    taps: Any, centre: int, radius: int, n: int, first: int, depth: int, width: int
) -> None:
    """Where the rows around ``centre`` and the one after it begin; clamped to rows 0..n-1.

    They are counted from row ``first`` and wrap around after ``depth`` rows.
    """
    for k in range(2 * radius + 2):
        row = min(max(centre - radius + k, 0), n - 1)
        taps[k] = (row - first) % depth * width


@compiled()
def _round(row: Any, out: Any) -> None:
    """Round doubles to the precision of ``out``, as SciPy does between two axes."""
    for i in range(row.size):
        row[i] = out.dtype.type(row[i])


@compiled()
def _store(target: Any, line: Any, start: int) -> None:
    for i in range(line.size):
        target[start + i] = line[i]
