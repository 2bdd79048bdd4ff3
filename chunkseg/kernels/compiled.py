"""Compiling kernels with Numba, cached between processes so that no process gets another's code.

Numba numbers the files of its cache per function: two processes that compile a function for
different types at the same time both take number 1, and whoever asks for the first type later may
be given the machine code for the second, which reads and writes memory that is not its own. Here
every file of compiled code has a name of its own, so that an entry of the cache's index means one
code or none. The first compilation, which takes seconds, is announced.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from typing import Any

from numba import njit
from numba.core import event

logger = logging.getLogger("chunkseg")


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that compiles a kernel at its first call, without the interpreter's lock.

    Parameters
    ----------
    options
        Further options of :func:`numba.njit`.

    Notes
    -----
    The cache lies beside the package, or in the user's cache folder where that can't be written;
    where neither can, each process compiles for itself.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        try:
            dispatcher = njit(cache=True, nogil=True, **options)(function)
        except RuntimeError:
            return njit(nogil=True, **options)(function)
        name_uniquely(dispatcher._cache._cache_file)
        return dispatcher

    return decorate


def name_uniquely(cache_file: Any) -> None:
    """Let one function's cache give each new file of compiled code a name of its own."""
    base = cache_file._index_name.removesuffix(".nbi")
    cache_file._data_name = lambda number: f"{base}.{uuid.uuid4().hex[:12]}.nbc"


class _Announcement(event.Listener):  # type: ignore[misc]
    """Says once per process that kernels are being compiled, when that begins."""

    def __init__(self) -> None:
        self.made = False

    def on_start(self, event: Any) -> None:
        kernel = event.data["dispatcher"].py_func
        if not self.made and kernel.__module__.startswith("chunkseg."):
            self.made = True
            logger.info("compiling kernels for this machine, which is done once: some 20 seconds")

    def on_end(self, event: Any) -> None:
        """Nothing is said."""


event.register("numba:compile", _Announcement())
