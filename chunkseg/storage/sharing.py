"""What worker processes can share: stores they can all reach, and threads that do not multiply.

Zarr decodes chunks in a pool of threads of its own, one per process and as large as the machine by
default: as many pools as there are workers on a machine. In a worker process the pool is made no
larger than the number of its task threads. How many chunks one read waits for at the same time
(``async.concurrency``) stays as it is: that is what hides the latency of object stores, and the
work that it makes is bounded by the pool.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import zarr
from zarr.storage import FsspecStore, MemoryStore, WrapperStore


def unshared_store(source: Any) -> str | None:
    """Name a store behind a source that only this process can read; None if there is none.

    Parameters
    ----------
    source
        A source, or any data class made of sources.

    Examples
    --------
    >>> import zarr
    >>> from chunkseg.storage.leaves import ZarrSource
    >>> unshared_store(ZarrSource(zarr.zeros((2, 2), store=zarr.storage.MemoryStore())))
    'MemoryStore'
    """
    return next((name for array in _arrays(source) if (name := _unshared(array.store))), None)


def _arrays(source: Any) -> Iterator[zarr.Array[Any]]:
    """Find the zarr arrays that a source is made of."""
    if isinstance(source, zarr.Array):
        yield source
    elif isinstance(source, tuple | list):
        for member in source:
            yield from _arrays(member)
    elif is_dataclass(source):
        for field in fields(source):
            yield from _arrays(getattr(source, field.name))


def _unshared(store: Any) -> str | None:
    if isinstance(store, WrapperStore):
        return _unshared(store._store)
    if isinstance(store, MemoryStore):
        return type(store).__name__
    if isinstance(store, FsspecStore) and "memory" in _protocols(store.fs):
        return "memory:// store"
    return None


def _protocols(filesystem: Any) -> tuple[str, ...]:
    """Return the protocols of a file system, or of the one that it wraps."""
    inner = getattr(filesystem, "sync_fs", None) or getattr(filesystem, "fs", None) or filesystem
    protocol = inner.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)


def limit_codec_threads(threads: int) -> None:
    """Let zarr use no more than ``threads`` threads of its own in this process.

    For the whole process, from zarr's first read on. What the user has set is left alone.
    """
    if zarr.config.get("threading.max_workers", None) is None:
        zarr.config.set({"threading.max_workers": threads})
