"""How single steps sweep over an array when they are called, and where intermediates go."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

import dask
import dask.array as da

from chunkseg.api.given import Given
from chunkseg.errors import OutputExistsError, ParameterError
from chunkseg.geometry.boxes import Grid
from chunkseg.passes.counting import VoxelCount
from chunkseg.runner.execution import Execution
from chunkseg.runner.sweep import Input, Sweeper, Task
from chunkseg.runner.tasks import StoreTask
from chunkseg.storage.arrays import Sink, create_array
from chunkseg.storage.leaves import Source, ZarrSource
from chunkseg.storage.records import Records
from chunkseg.storage.sources import as_dask
from chunkseg.storage.wrapping import described

Scratch: TypeAlias = str | os.PathLike[str] | Literal[False] | None
R = TypeVar("R")

SCRATCH_ABOVE = 2**28

_log = logging.getLogger("chunkseg")


@dataclass(frozen=True)
class Kept:
    """A scratch array that a sweep writes and later ones read.

    Attributes
    ----------
    sink
        Where the blocks go.
    grid
        The blocks: regular, so that each is made of whole chunks.
    """

    sink: Sink
    grid: Grid

    @classmethod
    def at(cls, given: Given, path: Path, dtype: Any) -> Kept:
        """Create the scratch array for intermediates of a user's array."""
        if path.exists():
            raise OutputExistsError(
                f"{path} is there already; give scratch= a path that is not, or delete it"
            )
        grid = regular(given.grid)
        block = grid.block((0,) * grid.ndim).core.shape
        dims, attributes = None, {}
        if given.named is not None:
            dims, attributes = [str(d) for d in given.named.dims], described(given.named)
        array = create_array(path, given.layout, block, dtype, dims, attributes)
        return cls(Sink(array, given.layout), grid)

    @property
    def source(self) -> ZarrSource:
        """The array to be read."""
        return ZarrSource(self.sink.array)


def kept(given: Given, scratch: Scratch, dtype: Any) -> Kept | None:
    """Scratch array as the ``scratch=`` of a step asks for; None where nothing is to be kept."""
    if scratch is False:
        return None
    if scratch is not None:
        if not isinstance(scratch, str | os.PathLike):
            raise ParameterError(
                f"scratch must be a path, None (automatic) or False (never); got {scratch!r}"
            )
        return Kept.at(given, Path(scratch).expanduser(), dtype)
    if given.data.size <= SCRATCH_ABOVE:
        return None
    folder = Path(
        tempfile.mkdtemp(prefix="chunkseg-", dir=dask.config.get("temporary-directory", None))
    )
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _log.info(
        "intermediates of %d voxels go to %s until this process ends", given.data.size, folder
    )
    return Kept.at(given, folder / "scratch.zarr", dtype)


def regular(grid: Grid) -> Grid:
    """Return a grid of equal blocks, as large as the largest of ``grid``."""
    return Grid.regular(grid.shape, [max(1, *lengths) for lengths in grid.chunks])


def sweep(
    given: Given, task: Task[R], arrays: Sequence[Any], kind: type[R], grid: Grid
) -> Records[R]:
    """Sweep over arrays of the shape of ``given`` and return the records."""
    inputs = [Input.of(array, given.layout) for array in arrays]
    sweeper: Sweeper[R] = Sweeper(grid, range(given.layout.frames), Execution())
    return sweeper.run(task, inputs, Records(kind))


def by_frame(records: Records[R]) -> Iterator[tuple[int, list[R]]]:
    """Each frame with its records, in block order: float sums must not depend on the regions."""
    for frame, group in records.frames():
        yield frame, [record for _, record in sorted(group, key=lambda item: item[0].number)]


def written(given: Given, into: Kept) -> da.Array:
    """Compute a user's array into a scratch array, and give it back lazily from there."""
    sweep(given, StoreTask(into.sink), [given.data], VoxelCount, into.grid)
    return stored_as(into.source, given)


def stored_as(source: Source, given: Given) -> da.Array:
    """Lazy array over a source of the shape of ``given``, in the same chunks."""
    return as_dask(source, given.data.chunks)
