"""Intermediates that a step keeps: one zarr array per path, taken up again where a sweep stopped.

The array is written beside its place, under a name ending in ``.partial``, and renamed when the
sweep that fills it is through: what is at the path is complete. ``.chunkseg/`` within it holds the
records of that sweep and the identity of step and input; the same step with the same input finds
them again, and another one is refused.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chunkseg.errors import BusyError, OutputExistsError
from chunkseg.geometry.boxes import Grid
from chunkseg.geometry.layout import Layout
from chunkseg.storage.arrays import Sink, create_array, opened_array
from chunkseg.storage.commit import flush, read_checked, write_checked
from chunkseg.storage.identity import Identity
from chunkseg.storage.lease import LEASE, lease
from chunkseg.storage.output import STATE
from chunkseg.storage.scratch import ScratchSource

_IDENTITY = "identity.json"


@dataclass(frozen=True)
class Kept:
    """A scratch array that one sweep writes and later ones read.

    Attributes
    ----------
    path
        Where the array will be.
    identity
        Of the step and its input.
    layout
        Shape and roles of the axes.
    grid
        The blocks: regular, so that each is made of whole chunks.
    dtype
        Of the array.
    dims, attributes
        Names of the axes and further attributes, recorded with the array.
    """

    path: Path
    identity: Identity
    layout: Layout
    grid: Grid
    dtype: Any
    dims: list[str] | None
    attributes: Mapping[str, Any]

    def __post_init__(self) -> None:
        for path in (self.path, self._partial):
            if path.exists():
                self._compare(path)

    @property
    def complete(self) -> bool:
        """Whether the array is there."""
        return self.path.exists()

    @property
    def records(self) -> Path:
        """Folder of the records of the sweep that wrote the array."""
        return (self.path if self.complete else self._partial) / STATE / "records"

    @property
    def source(self) -> ScratchSource:
        """The complete array, to be read."""
        return ScratchSource(opened_array(self.path))

    @property
    def _partial(self) -> Path:
        return self.path.with_name(f"{self.path.name}.partial")

    @contextmanager
    def filling(self) -> Iterator[Sink]:
        """Within it, the array is written; after it, it is complete.

        Raises
        ------
        BusyError
            If another process is at it, or was until now.
        """
        state = self._partial / STATE
        with lease(state):
            if self.complete:
                shutil.rmtree(self._partial)
                raise BusyError(f"another process has just completed {self.path}; call again")
            write_checked(state / _IDENTITY, self.identity.as_json())
            for stray in self._partial.rglob("*.partial"):
                stray.unlink(missing_ok=True)
            block = self.grid.block((0,) * self.grid.ndim).core.shape
            array = create_array(
                self._partial, self.layout, block, self.dtype, self.dims, self.attributes
            )
            yield Sink(array, self.layout)
            self._partial.rename(self.path)
            flush(self.path.parent)
        for left in (self.path / STATE).glob(f"{LEASE}*"):
            left.unlink()

    def _compare(self, path: Path) -> None:
        """Refuse what another call made, and what none made."""
        content = read_checked(path / STATE / _IDENTITY)
        if content is None and path == self._partial and _just_begun(path):
            return
        if content is None:
            raise OutputExistsError(
                f"{path} is there already, and it was not made by this step; give a path that is "
                "not there, or delete it"
            )
        changes = Identity.from_json(content).changes(self.identity)
        if changes:
            raise OutputExistsError(
                f"{path} was made by another call: {'; '.join(changes)}; give another path, or "
                "delete it"
            )


def _just_begun(path: Path) -> bool:
    """Whether a process ended before it had written what it was at."""
    state = path / STATE
    return [inside.name for inside in path.iterdir()] == [STATE] and all(
        inside.name.startswith(LEASE) or inside.suffix == ".partial" for inside in state.iterdir()
    )
