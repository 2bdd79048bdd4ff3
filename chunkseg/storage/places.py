"""Where results go: folders, and addresses that fsspec opens.

A folder gets what is finished by a rename. An address gets it object by object, what says that
something is complete last: the metadata of a zarr array after its chunks, those of a group after
its arrays.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias, TypeVar

from chunkseg.errors import KindError, ParameterError, PathError
from chunkseg.storage.address import Address
from chunkseg.storage.commit import partial_name

Place: TypeAlias = Path | Address
T = TypeVar("T")

DOCUMENTS = ("zarr.json", ".zarray", ".zattrs", ".zgroup")
"""Metadata of zarr; of those in one folder, ``.zgroup`` and ``zarr.json`` are moved last."""
AT_ONCE = 64


def place_of(path: str | os.PathLike[str]) -> Place:
    """Take a path or an address that something is written to or read from.

    Raises
    ------
    KindError
        If it is neither.
    PathError
        If it is empty, or an address within another, as ``simplecache::s3://...``, which nothing
        writes to.

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
    if not text:
        raise PathError("the path of the output is empty; '.' is the current folder")
    if "::" in text:
        raise PathError(f"{text} is an address within another; give the one that is written to")
    if text.startswith("file://"):
        return Path(text.removeprefix("file://"))
    if re.match(r"[a-z][a-z0-9+.-]+://", text, re.IGNORECASE):
        return Address(text.rstrip("/"))
    return Path(path).expanduser()


def folder_of(path: str | os.PathLike[str]) -> Path:
    """Take a folder of this machine, as for intermediates.

    Raises
    ------
    ParameterError
        If it is an address.
    """
    place = place_of(path)
    if isinstance(place, Address):
        raise ParameterError(f"a folder is needed here; {path} is an address")
    return place


def state_of(address: Address, base: Path | None = None) -> Path:
    """Folder of this machine for what is needed until an address is complete.

    Examples
    --------
    >>> state_of(Address("s3://bucket/run1"), Path("scratch")).name
    'chunkseg-run1-f960dd51bde3'
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
        target.upload(source)
        source.unlink()


def _deliver(folder: Path, address: Address) -> None:
    """Move all files of a folder to an address, one by one those that make the rest readable.

    These stay here until all is there: they tell what the folder is.
    """
    for batch in _batched(file for file in _files(folder) if file.name not in DOCUMENTS):
        address.put({_name(file, folder): file for file in batch})
        for file in batch:
            file.unlink()
    documents = [file for file in _files(folder) if file.name in DOCUMENTS]
    for file in sorted(documents, key=lambda file: (-len(file.parts), file)):
        address.put({_name(file, folder): file})
    moved = folder.with_name(f"{folder.name}.moved")
    folder.rename(moved)
    shutil.rmtree(moved)


def _name(file: Path, folder: Path) -> str:
    return file.relative_to(folder).as_posix()


def _files(folder: Path) -> Iterator[Path]:
    """All files in a folder and below, without holding them all."""
    return (Path(where) / name for where, _, names in os.walk(folder) for name in names)


def _batched(items: Iterable[T]) -> Iterator[Sequence[T]]:
    rest = iter(items)
    while batch := list(itertools.islice(rest, AT_ONCE)):
        yield batch


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
        source.download(target)
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
