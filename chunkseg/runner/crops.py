"""Measures of whole objects: their crops are read group by group, and measured one by one.

A task reads the union of its group's boxes once, cuts each object out of it and hands it to the
kernel. What a task holds stays within a budget of bytes. An object that alone needs more is
measured from its pieces where that suffices (see ``passes.pieces``); what needs its whole crop is
refused by name, and the rest of the table is still given.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from chunkseg.geometry.boxes import Block, Box, Grid
from chunkseg.geometry.layout import Layout
from chunkseg.kernels.wholes import SHAPES, median_intensity, whole_shape
from chunkseg.passes.crops import Group, Objects, crop_slices, plan_crops, too_large
from chunkseg.passes.extra import MISSING, Extra, extra_columns
from chunkseg.passes.pieces import MEDIAN, from_pieces
from chunkseg.plan.memory import machine_memory
from chunkseg.runner.boxes import run_boxes
from chunkseg.runner.cluster import threads_of
from chunkseg.runner.execution import Execution
from chunkseg.runner.pieces import measure_pieces
from chunkseg.runner.progress import Progress, silent
from chunkseg.runner.sweep import Input
from chunkseg.runner.workers import worker_memory
from chunkseg.storage.sources import default_chunks

GROUP_BYTES = 2**29
SHARE = 4
GROUP_VOXELS = 2**24
UNION_TO_BLOCK = 8
WORKING_BYTES = 16
NAMED = 20

_log = logging.getLogger("chunkseg")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is measured of each object.

    Attributes
    ----------
    names
        Properties, of those in ``chunkseg.kernels.wholes.WHOLES``.
    extras
        The user's functions.
    spacing
        Voxel size along each axis.
    channels
        Names of the intensity images; None for a single unnamed one, or none.
    """

    names: tuple[str, ...]
    extras: tuple[Extra, ...]
    spacing: tuple[float, ...]
    channels: tuple[str, ...] | None

    @property
    def shapes(self) -> list[str]:
        """Properties of the shape alone."""
        return [name for name in self.names if name in SHAPES]

    @property
    def needs_images(self) -> bool:
        """Whether the intensities have to be read."""
        return MEDIAN in self.names or any(extra.needs_image for extra in self.extras)

    def columns(self, name: str) -> list[str]:
        """Columns of a property."""
        if name != MEDIAN or self.channels is None:
            return [name]
        return [f"{name}-{channel}" for channel in self.channels]

    def values(
        self, mask: NDArray[np.bool_], images: Sequence[NDArray[Any]]
    ) -> Iterator[list[float]]:
        """Measure one object: the values of each property's columns."""
        shape = whole_shape(mask, self.shapes, self.spacing)
        for name in self.names:
            if name in SHAPES:
                yield [shape[name]]
            else:
                yield [median_intensity(mask, image) for image in images]


@dataclass(frozen=True, slots=True)
class CropsRecord:
    """Measures of the objects of one group, in its order.

    Attributes
    ----------
    values
        Of the properties, shape (objects, columns).
    extras
        What the user's functions returned, shape (objects, functions); None without any.
    """

    values: NDArray[np.float64]
    extras: NDArray[Any] | None


@dataclass(frozen=True, slots=True)
class CropsTask:
    """Measure the objects of one group.

    Attributes
    ----------
    wanted
        What is measured.
    labels
        The objects' labels.
    start, stop
        Their boxes, from the first voxel that is read.
    images
        Number of intensity images.
    """

    wanted: Wanted
    labels: NDArray[Any]
    start: NDArray[np.int32]
    stop: NDArray[np.int32]
    images: int
    name: str = "objects"

    def reads(self, block: Block) -> Sequence[Box | None]:
        """Return the group's box, for the images only if they are needed."""
        return (block.core, *(block.core if self.wanted.needs_images else None,) * self.images)

    def __call__(self, block: Block, labels: NDArray[Any], *images: Any) -> CropsRecord:
        """Measure one object after the other."""
        wanted = self.wanted
        values: list[list[float]] = []
        extras = np.empty((len(self.labels), len(wanted.extras)), object)
        origin = (0,) * labels.ndim
        crops = crop_slices(self.start, self.stop, origin)
        for row, (label, crop) in enumerate(zip(self.labels.tolist(), crops, strict=True)):
            mask = labels[crop] == label
            inside = [image[crop] for image in images] if wanted.needs_images else []
            values.append([v for part in wanted.values(mask, inside) for v in part])
            for column, extra in enumerate(wanted.extras):
                extras[row, column] = extra(label, mask, inside, wanted.channels is not None)
        return CropsRecord(np.array(values, float), extras if wanted.extras else None)


def whole_object_columns(
    labels: Input,
    images: Sequence[Input],
    objects: Objects,
    names: Sequence[str],
    *,
    spacing: Sequence[float],
    extras: Sequence[Extra] = (),
    channels: Sequence[str] | None = None,
    execution: Execution | None = None,
    budget: int | None = None,
    progress: Progress = silent,
) -> dict[str, NDArray[Any]]:
    """Measure objects from their whole crops.

    Parameters
    ----------
    labels
        The label image.
    images
        Intensity images of the same layout, one per channel.
    objects
        Labels and bounding boxes, as the sweep over the blocks found them.
    names
        Properties, of those in ``chunkseg.kernels.wholes.WHOLES``.
    spacing
        Voxel size along the spatial axes.
    extras
        The user's functions.
    channels
        Names of the images; None for a single unnamed one.
    execution
        Where tasks run: dask's threads by default.
    budget
        Bytes that one task may hold: what it reads, and what measuring one object takes; by
        default :func:`task_budget` of a quarter of the memory.
    progress
        Called as ``progress(pass name, groups done, groups in all)``.

    Returns
    -------
    dict of arrays
        The columns, one value per object in the order of ``objects``. An object whose crop needs
        more than the budget has NaN in the columns that can't be made of its pieces:
        ``area_filled``, ``intensity_median`` unless all images are integers of at most 16 bits, and
        the user's functions. That is logged with its label and size.

    Raises
    ------
    ParameterError
        If a function of the user fails, with its name and the label.
    """
    execution = execution or Execution()
    if budget is None:
        budget = task_budget(None, execution)
    wanted = Wanted(
        tuple(names), tuple(extras), tuple(spacing), None if channels is None else tuple(channels)
    )
    per_voxel = _bytes_per_voxel(labels, images if wanted.needs_images else ())
    voxels = budget // per_voxel
    grid = home_grid(labels, voxels, execution.width)
    groups = list(plan_crops(objects, grid, voxels, min(voxels, GROUP_BYTES // per_voxel)))
    inputs = [labels, *images]
    tasks = _tasks(groups, objects, wanted, len(images))
    found = run_boxes(tasks, len(groups), inputs, execution, progress)
    columns = _columns(groups, found, objects, wanted, [i.data.dtype for i in images])
    rows = too_large(objects, voxels)
    if len(rows):
        streamed = [n for n in wanted.names if from_pieces(n, [i.data.dtype for i in images])]
        lost = [n for n in wanted.names if n not in streamed] + [e.name for e in wanted.extras]
        if lost:
            _tell_of_refused(objects, rows, lost, per_voxel, budget)
        for name, values in measure_pieces(
            inputs, objects, rows, streamed, wanted.spacing, grid, execution, progress
        ).items():
            for column, part in zip(wanted.columns(name), values, strict=True):
                columns[column][rows] = part
    return columns


def task_budget(memory_limit: int | None, execution: Execution) -> int:
    """Bytes that one task may hold, of what the tasks of a process may hold at one time.

    Without a limit that is a quarter of the memory that a cluster's worker, or the machine or its
    container, gives.
    """
    client = execution.client
    if memory_limit is None:
        whole = worker_memory(client) or machine_memory() // execution.width
        return max(1, whole // SHARE)
    threads = execution.width if client is None else max(threads_of(client).values(), default=1)
    return max(1, memory_limit // threads)


def _bytes_per_voxel(labels: Input, images: Sequence[Input]) -> int:
    """Bytes per voxel of what is read, of an object's mask and of the work on it."""
    sizes = [image.data.dtype.itemsize for image in images]
    return int(labels.data.dtype.itemsize + sum(sizes) + 2 * max(sizes, default=0) + WORKING_BYTES)


def home_grid(labels: Input, voxels: int, width: int) -> Grid:
    """Blocks that objects are grouped by: whole chunks, and enough blocks for all workers.

    With objects reaching into their neighbours the union of a group is up to 8 blocks in 3-D, so
    that blocks are no larger than an eighth of what may be read.
    """
    layout = labels.layout
    limit = min(GROUP_VOXELS, voxels // UNION_TO_BLOCK, layout.frames * _size(layout) // width // 2)
    if isinstance(labels.data, da.Array):
        lengths: Sequence[int] = [max(c) for c in labels.data.chunks]
    else:
        lengths = default_chunks(labels.data, layout.looped, limit)
    return Grid.regular(layout.frame_shape, [max(1, lengths[axis]) for axis in layout.spatial])


def _size(layout: Layout) -> int:
    return int(np.prod(layout.frame_shape, dtype=np.int64))


def _tell_of_refused(
    objects: Objects, rows: NDArray[np.int64], lost: Sequence[str], per_voxel: int, budget: int
) -> None:
    """Name the objects that are too large, and the properties that they don't get."""
    sizes = (objects.voxels(rows) * per_voxel).tolist()
    named = ", ".join(
        f"label {objects.label[row]} of frame {objects.frame[row]} ({size} bytes)"
        for row, size in zip(rows[:NAMED], sizes, strict=False)
    )
    more = f" and {len(rows) - NAMED} more" if len(rows) > NAMED else ""
    _log.warning(
        "%s: NaN for %d object(s) whose crop needs more than the %d bytes that a task may hold: "
        "%s%s; %d bytes per task at one time are enough for all (memory_limit)",
        ", ".join(lost),
        len(rows),
        budget,
        named,
        more,
        max(sizes),
    )


def _tasks(
    groups: Sequence[Group], objects: Objects, wanted: Wanted, images: int
) -> Iterator[tuple[CropsTask, Block]]:
    for number, group in enumerate(groups):
        start = (objects.start[group.rows] - group.box.start).astype(np.int32)
        stop = (objects.stop[group.rows] - group.box.start).astype(np.int32)
        task = CropsTask(wanted, objects.label[group.rows], start, stop, images)
        yield task, Block(group.frame, number, (), group.box)


def _columns(
    groups: Sequence[Group],
    found: Sequence[CropsRecord],
    objects: Objects,
    wanted: Wanted,
    dtypes: Sequence[np.dtype[Any]],
) -> dict[str, NDArray[Any]]:
    """Put the values of all groups into the order of the objects."""
    names = [column for name in wanted.names for column in wanted.columns(name)]
    values = np.full((len(names), len(objects)), np.nan)
    results = np.full((len(wanted.extras), len(objects)), MISSING)
    for group, record in zip(groups, found, strict=True):
        values[:, group.rows] = record.values.T
        if record.extras is not None:
            results[:, group.rows] = record.extras.T
    columns: dict[str, NDArray[Any]] = dict(zip(names, values, strict=True))
    for extra, row in zip(wanted.extras, results, strict=True):
        columns |= extra_columns(
            extra, list(row), objects.label.tolist(), dtypes, len(wanted.spacing), wanted.channels
        )
    return columns
