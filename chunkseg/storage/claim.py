"""Claiming a folder for a run: what may be begun, gone on with, added to or overwritten there.

==========================================  ===============================================
the folder holds                            what happens
==========================================  ===============================================
nothing of ours                             a new run begins
an interrupted run of the same              it goes on with what is done
the same, with more frames now              it goes on, the new frames included
a complete run of the same                  nothing
the same, with more frames now              the new frames are added
a run of something else                     refused, naming what changed
a run that another process is at            refused, naming the process
files of these names that are not ours      refused
==========================================  ===============================================

Overwriting removes what runs write and nothing else, and begins anew.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chunkseg.errors import OutputExistsError, PathError
from chunkseg.storage.identity import Identity
from chunkseg.storage.lease import lease
from chunkseg.storage.output import (
    ARRAYS,
    RUN,
    STATE,
    TABLE,
    WRITTEN,
    Output,
    Started,
    clear_state,
    publish,
    read_run,
    remove_written,
)

WAYS_OUT = (
    "choose another folder, or overwrite it (--overwrite, overwrite=True), which removes only what "
    "chunkseg wrote there"
)


@contextmanager
def claim(
    path: Path,
    identity: Identity,
    settings: Mapping[str, Any],
    scratch: Path | None = None,
    overwrite: bool = False,
) -> Iterator[Output]:
    """Claim a folder for a run, for the time of the block.

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
    done = _complete_already(path, identity)
    if done is not None and not overwrite:
        yield done
        return
    if path.exists() and not path.is_dir():
        raise OutputExistsError(f"{path} is a file; give a folder for the output")
    created = not path.exists()
    with lease(path / STATE):
        try:
            yield _begin(path, identity, settings, scratch, overwrite)
        finally:
            _tidy(path, created)


def _tidy(path: Path, created: bool) -> None:
    """Remove the state folder if nothing is in it, and the folder if this run made it."""
    if all(inside.name.startswith("lease") for inside in (path / STATE).iterdir()):
        shutil.rmtree(path / STATE)
    if created and not any(path.iterdir()):
        path.rmdir()


def _complete_already(path: Path, identity: Identity) -> Output | None:
    """Return the folder as one that needs nothing done, if it is."""
    if (path / STATE).exists() or not (path / RUN).exists():
        return None
    former = identity_of_run(read_run(path))
    if former is None or former != identity:
        return None
    return Output(path, Started(former, {}, path / STATE / "scratch"), "complete")


def identity_of_run(run: Mapping[str, Any]) -> Identity | None:
    """Return who wrote a ``run.json``; None if it was not chunkseg."""
    try:
        return Identity.from_json(run["identity"])
    except (KeyError, TypeError):
        return None


def _begin(
    path: Path,
    identity: Identity,
    settings: Mapping[str, Any],
    scratch: Path | None,
    overwrite: bool,
) -> Output:
    """Find out how a folder stands, and prepare it."""
    state = path / STATE
    if overwrite:
        _check_foreign(path)
        remove_written(path)
    if (state / RUN).exists():
        publish(path)
    started = Started.read(state)
    former = identity_of_run(read_run(path)) if (path / RUN).exists() else None
    if started is not None and started.identity == former:
        clear_state(path)
        started = None
    if started is not None:
        return _resumed(path, started, identity)
    if former is not None:
        return _after_complete(path, former, identity, settings, scratch)
    _check_foreign(path)
    return _new(path, Started(identity, dict(settings), _scratch(state, scratch)))


def _new(path: Path, started: Started) -> Output:
    state = path / STATE
    clear_state(path)
    try:
        started.scratch.mkdir(parents=True)
    except OSError as error:
        raise PathError(f"can't write to {started.scratch}: {error.strerror or error}") from error
    started.write(state)
    return Output(path, started, "new")


def _scratch(state: Path, chosen: Path | None) -> Path:
    return state / "scratch" if chosen is None else chosen / f"chunkseg-{uuid.uuid4().hex[:12]}"


def _resumed(path: Path, started: Started, identity: Identity) -> Output:
    """Go on with an interrupted run, of as many frames or of more."""
    changes = started.identity.changes(identity)
    if changes:
        raise OutputExistsError(
            f"{path} holds an interrupted run of something else: {'; '.join(changes)}. Give the "
            f"same again to go on with it, {WAYS_OUT}"
        )
    state = path / STATE
    if started.first:
        _take_former(path)
    if started.identity.grown(identity):
        started = Started(identity, started.settings, started.scratch, started.first)
        started.write(state)
    for stray in state.rglob("*.partial"):
        stray.unlink(missing_ok=True)
    started.scratch.mkdir(parents=True, exist_ok=True)
    return Output(path, started, "resumed")


def _after_complete(
    path: Path,
    former: Identity,
    identity: Identity,
    settings: Mapping[str, Any],
    scratch: Path | None,
) -> Output:
    """Add frames to a complete run; or find that there is nothing to do."""
    changes = former.changes(identity)
    if changes:
        raise OutputExistsError(
            f"{path} holds the result of a run of something else: {'; '.join(changes)}. {WAYS_OUT}"
        )
    state = path / STATE
    if not former.grown(identity):
        return Output(path, Started(former, {}, state / "scratch"), "complete")
    block = {"block_shape": read_run(path)["block_shape"]}
    first = len(former.frames)
    started = Started(identity, {**settings, **block}, _scratch(state, scratch), first)
    output = _new(path, started)
    _take_former(path)
    return output


def _take_former(path: Path) -> None:
    """Take a complete result back under construction; its ``run.json`` goes first."""
    state = path / STATE
    building = state / "output"
    building.mkdir(exist_ok=True)
    if (path / RUN).exists():
        (path / RUN).replace(state / "former.json")
    if (path / TABLE).exists():
        (path / TABLE).replace(state / "former.parquet")
    for name in ARRAYS:
        if (path / name).exists():
            (path / name).replace(building / name)


def _check_foreign(path: Path) -> None:
    """Refuse to touch files of the names that a run writes, if no run wrote them."""
    if Started.read(path / STATE) is not None or (path / STATE / RUN).exists():
        return
    if (path / RUN).exists() and "chunkseg" in read_run(path).get("versions", {}):
        return
    foreign = [name for name in WRITTEN if (path / name).exists()]
    if foreign:
        raise OutputExistsError(
            f"{path} holds {', '.join(foreign)}, which chunkseg did not write and will not "
            "overwrite; choose another folder"
        )
