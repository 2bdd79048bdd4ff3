"""How files appear: complete and on disk, or not at all.

A file is written under another name beside its place, flushed to the disk, renamed, and its folder
flushed too, so that neither a killed process nor a lost power supply leaves half of it under its
own name.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.errors import StorageFullError
from chunkseg.storage.address import Address

NO_ROOM = {
    errno.ENOSPC: "no space is left on the disk",
    errno.EDQUOT: "the quota is used up",
    errno.EFBIG: "a file is larger than is allowed here",
}
_CHECKSUM = "sha256 of the rest"


@contextmanager
def committed(path: Path) -> Iterator[Path]:
    """Give the name to write under; what is there when the block ends appears as ``path``.

    Raises
    ------
    StorageFullError
        If there is no room for it.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "note.txt"
    >>> with committed(target) as partial:
    ...     _ = partial.write_text("done")
    ...     target.exists()
    False
    >>> target.read_text()
    'done'
    """
    partial = partial_name(path)
    try:
        yield partial
        flush(partial)
        partial.replace(path)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise StorageFullError(
            error.errno,
            f"{NO_ROOM[error.errno]}; make room, then run the same command again: it goes on with "
            "what is done",
            str(path),
        ) from error
    finally:
        partial.unlink(missing_ok=True)
    flush(path.parent)


@contextmanager
def placed(path: Path) -> Iterator[Path]:
    """Give the name to write under, as :func:`committed`, of what need not be on the disk at once.

    Chunks and runs are checked before they are believed, so that one that a power cut left half
    written is told from a whole one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_name(path)
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def partial_name(path: Path) -> Path:
    """Name to write a file under, which no other task has, not even one that does the same."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.partial")


def flush(path: Path) -> None:
    """Have a file or folder written to the disk; some network file systems can't, for a folder."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(number)


def flush_all() -> None:
    """Have everything written to the disk that this machine still holds back, chunks included."""
    if hasattr(os, "sync"):
        os.sync()


def write_json(path: Path, content: Any) -> None:
    """Write JSON; NumPy's numbers and arrays become plain ones."""
    with committed(path) as partial:
        partial.write_text(json.dumps(content, indent=1, default=_plain), encoding="utf-8")


def write_checked(path: Path, content: dict[str, Any]) -> None:
    """Write JSON that :func:`read_checked` can tell from a damaged one.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "note.json"
    >>> write_checked(target, {"done": (1, 2)})
    >>> read_checked(target)
    {'done': [1, 2]}
    >>> _ = target.write_text(target.read_text().replace("2", "3"))
    >>> print(read_checked(target))
    None
    """
    plain = json.loads(json.dumps(content, default=_plain))
    write_json(path, {**plain, _CHECKSUM: _digest(plain)})


def read_checked(path: Path | Address) -> dict[str, Any] | None:
    """Read what :func:`write_checked` wrote; None if it is not there, or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return content if content.pop(_CHECKSUM) == _digest(content) else None
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None


def _digest(plain: Any) -> str:
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def file_digest(path: Path | Address) -> str:
    """SHA-256 of a file, or of an object at an address."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_arrays(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Write arrays to an ``.npz`` file."""
    with committed(path) as partial, partial.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} can't be written as JSON")
