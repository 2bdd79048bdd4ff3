"""Decoded chunks, kept for the neighbouring blocks that need them soon after.

A block grown by its halo cuts the chunks at its border, and each of them has to be decoded as a
whole; the blocks of a sweep run near each other in time, so that a chunk that was cut is asked for
again. Decoded chunks are kept up to a number of bytes, those asked for least recently go first, and
a chunk that several threads want at once is decoded by one of them.

A chunk is known by its place *and* by what the file system says of its file (its number, size and
time of change). Files are replaced as a whole, so a chunk that was written anew has a new key, and
the old one is never asked for again.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.geometry.boxes import Box, Shape, Slices

LIMIT = 2**27

Array = NDArray[Any]


class ChunkCache:
    """Decoded chunks by key, at most ``limit`` bytes of them; for any number of threads.

    Attributes
    ----------
    limit
        Bytes that are kept at most; 0 keeps nothing. See :meth:`resize`.
    loads
        How many chunks had to be decoded so far.

    Examples
    --------
    >>> import numpy as np
    >>> cache = ChunkCache(limit=1000)
    >>> for key in "aba":
    ...     chunk = cache.get(key, lambda: np.zeros(3))
    >>> cache.loads
    2
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self.loads = 0
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, Array] = OrderedDict()
        self._bytes = 0
        self._pending: dict[Hashable, Future[Array]] = {}

    def kept(self, key: Hashable) -> Array | None:
        """Return a chunk that is there already, else None."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def busy(self, key: Hashable) -> bool:
        """Whether another thread is decoding a chunk just now."""
        with self._lock:
            return key in self._pending

    def get(self, key: Hashable, load: Callable[[], Array]) -> Array:
        """Return a chunk that is there, or is being decoded, or is decoded now by ``load``.

        Nobody may write to it. An error of ``load`` is raised for each thread that waits.
        """
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            pending = self._pending.get(key)
            if pending is None:
                own = self._pending[key] = Future[Array]()
        if pending is not None:
            return pending.result()
        try:
            chunk = load()
        except BaseException as error:
            with self._lock:
                del self._pending[key]
            own.set_exception(error)
            raise
        self._keep(key, chunk)
        own.set_result(chunk)
        return chunk

    def _keep(self, key: Hashable, chunk: Array) -> None:
        with self._lock:
            del self._pending[key]
            self.loads += 1
            self._kept[key] = chunk
            self._bytes += chunk.nbytes
            self._shrink()

    def _shrink(self) -> None:
        while self._bytes > self.limit:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= oldest.nbytes

    def resize(self, limit: int) -> None:
        """Keep at most ``limit`` bytes from now on."""
        with self._lock:
            self.limit = limit
            self._shrink()

    @contextmanager
    def within(self, limit: int) -> Iterator[None]:
        """Keep at most ``limit`` bytes for the time of the block, and nothing after it."""
        before = self.limit
        self.resize(min(limit, before))
        try:
            yield
        finally:
            self.clear()
            self.resize(before)

    def clear(self) -> None:
        """Forget all chunks."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0


CHUNKS = ChunkCache()
"""The chunks of this process."""


def file_state(path: str) -> Hashable:
    """What tells a file's content from any other that was under its name; None without a file."""
    try:
        state = os.stat(path)
    except FileNotFoundError:
        return None
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns


def read_through(
    cache: ChunkCache,
    box: Box,
    shape: Shape,
    chunks: Shape,
    dtype: np.dtype[Any],
    key: Callable[[Shape], Hashable],
    read: Callable[[Slices], Array],
) -> Array:
    """Read a box of an array by way of a cache of its chunks.

    Parameters
    ----------
    cache
        Where decoded chunks are kept.
    box
        What is read.
    shape, chunks, dtype
        Of the array, and of its chunks, which its end may cut.
    key
        Key of the chunk at a position in the grid of chunks.
    read
        Decodes one chunk, given as a part of the array; the result is the cache's to keep.

    Notes
    -----
    What is there is taken before anything is decoded, which may push it out; what another thread is
    decoding comes last.
    """
    out = np.empty(box.shape, dtype)

    def place(cell: Shape) -> Box:
        start = tuple(i * c for i, c in zip(cell, chunks, strict=True))
        stop = tuple(a + c for a, c in zip(start, chunks, strict=True))
        return Box(start, stop).intersect(Box.whole(shape))

    def take(cell: Shape, chunk: Array) -> None:
        there = place(cell)
        common = there.intersect(box)
        out[common.slices(origin=box.start)] = chunk[common.slices(origin=there.start)]

    missing: deque[tuple[Hashable, Shape]] = deque()
    spans = zip(box.start, box.stop, chunks, strict=True)
    for cell in itertools.product(*(range(a // c, -(-b // c)) for a, b, c in spans)):
        name = key(cell)
        chunk = cache.kept(name)
        if chunk is None:
            missing.append((name, cell))
        else:
            take(cell, chunk)
    postponed = 0
    while missing:
        name, cell = missing.popleft()
        if cache.busy(name) and postponed < len(missing):
            missing.append((name, cell))
            postponed += 1
            continue
        take(cell, cache.get(name, partial(read, place(cell).slices())))
        postponed = 0
    return out
