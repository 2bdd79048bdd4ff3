"""The components pass: label each block, stitch the seams, rank by first voxel.

``block`` labels one block and keeps a record: how many components, the first voxel of each, what
lies on the seams. ``merge`` joins the components that touch across seams and ranks the joined ones
by their first voxel in raster order over the frame, which is how scikit-image and SciPy number
them. The answer is a table per block that takes local ids to ids.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.geometry.boxes import Block, Box, Grid, Shape, Slices
from chunkseg.kernels import components as kernels
from chunkseg.kernels.painting import within
from chunkseg.kernels.runs import Runs
from chunkseg.passes.seams import Faces, encode_faces, forward_neighbours, touching


@dataclass(frozen=True, slots=True)
class ComponentsRecord:
    """What the pass keeps of one block.

    Attributes
    ----------
    first
        Raster index, within the frame, of the first voxel of each component.
    values
        Value of each component, or None for a mask.
    touches
        Which faces of the frame each local id (index 0: background) touches, see
        :meth:`Border.faces`; None where nobody asked.
    sizes
        Number of voxels of each component; None where nobody asked.
    starts, ids, lengths
        The block's outermost planes, see :class:`chunkseg.passes.seams.Faces`.
    """

    first: NDArray[np.int64]
    values: NDArray[np.int64] | None
    touches: NDArray[np.uint32] | None
    sizes: NDArray[np.int64] | None
    starts: NDArray[np.uint32]
    ids: NDArray[np.uint32]
    lengths: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Border:
    """The outer ``width`` voxels along ``axes`` of a frame."""

    axes: tuple[int, ...]
    width: int = 1

    def parts(self, core: Box, frame: Box) -> list[Slices]:
        """Slices of the block ``core`` that lie in the border of ``frame``."""
        return [part for _, part in self.faces(core, frame)]

    def faces(self, core: Box, frame: Box) -> list[tuple[int, Slices]]:
        """Faces of ``frame`` that the block ``core`` reaches, and its slices there.

        The low face along an axis is the number ``1 << 2 * axis``, the high one twice that, so that
        several are told by one number.
        """
        faces = []
        for axis in self.axes:
            for high in (0, 1):
                start, stop = list(frame.start), list(frame.stop)
                if high:
                    start[axis] = max(0, stop[axis] - self.width)
                else:
                    stop[axis] = min(self.width, stop[axis])
                part = core.intersect(Box(tuple(start), tuple(stop)))
                if part.size:
                    faces.append((1 << 2 * axis + high, part.slices(origin=core.start)))
        return faces


@dataclass(frozen=True, slots=True)
class ComponentsPass:
    """Connected components of a frame in blocks; parameters as :func:`skimage.measure.label`."""

    connectivity: int
    background: int | None = None
    border: Border | None = None
    masked: bool = False
    sized: bool = False

    def block(
        self,
        image: NDArray[Any],
        core: Box,
        frame: Box,
        mask: NDArray[np.bool_] | None = None,
    ) -> tuple[Runs, ComponentsRecord]:
        """Label one block.

        Parameters
        ----------
        image
            The voxels of ``core``.
        core, frame
            Where the block lies, and the frame's box.
        mask
            Where ``masked`` is set: what is False here counts as the border.

        Returns
        -------
        runs : Runs
            Runs of the ids within this block.
        record : ComponentsRecord
        """
        runs, first = kernels.components(image, self.connectivity, self.background)
        axes = _scan_axes(image.dtype, frame.shape)
        if axes != tuple(range(image.ndim)):
            scanned = np.ascontiguousarray(runs.filled().transpose(axes))
            first = kernels.first_voxels(scanned, len(first))
        values = None
        if image.dtype != np.bool_:
            values = image.transpose(axes).reshape(-1)[first].astype(np.int64)
        faces = encode_faces(runs)
        in_frame = _in_frame(first, core, frame.shape, axes)
        return runs, ComponentsRecord(
            in_frame,
            values,
            self._touches(runs, len(first), core, frame, mask),
            kernels.sizes(runs, len(first)) if self.sized else None,
            faces.starts,
            faces.ids,
            faces.lengths,
        )

    def _touches(
        self, runs: Runs, count: int, core: Box, frame: Box, mask: NDArray[np.bool_] | None
    ) -> NDArray[np.uint32] | None:
        """Which faces of the border the local ids touch; 1 for what lies outside the mask."""
        if self.border is not None:
            touches = np.zeros(count + 1, np.uint32)
            for face, part in self.border.faces(core, frame):
                touches[kernels.occurring([within(runs, part)], count)] |= np.uint32(face)
            return touches
        if mask is None:
            return None
        return kernels.occurring([runs.filled()[~mask]], count).astype(np.uint32)

    def empty(self, core: Box, frame: Box) -> ComponentsRecord:
        """Record of a block known to hold no component."""
        touches = None
        if self.border is not None:
            touches = np.array([sum(f for f, _ in self.border.faces(core, frame))], np.uint32)
        none = np.zeros(0, np.uint32)
        lengths = np.zeros(2 * len(core.shape), np.int64)
        sizes = np.zeros(0, np.int64) if self.sized else None
        return ComponentsRecord(np.zeros(0, np.int64), None, touches, sizes, none, none, lengths)

    def merge(self, records: Iterable[tuple[Block, ComponentsRecord]], grid: Grid) -> Components:
        """Join the blocks' components across seams and rank them by first voxel."""
        stitcher = _Stitcher(grid, self.connectivity)
        for block, record in records:
            stitcher.add(block, record)
        return stitcher.finish()


def _scan_axes(dtype: np.dtype[Any], frame_shape: Shape) -> Shape:
    """Order of the axes, slowest first, in which scikit-image meets first voxels.

    It is raster order, but for integer images of shape (n, m, 1), which scikit-image labels with
    their first and last axis swapped.
    """
    swapped = dtype != np.bool_ and len(frame_shape) == 3
    if swapped and frame_shape[2] == 1 and min(frame_shape[:2]) > 1:
        return (2, 1, 0)
    return tuple(range(len(frame_shape)))


def _in_frame(
    flat: NDArray[np.int64], core: Box, frame_shape: Shape, axes: Shape
) -> NDArray[np.int64]:
    """Turn flat indices within a block into flat indices within the frame, both along ``axes``."""
    if flat.size == 0:
        return flat
    where = np.unravel_index(flat, [core.shape[axis] for axis in axes])
    moved = tuple(w + core.start[axis] for w, axis in zip(where, axes, strict=True))
    return np.ravel_multi_index(moved, [frame_shape[a] for a in axes]).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Components:
    """The answer of a components pass for one frame.

    Attributes
    ----------
    count
        Number of components in the frame.
    offsets
        Where each block's local ids start in ``ranks``, by block number; -1 for a block without a
        record. ``sizes`` says how many there are.
    ranks
        Rank of each local component among the frame's components by first voxel, from 0.
    first
        Per component, by rank: raster index of its first voxel within the frame.
    faces
        Per component, by rank: the faces of the border that it touches, see :meth:`Border.faces`.
    voxels
        Per component, by rank: how many voxels it has; None where nobody asked.
    values
        Per component, by rank: its value in a multi-valued image; None for a mask.
    border_background
        Whether any voxel of the border is background.
    """

    count: int
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    ranks: NDArray[np.int64]
    first: NDArray[np.int64]
    faces: NDArray[np.uint32]
    voxels: NDArray[np.int64] | None
    values: NDArray[np.int64] | None
    border_background: bool

    @property
    def touches(self) -> NDArray[np.bool_]:
        """Per component, by rank: whether it touches the border."""
        return self.faces != 0

    def lookup(self, by_rank: NDArray[Any], background: Any = 0) -> Lookup:
        """Look-up tables that give each component the value ``by_rank`` has for it."""
        table = np.empty(len(self.ranks) + 1, by_rank.dtype)
        table[0] = background
        table[1:] = by_rank[self.ranks]
        return Lookup(self.offsets, self.sizes, table)


@dataclass(frozen=True, slots=True)
class Lookup:
    """Tables from the local ids of each block of a frame to values.

    ``table[0]`` is the background's value; block ``b``'s local id ``i`` (from 1) stands at
    ``offsets[b] + i``.
    """

    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    table: NDArray[Any]

    def of_block(self, number: int) -> NDArray[Any]:
        """Table of one block, indexed by local id."""
        start = int(self.offsets[number]) + 1
        own = self.table[start : start + int(self.sizes[number])]
        return np.concatenate([self.table[:1], own])


@dataclass(slots=True)
class _Seen:
    """A block whose later neighbours have not all come yet."""

    faces: Faces
    shape: Shape
    values: NDArray[np.int64] | None
    waiting: int


@dataclass
class _Stitcher:
    """Takes records in any order, keeps faces only until all neighbours have come."""

    grid: Grid
    connectivity: int
    total: int = 0
    seen: dict[Shape, _Seen] = field(default_factory=dict)
    first: list[NDArray[np.int64]] = field(default_factory=list)
    touches: list[NDArray[np.uint32]] = field(default_factory=list)
    voxels: list[NDArray[np.int64]] = field(default_factory=list)
    pairs: list[NDArray[np.int64]] = field(default_factory=list)
    values: list[NDArray[np.int64]] = field(default_factory=list)
    border_background: bool = False

    def __post_init__(self) -> None:
        self.offsets = np.full(len(self.grid), -1, np.int64)
        self.sizes = np.zeros(len(self.grid), np.int64)
        forward = list(forward_neighbours(self.grid.ndim, self.connectivity))
        self.neighbours = forward + [tuple(-o for o in offset) for offset in forward]

    def add(self, block: Block, record: ComponentsRecord) -> None:
        """Take in one block's record."""
        count = len(record.first)
        self.offsets[block.number] = self.total
        self.sizes[block.number] = count
        self.first.append(record.first)
        if record.touches is not None:
            self.touches.append(record.touches[1:])
            self.border_background |= bool(record.touches[0])
        if record.sizes is not None:
            self.voxels.append(record.sizes)
        if record.values is not None:
            self.values.append(record.values)
        self._join(block, record)
        self.total += count

    def _join(self, block: Block, record: ComponentsRecord) -> None:
        faces = Faces(record.starts, record.ids, record.lengths)
        new = _Seen(faces, block.core.shape, record.values, 0)
        for offset in self.neighbours:
            index = tuple(i + o for i, o in zip(block.index, offset, strict=True))
            if not all(0 <= i < n for i, n in zip(index, self.grid.counts, strict=True)):
                continue
            other = self.seen.get(index)
            if other is None:
                new.waiting += 1
                continue
            self._pair(block.index, new, index, other, offset)
            other.waiting -= 1
            if not other.waiting:
                del self.seen[index]
        if new.waiting:
            self.seen[block.index] = new

    def _pair(self, here: Shape, new: _Seen, there: Shape, other: _Seen, offset: Shape) -> None:
        (a, ia), (b, ib) = (new, here), (other, there)
        if offset < (0,) * len(offset):
            (a, ia), (b, ib) = (b, ib), (a, ia)
            offset = tuple(-o for o in offset)
        if not (len(a.faces.ids) and len(b.faces.ids)):
            return
        pairs = touching(a.faces, a.shape, b.faces, b.shape, offset, self.connectivity)
        if a.values is not None and b.values is not None:
            pairs = pairs[a.values[pairs[:, 0] - 1] == b.values[pairs[:, 1] - 1]]
        bases = [self.offsets[self.grid.number(i)] for i in (ia, ib)]
        self.pairs.append(pairs - 1 + np.array(bases))

    def finish(self) -> Components:
        """Join and rank."""
        first = _concatenate(self.first, np.int64)
        pairs = np.concatenate([*self.pairs, np.empty((0, 2), np.int64)])
        root = kernels.smallest_members(
            self.total, np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])
        )
        earliest = first.copy()
        np.minimum.at(earliest, root, first)
        roots = np.flatnonzero(root == np.arange(self.total))
        order = roots[np.argsort(earliest[roots])]
        rank_of_root = np.empty(self.total, np.int64)
        rank_of_root[order] = np.arange(len(order))
        ranks = rank_of_root[root]
        faces = np.zeros(len(order), np.uint32)
        if self.touches:
            np.bitwise_or.at(faces, ranks, _concatenate(self.touches, np.uint32))
        voxels = values = None
        if self.voxels:
            voxels = np.zeros(len(order), np.int64)
            np.add.at(voxels, ranks, _concatenate(self.voxels, np.int64))
        if self.values:
            values = np.empty(len(order), np.int64)
            values[ranks] = np.concatenate(self.values)
        return Components(
            len(order),
            self.offsets,
            self.sizes,
            ranks,
            self._in_raster_order(earliest[order]),
            faces,
            voxels,
            values,
            self.border_background,
        )

    def _in_raster_order(self, first: NDArray[np.int64]) -> NDArray[np.int64]:
        """Turn indices along the axes in which first voxels are met into raster indices."""
        shape = self.grid.shape
        axes = _scan_axes(np.dtype(np.int64 if self.values else np.bool_), shape)
        if axes == tuple(range(len(shape))) or not first.size:
            return first
        where = np.unravel_index(first, [shape[axis] for axis in axes])
        back = [where[axes.index(axis)] for axis in range(len(shape))]
        return np.ravel_multi_index(back, shape).astype(np.int64)


def _concatenate(parts: list[NDArray[Any]], dtype: Any) -> NDArray[Any]:
    return np.concatenate([*parts, np.empty(0, dtype)]).astype(dtype, copy=False)
