"""Sources: what can be read by coordinates, block by block, without a graph.

The leaves (a zarr array, a stretch of a raw file, a page of a TIFF) are in ``leaves``;
:class:`Stack` and :class:`View` compose them. :func:`as_dask` makes a lazy array that remembers
its source, so that a task may read its own grown block directly; :func:`amplification` says what
reading by blocks costs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np

from chunkseg.errors import ParameterError
from chunkseg.geometry.boxes import Shape, Slices
from chunkseg.storage.leaves import (
    Array,
    DType,
    FileSource,
    Region,
    Source,
    TiffSource,
    ZarrSource,
)

__all__ = [
    "FileSource",
    "Source",
    "Stack",
    "TiffSource",
    "View",
    "ZarrSource",
    "amplification",
    "as_dask",
    "axis_amplification",
    "source_of",
]

BLOCK_VOXELS = 2**21


@dataclass(frozen=True)
class Stack(Region):
    """Sources of one shape and dtype stacked along new leading axes; a read opens those it needs.

    Attributes
    ----------
    members
        The sources, in C order over the new axes.
    outer
        Lengths of the new axes.
    """

    members: tuple[Source, ...]
    outer: Shape

    @property
    def shape(self) -> Shape:
        """Shape in voxels."""
        return self.outer + self.members[0].shape

    @property
    def dtype(self) -> DType:
        """Dtype in native byte order."""
        return self.members[0].dtype

    @property
    def chunks(self) -> Shape:
        """Shape of a member's chunk, 1 along the new axes."""
        return (1,) * len(self.outer) + self.members[0].chunks

    def _read(self, spans: Slices) -> Array:
        out = np.empty([s.stop - s.start for s in spans], self.dtype)
        outer, inner = spans[: len(self.outer)], spans[len(self.outer) :]
        for position in np.ndindex(*out.shape[: len(outer)]):
            index = [s.start + p for s, p in zip(outer, position, strict=True)]
            member = self.members[int(np.ravel_multi_index(index, self.outer))]
            out[position] = member[inner]
        return out


@dataclass(frozen=True)
class View(Region):
    """A source with some axes fixed at one index (a channel) and the others in another order.

    Attributes
    ----------
    source
        What is viewed.
    index
        One entry per axis of the source: the fixed index, or None for an axis that stays.
    axes
        For each axis of the view, its number in the source.

    Examples
    --------
    >>> class Stored(np.ndarray):
    ...     chunks = (1, 2, 3)
    >>> pixels = np.arange(24).reshape(2, 3, 4).view(Stored)
    >>> View(pixels, (1, None, None), (2, 1))[0:2, 0:1].tolist()
    [[12], [13]]
    """

    source: Source
    index: tuple[int | None, ...]
    axes: Shape

    def __post_init__(self) -> None:
        free = [axis for axis, fixed in enumerate(self.index) if fixed is None]
        if len(self.index) != self.source.ndim or sorted(self.axes) != free:
            raise ParameterError(
                f"a view of {self.source.ndim} axes with index {self.index} needs each free axis "
                f"{free} once, not {self.axes}"
            )

    @property
    def shape(self) -> Shape:
        """Shape in voxels."""
        return tuple(self.source.shape[a] for a in self.axes)

    @property
    def dtype(self) -> DType:
        """Dtype in native byte order."""
        return self.source.dtype

    @property
    def chunks(self) -> Shape:
        """Chunk along the axes that stay."""
        return tuple(self.source.chunks[a] for a in self.axes)

    def _read(self, spans: Slices) -> Array:
        key = [slice(i, i + 1) if i is not None else slice(None) for i in self.index]
        for axis, span in zip(self.axes, spans, strict=True):
            key[axis] = span
        fixed = tuple(a for a, i in enumerate(self.index) if i is not None)
        block = self.source[tuple(key)].transpose(self.axes + fixed)
        return np.ascontiguousarray(block.reshape(block.shape[: len(self.axes)]))


def as_dask(
    source: Source,
    chunks: Sequence[int] | Sequence[Sequence[int]] | None = None,
    looped: Sequence[int] = (),
) -> da.Array:
    """Lazy dask array over a source, which :func:`source_of` finds again.

    Parameters
    ----------
    source
        What is read.
    chunks
        Chunk length along each axis, or all lengths along each, as dask has them. By default whole
        multiples of the source's chunks, about 2 million voxels, as near to a cube as that allows;
        no stored chunk is ever split.
    looped
        Axes (numbers) along which the default chunks do not grow: ``t`` and ``c``.

    Returns
    -------
    dask.array.Array
        Each of its tasks reads one region. Its name is new each time, since a file may change
        between two openings.

    Raises
    ------
    ParameterError
        If ``chunks`` does not have one positive length per axis.
    """
    array = da.from_array(
        source,
        chunks=_checked_chunks(
            source, default_chunks(source, looped) if chunks is None else chunks
        ),
        name=False,
        getitem=_read_chunk,
        meta=np.empty((0,) * source.ndim, source.dtype),
    )
    array._chunkseg_source = (array.name, source)
    return array


def _checked_chunks(
    source: Source, chunks: Sequence[int] | Sequence[Sequence[int]]
) -> tuple[int | tuple[int, ...], ...]:
    if len(chunks) == source.ndim:
        if all(not isinstance(c, int | np.integer) for c in chunks):
            return tuple(tuple(c) for c in chunks)  # type: ignore[arg-type]
        lengths = [int(c) for c in chunks]  # type: ignore[arg-type]
        if min(lengths, default=1) >= 1:
            return tuple(min(c, max(n, 1)) for c, n in zip(lengths, source.shape, strict=True))
    raise ParameterError(
        f"chunks= needs a positive length for each of {source.ndim} axes, not {tuple(chunks)}"
    )


def _read_chunk(source: Source, index: Slices, *_: object) -> Array:
    """Read one chunk.

    As a function of our own it is left alone by dask, which would else push the slices of an
    overlap into it and read each chunk in as many small pieces as it has neighbours.
    """
    return source[index]


def default_chunks(source: Source, looped: Sequence[int], limit: int = BLOCK_VOXELS) -> Shape:
    """Return whole multiples of the stored chunk, of at most ``limit`` voxels.

    The shortest side that may still double does, again and again; axes in ``looped`` do not grow.
    """
    lengths = [max(1, min(c, n)) for c, n in zip(source.chunks, source.shape, strict=True)]
    while True:
        for axis in sorted(range(source.ndim), key=lambda a: (lengths[a], -a)):
            grown = min(2 * lengths[axis], source.shape[axis])
            size = math.prod(lengths) // lengths[axis] * grown
            if axis not in looped and grown > lengths[axis] and size <= limit:
                lengths[axis] = grown
                break
        else:
            return tuple(lengths)


def source_of(array: Any) -> Source | None:
    """Return the source of exactly this dask array, as :func:`as_dask` made it; else None.

    An array derived from it, a copy, or the array itself after an assignment has none.
    """
    name, source = getattr(array, "_chunkseg_source", (None, None))
    return source if name is not None and name == array.name else None


def amplification(source: Source, block: Shape, halo: Shape) -> float:
    """How many voxels are decoded per voxel of a block's core.

    Parameters
    ----------
    source
        What is read.
    block
        Shape of a block's core, in voxels.
    halo
        What is read on either side of it, in voxels; clipped to the image.

    Returns
    -------
    float
        The mean over all blocks of the image: 1 where each stored chunk is decoded once.

    Examples
    --------
    A page of 100 x 100, read in blocks of 50 x 50, is decoded four times.

    >>> class Page(np.ndarray):
    ...     chunks = (100, 100)
    >>> amplification(np.zeros((100, 100)).view(Page), (50, 50), (0, 0))
    4.0
    """
    if isinstance(source, View):
        whole_block, whole_halo = [1] * source.source.ndim, [0] * source.source.ndim
        for axis, b, h in zip(source.axes, block, halo, strict=True):
            whole_block[axis], whole_halo[axis] = b, h
        return amplification(source.source, tuple(whole_block), tuple(whole_halo))
    axes = zip(source.shape, source.chunks, block, halo, strict=True)
    return math.prod(axis_amplification(*axis) for axis in axes)


def axis_amplification(n: int, chunk: int, block: int, halo: int) -> float:
    """Decoded per wanted voxel along one axis of ``n`` voxels; see :func:`amplification`."""
    starts = np.arange(0, n, block)
    low = np.maximum(starts - halo, 0) // chunk * chunk
    high = -(-np.minimum(starts + block + halo, n) // chunk) * chunk
    return float((np.minimum(high, n) - low).sum()) / n if n else 1.0
