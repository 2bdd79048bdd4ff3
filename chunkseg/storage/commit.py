"""How files appear: complete and on disk, or not at all.

A file is written under another name beside its place, flushed to the disk, renamed, and its folder
flushed too, so that neither a killed process nor a lost power supply leaves half of it under its
own name.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@contextmanager
def committed(path: Path) -> Iterator[Path]:
    """Give the name to write under; what is there when the block ends appears as ``path``.

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
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        flush(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    flush(path.parent)


def flush(path: Path) -> None:
    """Have a file or folder written to the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def write_json(path: Path, content: Any) -> None:
    """Write JSON; NumPy's numbers and arrays become plain ones."""
    with committed(path) as partial:
        partial.write_text(json.dumps(content, indent=1, default=_plain), encoding="utf-8")


def write_arrays(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Write arrays to an ``.npz`` file."""
    with committed(path) as partial, partial.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} can't be written as JSON")
