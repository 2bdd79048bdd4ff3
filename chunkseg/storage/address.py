"""Addresses: places such as ``s3://bucket/run1`` that fsspec opens, with what results need of them.

An object appears whole or not at all, and nothing can be renamed or locked. A name that other names
begin with stands for a folder.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chunkseg.errors import ChunksegError, ParameterError, PathError

INSTALL = "pip install 'chunkseg[remote]' has those for s3 and http"


@dataclass(frozen=True)
class Address(os.PathLike[str]):
    """A place that fsspec opens; its methods are those of a path.

    What is not there is a FileNotFoundError, as of a path; what can't be reached is a
    :class:`~chunkseg.errors.PathError`.

    Attributes
    ----------
    url
        As the user gave it, without a stroke at its end.

    Examples
    --------
    >>> there = Address("memory://bucket/run1")
    >>> (there / "run.json").write_bytes(b"{}")
    >>> there.is_dir(), (there / "run.json").read_text(), [str(p) for p in there.iterdir()]
    (True, '{}', ['memory://bucket/run1/run.json'])
    """

    url: str

    def __fspath__(self) -> str:
        return self.url

    def __str__(self) -> str:
        return self.url

    def __truediv__(self, name: str) -> Address:
        return Address(f"{self.url}/{name}")

    @property
    def name(self) -> str:
        """Last part of it."""
        return posixpath.basename(self.url)

    def exists(self) -> bool:
        """Whether there is an object, or any whose name begins with this one's as a folder."""
        with self._reached() as (files, key):
            return bool(files.exists(key))

    def is_file(self) -> bool:
        """Whether there is an object."""
        with self._reached() as (files, key):
            return bool(files.isfile(key))

    def is_dir(self) -> bool:
        """Whether there are objects in it."""
        with self._reached() as (files, key):
            return bool(files.isdir(key))

    def iterdir(self) -> Iterator[Address]:
        """What is in it, in the order of names; nothing if there is nothing."""
        with self._reached() as (files, key):
            try:
                found = files.ls(key, detail=False)
            except FileNotFoundError:
                found = []
        names = sorted({posixpath.basename(inside.rstrip("/")) for inside in found})
        yield from (self / name for name in names)

    def read_bytes(self) -> bytes:
        """Content of an object."""
        with self._reached() as (files, key):
            return bytes(files.cat_file(key))

    def read_text(self, encoding: str = "utf-8") -> str:
        """Content of an object, as text."""
        return self.read_bytes().decode(encoding)

    def open(self, mode: str = "rb") -> Any:
        """Open an object for reading."""
        with self._reached() as (files, key):
            return files.open(key, mode)

    def write_bytes(self, content: bytes) -> None:
        """Write an object, in place of one that is there."""
        with self._written() as (files, key):
            files.pipe_file(key, content)

    def write_new(self, content: bytes) -> bool:
        """Write an object unless one is there; whether that was so."""
        with self._written() as (files, key):
            try:
                files.pipe_file(key, content, mode="create")
            except FileExistsError:
                return False
        return True

    def put(self, files: Mapping[str, Path]) -> None:
        """Write files as objects, by their names in it."""
        with self._written() as (there, key):
            targets = [posixpath.join(key, name) for name in files]
            there.put([str(file) for file in files.values()], targets)

    def get(self, names: Sequence[str], into: Path) -> None:
        """Read objects, by their names in it, to files of these names."""
        with self._reached() as (there, key):
            sources = [posixpath.join(key, name) for name in names]
            there.get(sources, [str(into / name) for name in names])

    def upload(self, file: Path) -> None:
        """Write a file as this object."""
        with self._written() as (there, key):
            there.put_file(str(file), key)

    def download(self, file: Path) -> None:
        """Read this object to a file."""
        with self._reached() as (there, key):
            there.get_file(key, str(file))

    def files(self) -> list[str]:
        """Names of all objects in it; one that is an object has none."""
        with self._reached() as (there, key):
            own = key.strip("/")
            found = [name.strip("/") for name in there.find(key)]
        return sorted(name.removeprefix(f"{own}/") for name in found if name != own)

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove an object."""
        with self._reached() as (files, key):
            try:
                files.rm_file(key)
            except FileNotFoundError:
                if not missing_ok:
                    raise

    def remove(self) -> None:
        """Remove an object, or all that is in it; nothing if there is nothing."""
        with self._reached() as (files, key):
            try:
                files.rm(key, recursive=True)
            except FileNotFoundError:
                return

    @contextmanager
    def _reached(self) -> Iterator[tuple[Any, str]]:
        """The file system and the key in it; what can't be reached is said."""
        try:
            yield _opened(self.url)
        except (ChunksegError, FileNotFoundError):
            raise
        except ImportError as error:
            raise ParameterError(
                f"{self.url} needs a library that is not there ({error}); {INSTALL}"
            ) from error
        except Exception as error:
            told = " ".join(str(error).split()) or type(error).__name__
            raise PathError(
                f"{self.url} can't be used: {told}; check the address, the network and your "
                "credentials, then give the same command again"
            ) from error

    @contextmanager
    def _written(self) -> Iterator[tuple[Any, str]]:
        """As reached; to write, what the address lies in must be there."""
        with self._reached() as there:
            try:
                yield there
            except FileNotFoundError as error:
                raise PathError(f"can't write to {self.url}: {error}") from error


def _opened(url: str) -> tuple[Any, str]:
    """Return the file system of an address and its key there; listings are never remembered."""
    from fsspec.core import url_to_fs

    files, key = url_to_fs(url, use_listings_cache=False)
    return files, str(key).rstrip("/")
