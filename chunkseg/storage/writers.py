"""Who writes to an address: one run at a time, by a note that is made at once or not at all.

The note, ``.chunkseg/writer.json`` at the address, names the state folder of the run, and a copy of
it lies there: whoever finds both the same goes on with that run, under the lease on that folder.
An address knows no locks; so a run on another machine that does not see the folder is refused,
whether the first one lives or not, unless it is to overwrite. The run that was overwritten notices
before it completes.
"""

from __future__ import annotations

import json
import platform
import uuid
from pathlib import Path
from typing import Any

from chunkseg.errors import BusyError, OutputExistsError
from chunkseg.storage.address import Address
from chunkseg.storage.commit import write_json
from chunkseg.storage.places import state_of

WRITER = "writer.json"
_NOTE = f".chunkseg/{WRITER}"


def state_at(address: Address, base: Path | None = None) -> Path:
    """State folder of the run at an address, if it is seen here; else where one would be."""
    note = writer(address)
    known = note is not None and _matches(note)
    return Path(note["state"]) if note is not None and known else state_of(address, base)


def writer(address: Address) -> dict[str, Any] | None:
    """Note of the run at an address: its ``host`` and ``state``; None if there is none."""
    try:
        content = json.loads((address / _NOTE).read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        content = None
    whole = isinstance(content, dict) and {"host", "machine", "state"} <= content.keys()
    return content if whole else {"host": "an unknown host", "machine": None, "state": ""}


def hold(address: Address, state: Path, overwrite: bool) -> bool:
    """Have the note of an address be that of the run of a state folder, which is leased.

    Returns
    -------
    bool
        Whether a run was at the address whose state is lost, and will not be gone on with.

    Raises
    ------
    BusyError
        If the address is that of another run, and not to be overwritten.
    """
    note = {
        "host": platform.node(),
        "machine": uuid.getnode(),
        "state": str(state),
        "token": uuid.uuid4().hex,
    }
    there, content = address / _NOTE, json.dumps(note).encode()
    found = writer(address)
    if found is not None and _matches(found):
        if Path(found["state"]) == state:
            return False
        raise _busy(address, found)
    if found is not None and not overwrite and found["machine"] != note["machine"]:
        raise _busy(address, found)
    write_json(state / WRITER, note)
    if found is not None:
        there.write_bytes(content)
    elif not there.write_new(content):
        raise _busy(address, writer(address) or note)
    return found is not None


def refuse_taken_over(address: Address, state: Path) -> None:
    """Refuse to complete a run at an address that another one was told to overwrite.

    Raises
    ------
    OutputExistsError
        If the note is not that of the run.
    """
    if not _is_of(address, state):
        raise OutputExistsError(
            f"another run was told to overwrite {address} while this one was under way; give this "
            "one another address"
        )


def release(address: Address, state: Path) -> None:
    """Remove the note of a run that is complete, or given up."""
    if _is_of(address, state):
        (address / _NOTE).unlink(missing_ok=True)


def _is_of(address: Address, state: Path) -> bool:
    note = writer(address)
    return note is not None and Path(note["state"]) == state and _matches(note)


def _matches(note: dict[str, Any]) -> bool:
    """Whether the state folder that a note names is seen here, with the same note in it."""
    try:
        own = json.loads((Path(note["state"]) / WRITER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(own == note)


def _busy(address: Address, note: dict[str, Any]) -> BusyError:
    return BusyError(
        f"{address} is being written by a run on {note['host']}, or was when it was interrupted; "
        f"its state lies there in {note['state']!r}. Give the same command there, choose another "
        "address, or overwrite it (--overwrite, overwrite=True)"
    )
