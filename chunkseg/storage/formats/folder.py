"""A folder or a pattern of TIFF files, stacked along the axes that their names count.

A pattern may name the axes itself: ``cells_t{t}_c{c}_z{z}.tif``. Otherwise the names are split at
their numbers: where the word before each number that varies stands for another axis (``T0001``,
``z_01``, ``time3``), those axes come first, in the order t, c, z. Anything else is for the user to
say by ``dims=``. Every combination must be there just once.
"""

from __future__ import annotations

import glob
import itertools
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from chunkseg.errors import FormatError, PathError
from chunkseg.geometry.boxes import Shape
from chunkseg.storage.formats import tiff
from chunkseg.storage.formats.asked import HEAD, Asked, is_pattern
from chunkseg.storage.formats.found import Found, reading
from chunkseg.storage.sources import FileSource, Source, Stack, TiffSource, View

_WORDS = {
    **dict.fromkeys(("t", "tp", "time", "timepoint", "frame"), "t"),
    **dict.fromkeys(("z", "slice", "plane"), "z"),
    **dict.fromkeys(("c", "ch", "channel"), "c"),
}


_ORDER = ("t", "c", "z")

Value = int | str


@dataclass(frozen=True, slots=True)
class Counted:
    """How the names of files count them.

    Attributes
    ----------
    files
        In C order over the axes.
    axes, shape
        Names and lengths of the axes counted; one axis None if that can't be told.
    doubt
        Why it can't be told, or why the axes may not be what they seem.
    channels
        Names along ``c``, where the file names have words for them.
    """

    files: tuple[str, ...]
    axes: tuple[str | None, ...]
    shape: Shape
    doubt: str = ""
    channels: tuple[str, ...] | None = None


def claims(asked: Asked) -> bool:
    """Whether the path is a folder or a pattern."""
    return not asked.remote and (os.path.isdir(asked.path) or is_pattern(asked.path))


def read(asked: Asked) -> Found:
    """Find the stack that the files of a folder or pattern make up.

    Of a folder, the visible ``.tif`` and ``.tiff`` files are taken. A single file is opened as it
    is, and so is an OME-TIFF set of which each file tells the whole.

    Raises
    ------
    FormatError
        If there are no TIFF files in the folder, they differ in shape, dtype or axes, or
        combinations of the numbers in their names are missing or come twice.
    PathError
        If the pattern matches nothing.
    """
    counted = _counted(asked.path)
    members = [_member(file, asked) for file in counted.files]
    first = members[0]
    if len(members) == 1 or set(counted.files) <= _paths(first.source):
        return first
    for file, member in zip(counted.files, members, strict=True):
        _check_alike(file, member, counted.files[0], first)
    doubt = counted.doubt
    for axis in set(counted.axes) & set(first.dims) - {None}:
        doubt = f"{len(members)} files counted along {axis}, each with an axis {axis} of its own"
    return replace(
        first,
        source=Stack(tuple(m.source for m in members), counted.shape),
        dims=(*counted.axes, *first.dims),
        channels=counted.channels if "c" in counted.axes else first.channels,
        name=Asked(os.path.dirname(counted.files[0])).stem,
        doubt=first.doubt or doubt,
    )


def _paths(source: Source) -> set[str]:
    """Files in which a source lies."""
    if isinstance(source, View):
        return _paths(source.source)
    if isinstance(source, Stack):
        return {path for member in source.members for path in _paths(member)}
    return {source.path} if isinstance(source, FileSource | TiffSource) else set()


def _counted(path: str) -> Counted:
    if not is_pattern(path):
        return counted_by_words(_in_folder(path))
    if re.search(_FIELD, path):
        return _counted_by_pattern(path)
    matched = glob.glob(path, recursive=True)
    if not matched:
        raise PathError(f"no file matches {path}; check the pattern")
    return counted_by_words(matched)


def _in_folder(path: str) -> list[str]:
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


def _member(file: str, asked: Asked) -> Found:
    if os.path.isdir(file):
        raise FormatError(f"{file} is a folder, where a TIFF file was expected; narrow the pattern")
    with reading(file, "TIFF"), open(file, "rb") as opened:
        head = opened.read(HEAD)
    one = replace(asked, path=file, head=head)
    if not tiff.claims(one):
        raise FormatError(f"{file} is no TIFF; take it out of the folder or narrow the pattern")
    return tiff.read(one)


def _check_alike(file: str, member: Found, first_file: str, first: Found) -> None:
    mine = (member.source.shape, str(member.source.dtype), member.dims)
    wanted = (first.source.shape, str(first.source.dtype), first.dims)
    if mine != wanted:
        raise FormatError(
            f"{file} has shape, dtype and axes {mine}, but {first_file} has {wanted}; "
            "files of one stack must be alike"
        )


def counted_by_words(files: Sequence[str]) -> Counted:
    """Axes that the numbers in names count, by the words before them.

    Parameters
    ----------
    files
        Paths in any order.

    Examples
    --------
    >>> found = counted_by_words(["z1_ch0", "z0_ch0", "z0_ch1", "z1_ch1"])
    >>> found.axes, found.shape, found.files
    (('c', 'z'), (2, 2), ('z0_ch0', 'z1_ch0', 'z0_ch1', 'z1_ch1'))
    """
    files = sorted(files, key=_natural)
    parts = [re.split(r"(\d+)", file) for file in files]
    seen = f"{len(files)} files, {os.path.basename(files[0])} to {os.path.basename(files[-1])}"
    if len({tuple(p[::2]) for p in parts}) != 1:
        return _flat(files, f"{seen}, whose names differ in more than numbers")
    varying = [i for i in range(1, len(parts[0]), 2) if len({int(p[i]) for p in parts}) > 1]
    axes = [_axis_of_word(parts[0][i - 1]) for i in varying]
    if None in axes or len(set(axes)) != len(axes) or not axes:
        return _flat(
            files,
            f"{seen}, in whose names {len(varying)} numbers vary, not all marked as t, c or z",
        )
    values = {
        f: {a: int(p[i]) for a, i in zip(axes, varying, strict=True) if a}
        for f, p in zip(files, parts, strict=True)
    }
    return _grid(values, seen)


def _flat(files: Sequence[str], doubt: str) -> Counted:
    return Counted(tuple(files), (None,), (len(files),), doubt)


def _grid(values: Mapping[str, Mapping[str, Value]], seen: str) -> Counted:
    """Put files into the grid of the values of their axes."""
    axes = tuple(a for a in _ORDER if a in next(iter(values.values())))
    steps = {a: sorted({v[a] for v in values.values()}, key=_value_key) for a in axes}
    shape = tuple(len(steps[a]) for a in axes)
    by_place = {tuple(v[a] for a in axes): file for file, v in values.items()}
    files = sorted(values, key=_natural)
    if len(by_place) < len(values):
        return _flat(files, f"{seen}, whose numbers are not evenly spaced: some come twice")
    missing = [p for p in itertools.product(*steps.values()) if p not in by_place]
    if missing:
        lacking = ", ".join(f"{a} {v}" for a, v in zip(axes, missing[0], strict=True))
        return _flat(
            files,
            f"{seen}, of which {len(missing)} of {math.prod(shape)} are missing, first {lacking}",
        )
    channels = tuple(map(str, steps.get("c", ())))
    return Counted(
        tuple(by_place[p] for p in itertools.product(*steps.values())),
        axes,
        shape,
        next(filter(None, (_gap(seen, steps[a]) for a in axes)), ""),
        None if all(isinstance(v, int) for v in steps.get("c", ())) else channels,
    )


def _value_key(value: Value) -> tuple[bool, Value]:
    return isinstance(value, str), value


_FIELD = r"\{([tcz])\}"


def _counted_by_pattern(pattern: str) -> Counted:
    """Files that match a pattern with ``{t}``, ``{c}`` or ``{z}`` for the axes.

    ``t`` and ``z`` stand for a number, ``c`` for a number or a word; ``*``, ``?`` and ``[...]``
    as in other patterns.
    """
    fields = re.findall(_FIELD, pattern)
    if len(set(fields)) != len(fields):
        raise FormatError(f"{pattern} names an axis twice; each of t, c and z may come once")
    matching = re.compile(_as_regex(pattern))
    matched = [matching.fullmatch(f) for f in glob.glob(re.sub(_FIELD, "*", pattern))]
    values = {m[0]: {a: _value(a, t) for a, t in m.groupdict().items()} for m in matched if m}
    if not values:
        raise PathError(
            f"no file matches {pattern}; {{t}} and {{z}} stand for a number, {{c}} for a number "
            "or a word"
        )
    return _grid(values, f"{len(values)} files that match {os.path.basename(pattern)}")


def _as_regex(pattern: str) -> str:
    kinds = {"{t}": r"(?P<t>\d+)", "{z}": r"(?P<z>\d+)", "{c}": r"(?P<c>[^/]+?)"}
    kinds |= {"*": "[^/]*", "?": "[^/]"}
    pieces = re.split(r"(\{[tcz]\}|\*|\?|\[[^]]*\])", pattern)
    return "".join(kinds.get(p, p if p[:1] == "[" else re.escape(p)) for p in pieces)


def _value(axis: str, text: str) -> Value:
    return int(text) if text.isdecimal() else text


def _axis_of_word(before: str) -> str | None:
    """Axis named by the word at the end of a text, in small letters or in CamelCase."""
    match = re.search(r"([A-Za-z]+)[ _=.-]*$", before)
    if match is None:
        return None
    last = re.findall(r"[A-Z]?[a-z]*", match[1])[-2]
    return _WORDS.get(match[1].lower()) or _WORDS.get(last.lower())


def _gap(seen: str, values: Sequence[Value]) -> str:
    numbers = [v for v in values if isinstance(v, int)]
    steps = [b - a for a, b in itertools.pairwise(numbers)]
    for number, step in zip(numbers[:-1], steps, strict=True):
        if step != min(steps):
            return f"{seen}, whose numbers are not evenly spaced after {number}"
    return ""
