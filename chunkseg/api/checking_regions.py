"""Checks of random regions of a result against scikit-image, from the recorded threshold."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chunkseg.api.checks import Check, Subject, Tally, not_checked
from chunkseg.errors import ChunksegError
from chunkseg.passes.consistency import tables_differ
from chunkseg.passes.recomputing import Recipe, RegionRecord
from chunkseg.plan.parameters import PHYSICAL
from chunkseg.runner.boxes import run_boxes
from chunkseg.runner.execution import Execution
from chunkseg.runner.progress import Progress
from chunkseg.runner.sweep import Input
from chunkseg.runner.verifying import RegionTask, random_regions, region_shape
from chunkseg.storage.scratch import ScratchSource
from chunkseg.storage.site import TABLE
from chunkseg.storage.written import written_array

STEPS = {
    "mask": "blur and threshold, voxel by voxel",
    "seeds": "the eroded mask, voxel by voxel, and its components",
    "expanded": "the expanded labels, voxel by voxel",
    "labels": "foreground, components, the border; ids up to a matching",
    "table": "size, place and intensities of the objects that lie wholly in one",
}
TOLERANCE = 1e-6


def region_checks(
    subject: Subject,
    image: Input | None,
    readable: Sequence[str],
    count: int,
    seed: int,
    execution: Execution,
    progress: Progress,
) -> list[Check]:
    """Compute random regions again and compare, as far as regions decide it."""
    names = [f"region {step}" for step in STEPS]
    if not count:
        return not_checked(names, "no regions were asked for")
    if image is None:
        return not_checked(names, "the input is not at hand")
    recipe = _recipe(subject)
    shape = region_shape(recipe)
    if shape is None:
        return not_checked(names, f"a halo of {recipe.halo} voxels is too much for a region")
    table = _table(subject)
    middles = _middles(subject, table)
    frames = subject.layout.frames
    drawn = random_regions(recipe.frame, shape, count, seed, frames, middles)
    task = RegionTask(recipe, tuple(readable))
    inputs = [Input(_stored(subject, name), subject.layout) for name in readable]
    try:
        tasks = ((task, block) for block in drawn)
        records = run_boxes(tasks, count, [image, *inputs], execution, progress)
    except ChunksegError as error:
        return not_checked(names, " ".join(str(error).split()))
    told = f"{count} regions of {' x '.join(map(str, shape))} voxels, seed {seed}"
    return _compared(subject, records, readable, table, told)


def _stored(subject: Subject, name: str) -> ScratchSource:
    return written_array(subject.path, name, subject.layout.shape)


def _recipe(subject: Subject) -> Recipe:
    parameters, spacing = subject.parameters, subject.spacing
    return Recipe(
        sigma=None if subject.is_mask else parameters.blur(spacing).sigma,
        thresholds=tuple(frame["threshold"] for frame in subject.frames),
        radius=parameters.erosion_radius,
        distance=parameters.distance,
        border=subject.border,
        frame=subject.grid.frame,
        iterations=parameters.erosion_iterations,
        spacing=spacing if parameters.units == PHYSICAL else None,
        fitting=partial(parameters.fitting, spacing=spacing) if parameters.limits_size else None,
    )


def _table(subject: Subject) -> pd.DataFrame:
    """Return the table of objects; empty where there is none that can be read."""
    try:
        return pd.read_parquet(subject.path / TABLE)
    except Exception:
        return pd.DataFrame({"t": [], "label": []})


def _middles(subject: Subject, table: pd.DataFrame) -> NDArray[np.int64]:
    """Frame and middle of each object, by its bounding box."""
    ndim = subject.layout.ndim
    lows, highs = [f"bbox-{a}" for a in range(ndim)], [f"bbox-{a + ndim}" for a in range(ndim)]
    if not {*lows, *highs} <= set(table.columns):
        return np.zeros((0, ndim + 1), np.int64)
    middles = (table[lows].to_numpy() + table[highs].to_numpy()) // 2
    frames = table["t"] if "t" in table.columns else np.zeros(len(table))
    inside = np.clip(frames, 0, subject.layout.frames - 1)
    return np.column_stack([inside, middles]).astype(np.int64)


def _compared(
    subject: Subject,
    records: Sequence[RegionRecord],
    readable: Sequence[str],
    table: pd.DataFrame,
    told: str,
) -> list[Check]:
    """Name what differs in any region."""
    tally = Tally()
    for record in records:
        for difference in record.differences:
            where = f"{subject.where(record.frame)}at voxel {difference.voxel} "
            tally.note(difference.step, where, difference.text)
        rows = subject.rows(table, record.frame)
        tally.note("table", subject.where(record.frame), _objects_differ(rows, record))
    made = [
        step for step in STEPS if step in readable or (step == "table" and "labels" in readable)
    ]
    checks = tally.checks({step: f"{STEPS[step]}; {told}" for step in made})
    checks = [Check(f"region {c.name}", c.outcome, c.detail) for c in checks]
    left_out = [f"region {step}" for step in STEPS if step not in made]
    return checks + not_checked(left_out, "the run did not write it, or it can't be read")


def _objects_differ(rows: pd.DataFrame, record: RegionRecord) -> str | None:
    """Compare rows of the table with what scikit-image measures of whole objects."""
    expected = pd.DataFrame(dict(record.objects))
    if expected.empty:
        return None
    there = [c for c in expected if not str(c).startswith("intensity") or c in rows]
    expected = expected[there].sort_values("label", ignore_index=True)
    found = rows[rows["label"].isin(expected["label"])].sort_values("label")
    return tables_differ(found, expected, TOLERANCE)
