"""Records of a pass: kept in memory, or in one file per region of blocks.

The same files are how an interrupted sweep is taken up again: what a region's file holds is done. A
file that can't be read is as good as none.

A record is a dataclass of arrays, dictionaries of arrays (of the same names in every record of a
pass), whole numbers, None and further records. A file holds the records of a region, field by field
and end to end, with checksums (zip's CRC-32); it appears by an atomic rename, complete or not at
all, and is the sign that the region's blocks are done.
"""

from __future__ import annotations

import functools
import logging
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from chunkseg.errors import ScratchError
from chunkseg.geometry.boxes import Block, Box
from chunkseg.storage.commit import write_arrays

R = TypeVar("R")

_hints: Callable[[Any], dict[str, Any]] = functools.cache(typing.get_type_hints)

_log = logging.getLogger("chunkseg")


class Records(Generic[R]):
    """The records of one pass over one set of frames.

    Parameters
    ----------
    kind
        The dataclass of the records.
    folder
        Where the files go; None keeps the records in memory.
    """

    def __init__(self, kind: type[R], folder: Path | None = None) -> None:
        self.kind = kind
        self.folder = folder
        self._memory: list[tuple[Block, R]] = []
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def append(self, region: int, blocks: Sequence[Block], records: Sequence[R]) -> None:
        """Keep the records of one region of blocks, in place of those kept of it before."""
        if self.folder is None:
            self._memory.extend(zip(blocks, records, strict=True))
        elif blocks:
            write_arrays(self._file(region), _pack(blocks, records))

    def known(self, region: int) -> dict[tuple[int, int], R]:
        """Records of one region that an earlier run left, by frame and number of the block."""
        if self.folder is None or not self._file(region).exists():
            return {}
        try:
            with np.load(self._file(region)) as file:
                found = list(_unpack(self.kind, file))
        except Exception as error:
            _log.warning("%s is damaged (%s); its blocks are done again", self._file(region), error)
            return {}
        return {(block.frame, block.number): record for block, record in found}

    def _file(self, region: int) -> Path:
        assert self.folder is not None
        return self.folder / f"{region:06d}.npz"

    def __iter__(self) -> Iterator[tuple[Block, R]]:
        """All blocks with their records, region by region.

        Raises
        ------
        ScratchError
            If a file is damaged.
        """
        yield from self._memory
        yield from self._read("")

    def field(self, name: str) -> Iterator[tuple[Block, Any]]:
        """All blocks with one field of their records; of files, no more is read.

        Raises
        ------
        ScratchError
            If a file is damaged.
        """
        yield from ((block, getattr(record, name)) for block, record in self._memory)
        yield from self._read(name)

    def _read(self, field: str) -> Iterator[tuple[Block, Any]]:
        """What the files hold: records, or one field of them."""
        for path in sorted(self.folder.glob("*.npz")) if self.folder is not None else ():
            try:
                with np.load(path) as file:
                    found = list(_unpack(self.kind, file, field))
            except Exception as error:
                raise ScratchError(f"{path} is damaged: {error}") from error
            yield from found

    def frames(self) -> Iterator[tuple[int, Iterator[tuple[Block, R]]]]:
        """Each frame with its blocks and their records; to be consumed in order."""
        return by_frame(self)


def by_frame(found: Iterable[tuple[Block, R]]) -> Iterator[tuple[int, Iterator[tuple[Block, R]]]]:
    """Each frame with its blocks and what belongs to them; to be consumed in order."""
    return groupby(found, key=lambda item: item[0].frame)


def blocks_in(path: Path) -> int:
    """Count the blocks whose records a file holds; 0 where it can't be read."""
    try:
        with np.load(path) as file:
            return len(file["number"])
    except Exception:
        return 0


def _pack(blocks: Sequence[Block], records: Sequence[Any]) -> dict[str, NDArray[Any]]:
    packed = {
        "frame": np.array([b.frame for b in blocks]),
        "number": np.array([b.number for b in blocks]),
        "index": np.array([b.index for b in blocks]),
        "start": np.array([b.core.start for b in blocks]),
        "stop": np.array([b.core.stop for b in blocks]),
    }
    flat = [dict(_flatten(record)) for record in records]
    for name in flat[0]:
        values = [record[name] for record in flat]
        packed[f"{name}.there"] = np.array([v is not None for v in values])
        arrays = [np.asarray(v) for v in values if v is not None]
        if arrays:
            packed[f"{name}.shape"] = np.array([a.shape for a in arrays], np.int64)
            packed[f"{name}.data"] = np.concatenate([a.reshape(-1) for a in arrays])
    return packed


def _flatten(record: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for field in fields(record):
        value = getattr(record, field.name)
        if is_dataclass(value):
            yield from _flatten(value, f"{prefix}{field.name}.")
        elif isinstance(value, dict):
            yield from ((f"{prefix}{field.name}.{name}", array) for name, array in value.items())
        else:
            yield prefix + field.name, value


def _unpack(
    kind: type[Any], packed: Mapping[str, NDArray[Any]], field: str = ""
) -> Iterator[tuple[Block, Any]]:
    """Blocks with their records, or with one field of them."""
    hint = _hints(kind)[field] if field else kind
    make = _column(hint, packed, field)
    index, start, stop = (packed[k].tolist() for k in ("index", "start", "stop"))
    for i, (frame, number) in enumerate(zip(packed["frame"], packed["number"], strict=True)):
        core = Box(tuple(start[i]), tuple(stop[i]))
        yield Block(int(frame), int(number), tuple(index[i]), core), make(i)


def _column(hint: Any, packed: Mapping[str, NDArray[Any]], name: str = "") -> Callable[[int], Any]:
    """Return what makes the i-th value of a type out of the packed columns."""
    prefix = f"{name}." if name else ""
    if is_dataclass(hint):
        return _maker(typing.cast(type, hint), packed, prefix)
    if typing.get_origin(hint) is dict:
        return _dict_maker(packed, prefix)
    return _split(packed, name, _is_number(hint)).__getitem__


def _maker(
    kind: type[Any], packed: Mapping[str, NDArray[Any]], prefix: str
) -> Callable[[int], Any]:
    """Return what makes the i-th record out of the packed columns."""
    hints = _hints(kind)
    columns = {name: _column(hint, packed, prefix + name) for name, hint in hints.items()}
    return lambda i: kind(**{name: column(i) for name, column in columns.items()})


def _dict_maker(packed: Mapping[str, NDArray[Any]], prefix: str) -> Callable[[int], dict[str, Any]]:
    """Return what makes the i-th dictionary of arrays."""
    names = [n.removesuffix(".there") for n in packed if n.startswith(prefix) and ".there" in n]
    columns = {name.removeprefix(prefix): _split(packed, name, False) for name in names}
    return lambda i: {name: column[i] for name, column in columns.items()}


def _is_number(hint: Any) -> bool:
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    return not {bool, int, float}.isdisjoint(options)


def _split(packed: Mapping[str, NDArray[Any]], name: str, number: bool) -> list[Any]:
    there = packed[f"{name}.there"]
    if not there.any():
        return [None] * len(there)
    shapes = packed[f"{name}.shape"]
    ends = np.cumsum(np.prod(shapes, axis=1, dtype=np.int64))
    data = packed[f"{name}.data"]
    parts = iter(np.split(data, ends[:-1]))
    sizes = iter(shapes)
    return [_restore(next(parts), next(sizes), number) if t else None for t in there]


def _restore(part: NDArray[Any], shape: NDArray[np.int64], number: bool) -> Any:
    return part[0].item() if number else part.reshape(tuple(shape))
