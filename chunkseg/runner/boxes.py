"""Tasks over boxes that are not the blocks of a grid: a bounded number of them at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from chunkseg.geometry.boxes import Block
from chunkseg.runner.execution import Execution, Failure
from chunkseg.runner.failures import FailedBlock, FailedBlocksError
from chunkseg.runner.progress import Progress
from chunkseg.runner.sweep import REGION_BLOCKS, Input, Task, block_call

R = TypeVar("R")
T = TypeVar("T")


def run_boxes(
    tasks: Iterable[tuple[Task[R], Block]],
    total: int,
    inputs: Sequence[Input],
    execution: Execution,
    progress: Progress,
) -> list[R]:
    """Run tasks, each on its own box, and return their records in order.

    Parameters
    ----------
    tasks
        Each task with its box as the core of a block; made as they are needed.
    total
        Their number, for the progress.
    inputs
        What they read. Of lazy arrays no more boxes are computed at a time than there are workers.
    execution
        Where tasks run.
    progress
        Who is told.

    Raises
    ------
    FailedBlocksError
        If a task kept failing; what comes after its batch is not begun.
    """
    done = 0
    name = ""

    def advance(n: int) -> None:
        nonlocal done
        done += n
        progress(name, done, total)

    at_once = execution.width if any(i.lazy for i in inputs) else REGION_BLOCKS
    records: list[R] = []
    for batch in _batches(tasks, at_once):
        name = batch[0][0].name
        calls = [block_call(task, block, inputs) for task, block in batch]
        found = execution.compute(calls, advance)
        failed = [
            FailedBlock(name, block, result)
            for (_, block), result in zip(batch, found, strict=True)
            if isinstance(result, Failure)
        ]
        if failed:
            raise FailedBlocksError(failed, total)
        records += found
    return records


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
