"""The lease on a folder that a run writes: one driver at a time.

A lock of the operating system on a file in the folder, which the kernel drops when its holder
dies, however it dies; so a lease is never stale where the file system has such locks (on those
that have not, the lock is the file itself, and its message names it). Beside it lies a note of who
holds it. Workers take no lease.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from chunkseg.errors import BusyError

LOCK = "lease.lock"
HOLDER = "lease.json"


@contextmanager
def lease(folder: Path) -> Iterator[None]:
    """Hold the lease on a folder, which must be there.

    Raises
    ------
    BusyError
        If another run holds it.
    """
    lock = filelock.FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise BusyError(
            f"another run is writing to {folder.parent} ({holder(folder)}); wait for it, stop it, "
            "or choose another folder"
        ) from None
    try:
        note = {"host": platform.node(), "process": os.getpid()}
        (folder / HOLDER).write_text(json.dumps(note), encoding="utf-8")
        yield
    finally:
        (folder / HOLDER).unlink(missing_ok=True)
        lock.release()


def holder(folder: Path) -> str:
    """Who holds the lease on a folder, in words."""
    try:
        note = json.loads((folder / HOLDER).read_text(encoding="utf-8"))
        return f"process {note['process']} on {note['host']}"
    except (OSError, ValueError, KeyError):
        return f"its lease is {folder / LOCK}"


def held(folder: Path) -> bool:
    """Whether somebody holds the lease on a folder now."""
    if not (folder / LOCK).exists():
        return False
    try:
        with filelock.FileLock(folder / LOCK, timeout=0):
            return False
    except filelock.Timeout:
        return True
