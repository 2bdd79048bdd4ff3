"""A part of an image: a span of voxels along some of its axes, read from the whole.

The part is a :class:`Part` of the image's source, not a slice of a lazy array over all of it, so
that its blocks are read by coordinates as those of the whole are. Its coordinates are the whole's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import xarray as xr

from chunkseg.errors import ParameterError
from chunkseg.geometry.boxes import Shape, Slices
from chunkseg.geometry.layout import LOOPED
from chunkseg.storage.leaves import Array, DType, Region, Source
from chunkseg.storage.sources import as_dask, source_of

Span: TypeAlias = slice | Sequence[int | None]
Spans: TypeAlias = Mapping[str, Span]
Chunks: TypeAlias = Sequence[int] | Mapping[str, int]


@dataclass(frozen=True)
class Part(Region):
    """A box of a source.

    Attributes
    ----------
    source
        The whole.
    start, shape
        First voxel and number of voxels along each axis.

    Examples
    --------
    >>> class Stored(np.ndarray):
    ...     chunks = (2, 2)
    >>> whole = np.arange(12).reshape(3, 4).view(Stored)
    >>> Part(whole, (1, 1), (2, 2))[0:1].tolist()
    [[5, 6]]
    """

    source: Source
    start: Shape
    shape: Shape

    @property
    def dtype(self) -> DType:
        """Dtype in native byte order."""
        return self.source.dtype

    @property
    def chunks(self) -> Shape:
        """Chunk of the whole, where the part is not smaller."""
        pairs = zip(self.source.chunks, self.shape, strict=True)
        return tuple(min(chunk, n) for chunk, n in pairs)

    def _read(self, spans: Slices) -> Array:
        pairs = zip(spans, self.start, strict=True)
        return self.source[tuple(slice(s.start + a, s.stop + a) for s, a in pairs)]


def parse_spans(region: Spans, dims: Sequence[str], shape: Shape) -> dict[str, tuple[int, int]]:
    """First voxel and the one after the last, along each axis that a region names.

    Parameters
    ----------
    region
        By axis a slice, or two numbers of voxels: the first, and the one after the last. None for
        an end is that of the image.
    dims, shape
        Of the image.

    Raises
    ------
    ParameterError
        If it is no mapping, an axis is not there, or a span is empty, reaches beyond the image,
        or is not made of two whole numbers.

    Examples
    --------
    >>> parse_spans({"z": (0, 16), "x": slice(100, None)}, ("z", "y", "x"), (64, 512, 512))
    {'z': (0, 16), 'x': (100, 512)}
    """
    lengths = dict(zip(dims, shape, strict=True))
    if not isinstance(region, Mapping):
        raise ParameterError(
            f"a region is a mapping of axes to spans, as {{'z': (0, 64)}}; got {region!r}"
        )
    absent = [dim for dim in region if dim not in lengths]
    if absent:
        raise ParameterError(
            f"the region names axis {absent[0]!r}, but the image has {', '.join(lengths)}"
        )
    return {dim: _span(dim, span, lengths[dim]) for dim, span in region.items()}


def _span(dim: str, span: Span, length: int) -> tuple[int, int]:
    ends = [span.start, span.stop] if isinstance(span, slice) else span
    two = isinstance(ends, list | tuple) and len(ends) == 2 and all(map(_whole_or_none, ends))
    if not two or (isinstance(span, slice) and span.step not in (None, 1)):
        raise ParameterError(
            f"the region's span along {dim} needs two whole numbers, the first voxel and the one "
            f"after the last; got {span!r}"
        )
    start = 0 if ends[0] is None else int(ends[0])
    stop = length if ends[1] is None else int(ends[1])
    if not 0 <= start < stop <= length:
        raise ParameterError(
            f"the region's span {start}:{stop} along {dim} is empty or reaches beyond the image, "
            f"which has voxels 0 to {length - 1} there; give START:STOP with 0 <= START < STOP <= "
            f"{length}"
        )
    return start, stop


def _whole_or_none(number: Any) -> bool:
    whole = isinstance(number, int | np.integer) and not isinstance(number, bool)
    return number is None or whole


def part_of(
    image: xr.DataArray, spans: Mapping[str, tuple[int, int]], chunks: Chunks | None = None
) -> xr.DataArray:
    """Take a part of an image that was opened, as ``image.isel`` would.

    Parameters
    ----------
    image
        The whole, as :func:`~chunkseg.storage.opening.image_of` gives it.
    spans
        See :func:`parse_spans`.
    chunks
        Block length of the lazy array by axis or for each axis.
    """
    whole = source_of(image.data)
    assert whole is not None
    ends = [spans.get(str(d), (0, n)) for d, n in zip(image.dims, image.shape, strict=True)]
    part = Part(whole, tuple(a for a, _ in ends), tuple(b - a for a, b in ends))
    dims = [str(d) for d in image.dims]
    looped = [i for i, d in enumerate(dims) if d in LOOPED]
    data = as_dask(part, chunk_lengths(chunks, dims, part.shape), looped)
    found = xr.DataArray(data, _cut(image, spans), image.dims, attrs=image.attrs)
    found.name = image.name  # xarray would take the name of the dask array's graph
    return found


def _cut(image: xr.DataArray, spans: Mapping[str, tuple[int, int]]) -> dict[Any, xr.DataArray]:
    """Coordinates of a part."""
    cut = {dim: slice(*span) for dim, span in spans.items()}
    return {
        name: coordinate.isel({d: s for d, s in cut.items() if d in coordinate.dims})
        for name, coordinate in image.coords.items()
    }


def chunk_lengths(
    chunks: Chunks | None, dims: Sequence[str], shape: Sequence[int]
) -> tuple[int, ...] | None:
    """Length of a chunk along each axis; whole axes where a mapping names some only.

    Raises
    ------
    ParameterError
        If it names an axis that is not there.

    Examples
    --------
    >>> chunk_lengths({"z": 1}, ("z", "y", "x"), (4, 5, 6))
    (1, 5, 6)
    """
    if not isinstance(chunks, Mapping):
        return None if chunks is None else tuple(chunks)
    if not set(chunks) <= set(dims):
        raise ParameterError(f"chunks= names axes {sorted(chunks)}; the image has {tuple(dims)}")
    return tuple(int(chunks.get(d, max(n, 1))) for d, n in zip(dims, shape, strict=True))
