"""What a reader is asked for: a place, and which of the images there.

A place is a file, a folder, a glob pattern, something inside a file (``stack.h5:/volume``), or an
address that fsspec opens (``s3://bucket/cells.zarr``, ``https://...``, ``memory://...``).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace

from chunkseg.errors import PathError

_ADDRESS = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*(://|::)")
_DOWNLOADED = ("simplecache::", "filecache::", "blockcache::")
HEAD = 16


@dataclass(frozen=True, slots=True)
class Asked:
    """Which image is wanted.

    Attributes
    ----------
    path
        Absolute path of a file or folder, a pattern, or an address.
    inside
        Path within the file; empty for the file itself.
    head
        First bytes of a file; empty for a folder, a pattern or an address.
    level
        Resolution level, 0 the finest.
    series
        Name or number of the image, where the place holds several; None if not said.
    """

    path: str
    inside: str = ""
    head: bytes = b""
    level: int = 0
    series: str | int | None = None

    @property
    def remote(self) -> bool:
        """Whether the place is an address."""
        return is_address(self.path)

    @property
    def name(self) -> str:
        """What messages call the place."""
        return f"{self.path}:/{self.inside}" if self.inside else self.path

    @property
    def stem(self) -> str:
        """Name of the image after the last part of its place, without endings.

        Examples
        --------
        >>> Asked("/data/cells.ome.zarr").stem, Asked("/data/a.h5", "volumes/raw").stem
        ('cells', 'raw')
        """
        last = re.split(r"[/\\]", self.inside.rstrip("/") or self.path.rstrip("/"))[-1]
        return last.split(".")[0]

    def within(self, part: str) -> Asked:
        """Ask for a part of the place: a group or array inside it."""
        if self.inside or not (self.remote or os.path.isdir(self.path)):
            return replace(self, inside="/".join(filter(None, (self.inside, part))))
        return replace(self, path=f"{self.path.rstrip('/')}/{part}")

    def above(self) -> tuple[Asked, str]:
        """The place around this one, with no series asked for, and this one's name in it.

        Examples
        --------
        >>> Asked("/data/a.zarr/0").above()[0].path, Asked("/data/a.zip", "b/0").above()[1]
        ('/data/a.zarr', '0')
        """
        path, name = os.path.split((self.inside or self.path).rstrip("/"))
        if self.inside:
            return replace(self, inside=path, series=None), name
        return replace(self, path=path, series=None), name


def is_address(path: str) -> bool:
    """Whether a path is an address for fsspec rather than one of the file system.

    Examples
    --------
    >>> is_address("s3://bucket/a.zarr"), is_address("simplecache::https://a.b/c.tif")
    (True, True)
    >>> is_address("/data/stack.h5:/volume")
    False
    """
    return _ADDRESS.match(path) is not None


def is_pattern(path: str) -> bool:
    """Whether a path is a pattern of file names rather than the name of something that exists.

    Examples
    --------
    >>> is_pattern("planes/*.tif"), is_pattern("planes/c{c}_z{z}.tif"), is_pattern("plane.tif")
    (True, True, False)
    """
    marked = any(c in path for c in "*?[") or re.search(r"\{[tcz]\}", path) is not None
    return marked and not is_address(path) and not os.path.exists(path)


def place(path: str | os.PathLike[str]) -> str:
    """Return the absolute path, or the address as it stands."""
    text = os.fspath(path)
    if not text:
        raise PathError("the path of the image is empty; '.' is the current folder")
    return text if is_address(text) else os.path.abspath(os.path.expanduser(text))


def ask(where: str, level: int, series: str | int | None) -> Asked:
    """Look at a place: what is inside what, and how a file begins.

    Raises
    ------
    PathError
        If there is nothing, or it can't be read.
    """
    if where.startswith(_DOWNLOADED):
        where = _downloaded(where)
    if is_address(where) or is_pattern(where):
        return Asked(where, level=level, series=series)
    path, inside = _split(where)
    return Asked(path, inside, _head(path), level, series)


def _split(where: str) -> tuple[str, str]:
    """Split ``file:/inside`` and ``file/inside`` where only the file is something that exists."""
    path = where
    while path not in ("/", "") and not os.path.exists(path):
        path = os.path.dirname(path)
        for file in (path, path.removesuffix(":")):
            if os.path.isfile(file):
                return file, where[len(path) :].strip("/")
    return where, ""


def _head(path: str) -> bytes:
    try:
        if os.path.isdir(path):
            os.listdir(path)
            return b""
        with open(path, "rb") as file:
            return file.read(HEAD)
    except FileNotFoundError as error:
        raise PathError(f"there is nothing at {path}; check the path") from error
    except OSError as error:
        raise PathError(f"{path} can't be read: {error.strerror}") from error


def _downloaded(address: str) -> str:
    """Path of the local copy of a file that fsspec is told to download."""
    import fsspec

    try:
        return str(fsspec.open_local(address, mode="rb"))
    except Exception as error:
        raise PathError(f"{address} can't be downloaded: {error}; check the address") from error
