"""What a complete run wrote, looked at again: files against their digests, arrays to be read.

An array that a run wrote lacks no chunk and each has a checksum; so a chunk that is gone, cut short
or flipped is an error when it is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chunkseg.errors import FormatError
from chunkseg.geometry.boxes import Shape
from chunkseg.storage.arrays import opened_array
from chunkseg.storage.commit import file_digest
from chunkseg.storage.places import Place
from chunkseg.storage.scratch import ScratchSource
from chunkseg.storage.site import ARRAYS


def missing_files(path: Place, run: Mapping[str, Any]) -> list[str]:
    """Names of what ``run.json`` lists and the folder lacks."""
    return [name for name in run["files"] if not (path / name).exists()]


def changed_files(path: Place, run: Mapping[str, Any]) -> list[str]:
    """Names of the files, of those there, whose SHA-256 is not the one recorded."""
    there = {name: known for name, known in run["sha256"].items() if (path / name).is_file()}
    return [name for name, known in there.items() if file_digest(path / name) != known]


def kept_arrays(run: Mapping[str, Any]) -> list[str]:
    """Names, without their ending, of the arrays that a run wrote: ``labels``, ``mask``, ..."""
    return [name.removesuffix(".ome.zarr") for name in ARRAYS if name in run["files"]]


def written_array(path: Place, name: str, shape: Shape) -> ScratchSource:
    """Open one of the arrays of a run.

    Raises
    ------
    FormatError
        If it can't be opened, or has another shape.
    """
    folder = path / f"{name}.ome.zarr" / "0"
    try:
        array = opened_array(folder)
    except Exception as error:
        raise FormatError(f"{folder} can't be opened: {error}") from error
    if array.shape != shape or array.dtype.kind != "u":
        raise FormatError(f"{folder} is {array.dtype} of shape {array.shape}, not {shape}")
    return ScratchSource(array)
