"""What users hand in: DataArrays, dask or NumPy arrays, brought to one form and back.

A DataArray comes back as a DataArray with its coordinates, dask and NumPy arrays come back as dask
arrays. Axes named ``t`` and ``c`` are looped over.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import dask.array as da
import numpy as np
import xarray as xr
from dask.delayed import delayed
from numpy.typing import NDArray

from chunkseg.api.numbers import per_axis
from chunkseg.errors import KindError, ParameterError
from chunkseg.geometry.boxes import Grid
from chunkseg.geometry.calibration import spacing_of
from chunkseg.geometry.layout import Layout
from chunkseg.passes.steps import Step
from chunkseg.storage.wrapping import lazy_array, refuse_unsure

Lazy: TypeAlias = da.Array | xr.DataArray


@dataclass(frozen=True)
class Given:
    """A user's array.

    Attributes
    ----------
    data
        The voxels, lazily.
    layout
        Which axes are looped over.
    named
        The DataArray that was handed in, if it was one.
    """

    data: da.Array
    layout: Layout
    named: xr.DataArray | None

    @classmethod
    def of(cls, array: Any, what: str = "image", looped: Sequence[int] = ()) -> Given:
        """Take in an array; ``looped`` names further axes to loop over, by number.

        Raises
        ------
        KindError
            If it is no array, or has no axis that makes up a frame.
        ParameterError
            If it has no frames, or not the axes to be looped over.
        """
        named = array if isinstance(array, xr.DataArray) else None
        dims = [str(d) for d in named.dims] if named is not None else None
        data = _lazy(named.data if named is not None else array, what)
        layout = Layout.of(data.shape, dims)
        if looped:
            layout = _loop_over(layout, looped)
        if not layout.ndim or not layout.frames:
            _refuse(layout, named, what)
        return cls(data, layout, named)

    @property
    def grid(self) -> Grid:
        """The array's own chunks as blocks of a frame."""
        return Grid(tuple(self.data.chunks[axis] for axis in self.layout.spatial))

    def back(self, data: da.Array) -> Lazy:
        """Give a result of the array's shape the form that the array had."""
        if self.named is None:
            return data
        return self.named.copy(data=data).drop_encoding()

    def aligned(self, other: Any, what: str) -> da.Array:
        """Take in another array of the same shape; of two DataArrays, axes go by name.

        Raises
        ------
        ParameterError
            If its axes or shape are others.
        """
        if self.named is not None and isinstance(other, xr.DataArray):
            if set(other.dims) != set(self.named.dims):
                raise ParameterError(
                    f"the {what} must have the axes of the labels, {self.named.dims}; "
                    f"got {other.dims}"
                )
            other = other if other.dims == self.named.dims else other.transpose(*self.named.dims)
        data = Given.of(other, what).data
        if data.shape != self.data.shape:
            raise ParameterError(
                f"the {what} must have the shape of the labels, {self.data.shape}; got {data.shape}"
            )
        return data

    def per_frame(self, values: Sequence[Any]) -> Any:
        """One value per frame: a scalar where nothing is looped, else a DataArray."""
        if not self.layout.looped:
            return values[0]
        array = np.array(values).reshape(self.layout.loop_shape)
        if self.named is None:
            return array
        dims = [self.named.dims[axis] for axis in self.layout.looped]
        coords = {d: self.named.coords[d] for d in dims if d in self.named.coords}
        return xr.DataArray(array, dims=dims, coords=coords)

    def spacing(self, spacing: Any) -> tuple[float, ...]:
        """One spacing per spatial axis from a number, a sequence or ``"coords"``."""
        ndim = self.layout.ndim
        if isinstance(spacing, str):
            if spacing != "coords" or self.named is None:
                raise ParameterError(
                    "spacing must be a number, one number per axis, or 'coords' with a DataArray "
                    f"that carries coordinates; got {spacing!r}"
                )
            return spacing_of(self.named, [self.named.dims[a] for a in self.layout.spatial])
        return per_axis(spacing, ndim, "spacing")


def _loop_over(layout: Layout, more: Sequence[int]) -> Layout:
    axes = range(len(layout.shape))
    for axis in more:
        if axis not in range(-len(axes), len(axes)):
            raise ParameterError(f"an image of {len(axes)} axes has no axis {axis}")
    apart = sorted({axes[a] for a in more} | set(layout.looped))
    return Layout(layout.shape, tuple(apart), tuple(a for a in axes if a not in apart))


def _refuse(layout: Layout, named: xr.DataArray | None, what: str) -> None:
    """Say why there is nothing to be done with an array."""
    dims = named.dims if named is not None else ()
    if not layout.ndim:
        raise KindError(
            f"the {what} needs at least one axis besides those looped over; it has {dims}"
        )
    raise ParameterError(f"the {what} has no frames: its shape is {layout.shape}, axes {dims}")


def _lazy(array: Any, what: str) -> da.Array:
    """Bring an array into dask, in native byte order and without empty chunks."""
    found = lazy_array(array)
    if found is None:
        raise KindError(
            f"the {what} must be an xarray.DataArray, a dask, zarr or NumPy array; got "
            f"{type(array).__name__}. Files are opened with chunkseg.open_image."
        )
    refuse_unsure(array, what)
    if not found.dtype.isnative:
        found = found.astype(found.dtype.newbyteorder("="))
    chunks = tuple(tuple(n for n in c if n) or (0,) for c in found.chunks)
    return found if chunks == found.chunks else found.rechunk(chunks)


def map_step(given: Given, step: Step, dtype: Any, periodic: bool = False) -> da.Array:
    """Apply a voxel-wise step lazily with ``dask.array.map_overlap``; the chunks stay as they are.

    Chunks thinner than the halo are merged with their neighbours for the step and cut again after
    it, so that any halo works with any chunks; an axis left in one piece needs no halo.
    """
    halo = given.layout.per_axis(step.halo, 0)
    wide = given.data.rechunk(at_least_halo(given.data, halo))
    depth = {axis: h if wide.numblocks[axis] > 1 else 0 for axis, h in enumerate(halo)}
    boundary = {axis: "periodic" if periodic and depth[axis] else "none" for axis in depth}
    result = da.map_overlap(
        partial(_step_frames, step, given.layout),
        wide,
        depth=depth,
        boundary=boundary,
        trim=True,
        allow_rechunk=False,
        dtype=dtype,
        meta=np.empty((0,) * wide.ndim, dtype),
    )
    return result.rechunk(given.data.chunks)


def at_least_halo(data: da.Array, halo: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Return the chunks of an array, merged until each is as thick as a halo."""
    return tuple(_at_least(c, h) for c, h in zip(data.chunks, halo, strict=True))


def _at_least(lengths: tuple[int, ...], least: int) -> tuple[int, ...]:
    """Merge neighbouring chunks until each is at least ``least`` long."""
    merged: list[int] = []
    for n in lengths:
        if merged and merged[-1] < least:
            merged[-1] += n
        else:
            merged.append(n)
    if len(merged) > 1 and merged[-1] < least:
        last = merged.pop()
        merged[-1] += last
    return tuple(merged)


def _step_frames(step: Step, layout: Layout, block: NDArray[Any]) -> NDArray[Any]:
    return layout.map_frames(partial(_whole, step), block)


def _whole(step: Step, frame: NDArray[Any]) -> NDArray[Any]:
    return step(frame, (slice(None),) * frame.ndim)


Indexed = Callable[[NDArray[Any], int, tuple[int, ...]], NDArray[Any]]


def map_indexed_frames(given: Given, function: Indexed, dtype: Any) -> da.Array:
    """Apply ``function(block of a frame, number of the frame, index of the block)`` lazily.

    The function, with the tables that it holds, is one node of the graph, not a part of each task.
    """
    starts = [np.cumsum([0, *given.data.chunks[axis][:-1]]) for axis in given.layout.looped]
    return da.map_blocks(
        partial(_indexed_frames, given.layout, starts),
        given.data,
        function=delayed(function, name=f"tables-{uuid.uuid4().hex}", traverse=False),
        dtype=dtype,
        meta=np.empty((0,) * given.data.ndim, dtype),
        name=f"looked-up-{uuid.uuid4().hex}",
    )


def _indexed_frames(
    layout: Layout,
    starts: Sequence[NDArray[np.int64]],
    block: NDArray[Any],
    function: Indexed,
    block_id: tuple[int, ...] = (),
) -> NDArray[Any]:
    index = tuple(block_id[axis] for axis in layout.spatial)
    origin = [int(s[block_id[axis]]) for s, axis in zip(starts, layout.looped, strict=True)]
    loops = [block.shape[axis] for axis in layout.looped]
    frames = [
        int(
            np.ravel_multi_index(
                [o + p for o, p in zip(origin, at, strict=True)], layout.loop_shape
            )
        )
        if origin
        else 0
        for at in np.ndindex(*loops)
    ]
    numbers = iter(frames)
    return layout.map_frames(lambda frame: function(frame, next(numbers), index), block)
