"""How single steps sweep over an array when they are called, and where intermediates go."""

from __future__ import annotations

import atexit
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

import dask
import dask.array as da

from chunkseg.api.given import Given
from chunkseg.errors import ParameterError
from chunkseg.geometry.boxes import Box, Grid
from chunkseg.geometry.layout import Layout
from chunkseg.passes.counting import VoxelCount
from chunkseg.runner.execution import Execution
from chunkseg.runner.sweep import Input, Sweeper, Task, Written
from chunkseg.runner.tasks import StoreTask
from chunkseg.storage.identity import Identity, canonical, frame_digest
from chunkseg.storage.kept import Kept, KeptRuns, filled_at
from chunkseg.storage.leaves import Source
from chunkseg.storage.places import Place, folder_of
from chunkseg.storage.records import Records
from chunkseg.storage.sources import as_dask, source_of
from chunkseg.storage.wrapping import described

Scratch: TypeAlias = str | os.PathLike[str] | Literal[False] | None
R = TypeVar("R")

SCRATCH_ABOVE = 2**28
SAMPLED_FRAMES = 16
SAMPLED_EDGE = 16

_log = logging.getLogger("chunkseg")


def kept(
    given: Given, scratch: Scratch, dtype: Any, step: str, more: Sequence[Any] = (), **options: Any
) -> Kept | None:
    """Scratch array as the ``scratch=`` of a step asks for; None where nothing is to be kept.

    The step's name, its options and ``more`` inputs tell one call from another.
    """
    path = _scratch_path(given, scratch)
    if path is None:
        return None
    return _kept(path, given, dtype, _identity(given, scratch, step, more, **options))


def kept_runs(
    given: Given, scratch: Scratch, step: str, more: Sequence[Any] = (), **options: Any
) -> KeptRuns | None:
    """Scratch for the blocks' own labels, under the conditions of :func:`kept`."""
    path = _scratch_path(given, scratch)
    if path is None:
        return None
    return KeptRuns(path, _identity(given, scratch, step, more, **options), regular(given.grid))


def _identity(
    given: Given, scratch: Scratch, step: str, more: Sequence[Any], **options: Any
) -> Identity:
    """Who a step is, where its scratch stays; a temporary one is found by no other call."""
    return Identity({}, ()) if scratch is None else step_identity(given, step, more, **options)


def _scratch_path(given: Given, scratch: Scratch) -> Path | None:
    """Where scratch goes: to the path given, or of large images to a temporary folder."""
    if scratch is False:
        return None
    if scratch is not None:
        if not isinstance(scratch, str | os.PathLike):
            raise ParameterError(
                f"scratch must be a path, None (automatic) or False (never); got {scratch!r}"
            )
        return folder_of(scratch)
    if given.data.size <= SCRATCH_ABOVE:
        return None
    folder = Path(
        tempfile.mkdtemp(prefix="chunkseg-", dir=dask.config.get("temporary-directory", None))
    )
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _log.info(
        "intermediates of %d voxels go to %s until this process ends", given.data.size, folder
    )
    return folder / "scratch"


def kept_at(
    path: Place, given: Given, dtype: Any, step: str, more: Sequence[Any] = (), **options: Any
) -> Kept:
    """Scratch array of a step at a path of the user's choice."""
    return _kept(path, given, dtype, step_identity(given, step, more, **options))


def step_identity(given: Given, step: str, more: Sequence[Any] = (), **options: Any) -> Identity:
    """Who a step is: its name, its options, and samples of its inputs."""
    facts = {
        "step": step,
        "shape": given.data.shape,
        "axes": [str(d) for d in given.named.dims] if given.named is not None else None,
        "dtype": str(given.data.dtype),
        "chunks": given.data.chunks,
        **(described(given.named) if given.named is not None else {}),
        "samples": [_samples(array, given.layout) for array in (given.data, *more)],
    }
    return Identity(json.loads(canonical({**facts, **options})), ())


def _samples(array: da.Array, layout: Layout) -> list[str]:
    """Digests of some frames: of a stored array in a few places, of a lazy one in one chunk."""
    source = source_of(array)
    step = max(1, layout.frames // SAMPLED_FRAMES)
    boxes = None if source is not None else [_corner(array, layout)]
    data = array if source is None else source
    return [frame_digest(data, layout, t, boxes) for t in range(0, layout.frames, step)]


def _corner(array: da.Array, layout: Layout) -> Box:
    """Return a small box within a chunk in the middle of a frame."""
    grid = Grid(tuple(array.chunks[axis] for axis in layout.spatial))
    core = grid.core(tuple(n // 2 for n in grid.counts))
    stop = tuple(min(a + SAMPLED_EDGE, b) for a, b in zip(core.start, core.stop, strict=True))
    return Box(core.start, stop)


def _kept(path: Place, given: Given, dtype: Any, identity: Identity) -> Kept:
    dims: list[str] | None = None
    attributes: Mapping[str, Any] = {}
    if given.named is not None:
        dims, attributes = [str(d) for d in given.named.dims], described(given.named)
    where, address = filled_at(path)
    grid = regular(given.grid)
    return Kept(where, identity, given.layout, grid, dtype, dims, attributes, address=address)


def regular(grid: Grid) -> Grid:
    """Return a grid of equal blocks, as large as the largest of ``grid``."""
    return Grid.regular(grid.shape, [max(1, *lengths) for lengths in grid.chunks])


def sweep(
    given: Given,
    task: Task[R],
    arrays: Sequence[Any],
    kind: type[R],
    grid: Grid,
    folder: Path | None = None,
    sinks: Sequence[Written] = (),
) -> Records[R]:
    """Sweep over arrays of the shape of ``given`` and return the records."""
    inputs = [Input.of(array, given.layout) for array in arrays]
    sweeper: Sweeper[R] = Sweeper(grid, range(given.layout.frames), Execution())
    return sweeper.run(task, inputs, Records(kind, folder), sinks=sinks)


def sweep_into(
    given: Given,
    into: Kept | KeptRuns | None,
    task: Callable[[Any], Task[R]],
    arrays: Sequence[Any],
    kind: type[R],
) -> Records[R]:
    """Sweep by a task that also writes to what is kept, if anything is.

    What an interrupted sweep left there is done; of a complete one only the records are read.
    """
    if into is None:
        return sweep(given, task(None), arrays, kind, given.grid)
    if into.complete:
        return sweep(given, task(None), arrays, kind, into.grid, into.records)
    with into.filling() as sink:
        sweep(given, task(sink), arrays, kind, into.grid, into.records, [sink])
    return Records(kind, into.records)


def by_frame(records: Records[R]) -> Iterator[tuple[int, list[R]]]:
    """Each frame with its records, in block order: float sums must not depend on the regions."""
    for frame, group in records.frames():
        yield frame, [record for _, record in sorted(group, key=lambda item: item[0].number)]


def written(given: Given, into: Kept) -> da.Array:
    """Compute a user's array into a scratch array, and give it back lazily from there."""
    into.settle()
    if not into.complete:
        with into.filling() as sink:
            task = StoreTask(sink)
            sweep(given, task, [given.data], VoxelCount, into.grid, into.records, [sink])
    return stored_as(into.source, given)


def stored_as(source: Source, given: Given) -> da.Array:
    """Lazy array over a source of the shape of ``given``, in the same chunks."""
    return as_dask(source, given.data.chunks)
