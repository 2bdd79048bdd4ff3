"""Erosion of masks, as in :mod:`skimage.morphology`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import dask.array as da
import numpy as np
from dask_image import ndmorph
from numpy.typing import NDArray

from chunkseg.api.given import Given, Lazy, at_least_halo, map_step
from chunkseg.api.numbers import number, whole
from chunkseg.errors import KindError, ParameterError
from chunkseg.passes.steps import ErodeBall, ErodeFootprint

Footprint = NDArray[Any] | Sequence[tuple[NDArray[Any], int]]
Spacing = float | Sequence[float] | str


def binary_erosion(
    image: Any,
    footprint: Footprint | None = None,
    *,
    radius: float | None = None,
    iterations: int = 1,
    spacing: Spacing | None = None,
) -> Lazy:
    """Erode a mask, lazily: by a ball or disk of a radius, or by any footprint.

    Parameters
    ----------
    image : DataArray, dask or NumPy array
        Every value but 0 (or False) is foreground.
    footprint : array, or sequence of (array, int), optional
        The neighbourhood, of as many axes as a frame; or several, each with the number of times it
        is applied. Without ``footprint`` and ``radius``: the cross of direct neighbours.
    radius : float, optional
        Erode by ``skimage.morphology.ball(radius)`` (3-D) or ``disk(radius)`` (2-D) with a kernel
        whose cost does not follow the footprint's size: a whole number of voxels or, with
        ``spacing``, any length in its unit. 0 returns the mask.
    iterations : int
        How many times to erode.
    spacing : float, sequence of float or "coords", optional
        Size of a voxel, for all axes of a frame or one per axis, or that of the image's
        coordinates; with ``radius`` only.

    Returns
    -------
    DataArray or dask array of bool

    Raises
    ------
    ParameterError
        For a radius that is negative or, without ``spacing``, not whole, for fewer than one
        iteration, for both ``footprint`` and ``radius``, for ``spacing`` without ``radius`` or
        not positive, or a footprint of other dimensions than a frame.
    KindError
        For a radius that is no number.

    Notes
    -----
    Equal to :func:`skimage.morphology.binary_erosion` (scikit-image 0.26, which drops
    that name in 0.28) and, for symmetric footprints without holes, to
    :func:`skimage.morphology.erosion` of a mask: outside the image counts
    as foreground, and so nothing is eroded from the image's edges. An even-sized footprint is
    padded at its end, as ``binary_erosion`` does; one to be applied 0 times, as sequences of
    :func:`skimage.morphology.footprint_rectangle` hold, is not applied (scikit-image erodes by it
    until nothing changes). With ``spacing``, what is left is farther than
    the radius from any background voxel, as ``scipy.ndimage.distance_transform_edt(frame,
    sampling=spacing) > radius`` has it; a frame without background stays whole.

    Examples
    --------
    >>> import numpy as np, chunkseg as cs
    >>> mask = np.zeros((5, 7), bool); mask[1:4, 1:6] = True
    >>> int(cs.binary_erosion(mask, radius=1).sum().compute())
    3
    >>> int(cs.binary_erosion(mask, radius=0.6, spacing=(1, 0.5)).sum().compute())
    9
    """
    given = Given.of(image, "mask")
    times = whole(iterations, "iterations", least=1)
    if radius is not None:
        if footprint is not None:
            raise ParameterError("give either footprint or radius, not both")
        step = _ball(given, radius, times, spacing)
        return given.back(map_step(_as_mask(given), step, bool))
    if spacing is not None:
        raise ParameterError("spacing goes with radius; a footprint is made of voxels")
    footprints = [(_odd(f), n) for f, n in _footprints(footprint, given.layout.ndim)]
    return given.back(_erode(_as_mask(given), footprints, times))


def erosion(
    image: Any,
    footprint: Footprint | None = None,
    *,
    radius: float | None = None,
    iterations: int = 1,
    spacing: Spacing | None = None,
) -> Lazy:
    """Erode a mask, lazily, as :func:`skimage.morphology.erosion`; for boolean images only.

    Parameters
    ----------
    image : DataArray, dask or NumPy array of bool
    footprint, radius, iterations, spacing
        As in :func:`binary_erosion`.

    Returns
    -------
    DataArray or dask array of bool

    Raises
    ------
    KindError
        For an image that is not boolean.
    ParameterError
        As in :func:`binary_erosion`; also for an even-sized footprint, which
        :func:`skimage.morphology.erosion` shifts the other way, and one without voxels.

    Notes
    -----
    The same as :func:`binary_erosion` but for footprints that are not symmetric: beyond the image's
    edges this function, like scikit-image's, takes its mirror image, and that one foreground.

    Examples
    --------
    >>> import numpy as np, chunkseg as cs
    >>> cs.erosion(np.array([[True, True, False]]), radius=1).compute()
    array([[ True, False, False]])
    """
    given = Given.of(image, "mask")
    if given.data.dtype != np.bool_:
        raise KindError(
            f"erosion works on masks (bool); got dtype {given.data.dtype}. For a mask of 0 and 1 "
            "use binary_erosion, else compare first, as in image > threshold."
        )
    if footprint is None or radius is not None or spacing is not None:
        return binary_erosion(
            image, footprint, radius=radius, iterations=iterations, spacing=spacing
        )
    footprints = _footprints(footprint, given.layout.ndim)
    if any(n % 2 == 0 for f, _ in footprints for n in f.shape):
        raise ParameterError(
            "erosion needs footprints of odd lengths; pad yours with a row of zeros on the "
            "side you mean"
        )
    if not all(f.any() for f, _ in footprints):
        raise ParameterError("erosion needs footprints of at least one voxel; got one of none")
    times = whole(iterations, "iterations", least=1)
    for shape in [f for f, n in footprints for _ in range(n)] * times:
        given = replace(given, data=map_step(given, ErodeFootprint(shape), bool))
    return given.back(given.data)


def _ball(given: Given, radius: float, times: int, spacing: Spacing | None) -> ErodeBall:
    if spacing is None:
        return ErodeBall(whole(radius, "radius", least=0), given.layout.ndim, times)
    length, sizes = float(number(radius, "radius")), given.spacing(spacing)
    if not 0 <= length < math.inf:
        raise ParameterError(f"radius must be 0 or larger and finite; got {radius!r}")
    if min(sizes) <= 0:
        raise ParameterError(f"spacing must be positive; got {spacing!r}")
    return ErodeBall(length, given.layout.ndim, times, sizes)


def _as_mask(given: Given) -> Given:
    data = given.data if given.data.dtype == np.bool_ else given.data != 0
    return Given(data, given.layout, given.named)


def _footprints(footprint: Footprint | None, ndim: int) -> list[tuple[NDArray[Any], int]]:
    """Bring the footprint into the form of a sequence."""
    if footprint is None:
        cross = np.zeros((3,) * ndim, bool)
        for axis in range(ndim):
            cross[(1,) * axis + (slice(None),) + (1,) * (ndim - axis - 1)] = True
        footprint = cross
    parts = [(footprint, 1)] if isinstance(footprint, np.ndarray) else list(footprint)
    result = []
    for array, times in parts:
        shape = np.asarray(array, dtype=bool)
        if shape.ndim != ndim:
            raise ParameterError(
                f"a footprint needs {ndim} axes, as many as a frame of the image; got {shape.ndim}"
            )
        result.append((shape, whole(times, "a footprint's number of times", least=0)))
    return result


def _odd(footprint: NDArray[Any]) -> NDArray[Any]:
    """Pad a footprint at its end to odd lengths."""
    return np.pad(footprint, [(0, 1 - n % 2) for n in footprint.shape])


def _erode(given: Given, footprints: list[tuple[NDArray[Any], int]], iterations: int) -> da.Array:
    """Erode with dask-image, once per footprint and time, in chunks at least as thick as each."""
    used = [_cropped(f, given.layout.frame_shape) for f, times in footprints for _ in range(times)]
    reach = [
        max((f.shape[axis] // 2 for f in used), default=0) for axis in range(given.layout.ndim)
    ]
    data = given.data.rechunk(at_least_halo(given.data, given.layout.per_axis(reach, 0)))
    for footprint in used * iterations:
        structure = footprint.reshape(given.layout.per_axis(footprint.shape, 1))
        data = ndmorph.binary_erosion(data, structure, border_value=1)
    return data.rechunk(given.data.chunks).astype(bool)


def _cropped(footprint: NDArray[Any], frame_shape: Sequence[int]) -> NDArray[Any]:
    """Cut away what of a footprint always lies outside the frame: outside is foreground anyway."""
    excess = [
        max(0, f // 2 - max(n - 1, 0)) for f, n in zip(footprint.shape, frame_shape, strict=True)
    ]
    return footprint[tuple(slice(e, f - e) for e, f in zip(excess, footprint.shape, strict=True))]
