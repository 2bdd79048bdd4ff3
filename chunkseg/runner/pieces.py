"""Objects too large for one crop: swept over block by block, each block read once for all of them.

The hull of an object's merged corners is cut on the driver, which takes about 200 bytes per row of
the object's box; everything else stays within a task's budget.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.geometry.boxes import Block, Box, Grid
from chunkseg.kernels.wholes import corners, hull_measures, hull_of_points, row_ends
from chunkseg.passes.crops import Objects
from chunkseg.passes.pieces import (
    HULL_NAMES,
    MEDIAN,
    Piece,
    blocks_of,
    median_of_counts,
    merged,
    overlap,
)
from chunkseg.runner.boxes import run_boxes
from chunkseg.runner.execution import Execution
from chunkseg.runner.progress import Progress
from chunkseg.runner.sweep import Input


@dataclass(frozen=True, slots=True)
class PiecesTask:
    """Find the pieces that a block holds of some objects.

    Attributes
    ----------
    rows
        Numbers of the objects.
    labels
        Their labels.
    parts
        The part of the block that each one's box covers.
    median
        Whether intensities are counted.
    images
        Number of intensity images.
    """

    rows: NDArray[np.int64]
    labels: NDArray[Any]
    parts: tuple[Box, ...]
    median: bool
    images: int
    name: str = "large objects"

    def reads(self, block: Block) -> Sequence[Box | None]:
        """Return the block, for the images only if they are needed."""
        return (block.core, *(block.core if self.median else None,) * self.images)

    def __call__(self, block: Block, labels: NDArray[Any], *images: Any) -> list[Piece]:
        """Find the pieces of one block."""
        pieces = []
        objects = zip(self.rows.tolist(), self.labels.tolist(), self.parts, strict=True)
        for row, label, part in objects:
            inside = part.slices(origin=block.core.start)
            mask = labels[inside] == label
            if mask.any():
                seen = [image[inside][mask] for image in images] if self.median else []
                pieces.append(_piece(row, mask, part, seen))
        return pieces


def _piece(row: int, mask: NDArray[np.bool_], part: Box, seen: list[NDArray[Any]]) -> Piece:
    outer = corners(row_ends(mask)) + np.array(part.start)
    counted = [np.unique(values.astype(np.int64), return_counts=True) for values in seen]
    return Piece(
        row,
        int(np.count_nonzero(mask)),
        outer,
        tuple(values for values, _ in counted),
        tuple(counts for _, counts in counted),
    )


def measure_pieces(
    inputs: Sequence[Input],
    objects: Objects,
    rows: NDArray[np.int64],
    names: Sequence[str],
    spacing: Sequence[float],
    grid: Grid,
    execution: Execution,
    progress: Progress,
) -> dict[str, list[NDArray[np.float64]]]:
    """Measure objects from their pieces.

    Parameters
    ----------
    inputs
        The label image and the intensity images.
    objects, rows
        The objects, and which of them are measured.
    names
        Properties for which ``chunkseg.passes.pieces.from_pieces`` holds.
    spacing
        Voxel size along the axes.
    grid
        The blocks that are read, each once.
    execution
        Where tasks run.
    progress
        Called as ``progress(pass name, blocks done, blocks in all)``.

    Returns
    -------
    dict
        For each property its columns (one per image for the median), one value per row.
    """
    if not names:
        return {}
    median = MEDIAN in names
    blocks = list(blocks_of(objects, rows, grid))
    tasks = _tasks(blocks, objects, median, len(inputs) - 1)
    found = chain.from_iterable(run_boxes(tasks, len(blocks), inputs, execution, progress))
    pieces: dict[int, list[Piece]] = {row: [] for row in rows.tolist()}
    for piece in found:
        pieces[piece.row].append(piece)
    wholes = [merged(row, parts) for row, parts in pieces.items()]
    values = [_values(whole, objects, names, spacing) for whole in wholes]
    return {name: list(np.array([v[name] for v in values]).T) for name in names}


def _tasks(
    blocks: Sequence[tuple[Block, NDArray[np.int64]]], objects: Objects, median: bool, images: int
) -> Iterator[tuple[PiecesTask, Block]]:
    for block, near in blocks:
        parts = tuple(overlap(objects, row, block.core) for row in near.tolist())
        yield PiecesTask(near, objects.label[near], parts, median, images), block


def _values(
    whole: Piece, objects: Objects, names: Sequence[str], spacing: Sequence[float]
) -> dict[str, list[float]]:
    """Finish one object: the columns of each property."""
    values: dict[str, list[float]] = {}
    if set(names) & set(HULL_NAMES):
        start = objects.start[whole.row]
        shape = (objects.stop[whole.row] - start).tolist()
        hull = hull_of_points(whole.corners - start, shape)
        found = hull_measures(hull, whole.voxels, names, spacing)
        values = {name: [value] for name, value in found.items()}
    if MEDIAN in names:
        counted = zip(whole.values, whole.counts, strict=True)
        values[MEDIAN] = [median_of_counts(*channel) for channel in counted]
    return values
