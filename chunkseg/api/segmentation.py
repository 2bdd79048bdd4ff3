"""Label images: components, expansion, borders, renumbering; as in scikit-image."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from chunkseg.api.components import Found
from chunkseg.api.given import Given, Lazy, map_indexed_frames, map_step
from chunkseg.api.numbers import number, whole
from chunkseg.api.sweeping import Scratch, by_frame, sweep
from chunkseg.errors import KindError, ParameterError
from chunkseg.kernels.relabel import map_labels, renumber
from chunkseg.passes.components import Border, Components, ComponentsPass, Lookup
from chunkseg.passes.counting import LabelsPresent
from chunkseg.passes.steps import Expand
from chunkseg.runner.tasks import UniqueTask

_INT32_VOXELS = 2**31 - 2


def label(
    label_image: Any,
    background: int | None = None,
    return_num: bool = False,
    connectivity: int | None = None,
    *,
    scratch: Scratch = None,
) -> Any:
    """Label connected components of equal value, numbered by first voxel.

    The image is swept when this is called, region by region; only records are kept. What comes back
    is lazy: each block is labelled again and looked up, or looked up from ``scratch``.

    Parameters
    ----------
    label_image : DataArray, dask or NumPy array of bool or integers
        Axes named ``t`` and ``c`` are looped over.
    background : int, optional
        The value that is no component; 0 by default.
    return_num : bool
        Return the number of labels as well.
    connectivity : int, optional
        Orthogonal hops that still make a neighbour, 1 to the number of spatial axes; all by default
        (diagonals included).
    scratch : path, None or False
        Where to keep the blocks' own labels, so that ``label_image`` is computed only once. None
        does so for images above 2**28 voxels in a temporary folder, False never.

    Returns
    -------
    labels : DataArray or dask array
        int32 for masks (int64 from 2**31 - 2 voxels), int64 for integer images; chunks as given.
    num : int, or DataArray over ``t`` and ``c``
        Number of labels, where ``return_num`` asks for it.

    Raises
    ------
    KindError
        For an image of floats, or an integer image of more than three spatial axes.
    ParameterError
        For a connectivity out of range.
    OutputExistsError
        If ``scratch`` is there already.

    Notes
    -----
    Equal to :func:`skimage.measure.label` on the whole frame, ids included, for any chunks.

    Examples
    --------
    >>> import numpy as np, chunkseg as cs
    >>> cs.label(np.array([[1, 0, 1], [0, 1, 0], [0, 0, 2]])).compute()
    array([[1, 0, 1],
           [0, 1, 0],
           [0, 0, 2]])
    """
    given = Given.of(label_image, "label image")
    hops = _connectivity(given, connectivity)
    rule = ComponentsPass(hops, None if background is None else whole(background, "background"))
    small = given.data.dtype == np.bool_ and given.grid.frame.size < _INT32_VOXELS
    dtype = np.dtype(np.int32 if small else np.int64)
    found = Found.of(given, rule, scratch)
    labels = given.back(found.looked_up(lambda components: _ids(components, dtype)))
    if not return_num:
        return labels
    return labels, given.per_frame([c.count for c in found.frames.values()])


def _ids(components: Components, dtype: np.dtype[Any]) -> Lookup:
    return components.lookup(np.arange(1, components.count + 1, dtype=dtype))


def _connectivity(given: Given, connectivity: int | None) -> int:
    ndim = given.layout.ndim
    _check_labels(given)
    if given.data.dtype.kind != "b" and ndim > 3:
        raise KindError(
            f"integer label images may have 1 to 3 spatial axes, as in scikit-image; got {ndim}. "
            "Looped axes must be named 't' or 'c' (see chunkseg.from_array)."
        )
    if connectivity is None:
        return ndim
    hops = whole(connectivity, "connectivity")
    if not 1 <= hops <= ndim:
        raise ParameterError(
            f"connectivity of an image of {ndim} spatial axes must be 1 to {ndim}; "
            f"got {connectivity!r}"
        )
    return hops


def _check_labels(given: Given) -> None:
    if given.data.dtype.kind not in "bui":
        raise KindError(
            f"a label image or mask must be of integers or bool; got dtype {given.data.dtype}. "
            "Compare first, as in image > threshold, or cast with astype."
        )


def clear_border(
    labels: Any,
    buffer_size: int = 0,
    bgval: int = 0,
    mask: Any = None,
    *,
    axes: Sequence[str | int] | None = None,
    scratch: Scratch = None,
) -> Lazy:
    """Clear the objects connected to the image's border.

    The image is swept when this is called, region by region; what comes back is lazy.

    Parameters
    ----------
    labels : DataArray, dask or NumPy array of bool or integers
        Axes named ``t`` and ``c`` are looped over.
    buffer_size : int
        Width of the border beyond the outermost voxel.
    bgval : int
        What cleared voxels are set to.
    mask : DataArray, dask or NumPy array of bool, optional
        Of the shape (and axes) of ``labels``: objects that reach where it is False are cleared, and
        ``buffer_size`` is ignored.
    axes : sequence of str or int, optional
        The spatial axes whose ends are border, by name or number; all by default. In a thin stack
        ``axes=("y", "x")`` keeps the objects that reach the first or last plane.
    scratch : path, None or False
        As in :func:`label`.

    Returns
    -------
    DataArray or dask array
        Of the dtype of ``labels``; chunks as given.

    Raises
    ------
    KindError
        For an image of floats, or a mask that is not boolean.
    ParameterError
        For a border as wide as the image, a mask of another shape, an unknown axis, or a ``bgval``
        that the dtype can't hold.

    Notes
    -----
    Equal to :func:`skimage.segmentation.clear_border`: what is cleared is the connected
    region (full connectivity) of one label that touches the border, not every voxel of that label;
    and where ``bgval`` is not 0 and any border voxel is background, the background is set to it
    too.

    Examples
    --------
    >>> import numpy as np, chunkseg as cs
    >>> cs.clear_border(np.array([[1, 0, 0, 0], [0, 0, 2, 0], [0, 0, 0, 0]])).compute()
    array([[0, 0, 0, 0],
           [0, 0, 2, 0],
           [0, 0, 0, 0]])
    """
    given = Given.of(labels, "label image")
    ndim, dtype = given.layout.ndim, given.data.dtype
    _connectivity(given, None)
    value = _fill_value(bgval, dtype)
    if mask is None:
        border = Border(_border_axes(given, axes), whole(buffer_size, "buffer_size") + 1)
        _check_buffer(given, border)
        found = Found.of(given, ComponentsPass(ndim, 0, border), scratch)
    else:
        rule = ComponentsPass(ndim, 0, masked=True)
        found = Found.of(given, rule, scratch, [_border_mask(given, mask)])
    return given.back(found.looked_up(partial(_kept_values, value=value)))


def _fill_value(bgval: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    value = int(bgval) if isinstance(bgval, bool) else whole(bgval, "bgval")
    low, high = (0, 1) if dtype == np.bool_ else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    if not low <= value <= high:
        raise ParameterError(f"bgval {bgval!r} does not fit labels of dtype {dtype}")
    return np.array(value, dtype)


def _kept_values(components: Components, value: NDArray[Any]) -> Lookup:
    if components.values is None:
        values = np.ones(components.count, value.dtype)
    else:
        values = components.values.astype(value.dtype)
    values[components.touches] = value
    background = value if components.border_background else 0
    return components.lookup(values, background)


def _border_axes(given: Given, axes: Sequence[str | int] | None) -> tuple[int, ...]:
    """Return the axes of the border as numbers within a frame."""
    spatial = given.layout.spatial
    if axes is None:
        return tuple(range(len(spatial)))
    names = [str(d) for d in given.named.dims] if given.named is not None else []
    known: dict[Any, int] = {a: i for i, a in enumerate(spatial)}
    known |= {names[a]: i for i, a in enumerate(spatial) if names}
    for axis in axes:
        if axis not in known:
            spatial_axes = [names[a] for a in spatial] if names else list(spatial)
            raise ParameterError(
                f"axes must be among the spatial axes {spatial_axes}; got {axis!r}"
            )
    return tuple(sorted({known[axis] for axis in axes}))


def _check_buffer(given: Given, border: Border) -> None:
    lengths = [given.layout.frame_shape[axis] for axis in border.axes]
    if border.width < 1 or any(border.width > n for n in lengths):
        raise ParameterError(
            f"buffer_size must be 0 or more and less than the image's lengths {lengths}; got "
            f"{border.width - 1}"
        )


def _border_mask(given: Given, mask: Any) -> da.Array:
    inside = given.aligned(mask, "mask")
    if inside.dtype != np.bool_:
        raise KindError(f"mask must be of bool; got dtype {inside.dtype}")
    return inside


def expand_labels(label_image: Any, distance: float = 1, spacing: Any = 1) -> Lazy:
    """Expand labels by a distance without overlap, lazily.

    Parameters
    ----------
    label_image : DataArray, dask or NumPy array of bool or integers
        0 is background. Axes named ``t`` and ``c`` are looped over.
    distance : float
        How far labels grow, in units of ``spacing`` (voxels by default).
    spacing : float, sequence of float or "coords"
        Voxel size along the spatial axes; ``"coords"`` takes the DataArray's own.

    Returns
    -------
    DataArray or dask array
        Of the dtype of ``label_image``; chunks as given.

    Raises
    ------
    KindError
        For an image of floats.
    ParameterError
        For a spacing that is not positive, or a distance that is NaN.

    Notes
    -----
    Equal to :func:`skimage.segmentation.expand_labels` on the whole frame, ties
    included: among the nearest labelled voxels, that with the smallest last index wins, then the
    index before, and so on. The halo is ``ceil(distance / spacing)`` voxels.

    Examples
    --------
    >>> import numpy as np, chunkseg as cs
    >>> cs.expand_labels(np.array([[0, 1, 0, 0, 2]]), distance=1).compute()
    array([[1, 1, 1, 2, 2]])
    """
    given = Given.of(label_image, "label image")
    _check_labels(given)
    lengths = given.spacing(spacing)
    if min(lengths, default=1.0) <= 0:
        raise ParameterError(f"spacing must be positive; got {spacing!r}")
    if np.isnan(number(distance, "distance")):
        raise ParameterError("distance must be a number; got NaN")
    return given.back(map_step(given, Expand(float(distance), lengths), given.data.dtype))


def relabel_sequential(label_field: Any, offset: int = 1) -> tuple[Lazy, Any, Any]:
    """Renumber labels to ``offset``, ``offset`` + 1, ... in order of the old labels.

    Parameters
    ----------
    label_field : DataArray, dask or NumPy array of integers
        Not negative; 0 is background and stays. Axes named ``t`` and ``c`` are looped over.
    offset : int
        The first new label, at least 1.

    Returns
    -------
    relabeled : DataArray or dask array
        Lazy; of the dtype of ``label_field`` unless that can't hold the new labels.
    forward_map, inverse_map : skimage.util.ArrayMap
        From old to new labels and back; lists of them, frame by frame, where axes are looped over.

    Raises
    ------
    KindError
        For an image that is not of integers.
    ParameterError
        For an offset below 1, labels that are negative or above 2**63 - 1, or an image without
        voxels.

    Notes
    -----
    Equal to :func:`skimage.segmentation.relabel_sequential` on the whole frame. After
    :func:`expand_labels` this differs from :func:`label` where an expanded label comes in several
    pieces.

    Examples
    --------
    >>> import numpy as np, chunkseg as cs
    >>> new, forward, inverse = cs.relabel_sequential(np.array([0, 5, 5, 42]))
    >>> new.compute()
    array([0, 1, 1, 2])
    >>> int(forward[42]), int(inverse[2])
    (2, 42)
    """
    given = Given.of(label_field, "label image")
    dtype = given.data.dtype
    if dtype.kind not in "ui":
        raise KindError(f"relabel_sequential needs integer labels; got dtype {dtype}")
    offset = whole(offset, "offset", least=1)
    if given.data.size == 0:
        raise ParameterError("relabel_sequential needs at least one voxel; the image has none")
    found = by_frame(sweep(given, UniqueTask(), [given.data], LabelsPresent, given.grid))
    present = [_present(records, dtype) for _, records in found]
    renumbered = [renumber(labels, offset) for labels in present]
    out = np.result_type(*(numbers.dtype for numbers, _, _ in renumbered))
    tables = [
        (p[p != 0].astype(np.int64), n[p != 0].astype(out))
        for p, (n, _, _) in zip(present, renumbered, strict=True)
    ]
    relabeled = given.back(map_indexed_frames(given, partial(_renumbered, tables), out))
    forward, inverse = [r[1] for r in renumbered], [r[2] for r in renumbered]
    if given.layout.looped:
        return relabeled, forward, inverse
    return relabeled, forward[0], inverse[0]


def _present(records: list[LabelsPresent], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the distinct labels of a frame, with 0 if any voxel is background."""
    labels = np.unique(np.concatenate([r.labels for r in records]))
    if len(labels) and labels[0] < 0:
        raise ParameterError(
            "labels must not be negative, nor above 2**63 - 1; as int64 the smallest is "
            f"{labels[0]}"
        )
    background = [0] if any(r.background for r in records) else []
    return np.concatenate([np.array(background, np.int64), labels]).astype(dtype)


def _renumbered(
    tables: list[tuple[NDArray[Any], NDArray[Any]]],
    block: NDArray[Any],
    frame: int,
    index: tuple[int, ...],
) -> NDArray[Any]:
    return map_labels(block, *tables[frame])
