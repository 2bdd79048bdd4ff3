"""Voxel-wise filters and thresholds, as in :mod:`skimage.filters`."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from chunkseg.api.given import Given, Lazy, map_step
from chunkseg.api.numbers import number, per_axis, whole
from chunkseg.api.sweeping import Scratch, by_frame, kept, sweep, sweep_into
from chunkseg.errors import KindError, ParameterError
from chunkseg.passes.counting import VoxelCount
from chunkseg.passes.steps import Blur
from chunkseg.passes.threshold import CountsRecord, RangeRecord, merge_counts, merge_ranges, otsu
from chunkseg.runner.tasks import Chained, CountsTask, ForegroundTask, RangeTask

_MODES = ("reflect", "constant", "nearest", "mirror", "wrap")


def gaussian(
    image: Any,
    sigma: Any = 1.0,
    *,
    mode: str = "nearest",
    cval: float = 0,
    preserve_range: bool = False,
    truncate: float = 4.0,
    channel_axis: int | None = None,
) -> Lazy:
    """Blur an image with a Gaussian, lazily.

    Parameters
    ----------
    image : DataArray, dask or NumPy array
        Image of any number of spatial axes. Axes named ``t`` and ``c`` are looped over.
    sigma : float or sequence of float
        Standard deviation in voxels, for all spatial axes or one for each.
    mode : {"nearest", "reflect", "constant", "mirror", "wrap"}
        How the image goes on beyond its edges.
    cval : float
        Value beyond the edges for ``mode="constant"``.
    preserve_range : bool
        Keep the range of integer images instead of scaling it to 0..1 (or -1..1).
    truncate : float
        Where the Gaussian is cut off, in standard deviations.
    channel_axis : int, optional
        An axis of an array without names to be looped over.

    Returns
    -------
    DataArray or dask array
        Of float64, or float32 for float32 and float16 images; chunks as in ``image``.

    Raises
    ------
    ParameterError
        For a negative sigma, a wrong number of sigmas, an unknown mode or a negative truncation.
    KindError
        For a complex image, something that is no array, or a parameter that is no number.

    Notes
    -----
    Equal to :func:`skimage.filters.gaussian` on the whole frame, bit for bit. The halo is
    ``int(truncate * sigma + 0.5)`` voxels per axis.

    Examples
    --------
    >>> import numpy as np, chunkseg as cs
    >>> spot = np.zeros((5, 5)); spot[2, 2] = 1
    >>> float(cs.gaussian(spot, sigma=1)[2, 2].compute().round(4))
    0.1592
    """
    given = Given.of(image, looped=() if channel_axis is None else (channel_axis,))
    kind = given.data.dtype.kind
    if kind not in "buif":
        raise KindError(f"gaussian needs a real image; got dtype {given.data.dtype}")
    sigmas = per_axis(sigma, given.layout.ndim, "sigma")
    if min(sigmas, default=0.0) < 0:
        raise ParameterError(f"sigma must not be negative; got {sigma!r}")
    if mode not in _MODES:
        raise ParameterError(f"mode must be one of {', '.join(_MODES)}; got {mode!r}")
    if not number(truncate, "truncate") >= 0:
        raise ParameterError(f"truncate must not be negative; got {truncate!r}")
    step = Blur(sigmas, mode, float(number(cval, "cval")), preserve_range, float(truncate))
    single = kind == "f" and given.data.dtype.itemsize <= 4
    dtype = np.float32 if single else np.float64
    return given.back(map_step(given, step, dtype, periodic=mode == "wrap"))


def threshold_otsu(image: Any, nbins: int = 256, *, scratch: Scratch = None) -> Any:
    """Find Otsu's threshold, region by region.

    Parameters
    ----------
    image : DataArray, dask or NumPy array
        Real image. Each frame along ``t`` and ``c`` has its own threshold.
    nbins : int
        Number of bins for float images; integer images have one bin per value.
    scratch : path, None or False
        Where to keep the image between the two sweeps (range, then histogram), instead of computing
        it twice; see :func:`chunkseg.store`. None keeps images above 2**28 voxels in a temporary
        folder, False never.

    Returns
    -------
    scalar, or DataArray over ``t`` and ``c``
        The threshold, of the type that scikit-image returns: foreground is ``image > threshold``. A
        constant image returns its value.

    Raises
    ------
    PixelError
        If a voxel is NaN or infinite; the message counts them and names the first.
    ParameterError
        For an image without voxels or fewer than one bin.
    KindError
        For an image that is not real.

    Notes
    -----
    Equal to :func:`skimage.filters.threshold_otsu` on the whole frame, to the last bit: counts are
    whole numbers and add up exactly. Ties go to the lowest bin.

    Examples
    --------
    >>> import numpy as np, chunkseg as cs
    >>> float(cs.threshold_otsu(np.array([[0.0, 0.1], [0.9, 1.0]]))).__round__(4)
    0.0996
    """
    given = Given.of(image)
    if given.data.dtype.kind not in "buif":
        raise KindError(f"threshold_otsu needs a real image; got dtype {given.data.dtype}")
    if given.data.size == 0:
        raise ParameterError("threshold_otsu needs at least one voxel; the image has none")
    nbins = whole(nbins, "nbins", least=1)
    values = kept(given, scratch, given.data.dtype, "threshold_otsu")
    grid = values.grid if values else given.grid
    unchanged = Chained(grid.frame, ())
    first = partial(RangeTask, unchanged)
    found = by_frame(sweep_into(given, values, first, [given.data], RangeRecord))
    ranges = {frame: merge_ranges(records, grid.frame) for frame, records in found}
    second = CountsTask(unchanged, ranges, nbins)
    image = values.source if values else given.data
    counts = by_frame(sweep(given, second, [image], CountsRecord, grid))
    return given.per_frame(
        [otsu(merge_counts(records, *ranges[f], nbins), *ranges[f]) for f, records in counts]
    )


def foreground_fraction(mask: Any) -> Any:
    """Fraction of the voxels that are foreground.

    Parameters
    ----------
    mask : DataArray, dask or NumPy array
        Every value but 0 (or False) is foreground.

    Returns
    -------
    float, or DataArray over ``t`` and ``c``
        From 0 to 1.

    Raises
    ------
    ParameterError
        For a mask without voxels.

    Examples
    --------
    >>> import numpy as np, chunkseg as cs
    >>> cs.foreground_fraction(np.array([[True, False], [False, False]]))
    0.25
    """
    given = Given.of(mask, "mask")
    if given.data.size == 0:
        raise ParameterError("foreground_fraction needs at least one voxel; the mask has none")
    records = sweep(given, ForegroundTask(), [given.data], VoxelCount, given.grid)
    size = given.grid.frame.size
    return given.per_frame(
        [sum(r.voxels for r in counted) / size for _, counted in by_frame(records)]
    )
