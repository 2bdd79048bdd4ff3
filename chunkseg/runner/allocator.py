"""Freed memory stays with the process, for the next block.

Blocks are large arrays. glibc gives each of them back to the system when it is freed and asks for
it anew, and the system clears every page again: a tenth of the time of a run, and more of its
memory, since each thread has an arena of its own. A process that does nothing but run keeps what it
has freed. That changes the whole process, so only the command line does it, never the library.
"""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_NEVER = 2**31 - 1


def keep_freed_memory(arenas: int = 2) -> bool:
    """Tell glibc's allocator to keep what is freed; before threads are started.

    Parameters
    ----------
    arenas
        How many pools of memory the threads share.

    Returns
    -------
    bool
        Whether it was told; other systems and C libraries are left as they are.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = ((_TRIM_THRESHOLD, _NEVER), (_MMAP_THRESHOLD, _NEVER), (_ARENA_MAX, arenas))
    return all(bool(mallopt(name, value)) for name, value in settings)
