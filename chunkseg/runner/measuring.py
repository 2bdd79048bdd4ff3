"""Measuring a label image: sums swept over blocks, then whole objects, one table per frame."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from chunkseg.geometry.boxes import Grid
from chunkseg.passes.crops import Objects
from chunkseg.passes.extra import Extra
from chunkseg.passes.measure import MeasureRecord, Measures
from chunkseg.runner.boxes import Progress
from chunkseg.runner.crops import task_budget, whole_object_columns
from chunkseg.runner.execution import Execution
from chunkseg.runner.merging import Columns, merged_frames
from chunkseg.runner.sweep import Input, Sweeper
from chunkseg.runner.tasks import MeasureTask
from chunkseg.storage.records import Records


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
