"""Claiming a folder for a run: what may be begun, gone on with, added to or overwritten there.

==========================================  ===============================================
the folder holds                            what happens
==========================================  ===============================================
nothing of ours                             a new run begins
an interrupted run of the same              it goes on with what is done
the same, with more frames now              it goes on, the new frames included
a complete run of the same                  nothing
the same, with more frames now              the new frames are added
an interrupted adding of frames to it       what was complete is given back
a run of something else                     refused, naming what changed
a run that another process is at            refused, naming the process
files of these names that are not ours      refused
==========================================  ===============================================

Overwriting removes what runs write and nothing else, and begins anew.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from chunkseg.errors import OutputExistsError, PathError
from chunkseg.storage.address import Address
from chunkseg.storage.commit import file_digest
from chunkseg.storage.identity import Identity
from chunkseg.storage.lease import lease
from chunkseg.storage.output import Output, read_run
from chunkseg.storage.places import Place
from chunkseg.storage.site import (
    FORMER,
    REMOVING,
    RUN,
    SCRATCH,
    TABLE,
    Site,
    Started,
)

WAYS_OUT = (
    "choose another folder, or overwrite it (--overwrite, overwrite=True), which removes only what "
    "chunkseg wrote there"
)


@contextmanager
def claim(
    path: Place,
    identity: Identity,
    settings: Mapping[str, Any],
    scratch: Path | None = None,
    overwrite: bool = False,
    keep_scratch: bool = False,
) -> Iterator[Output]:
    """Claim a folder or an address for a run, for the time of the block.

    Where ``path`` is an address, ``scratch`` is where the state of the run goes.

    Raises
    ------
    OutputExistsError
        If the folder holds a result or an interrupted run of something else, or files of the names
        that a run writes, and ``overwrite`` does not allow to remove them.
    BusyError
        If another run is writing there.
    PathError
        If the folder can't be made.
    """
    site = Site.of(path, scratch)
    done = None if overwrite or site.unfinished else identity_at(path / RUN)
    if done is not None and done.same(identity):
        yield _complete(site, done)
        return
    if path.exists() and not path.is_dir():
        raise OutputExistsError(f"{path} is a file; give a folder for the output")
    created = not path.exists()
    within = None if isinstance(path, Address) else scratch
    with lease(site.state, path):
        try:
            site.hold(overwrite)
            yield Claim(site, identity, settings, within, keep_scratch).begin(overwrite)
        finally:
            _tidy(site, created)


def _tidy(site: Site, created: bool) -> None:
    """Remove the state folder if nothing is in it, and the folder if this run made it."""
    path, rest = site.place, site.rest
    if not rest or (rest == {SCRATCH} and (path / RUN).exists()):
        site.release()
    if created and isinstance(path, Path) and path.exists() and not any(path.iterdir()):
        path.rmdir()


def _complete(site: Site, identity: Identity) -> Output:
    """Return a place as one that needs nothing done."""
    return Output(site, Started(identity, {}, site.state / SCRATCH), "complete")


def identity_at(file: Place) -> Identity | None:
    """Return who wrote a ``run.json``; None if it is not there, damaged, or not chunkseg's."""
    try:
        return Identity.from_json(json.loads(file.read_text(encoding="utf-8"))["identity"])
    except PathError:
        raise
    except (OSError, ValueError, KeyError, TypeError):
        return None


@dataclass(frozen=True)
class Claim:
    """A place, and the run that would write there."""

    site: Site
    identity: Identity
    settings: Mapping[str, Any]
    scratch: Path | None
    keep_scratch: bool

    @property
    def path(self) -> Place:
        """Place of the result."""
        return self.site.place

    @property
    def state(self) -> Path:
        """Folder of what is needed until the run is complete."""
        return self.site.state

    def begin(self, overwrite: bool) -> Output:
        """Find out how the place stands, and prepare it."""
        if overwrite:
            self._check_own()
            self.site.remove_written()
        self._finish_former()
        started = Started.read(self.state)
        if started is not None:
            return self._resumed(started)
        former = identity_at(self.path / RUN)
        if former is not None:
            return self._after_complete(former)
        self._check_new()
        return self._new(Started(self.identity, dict(self.settings), self._scratch()))

    def _finish_former(self) -> None:
        """Carry to its end what a process was at when it ended: removal, completion, giving back.

        Frames that were being added are given up where the run is that of the complete ones.
        """
        site, state = self.site, self.state
        if (state / REMOVING).exists():
            site.remove_written()
        if (state / RUN).exists():
            site.publish(self.keep_scratch)
        started, complete = Started.read(state), identity_at(site.place / RUN)
        if started is not None and started.identity == complete:
            site.clear(self.keep_scratch)
            return
        added_to = complete or identity_at(state / FORMER)
        lost = started is None and (state / FORMER).exists()
        adding = started is not None and started.first > 0
        if lost or (adding and added_to is not None and added_to.same(self.identity)):
            site.restore()

    def _scratch(self) -> Path:
        if self.scratch is None:
            return self.state / SCRATCH
        return self.scratch.absolute() / f"chunkseg-{uuid.uuid4().hex[:12]}"

    def _new(self, started: Started) -> Output:
        self.site.clear()
        _make(started.scratch)
        started.write(self.state)
        return self._output(started, "new")

    def _output(self, started: Started, standing: Literal["new", "resumed"]) -> Output:
        return Output(self.site, started, standing, self.keep_scratch)

    def _resumed(self, started: Started) -> Output:
        """Go on with an interrupted run, of as many frames or of more."""
        path, identity = self.path, self.identity
        changes = started.identity.changes(identity)
        if changes:
            raise OutputExistsError(
                f"{path} holds an interrupted run of something else: {'; '.join(changes)}. Give "
                f"the same again to go on with it, {WAYS_OUT}"
            )
        if started.first:
            self.site.take_former()
        else:
            self.site.refuse_foreign()
        known = started.identity.updated(identity)
        if known != started.identity:
            started = replace(started, identity=known)
            started.write(self.state)
        for stray in self.state.rglob("*.partial"):
            stray.unlink(missing_ok=True)
        _make(started.scratch)
        return self._output(started, "resumed")

    def _after_complete(self, former: Identity) -> Output:
        """Add frames to a complete run; or find that there is nothing to do."""
        path, identity = self.path, self.identity
        changes = former.changes(identity)
        if changes:
            raise OutputExistsError(
                f"{path} holds the result of a run of something else: {'; '.join(changes)}. "
                f"{WAYS_OUT[0].upper()}{WAYS_OUT[1:]}"
            )
        if not former.grown(identity):
            return _complete(self.site, identity)
        run = read_run(path)
        if (path / TABLE).exists() and file_digest(path / TABLE) != run["sha256"][TABLE]:
            raise OutputExistsError(
                f"{path / TABLE} is not what the run wrote, so no frames can be added; {WAYS_OUT}"
            )
        settings = {**self.settings, "block_shape": run["block_shape"]}
        output = self._new(Started(identity, settings, self._scratch(), len(former.frames)))
        self.site.take_former()
        return output

    def _check_own(self) -> None:
        """Refuse to remove files of the names that a run writes, if no run wrote them."""
        started = Started.read(self.state)
        taken_up = (self.state / name for name in (REMOVING, RUN, FORMER))
        if any(file.exists() for file in taken_up) or (started is not None and started.first):
            return
        if not _by_chunkseg(self.path / RUN):
            self.site.refuse_foreign()

    def _check_new(self) -> None:
        """Refuse a folder with files of the names that a run writes."""
        if _by_chunkseg(self.path / RUN):
            raise OutputExistsError(f"{self.path / RUN} is damaged; {WAYS_OUT}")
        self.site.refuse_foreign()


def _by_chunkseg(run: Place) -> bool:
    """Whether a ``run.json``, damaged perhaps, is one of chunkseg's."""
    try:
        content = run.read_bytes()
    except OSError:
        return False
    try:
        versions = json.loads(content)["versions"]
        return isinstance(versions, dict) and "chunkseg" in versions
    except (ValueError, KeyError, TypeError):
        return b'"chunkseg"' in content


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PathError(f"can't write to {folder}: {error.strerror or error}") from error
