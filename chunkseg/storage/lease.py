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

from chunkseg.errors import BusyError, PathError

LEASE = "lease"
LOCK = f"{LEASE}.lock"
HOLDER = f"{LEASE}.json"
PATIENCE = 0.3
"""Seconds to wait for a lease: who only looks whether it is held takes it for an instant."""


@contextmanager
def lease(folder: Path, what: object = None) -> Iterator[None]:
    """Hold the lease on a folder, which is made if it is not there.

    Parameters
    ----------
    folder
        The folder.
    what
        What messages say is being written; by default the folder that it lies in.

    Raises
    ------
    BusyError
        If another run holds it.
    PathError
        If the folder can't be made.
    """
    lock = _acquired(folder, what or folder.parent)
    try:
        note = {"host": platform.node(), "process": os.getpid()}
        (folder / HOLDER).write_text(json.dumps(note), encoding="utf-8")
        yield
    finally:
        (folder / HOLDER).unlink(missing_ok=True)
        lock.release()


def _acquired(folder: Path, what: object) -> filelock.BaseFileLock:
    """Take the lock; again, if a holder that has just ended removed the folder with it."""
    lock = filelock.FileLock(folder / LOCK, timeout=PATIENCE)
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except filelock.Timeout:
            raise BusyError(
                f"another run is writing to {what} ({holder(folder)}); wait for it, stop it, or "
                "choose another folder"
            ) from None
        except OSError as error:
            reason = error.strerror or error
            raise PathError(f"can't write to {folder.parent}: {reason}") from error
        if (folder / LOCK).exists():
            return lock
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
