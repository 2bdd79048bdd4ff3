"""Scratch for local ids: the runs of each block in a file, with checksums.

The ids of a block are long runs of equal values, so a block's runs are a small part of its voxels,
quick to write and to read, and a table is applied to runs instead of voxels. A file holds the runs
in slabs of planes, each with a CRC32C, so that a neighbour reads only the slabs that it needs; it
appears by a rename. No file is synchronised to the disk: one that is gone or damaged is noticed
when it is read or looked after, and can be computed again.
"""

from __future__ import annotations

import itertools
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.errors import ScratchError
from chunkseg.geometry.boxes import Box, Shape
from chunkseg.kernels.runs import Runs
from chunkseg.storage.checksum import checksum
from chunkseg.storage.commit import placed

SLABS = 16
_HEADER = np.dtype(
    [
        ("magic", "S8"),
        ("widths", "u1", 2),
        ("runs", "<u8", SLABS),
        ("checksums", "<u4", SLABS),
        ("checksum", "<u4"),
    ]
)
_MAGIC = b"csruns01"


@dataclass(frozen=True)
class RunStore:
    """A folder of the runs of blocks.

    Attributes
    ----------
    folder
        The folder.
    """

    folder: Path

    def write(self, frame: int, box: Box, runs: Runs) -> None:
        """Write the runs of one block."""
        header, parts = _packed(runs)
        with placed(self._file(frame, box)) as partial, partial.open("wb") as file:
            file.write(header.tobytes())
            file.writelines(part.data for part in parts)

    def read(self, frame: int, box: Box, planes: tuple[int, int] | None = None) -> tuple[Box, Runs]:
        """Read the runs of a block, or of the slabs that hold some of its planes.

        Parameters
        ----------
        frame, box
            The block.
        planes
            First and last (exclusive) plane that is needed, counted in the frame.

        Returns
        -------
        part : Box
            The part of the block that was read: whole planes.
        runs : Runs
            Its runs.

        Raises
        ------
        ScratchError
            If they are not there whole.
        """
        path = self._file(frame, box)
        first, last = planes if planes is not None else (box.start[0], box.stop[0])
        thick = _thickness(box.shape)
        low, high = (first - box.start[0]) // thick, -(-(last - box.start[0]) // thick)
        try:
            runs = _read(path, low, high)
        except (OSError, ValueError) as error:
            raise ScratchError(f"{path} can't be read: {error}") from error
        start, stop = list(box.start), list(box.stop)
        start[0], stop[0] = box.start[0] + low * thick, min(box.start[0] + high * thick, stop[0])
        part = Box(tuple(start), tuple(stop))
        return part, Runs(part.shape, *runs)

    def intact(self, frame: int, box: Box) -> bool:
        """Whether the runs of a block are there and pass their checksums."""
        try:
            self.read(frame, box)
        except ScratchError:
            return False
        return True

    def _file(self, frame: int, box: Box) -> Path:
        start = "-".join(map(str, box.start))
        return self.folder / f"{frame:06d}-{start}.runs"


def _thickness(shape: Shape) -> int:
    """How many planes (of a flat block: rows) a slab has."""
    return -(-shape[0] // SLABS) if len(shape) > 1 else shape[0]


def _packed(runs: Runs) -> tuple[NDArray[Any], list[NDArray[np.uint8]]]:
    """Header of a file, and for each slab the lengths and the ids of its runs, end to end."""
    slab = _thickness(runs.shape) * math.prod(runs.shape[1:])
    edges = np.searchsorted(runs.stop, slab * np.arange(SLABS + 1), side="right")
    lengths = np.diff(runs.stop, prepend=0)
    widths = _width(lengths), _width(runs.region)
    narrow = lengths.astype(f"<u{widths[0]}"), runs.region.astype(f"<u{widths[1]}")
    header = np.zeros(1, _HEADER)
    header["magic"], header["widths"], header["runs"] = _MAGIC, widths, np.diff(edges)
    parts = []
    for i, (a, b) in enumerate(itertools.pairwise(edges)):
        part = np.concatenate([column[a:b].view(np.uint8) for column in narrow])
        header["checksums"][0, i] = checksum(part)
        parts.append(part)
    header["checksum"] = checksum(header)
    return header, parts


def _width(values: NDArray[Any]) -> int:
    return np.min_scalar_type(int(values.max(initial=0))).itemsize


def _read(path: Path, low: int, high: int) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """Ends and ids of the runs of some slabs, the ends counted from the first of them."""
    with path.open("rb") as file:
        (header,) = np.frombuffer(file.read(_HEADER.itemsize), _HEADER)
        if header["magic"] != _MAGIC or _without_checksum(header) != header["checksum"]:
            raise ValueError("its header is damaged")
        of_length, of_id = (int(n) for n in header["widths"])
        counts = header["runs"].astype(np.int64)
        file.seek(int(counts[:low].sum()) * (of_length + of_id), os.SEEK_CUR)
        lengths, ids = [], []
        for i in range(low, high):
            count = int(counts[i])
            part = np.frombuffer(file.read(count * (of_length + of_id)), np.uint8)
            if checksum(part) != header["checksums"][i]:
                raise ValueError(f"slab {i} is damaged")
            lengths.append(part[: count * of_length].view(f"<u{of_length}"))
            ids.append(part[count * of_length :].view(f"<u{of_id}"))
    stop = np.cumsum(np.concatenate(lengths), dtype=np.int64)
    return stop, np.concatenate(ids).astype(np.uint32)


def _without_checksum(header: Any) -> int:
    rest = np.array([header])
    rest["checksum"] = 0
    return checksum(rest)
