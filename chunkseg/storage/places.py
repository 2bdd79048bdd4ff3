"""Where results go: folders, and addresses that fsspec opens.

A folder gets what is finished by a rename. An address gets it object by object, what says that
something is complete last: the metadata of a zarr array after its chunks, those of a group after
its arrays.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias, TypeVar

from chunkseg.errors import KindError, ParameterError, PathError
from chunkseg.storage.address import Address
from chunkseg.storage.commit import partial_name

Place: TypeAlias = Path | Address
T = TypeVar("T")

DOCUMENTS = ("zarr.json", ".zarray", ".zattrs", ".zgroup")
AT_ONCE = 64


def place_of(path: str | os.PathLike[str]) -> Place:
    """Take a path or an address that something is written to or read from.

    Raises
    ------
    KindError
        If it is neither.
    PathError
        If it is an address within another, as ``simplecache::s3://...``, which nothing writes to.

    Examples
    --------
    >>> place_of("out/cells").name, place_of("s3://bucket/cells/").name
    ('cells', 'cells')
    """
    if isinstance(path, Address):
        return path
    if not isinstance(path, str | os.PathLike):
        raise KindError(f"the output must be a path; got {type(path).__name__}")
    text = str(path)
    if "::" in text:
        raise PathError(f"{text} is an address within another; give the one that is written to")
    if text.startswith("file://"):
        return Path(text.removeprefix("file://"))
    if re.match(r"[a-z][a-z0-9+.-]+://", text, re.IGNORECASE):
        return Address(text.rstrip("/"))
    return Path(path).expanduser()


def folder_of(path: str | os.PathLike[str]) -> Path:
    """Take a folder for intermediates.

    Raises
    ------
    ParameterError
        If it is an address.
    """
    place = place_of(path)
    if isinstance(place, Address):
        raise ParameterError(f"intermediates go to folders only; {path} is an address")
    return place


def state_of(address: Address, base: Path | None = None) -> Path:
    """Folder of this machine for what is needed until an address is complete.

    Examples
    --------
    >>> state_of(Address("s3://bucket/run1"), Path("scratch")).name
    'chunkseg-run1-e107d203da13'
    """
    digest = hashlib.sha256(address.url.encode()).hexdigest()[:12]
    return (base or Path.cwd()).absolute() / f"chunkseg-{address.name}-{digest}"


def move(source: Path, target: Place) -> None:
    """Move a file or folder to its place; to an address it may be taken up again at any point."""
    if isinstance(target, Path):
        source.replace(target)
    elif source.is_dir():
        _deliver(source, target)
    else:
        target.write_bytes(source.read_bytes())
        source.unlink()


def _deliver(folder: Path, address: Address) -> None:
    """Move all files of a folder to an address, those last that make the rest readable."""
    files = [Path(where) / name for where, _, names in os.walk(folder) for name in names]
    files.sort(key=lambda file: (_rank(file, folder), file))
    for batch in _batched(files):
        address.put({file.relative_to(folder).as_posix(): file for file in batch})
        for file in batch:
            file.unlink()
    shutil.rmtree(folder)


def _rank(file: Path, folder: Path) -> int:
    """When a file is to be moved: chunks first, then metadata from the inside out."""
    return -len(file.relative_to(folder).parts) if file.name in DOCUMENTS else -(2**16)


def _batched(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[first : first + AT_ONCE] for first in range(0, len(items), AT_ONCE))


def take(source: Place, target: Path) -> None:
    """Take what is at a place, if anything is: a folder's by a rename, an address's as a copy."""
    if isinstance(source, Path):
        if source.exists():
            source.replace(target)
    elif not target.exists() and source.exists():
        partial = partial_name(target)
        _copy(source, partial)
        partial.replace(target)


def _copy(source: Address, target: Path) -> None:
    names = source.files()
    if not names:
        target.write_bytes(source.read_bytes())
    for batch in _batched(names):
        for folder in {(target / name).parent for name in batch}:
            folder.mkdir(parents=True, exist_ok=True)
        source.get(batch, target)


def remove(target: Place) -> None:
    """Remove a file or folder, if it is there."""
    if isinstance(target, Address):
        target.remove()
    elif target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    else:
        target.unlink(missing_ok=True)
