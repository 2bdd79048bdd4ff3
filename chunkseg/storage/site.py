"""Where a run writes: the place of its result, and the folder of what it needs until then.

While a run is under way its state folder holds who the run is (``started.json``), the lease, the
scratch arrays and records, what is known of finished frames (``groups/``), and, under construction,
what the place will hold in the end (``output/``). Completion moves that to its place and
``run.json`` last, each by a rename that can be taken up again where it stopped; so a place with
``run.json`` is complete, and one without it is not. Removing begins with ``removing.json``, which
``run.json`` becomes, and ends with it.

The place is a folder, with the state within it, or an address, with the state on this machine. An
address keeps its former result, complete, while frames are added to a copy of it.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chunkseg.errors import OutputExistsError
from chunkseg.storage.address import Address
from chunkseg.storage.commit import flush, read_checked, write_checked
from chunkseg.storage.identity import Identity
from chunkseg.storage.lease import LEASE
from chunkseg.storage.places import Place, move, remove, take
from chunkseg.storage.pyramids import level_folders
from chunkseg.storage.reports import remove_page
from chunkseg.storage.sinks import shorten
from chunkseg.storage.writers import WRITER, hold, refuse_taken_over, release, state_at, writer

RUN = "run.json"
STATE = ".chunkseg"
STARTED = "started.json"
REMOVING = "removing.json"
FORMER = "former.json"
FORMER_TABLE = "former.parquet"
SCRATCH = "scratch"
LABELS = "labels.ome.zarr"
TABLE = "objects.parquet"
CSV = "objects.csv"
HISTOGRAMS = "histograms.parquet"
KEPT = ("mask", "seeds", "expanded")
DROPPED, DROPPED_CSV = "dropped.parquet", "dropped.csv"
SUMMARY, SUMMARY_CSV = "summary.parquet", "summary.csv"

TABLES = (DROPPED, DROPPED_CSV, SUMMARY, SUMMARY_CSV)
ARRAYS = (LABELS, *(f"{k}.ome.zarr" for k in KEPT))
WRITTEN = (*ARRAYS, TABLE, CSV, "summary.json", "workflow.toml", HISTOGRAMS, *TABLES, RUN)


@dataclass(frozen=True)
class Started:
    """What ``started.json`` holds.

    Attributes
    ----------
    identity
        Who the run is.
    settings
        What was chosen when it began and stays, such as the shape of the blocks.
    scratch
        Where intermediates go.
    first
        First frame to be done; those before it are taken from an earlier, complete run.
    """

    identity: Identity
    settings: dict[str, Any]
    scratch: Path
    first: int = 0

    @classmethod
    def read(cls, state: Path) -> Started | None:
        """Read it; None where there is none, or none that can be read."""
        content = read_checked(state / STARTED)
        if content is None:
            return None
        identity = Identity.from_json(content["identity"])
        elsewhere = content["scratch"]
        scratch = state / SCRATCH if elsewhere is None else Path(elsewhere)
        return cls(identity, content["settings"], scratch, content["first"])

    def write(self, state: Path) -> None:
        """Write it."""
        content = {
            "identity": self.identity.as_json(),
            "settings": self.settings,
            "scratch": None if self.scratch == state / SCRATCH else str(self.scratch),
            "first": self.first,
        }
        write_checked(state / STARTED, content)


@dataclass(frozen=True)
class Site:
    """Where a run writes.

    Attributes
    ----------
    place
        Where the result will be.
    state
        Folder of what is needed until the run is complete.
    """

    place: Place
    state: Path

    @classmethod
    def of(cls, place: Place, base: Path | None = None) -> Site:
        """Site of a run: its state lies in the folder, or for an address in ``base``."""
        if isinstance(place, Address):
            return cls(place, state_at(place, base))
        return cls(place, place / STATE)

    def hold(self, overwrite: bool) -> None:
        """Keep others from writing to an address, and remove what a run left there that is lost.

        A complete result that is left there stays.

        Raises
        ------
        BusyError
            If another run writes there, or did and can be gone on with.
        """
        if isinstance(self.place, Address):
            lost = hold(self.place, self.state, overwrite)
            if lost and not (self.place / RUN).exists():
                self.remove_written()

    def release(self) -> None:
        """Let others write here again, and remove the state folder if nothing else is in it."""
        if isinstance(self.place, Address):
            release(self.place, self.state)
        if not self.rest:
            shutil.rmtree(self.state, ignore_errors=True)
            return
        for inside in self.state.iterdir():
            if _holds(inside.name):
                inside.unlink()

    @property
    def rest(self) -> set[str]:
        """Names of what lies in the state folder, but for what says that a process is at it."""
        there = self.state.iterdir() if self.state.is_dir() else ()
        return {inside.name for inside in there if not _holds(inside.name)}

    @property
    def building(self) -> Path:
        """Folder of what will be moved to its place in the end."""
        return self.state / "output"

    def publish(self, keep_scratch: bool = False) -> None:
        """Move what is finished to its place; may be taken up again at any point.

        Raises
        ------
        OutputExistsError
            If another run has taken an address over.
        """
        if isinstance(self.place, Address):
            refuse_taken_over(self.place, self.state)
            remove(self.place / RUN)
        started = Started.read(self.state)
        files = json.loads((self.state / RUN).read_text(encoding="utf-8"))["files"]
        for name in WRITTEN:
            if name != RUN and (self.building / name).exists():
                move(self.building / name, self.place / name)
            elif name not in files and started is not None and started.first:
                remove(self.place / name)
        self._flush()
        move(self.state / RUN, self.place / RUN)
        self._flush()
        self.clear(keep_scratch)

    def _flush(self) -> None:
        if isinstance(self.place, Path):
            flush(self.place)

    def take_former(self) -> None:
        """Take a complete result under construction again; of a folder ``run.json`` goes first."""
        remove_page(self.place)
        self.building.mkdir(exist_ok=True)
        for there, taken in self._former_places():
            take(there, taken)

    def restore(self) -> None:
        """Give a complete result back that frames were to be added to; ``run.json`` goes last."""
        former = self.state / FORMER
        if former.exists() and isinstance(self.place, Path):
            frames = len(json.loads(former.read_text(encoding="utf-8"))["frames"])
            for there, taken in reversed(self._former_places()):
                for level in level_folders(taken):
                    shorten(level, frames)
                if taken.exists():
                    move(taken, there)
            self._flush()
        self.clear()

    def _former_places(self) -> list[tuple[Place, Path]]:
        """Where the parts of a complete result are, and where while frames are added to it."""
        parts = [(RUN, self.state / FORMER), (TABLE, self.state / FORMER_TABLE)]
        parts += [(name, self.building / name) for name in ARRAYS]
        return [(self.place / name, taken) for name, taken in parts]

    def remove_written(self) -> None:
        """Remove what runs write, and nothing else; may be taken up again at any point."""
        removing = self.state / REMOVING
        take(self.place / RUN, removing)
        removing.touch()
        flush(self.state)
        remove(self.place / RUN)
        remove_page(self.place)
        for name in WRITTEN:
            remove(self.place / name)
        self.clear()

    def clear(self, keep_scratch: bool = False) -> None:
        """Remove what a run needs until it is complete, and its scratch if that is not to stay."""
        started = Started.read(self.state)
        if started is not None and not keep_scratch:
            shutil.rmtree(started.scratch, ignore_errors=True)
        last = [STARTED, REMOVING]
        names = [inside.name for inside in self.state.iterdir()]
        for name in sorted(names, key=lambda name: last.index(name) + 1 if name in last else 0):
            stays = name == SCRATCH and keep_scratch
            if not stays and not _holds(name):
                remove(self.state / name)

    @property
    def unfinished(self) -> bool:
        """Whether a run is under way, or was interrupted, be it as its state folder was removed."""
        if isinstance(self.place, Address) and writer(self.place) is not None:
            return True
        there = self.state.is_dir()
        return there and [inside.name for inside in self.state.iterdir()] != [SCRATCH]

    def refuse_foreign(self) -> None:
        """Refuse to touch files of the names that a run writes.

        Raises
        ------
        OutputExistsError
            If there are any.
        """
        there = {inside.name for inside in self.place.iterdir()}
        foreign = [name for name in WRITTEN if name in there]
        if foreign:
            raise OutputExistsError(
                f"{self.place} holds {', '.join(foreign)}, which chunkseg did not write and will "
                "not overwrite; choose another folder, or move them elsewhere"
            )


def _holds(name: str) -> bool:
    """Whether a file of a state folder is there as long as a process is at it."""
    return name.startswith(LEASE) or name == WRITER
