"""What one sweep fills, taken up again where it stopped: an intermediate, or a saved image.

It is written beside its place, under a name ending in ``.partial``, and renamed when the sweep that
fills it is through: what is at the path is complete. ``.chunkseg/`` within it holds the records of
that sweep and the identity of step and input; the same step with the same input finds them again,
and another one is refused. An intermediate keeps both; of an image, which other programs read, the
identity goes into the attributes. What is to be at an address is filled in a folder of this
machine, and moved to the address when it is complete.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from chunkseg.errors import BusyError, OutputExistsError
from chunkseg.geometry.boxes import Grid
from chunkseg.geometry.layout import Layout
from chunkseg.geometry.pyramid import Level
from chunkseg.storage.address import Address
from chunkseg.storage.arrays import Stored, create_array, opened_array
from chunkseg.storage.commit import flush, flush_all, read_checked, write_checked
from chunkseg.storage.identity import Identity
from chunkseg.storage.lease import LEASE, lease
from chunkseg.storage.ome import OWN, Frames, group_attributes, write_image_group
from chunkseg.storage.places import Place, move
from chunkseg.storage.pyramids import PyramidSink, create_pyramid, opened_pyramid
from chunkseg.storage.runs import RunStore
from chunkseg.storage.scratch import ScratchSource
from chunkseg.storage.sinks import Sink
from chunkseg.storage.site import STATE
from chunkseg.storage.writers import hold, refuse_taken_over, release, state_at, writer

T = TypeVar("T")

_IDENTITY = "identity.json"


def filled_at(place: Place) -> tuple[Path, Address | None]:
    """Where what will be at a place is filled, and the address that it then goes to, if any."""
    if isinstance(place, Path):
        return place, None
    return state_at(place) / place.name, place


@dataclass(frozen=True)
class Filled:
    """A folder that one sweep fills.

    Attributes
    ----------
    path
        Where it will be when it is filled.
    identity
        Of the step and its input.
    address
        Where it goes then, if to an address.

    Raises
    ------
    OutputExistsError
        If something else is there.
    """

    path: Path
    identity: Identity
    address: Address | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        for path in (self.path, self.partial):
            if path.exists():
                self._compare(path)
        if self.address is not None and (self.complete or self._strange(self.address)):
            self._compare(self.address)

    @property
    def place(self) -> Place:
        """Where it is when all is done."""
        return self.path if self.address is None else self.address

    @property
    def complete(self) -> bool:
        """Whether it is there."""
        if self.address is None:
            return self.path.exists()
        return any((self.address / name).is_file() for name in ("zarr.json", ".zgroup"))

    def _strange(self, address: Address) -> bool:
        """Whether something is at the address that no call of ours is writing."""
        return writer(address) is None and not self.path.exists() and address.exists()

    @property
    def partial(self) -> Path:
        """Where it is until it is complete."""
        return self.path.with_name(f"{self.path.name}.partial")

    @property
    def state(self) -> Path:
        """Folder, within it, of what the sweep needs to be taken up again."""
        return (self.path if self.path.exists() else self.partial) / STATE

    @property
    def records(self) -> Path:
        """Folder of the records of the sweep."""
        return self.state / "records"

    @contextmanager
    def filled_by(self, create: Callable[[Path], T]) -> Iterator[T]:
        """Within it, what ``create`` makes of the folder is written; after it, it is complete.

        Raises
        ------
        BusyError
            If another process is at it, or was until now.
        """
        with self._held(), self._filled(create) as filled:
            yield filled
        self.settle()

    def settle(self) -> None:
        """Carry to its end what was filled: tidy it, and move it to its address."""
        if self.address is None:
            if self.path.exists():
                self.tidy()
            return
        if self.partial.exists() or not self.path.parent.exists():
            return
        with self._held():
            if self.path.exists():
                self.tidy()
                refuse_taken_over(self.address, self.path.parent)
                move(self.path, self.address)

    def tidy(self) -> None:
        """Remove what only the sweep needed, of what is filled."""

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Hold the address as long as anything is to go there; a path of its own needs no such."""
        if self.address is None:
            yield
            return
        state = self.path.parent
        with lease(state, self.address):
            try:
                if hold(self.address, state, overwrite=False) and not self.complete:
                    for inside in self.address.iterdir():
                        if inside.name != STATE:
                            inside.remove()
                yield
            finally:
                if not (self.path.exists() or self.partial.exists()):
                    release(self.address, state)
                    shutil.rmtree(state)

    @contextmanager
    def _filled(self, create: Callable[[Path], T]) -> Iterator[T]:
        state = self.partial / STATE
        with lease(state, self.place):
            if self.path.exists():
                shutil.rmtree(self.partial)
                raise BusyError(f"another process has just completed {self.path}; call again")
            write_checked(state / _IDENTITY, self.identity.as_json())
            for stray in self.partial.rglob("*.partial"):
                stray.unlink(missing_ok=True)
            yield create(self.partial)
            self.partial.rename(self.path)
            flush(self.path.parent)
        for left in (self.path / STATE).glob(f"{LEASE}*"):
            left.unlink()

    def _stated(self, path: Place) -> dict[str, Any] | None:
        """Return who wrote what is at a place; None if that is not told."""
        return read_checked(path / STATE / _IDENTITY)

    def _compare(self, path: Place) -> None:
        """Refuse what another call made, and what none made."""
        content = self._stated(path)
        if content is None and path == self.partial and _just_begun(self.partial):
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


@dataclass(frozen=True)
class Kept(Filled):
    """A scratch array that one sweep writes and later ones read.

    Attributes
    ----------
    layout
        Shape and roles of the axes.
    grid
        The blocks: regular, so that each is made of whole chunks.
    dtype
        Of the array.
    dims, attributes
        Names of the axes and further attributes, recorded with the array.
    """

    layout: Layout
    grid: Grid
    dtype: Any
    dims: list[str] | None
    attributes: Mapping[str, Any]

    @property
    def source(self) -> ScratchSource:
        """The complete array, to be read."""
        return ScratchSource(opened_array(self.place))

    def filling(self) -> AbstractContextManager[Sink]:
        """Within it, the array is written; after it, it is complete; see :meth:`filled_by`."""
        return self.filled_by(self._create)

    def _create(self, path: Path) -> Sink:
        block = self.grid.block((0,) * self.grid.ndim).core.shape
        array = create_array(path, self.layout, block, self.dtype, self.dims, self.attributes)
        return Sink(array, self.layout)


@dataclass(frozen=True)
class KeptRuns(Filled):
    """Runs of the blocks' own labels that one sweep writes and later ones read.

    Attributes
    ----------
    grid
        The blocks.
    """

    grid: Grid

    @property
    def source(self) -> RunStore:
        """The runs, to be read."""
        return self._runs(self.path)

    def filling(self) -> AbstractContextManager[RunStore]:
        """Within it, the runs are written; after it, they are complete; see :meth:`filled_by`."""
        return self.filled_by(self._runs)

    @staticmethod
    def _runs(path: Path) -> RunStore:
        return RunStore(path / "runs")


@dataclass(frozen=True)
class SavedImage(Filled):
    """An OME-Zarr image that one sweep writes.

    Attributes
    ----------
    frames
        Axes and calibration.
    levels
        The full resolution first.
    dtype
        Of the voxels.
    stored
        Chunks and shards.
    mean, labels
        Whether coarser voxels are means; whether it is a label image.
    """

    frames: Frames
    levels: tuple[Level, ...]
    dtype: Any
    stored: Stored
    mean: bool
    labels: bool

    @property
    def grid(self) -> Grid:
        """The blocks of the full resolution."""
        return Grid.regular(self.levels[0].shape, self.levels[0].block)

    @contextmanager
    def filling(self) -> Iterator[PyramidSink]:
        """Within it, the image is written; after it, it is complete; see :meth:`filled_by`."""
        with self.filled_by(self._create) as pyramid:
            yield pyramid
            flush_all()

    def tidy(self) -> None:
        """Remove what only the sweep needed."""
        shutil.rmtree(self.path / STATE, ignore_errors=True)

    def describe(self, name: str, more: Mapping[str, Any]) -> None:
        """Write the metadata of the image, before it is complete."""
        attributes = {OWN: {"identity": self.identity.as_json()}}
        levels, mean, labels = self.levels, self.mean, self.labels
        write_image_group(self.partial, name, self.frames, levels, mean, labels, more, attributes)

    def opened(self) -> PyramidSink:
        """The arrays of all levels, of a complete image."""
        return opened_pyramid(self.place, self.frames.layout, self.levels, self.mean)

    def _create(self, path: Path) -> PyramidSink:
        frames, stored = self.frames, self.stored
        return create_pyramid(path, frames, self.levels, self.dtype, self.mean, stored)

    def _stated(self, path: Place) -> dict[str, Any] | None:
        if path == self.partial:
            return super()._stated(path)
        own = group_attributes(path).get(OWN)
        found: dict[str, Any] | None = own.get("identity") if isinstance(own, dict) else None
        return found


def _just_begun(path: Path) -> bool:
    """Whether a process ended before it had written what it was at."""
    state = path / STATE
    return [inside.name for inside in path.iterdir()] == [STATE] and all(
        inside.name.startswith(LEASE) or inside.suffix == ".partial" for inside in state.iterdir()
    )
