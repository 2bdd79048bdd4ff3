"""How far the run in a folder is, from what it has left there; nothing is written.

Blocks are counted from the files of records, frames from the groups that are done. Of very large
runs no more than ``MOST_FILES`` files are looked at for each number, which is then a lower bound
and said to be one.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from chunkseg.errors import PathError
from chunkseg.geometry.boxes import Grid
from chunkseg.storage.claim import identity_at
from chunkseg.storage.lease import HOLDER, held, holder
from chunkseg.storage.places import Place
from chunkseg.storage.records import blocks_in
from chunkseg.storage.site import FORMER, REMOVING, RUN, Site, Started
from chunkseg.storage.writers import writer

MOST_FILES = 5000
State = Literal["complete", "running", "interrupted", "elsewhere", "nothing"]
STAGED = "stage"
PASSES = (STAGED, "range", "histogram", "seeds", "seeds-again", "objects", "labels")
_RECORDS = ("input-*/records", "frames-*/records/*")


@dataclass(frozen=True)
class PassStatus:
    """How far a pass over a group of frames is.

    Attributes
    ----------
    name
        Of the pass.
    frames
        First frame of the group, and the one after its last; None for all.
    done, total
        Blocks; the total is None where it is not known.
    """

    name: str
    frames: tuple[int, int] | None
    done: int
    total: int | None


@dataclass(frozen=True)
class Status:
    """How far a run is.

    Attributes
    ----------
    path
        The folder or address.
    state
        ``"complete"``, ``"running"``, ``"interrupted"``, ``"elsewhere"`` (a run to an address,
        running or interrupted, whose state folder is not seen here) or ``"nothing"`` (of ours).
    holder
        Who is at it, of a run under way; of one elsewhere, on which host its state lies, and where.
    frames_done, frames
        Frames that are done, and that there are; None where that is not known.
    passes
        Those begun of the groups of frames that are not done, in their order.
    last_record
        When the last record was written, in ISO 8601; None if there is none.
    scratch
        Folder of the intermediates; None if there is none.
    scratch_bytes
        What lies there.
    counted
        Whether the numbers are exact; else there were too many files, and they are lower bounds.
    """

    path: str
    state: State
    holder: str | None = None
    frames_done: int | None = None
    frames: int | None = None
    passes: tuple[PassStatus, ...] = field(default=())
    last_record: str | None = None
    scratch: str | None = None
    scratch_bytes: int = 0
    counted: bool = True

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as for JSON."""
        return asdict(self)


def status(path: Place) -> Status:
    """Tell how far the run in a folder or at an address is.

    Raises
    ------
    PathError
        If there is no such folder, or nothing at the address.

    Examples
    --------
    >>> import tempfile
    >>> status(Path(tempfile.mkdtemp())).state
    'nothing'
    """
    if not path.is_dir():
        raise PathError(f"there is no result at {path}: no such folder")
    state = Site.of(path).state
    note = None if isinstance(path, Path) else writer(path)
    if note is not None and not state.is_dir():
        return Status(str(path), "elsewhere", f"{note['host']}, in {note['state']}")
    started, complete = Started.read(state), identity_at(path / RUN)
    who = holder(state) if _running(state) else None
    begun = started is not None or any((state / n).exists() for n in (RUN, REMOVING, FORMER))
    if who is None and complete is not None and (started is None or started.identity == complete):
        frames = len(complete.frames) if complete.facts.get("command") == "run" else None
        return Status(str(path), "complete", frames_done=frames, frames=frames)
    if who is None and not begun:
        return Status(str(path), "nothing")
    word: State = "interrupted" if who is None else "running"
    if started is None:
        return Status(str(path), word, who)
    return _under_way(path, state, started, word, who)


def _running(state: Path) -> bool:
    """Whether somebody holds the lease; where we may not ask, whether somebody says so."""
    try:
        return held(state)
    except OSError:
        return (state / HOLDER).exists()


def _under_way(path: Place, state: Path, started: Started, word: State, who: str | None) -> Status:
    scratch, groups = started.scratch, state / "groups"
    is_run = "block_shape" in started.settings
    folders = list(itertools.chain(*map(scratch.glob, _RECORDS)))
    passes, files = [], 0
    for folder in folders:
        found = list(itertools.islice(folder.glob("*.npz"), MOST_FILES + 1))
        passes.append(_pass(folder, scratch, started, found[:MOST_FILES]))
        files = max(files, len(found))
    sizes = list(itertools.islice(_sizes(scratch), MOST_FILES + 1))
    done = [_span(file.name) for file in groups.glob("*.json")]
    last = max(map(_changed, [*folders, *groups.glob("*.json")]), default=None)
    return Status(
        path=str(path),
        state=word,
        holder=who,
        frames_done=started.first + sum(b - a for a, b in done) if is_run else None,
        frames=len(started.identity.frames) if is_run else None,
        passes=tuple(sorted(passes, key=_order)),
        last_record=None if last is None else _time(last),
        scratch=str(scratch) if scratch.is_dir() else None,
        scratch_bytes=sum(sizes),
        counted=max(files, len(sizes)) <= MOST_FILES,
    )


def _pass(folder: Path, scratch: Path, started: Started, files: Sequence[Path]) -> PassStatus:
    """Count what a folder of records holds."""
    done = sum(map(blocks_in, files))
    group = folder.relative_to(scratch).parts[0]
    if not group.startswith("frames-"):
        return PassStatus(STAGED, None, done, None)
    first, last = _span(group)
    shape = started.identity.facts["shape of a frame"]
    blocks = len(Grid.regular(shape, started.settings["block_shape"]))
    return PassStatus(folder.name, (first, last), done, blocks * (last - first))


def _order(each: PassStatus) -> tuple[int, int]:
    """Order by frames, then as passes follow each other."""
    first = -1 if each.frames is None else each.frames[0]
    return first, PASSES.index(each.name) if each.name in PASSES else len(PASSES)


def _span(name: str) -> tuple[int, int]:
    """First frame of a group and the one after its last, from a name such as ``000000-000004``."""
    first, last = re.findall(r"\d+", name)[:2]
    return int(first), int(last)


def _changed(path: Path) -> float:
    """When something was changed; long ago if it is gone by now."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")


def _sizes(folder: Path) -> Iterator[int]:
    """Sizes of all files in a folder and below."""
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                yield os.stat(os.path.join(where, name)).st_size
            except OSError:
                continue
