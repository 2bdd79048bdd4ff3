"""What is missing or damaged in stored pixels: chunks counted, and errors that name the culprit.

A chunk that is not stored is no damage: the format says that it reads as the fill value. One that
can't be decoded is: the error of the codec becomes a :class:`~chunkseg.errors.FormatError` that
names the chunk and its place. Errors of the system, such as a network that is gone, pass as they
are: they may be gone at the next try.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zarr
from zarr.core.sync import collect_aiterator

from chunkseg.errors import ChunksegError, FormatError, IncompleteError
from chunkseg.geometry.boxes import Shape, Slices

MOST_LISTED = 5
_SMALL_SEGMENT = 2**24
_MOST_COMPRESSED = 100_000


@contextmanager
def naming_part(what: str, spans: Slices) -> Iterator[None]:
    """Turn an error of decoding into one that names the file and the voxels asked for.

    Raises
    ------
    FormatError
        In place of whatever a codec or a file's library raises.
    """
    try:
        yield
    except Exception as error:
        if _passes(error):
            raise
        where = ", ".join(f"{s.start}:{s.stop}" for s in spans)
        raise FormatError(f"{_said(what, error)}; it fails at voxels [{where}]") from error


@contextmanager
def naming_chunk(array: zarr.Array[Any], spans: Slices) -> Iterator[None]:
    """Turn an error of decoding a zarr array into one that names the chunk.

    Raises
    ------
    FormatError
        In place of whatever a codec raises.
    """
    try:
        yield
    except Exception as error:
        if _passes(error):
            raise
        raise FormatError(_said(_culprit(array, spans), error)) from error


def _passes(error: Exception) -> bool:
    """Whether an error is no sign of damage: ours, or one of the system with its number."""
    if isinstance(error, ChunksegError | MemoryError):
        return True
    return isinstance(error, OSError) and error.errno is not None


def _said(what: str, error: Exception) -> str:
    return (
        f"{what} is damaged or cut short: {error} ({type(error).__name__}); "
        "copy it again, or mend it"
    )


def _culprit(array: zarr.Array[Any], spans: Slices) -> str:
    """Name the stored chunk of a region that can't be read, trying one after the other."""
    unit = array.shards or array.chunks
    if 0 in unit:
        return f"the metadata of {array.store_path}"
    ranges = [range(s.start // n, -(-s.stop // n)) for s, n in zip(spans, unit, strict=True)]
    for index in itertools.product(*ranges):
        region = tuple(slice(i * n, (i + 1) * n) for i, n in zip(index, unit, strict=True))
        try:
            array[region]
        except Exception:
            return f"the chunk {_key(array, index)} of {array.store_path}"
    return f"a chunk of {array.store_path}"


def _key(array: zarr.Array[Any], index: tuple[int, ...]) -> str:
    return str(array.metadata.encode_chunk_key(index))


def check_page(path: str, page: Any, shape: Shape) -> None:
    """Refuse a TIFF page whose tags can't be right, before gigabytes are allocated for a few bytes.

    Parameters
    ----------
    path
        The file, for the message.
    page
        The page, as tifffile has it.
    shape
        What the page is expected to hold.

    Raises
    ------
    FormatError
        If the page has another size, or its tiles or strips can't be what its tags announce.
    """
    size = math.prod(page.chunks) * page.dtype.itemsize
    stored = max(page.databytecounts, default=0)
    wanted = math.prod(page.chunked)
    if math.prod(page.shape) != math.prod(shape):
        wrong = f"a page of shape {page.shape} where the others have {shape}"
    elif size > max(_SMALL_SEGMENT, _MOST_COMPRESSED * stored):
        wrong = f"tiles or strips of {size} bytes stored in {stored}"
    elif len(page.dataoffsets) < wanted:
        wrong = f"{wanted} tiles or strips in a page and tells where {len(page.dataoffsets)} are"
    else:
        return
    raise FormatError(f"{path} announces {wrong}; its tags are damaged, copy it again")


@dataclass(frozen=True, slots=True)
class Missing:
    """How many stored chunks (or shards) an array lacks.

    Attributes
    ----------
    count, total
        Chunks that are not there, and that there are by the array's metadata.
    first
        Names of the first few that are missing.
    """

    count: int
    total: int
    first: tuple[str, ...]


def refuse_gaps(folder: Path) -> None:
    """Refuse an array that chunkseg wrote whole and that lacks chunks by now: they would read as 0.

    Raises
    ------
    IncompleteError
        If chunks are gone, as from a folder that was copied by half.
    """
    missing = missing_chunks(zarr.open_array(folder, mode="r"))
    if missing is not None and missing.count:
        raise IncompleteError(
            f"{missing.count} of {missing.total} chunks of {folder} are gone, the first is "
            f"{missing.first[0]}; copy it again, or run again with overwrite=True (--overwrite)"
        )


def missing_chunks(array: zarr.Array[Any]) -> Missing | None:
    """Count the chunks that an array's store lacks, by listing it; no chunk is read.

    Returns
    -------
    Missing or None
        None where the store can't be listed, as over http.

    Examples
    --------
    >>> array = zarr.create_array({}, shape=(4, 4), chunks=(2, 2), dtype="u1")
    >>> array[:2] = 1
    >>> missing_chunks(array)
    Missing(count=2, total=4, first=('c/1/0', 'c/1/1'))
    """
    if not array.store.supports_listing:
        return None
    prefix = f"{array.path}/" if array.path else ""
    try:
        names = collect_aiterator(array.store.list_prefix(prefix))
    except (NotImplementedError, OSError):
        return None
    there = {name.removeprefix(prefix) for name in names}
    unit = array.shards or array.chunks
    counts = [-(-n // c) for n, c in zip(array.shape, unit, strict=True)]
    keys = (_key(array, index) for index in itertools.product(*map(range, counts)))
    lacking = (key for key in keys if key not in there)
    first = tuple(itertools.islice(lacking, MOST_LISTED))
    return Missing(len(first) + sum(1 for _ in lacking), math.prod(counts), first)
