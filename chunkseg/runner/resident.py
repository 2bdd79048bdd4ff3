"""Resident memory of this process: what it is, what it was at most, and its peak for a while.

The peak that the system keeps is that of the process's whole life, and setting it back would take
it from whoever else asks for it. The peak of a while is therefore sampled by a thread: twenty
readings a second, of some microseconds each. A peak that is shorter than that may be missed.
"""

from __future__ import annotations

import os
import re
import resource
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

BETWEEN = 0.05
STATUS, STATM = Path("/proc/self/status"), Path("/proc/self/statm")


def peak_memory() -> int:
    """Peak resident memory of this process in bytes.

    Linux has it as ``VmHWM``; ``ru_maxrss`` would start with the memory of the process
    that started this one.
    """
    if STATUS.exists():
        found = re.search(r"VmHWM:\s*(\d+) kB", STATUS.read_text())
        if found:
            return int(found.group(1)) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def resident_memory() -> int:
    """Resident memory of this process in bytes; where the system does not tell, its peak."""
    try:
        pages = int(STATM.read_bytes().split()[1])
    except OSError:
        return peak_memory()
    return pages * os.sysconf("SC_PAGE_SIZE")


@dataclass
class Peak:
    """The most that was seen.

    Attributes
    ----------
    bytes
        Of resident memory.
    """

    bytes: int = 0

    def look(self) -> None:
        """Take a reading."""
        self.bytes = max(self.bytes, resident_memory())


@contextmanager
def watched(between: float = BETWEEN) -> Iterator[Peak]:
    """Watch the resident memory of this process, at the beginning, now and then, and at the end.

    Parameters
    ----------
    between
        Seconds from one reading to the next.

    Examples
    --------
    >>> with watched() as peak:
    ...     taken = bytes(1)
    >>> peak.bytes >= resident_memory() // 2
    True
    """
    peak, ended = Peak(), threading.Event()

    def watch() -> None:
        while not ended.wait(between):
            peak.look()

    peak.look()
    watcher = threading.Thread(target=watch, name="chunkseg-memory", daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        ended.set()
        watcher.join()
        peak.look()
