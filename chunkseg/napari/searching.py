"""Otsu's threshold of an image, out of core, as a run finds it: estimated first, then verified.

The sweep that finds the range sketches the histogram, and so the threshold is known but for rare
cases when half of the work is done; a second sweep counts every voxel in its true bin. No mask is
made and nothing is written, but a copy of an image that can't be read in blocks.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from chunkseg.api.run_input import RunInput
from chunkseg.api.workflow import Workflow
from chunkseg.geometry.boxes import Grid
from chunkseg.runner.progress import Progress
from chunkseg.runner.staging import stage
from chunkseg.runner.sweep import Input, Skip, Sweeper
from chunkseg.runner.tasks import Chained
from chunkseg.runner.thresholds import (
    estimated_thresholds,
    left_counts,
    movie_thresholds,
    true_thresholds,
)
from chunkseg.storage.cache import CHUNKS
from chunkseg.storage.records import Records


def otsu_thresholds(
    workflow: Workflow, image: xr.DataArray, progress: Progress
) -> Iterator[tuple[float, bool]]:
    """Otsu's threshold of an image of one frame, or of a movie with one threshold.

    Parameters
    ----------
    workflow
        Whose blur and scope count.
    image
        The image.
    progress
        Who is told how far it is; what it raises ends the search.

    Yields
    ------
    threshold, verified
        An estimate, unless the first answer is the true one already; at last the run's own.

    Raises
    ------
    ChunksegError
        For what a run would refuse.
    """
    asked = RunInput.of(workflow, image, None, False, (), "mask", None)
    planning, plan = asked.planning, asked.planning.plan()
    execution = planning.running(plan)
    grid = Grid.regular(plan.shape, plan.block_shape)
    source = planning.image
    frames = range(source.layout.frames)
    with tempfile.TemporaryDirectory(prefix="chunkseg-") as folder, CHUNKS.within(plan.cache):
        if planning.staged(plan.block_shape):
            source = stage(source, Path(folder), execution, progress)
        chained = Chained(grid.frame, (workflow.blur(asked.frames.voxel),))
        search = _Search(Sweeper(grid, frames, execution, progress), source, chained)
        yield from search.of_movie() if len(frames) > 1 else search.of_frame()


@dataclass(frozen=True)
class _Search:
    """Sweeps over a blurred image."""

    sweeper: Sweeper[Any]
    source: Input
    chained: Chained

    def of_movie(self) -> Iterator[tuple[float, bool]]:
        """One threshold of all frames."""
        found = movie_thresholds([self._sweep], self.source, self.chained)
        yield float(found[0].threshold), True

    def of_frame(self) -> Iterator[tuple[float, bool]]:
        """Threshold of the one frame."""
        grid, swept = self.sweeper.grid, (self._sweep, self.source, self.chained)
        estimates = estimated_thresholds(*swept)
        yield float(estimates[0].threshold), estimates[0].exact
        if estimates[0].exact:
            return
        blocks = list(grid.overlapping(grid.frame))
        counts = left_counts(*swept, estimates, {(0, block.number) for block in blocks}, grid)
        found = true_thresholds(estimates, ((block, None) for block in blocks), counts)
        yield float(found[0].threshold), True

    def _sweep(self, task: Any, inputs: Any, kind: Any, skip: Skip = ()) -> Records[Any]:
        return self.sweeper.run(task, inputs, Records(kind), skip)
