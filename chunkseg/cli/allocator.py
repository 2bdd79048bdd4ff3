"""One arena for glibc's allocator, in processes that are chunkseg's own.

By default each thread takes memory from an arena of its own and keeps what it frees: on a stack of
512 voxels along an edge, by two threads, a run peaks at 870 to 920 MiB, and with one arena at 750,
in the same CPU time. (That buffers are kept instead of given back, by a higher threshold for
mapping them, was measured too: 1046 MiB, and no faster.) Processes that only use the library are
left as they are.
"""

from __future__ import annotations

import ctypes
import sys

_M_ARENA_MAX = -8


def use_one_arena() -> bool:
    """Let all threads of this process share an arena; return whether that could be set."""
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(_M_ARENA_MAX, 1))
