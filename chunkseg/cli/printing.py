"""What is printed of a result: lines of text, aligned, the same on a terminal and in a file."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from chunkseg.api.result import Result
from chunkseg.report.words import memory_text, number, seconds_text, size_text
from chunkseg.runner.outcome import MEMORY, spent_of, told_spent
from chunkseg.storage.places import Place
from chunkseg.storage.site import WRITTEN

MOST_ROWS = 12
STATISTICS = ("mean", "std", "range", "min", "max")
STAGES = {"mask": "in the mask", "eroded": "after erosion", "final": "in the end"}


def result_lines(result: Result) -> list[str]:
    """Lines that tell the thresholds, the counts, the statistics and where the files are."""
    frames = result.run["frames"]
    statistics = _statistics(result)
    told = _one_frame(frames[0], statistics) if len(frames) == 1 else _movie(frames, statistics)
    return [*told, *aligned([["written to", str(result.path)]]), *_files(result)]


def result_facts(result: Result, report: Place | None) -> dict[str, Any]:
    """Plain values of a result, as for JSON; what is not defined is None."""
    run = result.run
    frames = [{k: v for k, v in f.items() if k != "checksums"} for f in run["frames"]]
    rows = [] if run["until"] is not None else result.summary.to_dict(orient="records")
    return {
        "output": str(result.path),
        "objects": None if run["until"] is not None else len(result.table),
        "frames": [_defined(frame) for frame in frames],
        "summary": [_defined(row) for row in rows],
        "warnings": run["warnings"],
        **told_spent(spent_of(run)),
        "peak_memory_bytes": run["peak_memory_bytes"],
        "files": [name for name in WRITTEN if (result.path / name).exists()],
        "report": None if report is None else str(report),
    }


def _defined(row: Mapping[Any, Any]) -> dict[str, Any]:
    undefined = {str(k) for k, v in row.items() if isinstance(v, float) and math.isnan(v)}
    return {str(k): None if str(k) in undefined else v for k, v in row.items()}


def time_lines(result: Result) -> list[str]:
    """Lines that tell the time and memory of each pass, and the memory in all."""
    rows = [
        [name, f"{seconds_text(s['wall'])}, CPU {seconds_text(s['cpu'])}, {memory_text(s[MEMORY])}"]
        for name, s in spent_of(result.run).items()
    ]
    memory = ["memory", f"{size_text(result.run['peak_memory_bytes'])} at the peak"]
    return aligned([*rows, memory], first=len("written to"))


def measured_lines(result: Result) -> list[str]:
    """Lines that tell how many objects were measured and where the table is."""
    table = result.table
    told = [["objects", str(len(table))], ["columns", str(len(table.columns))]]
    return [*aligned([*told, ["written to", str(result.path)]]), *_files(result)]


def _statistics(result: Result) -> dict[int | None, dict[str, Any]]:
    """Summary per frame number, or of the only frame under None; none where it stopped early."""
    if result.run["until"] is not None:
        return {}
    summary = result.summary
    numbers = summary.index.tolist() if summary.index.name == "t" else [None]
    rows = summary.to_dict(orient="records")
    return {n: {str(k): v for k, v in row.items()} for n, row in zip(numbers, rows, strict=True)}


def _one_frame(
    frame: Mapping[str, Any], statistics: Mapping[int | None, Mapping[str, Any]]
) -> list[str]:
    rows = [["threshold", _threshold(frame["threshold"])], ["foreground", _percent(frame) + " %"]]
    counts = [
        f"{frame['counts'][k]} {words}" for k, words in STAGES.items() if k in frame["counts"]
    ]
    rows.append(["objects", ", ".join(counts)])
    for row in statistics.values():
        values = [f"{name} {number(row[name])}" for name in STATISTICS]
        of_none = not row["count"]
        rows.append(
            [row["column"], "no objects" if of_none else f"{', '.join(values)} {row['unit']}"]
        )
    return aligned(rows)


def _movie(
    frames: Sequence[Mapping[str, Any]], statistics: Mapping[int | None, Mapping[str, Any]]
) -> list[str]:
    """Return a row per time point, the first few of them."""
    head = ["t", "threshold", "foreground %", *STAGES]
    column = next((f"{row['column']}" for row in statistics.values()), None)
    if column is not None:
        head += [f"mean {column}", *STATISTICS[1:]]
    rows = [head]
    for number_of, frame in enumerate(frames[:MOST_ROWS]):
        t = frame.get("t", number_of)
        rows.append([str(t), _threshold(frame["threshold"]), _percent(frame)])
        rows[-1] += [str(frame["counts"].get(k, "-")) for k in STAGES]
        if column is not None:
            of_frame = statistics.get(t, {})
            rows[-1] += [number(of_frame.get(name, math.nan)) for name in STATISTICS]
    more = len(frames) - MOST_ROWS
    return aligned(rows) + ([f"... and {more} more, in run.json"] if more > 0 else [])


def _files(result: Result) -> list[str]:
    there = [name for name in WRITTEN if (result.path / name).exists()]
    return aligned([["", ", ".join(there)]], first=len("written to"))


def _threshold(value: float | None) -> str:
    return "-" if value is None else repr(float(value))


def _percent(frame: Mapping[str, Any]) -> str:
    fraction = frame["foreground_fraction"]
    return "-" if fraction is None else f"{100 * fraction:.2f}"


def aligned(rows: Sequence[Sequence[str]], first: int = 0) -> list[str]:
    """Return rows of equally many cells as lines, the columns left-aligned.

    Examples
    --------
    >>> aligned([["a", "1"], ["long", "2"]])
    ['a     1', 'long  2']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    widths[0] = max(widths[0], first)
    lines = ("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows)
    return [line.rstrip() for line in lines]


def tick(same: bool) -> str:
    """Return a tick or a cross; words where the output can't show those."""
    mark, word = ("✓", "same") if same else ("✗", "DIFFERS")
    try:
        mark.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return word
    return mark


def say(lines: Sequence[str]) -> None:
    """Print lines on stdout; nowhere if nobody reads them any more, as behind ``| head``."""
    try:
        print("\n".join(lines), flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
