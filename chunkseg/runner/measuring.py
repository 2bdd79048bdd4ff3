"""Measuring a label image: sums swept over blocks, then whole objects, one table per frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chunkseg.geometry.boxes import Block, Box, Grid
from chunkseg.kernels.runs import label_runs
from chunkseg.passes.crops import Objects
from chunkseg.passes.extra import Extra
from chunkseg.passes.measure import MeasureRecord, Measures, View
from chunkseg.runner.crops import task_budget, whole_object_columns
from chunkseg.runner.execution import Execution
from chunkseg.runner.merging import Columns, merged_frames
from chunkseg.runner.progress import Progress
from chunkseg.runner.sweep import Input, Sweeper
from chunkseg.storage.records import Records


@dataclass(frozen=True, slots=True)
class MeasureTask:
    """Measure the labels of a label image, with any number of intensity images.

    Attributes
    ----------
    measures
        What is measured.
    images
        Number of intensity images.
    frame
        The box of a frame.
    """

    measures: Measures
    images: int
    frame: Box
    name: str = "measure"

    def _grown(self, core: Box) -> Box:
        return core.grow((self.measures.halo,) * len(core.start), self.frame)

    def reads(self, block: Block) -> Sequence[Box | None]:
        """Return the block of the labels with its halo, for the images only if they are needed."""
        image = block.core if self.measures.needs_images else None
        return (self._grown(block.core), *(image,) * self.images)

    def __call__(self, block: Block, labels: NDArray[Any], *images: NDArray[Any]) -> MeasureRecord:
        """Measure one block."""
        core = block.core
        ids, around = label_runs(labels)
        inner = core.slices(origin=self._grown(core).start)
        runs = around.within(inner) if labels.shape != core.shape else around
        spacing = self.measures.spacing
        seen = images if self.measures.needs_images else ()
        view = View(runs, around, inner, len(ids), seen, core, self.frame, spacing)
        return self.measures.block(view, ids)


def measure_frames(
    labels: Input,
    images: Sequence[Input],
    measures: Measures,
    *,
    grid: Grid,
    frames: range,
    execution: Execution,
    progress: Progress,
    extras: Sequence[Extra] = (),
    folder: Path | None = None,
    memory_limit: int | None = None,
) -> list[pd.DataFrame]:
    """Measure the objects of some frames of a label image.

    Parameters
    ----------
    labels
        The label image.
    images
        Intensity images of the same layout, one per channel.
    measures
        Properties, spacing and names of the channels: see :func:`chunkseg.passes.measure.choose`.
    grid
        The blocks of a frame that are swept.
    frames
        Numbers of the frames.
    execution
        Where tasks run.
    progress
        Called as ``progress(pass name, done, total)``.
    extras
        Functions of the user.
    folder
        Where the records of the sweep are kept, in files; None for memory.
    memory_limit
        Bytes that measuring whole objects may take at one time in a process; a quarter of what
        there is by default.

    Returns
    -------
    list of DataFrame
        One per frame, one row per label, ascending; the properties' columns in their order, then
        those of the functions.

    Raises
    ------
    ParameterError
        If a label is negative, or a function of the user fails.
    """
    whole = bool(measures.wholes or extras)
    swept = measures.swept(with_boxes=whole)
    records: Records[MeasureRecord] = Records(MeasureRecord, folder)
    sweeper: Sweeper[MeasureRecord] = Sweeper(grid, frames, execution, progress)
    task = MeasureTask(swept, len(images), grid.frame)
    records = sweeper.run(task, [labels, *images], records)
    found = dict(merged_frames(records, swept, execution, progress))
    names = [c for name in measures.properties for c in measures.column_names(name)]
    if whole:
        columns = whole_object_columns(
            labels,
            images,
            _objects(found, grid.ndim),
            measures.wholes,
            spacing=measures.spacing,
            extras=extras,
            channels=measures.channels,
            execution=execution,
            budget=task_budget(memory_limit, execution),
            progress=progress,
        )
        _spread(columns, found)
        names += [name for name in columns if name not in names]
    return [
        pd.DataFrame({name: frame[name] for name in names}, pd.RangeIndex(len(frame["label"])))
        for frame in found.values()
    ]


def _objects(frames: dict[int, Columns], ndim: int) -> Objects:
    """Labels and boxes of the objects of all frames."""

    def corner(columns: Columns, first: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
        return np.stack([columns[f"bbox-{first + axis}"] for axis in range(ndim)], axis=1)

    return Objects.of_frames(
        {
            number: (columns["label"], corner(columns, 0), corner(columns, ndim))
            for number, columns in frames.items()
        }
    )


def _spread(columns: Columns, frames: dict[int, Columns]) -> None:
    """Give each frame its rows of columns that were measured for all frames together."""
    ends = np.cumsum([len(frame["label"]) for frame in frames.values()])
    for name, values in columns.items():
        for frame, part in zip(frames.values(), np.split(values, ends[:-1]), strict=True):
            frame[name] = part
