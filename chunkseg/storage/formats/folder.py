"""A folder or a glob pattern of TIFF files, stacked along the axis that their names count.

The names are split at their numbers. If just one number varies, and the word before it stands for
an axis (``T0001``, ``z_01``, ``time3``), that axis comes first, in the order of the numbers.
Anything else is for the user to say by ``dims=``.
"""

from __future__ import annotations

import glob
import itertools
import os
import re
from collections.abc import Sequence

from chunkseg.errors import FormatError, PathError
from chunkseg.storage.formats import tiff
from chunkseg.storage.formats.found import Found, reading, stem
from chunkseg.storage.sources import Stack

_WORDS = {
    **dict.fromkeys(("t", "tp", "time", "timepoint", "frame"), "t"),
    **dict.fromkeys(("z", "slice", "plane"), "z"),
    **dict.fromkeys(("c", "ch", "channel"), "c"),
}


def is_pattern(path: str) -> bool:
    """Whether a path is a glob pattern rather than the name of something that exists."""
    return any(c in path for c in "*?[") and not os.path.exists(path)


def claims(path: str, head: bytes) -> bool:
    """Whether the path is a folder or a pattern."""
    return os.path.isdir(path) or is_pattern(path)


def read(path: str, level: int) -> Found:
    """Find the stack that the files of a folder or pattern make up.

    Parameters
    ----------
    path
        A folder, of which the visible ``.tif`` and ``.tiff`` files are taken, or a pattern. A
        single file is opened as it is.
    level
        Resolution level, as each file has it.

    Raises
    ------
    FormatError
        If there are no TIFF files in the folder, or they differ in shape, dtype or axes.
    PathError
        If the pattern matches nothing.
    """
    files = sorted(_files(path), key=_natural)
    members = [_member(file, level) for file in files]
    if len(members) == 1:
        return members[0]
    first = members[0]
    for file, member in zip(files, members, strict=True):
        _check_alike(file, member, files[0], first)
    axis, doubt = axis_of_names(files)
    if axis in first.dims:
        doubt = f"{len(files)} files counted along {axis}, each with an axis {axis} of its own"
    return Found(
        Stack(tuple(m.source for m in members), (len(members),)),
        (axis, *first.dims),
        first.calibration,
        None if axis == "c" else first.channels,
        stem(os.path.dirname(files[0])),
        doubt=first.doubt or doubt,
    )


def _files(path: str) -> list[str]:
    if is_pattern(path):
        matched = glob.glob(path, recursive=True)
        if not matched:
            raise PathError(f"no file matches {path}; check the pattern")
        return matched
    names = [n for n in os.listdir(path) if n.lower().endswith((".tif", ".tiff"))]
    visible = [os.path.join(path, n) for n in names if not n.startswith(".")]
    if not visible:
        raise FormatError(
            f"the folder {path} is no zarr and has no .tif or .tiff files; "
            "give the path of an image or a folder of TIFFs"
        )
    return visible


def _natural(path: str) -> list[str | int]:
    """Sort key under which ``t10`` follows ``t9``: texts and numbers take turns."""
    return [int(p) if i % 2 else p for i, p in enumerate(re.split(r"(\d+)", path))]


def _member(file: str, level: int) -> Found:
    if os.path.isdir(file):
        raise FormatError(f"{file} is a folder, where a TIFF file was expected; narrow the pattern")
    with reading(file, "TIFF"), open(file, "rb") as opened:
        head = opened.read(8)
    if not tiff.claims(file, head):
        raise FormatError(f"{file} is no TIFF; take it out of the folder or narrow the pattern")
    return tiff.read(file, level)


def _check_alike(file: str, member: Found, first_file: str, first: Found) -> None:
    mine = (member.source.shape, str(member.source.dtype), member.dims)
    wanted = (first.source.shape, str(first.source.dtype), first.dims)
    if mine != wanted:
        raise FormatError(
            f"{file} has shape, dtype and axes {mine}, but {first_file} has {wanted}; "
            "files of one stack must be alike"
        )


def axis_of_names(files: Sequence[str]) -> tuple[str | None, str]:
    """Axis that the names of sorted files count, or None and why it can't be told.

    Parameters
    ----------
    files
        Paths in natural order.

    Returns
    -------
    tuple of (str or None) and str
        ``t``, ``z`` or ``c`` and an empty text; or, with the reason, None or an axis with gaps.

    Examples
    --------
    >>> axis_of_names(["a_t1.tif", "a_t2.tif", "a_t3.tif"])
    ('t', '')
    """
    parts = [re.split(r"(\d+)", file) for file in files]
    seen = f"{len(files)} files, {os.path.basename(files[0])} to {os.path.basename(files[-1])}"
    if len({tuple(p[::2]) for p in parts}) != 1:
        return None, f"{seen}, whose names differ in more than numbers"
    varying = [i for i in range(1, len(parts[0]), 2) if len({int(p[i]) for p in parts}) > 1]
    if len(varying) != 1:
        return None, f"{seen}, in whose names {len(varying)} numbers vary instead of one"
    axis = _axis_of_word(parts[0][varying[0] - 1])
    if axis is None:
        return None, f"{seen}, whose varying number is not marked as t or z"
    return axis, _gap(seen, [int(p[varying[0]]) for p in parts])


def _axis_of_word(before: str) -> str | None:
    """Axis named by the word at the end of a text, in small letters or in CamelCase."""
    match = re.search(r"([A-Za-z]+)[ _=.-]*$", before)
    if match is None:
        return None
    last = re.findall(r"[A-Z]?[a-z]*", match[1])[-2]
    return _WORDS.get(match[1].lower()) or _WORDS.get(last.lower())


def _gap(seen: str, numbers: Sequence[int]) -> str:
    steps = [b - a for a, b in itertools.pairwise(numbers)]
    for number, step in zip(numbers[:-1], steps, strict=True):
        if step != min(steps) or step == 0:
            return f"{seen}, whose numbers are not evenly spaced after {number}"
    return ""
