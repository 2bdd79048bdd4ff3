"""What the report tells in rows: counts, parameters, times, and which objects to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chunkseg.api.checks import Subject
from chunkseg.geometry.units import PIXEL
from chunkseg.passes.tables import column_unit, default_column
from chunkseg.report.words import (
    column_title,
    count_text,
    length_unit,
    memory_text,
    number,
    part_text,
    pretty_unit,
    seconds_text,
    size_text,
)
from chunkseg.runner.outcome import CLOCKS, MEMORY, spent_of
from chunkseg.storage.opening import REGION

Rows = list[tuple[str, ...]]

STAGES = {
    "mask": "components of the mask",
    "eroded": "after erosion",
    "expanded": "after expansion",
    "final": "in the end",
}
MOST_SHOWN = 3
MOST_SUSPECTS = 6
ENOUGH = 8
FAR = 3.5
TO_SIGMA = 1.4826
LOW_SOLIDITY = 0.8
SHOWN = ("intensity_mean", "solidity", "sphericity", "eccentricity")


def title_of(subject: Subject) -> str:
    """Name of what was segmented: the input's, else the output folder's."""
    source = subject.run["input"]["source"]
    return PurePath(source).name if source else subject.path.name


def headline(subject: Subject, table: pd.DataFrame | None) -> Rows:
    """The numbers that come first: objects, their size, the foreground, the threshold."""
    frames = subject.frames
    rows: Rows = []
    if table is not None:
        rows.append(("objects", count_text(len(table))))
        column = default_column(table)
        unit = pretty_unit(column_unit(column))
        if len(table):
            values = table[column].to_numpy(dtype=float)
            text = f"{number(values.mean())} ± {number(values.std())}"
            name = column_title(column).partition(" (")[0]
            rows.append((f"mean {name} ± std ({unit})", text))
    fractions = [f["foreground_fraction"] for f in frames if f["foreground_fraction"] is not None]
    if fractions:
        rows.append(("foreground", f"{100 * float(np.mean(fractions)):.2f} %"))
    found = [f["threshold"] for f in frames if f["threshold"] is not None]
    if found:
        low, high = min(found), max(found)
        rows.append(("threshold", f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"))
    if subject.layout.looped:
        rows.append(("time points", str(len(frames))))
    return rows


def part(subject: Subject) -> str:
    """Which part of the image was segmented; empty where it was all of it."""
    region = (subject.run["input"].get("opened_with") or {}).get(REGION, {})
    return part_text({dim: region[dim] for dim in subject.dims if dim in region})


def steps(subject: Subject) -> Rows:
    """Objects after each step; of a movie in all, and the fewest and most of a frame."""
    rows: Rows = []
    for key, words in STAGES.items():
        counts = [f["counts"][key] for f in subject.frames if key in f["counts"]]
        if not counts:
            continue
        row = (words, count_text(sum(counts)))
        ends = f"{count_text(min(counts))} to {count_text(max(counts))}"
        rows.append((*row, ends) if subject.layout.looped else row)
    return rows


def dropped(subject: Subject) -> Rows:
    """Objects that were dropped at each face of the image, or for their size."""
    counts: dict[str, int] = {}
    for frame in subject.frames:
        for why, count in frame.get("dropped", {}).items():
            counts[why] = counts.get(why, 0) + count
    return [(why, count_text(count)) for why, count in sorted(counts.items()) if count]


def input_rows(subject: Subject) -> Rows:
    """What was segmented."""
    told = subject.run["input"]
    sizes = zip(told["dims"], told["shape"], strict=True)
    unit = told["units"].get(subject.spatial[-1], PIXEL)
    spacing = " × ".join(f"{s:g}" for s in subject.spacing)
    opened = told.get("opened_with") or {}
    options = {name: value for name, value in opened.items() if name != REGION}
    rows: Rows = [
        ("input", told["source"] or "an array in memory"),
        ("axes", ", ".join(f"{d} {n}" for d, n in sizes)),
        ("pixels", told["dtype"]),
        ("voxel", f"{spacing} {length_unit(unit)} ({', '.join(subject.spatial)})"),
    ]
    if part(subject):
        rows.append(("part", f"voxels {part(subject)} of the image"))
    if options:
        rows.append(("opened with", ", ".join(f"{k} {v}" for k, v in options.items())))
    return [*rows, ("output", str(subject.path))]


def time_rows(subject: Subject) -> Rows:
    """Wall and CPU time of each pass, and the most memory that the process had in it."""
    spent = spent_of(subject.run)
    total = [sum(s[clock] for s in spent.values()) for clock in CLOCKS]
    most = max((s[MEMORY] for s in spent.values()), default=0)
    return [
        *((name, *_seconds(s), memory_text(s[MEMORY])) for name, s in spent.items()),
        ("in all", *map(seconds_text, total), memory_text(most)),
    ]


def _seconds(took: Mapping[str, float]) -> list[str]:
    return [seconds_text(took[clock]) for clock in CLOCKS]


def machine_rows(subject: Subject) -> Rows:
    """Memory, blocks and workers."""
    run = subject.run
    blocks = run["blocks_per_frame"] * len(subject.frames)
    shape = " × ".join(map(str, run["block_shape"]))
    return [
        ("peak memory", size_text(run["peak_memory_bytes"])),
        ("blocks", f"{count_text(blocks)} of up to {shape} voxels"),
        ("workers", str(run["workers"])),
    ]


@dataclass(frozen=True)
class Chosen:
    """Objects to look at: why, and their rows of the table."""

    title: str
    rows: pd.DataFrame


def extremes(table: pd.DataFrame) -> list[Chosen]:
    """The largest, the smallest and, where it was measured, the most elongated objects."""
    size = default_column(table)
    if size not in table or table.empty:
        return []
    if len(table) == 1:
        return [Chosen("the only one", table)]
    shown = min(MOST_SHOWN, len(table) // 2)
    found = [
        Chosen("largest", table.nlargest(shown, size)),
        Chosen("smallest", table.nsmallest(shown, size)),
    ]
    ratio = elongation(table)
    if ratio is not None:
        order = np.argsort(-np.nan_to_num(ratio), kind="stable")[:shown]
        found.append(Chosen("most elongated", table.iloc[order]))
    return found


def elongation(table: pd.DataFrame) -> NDArray[np.float64] | None:
    """Longest over shortest axis of each object; None where these were not measured."""
    if not {"axis_major_length", "axis_minor_length"} <= set(table.columns):
        return None
    minor = table["axis_minor_length"].to_numpy(dtype=float)
    major = table["axis_major_length"].to_numpy(dtype=float)
    return np.divide(major, minor, out=np.full(len(table), np.nan), where=minor > 0)


def suspects(table: pd.DataFrame) -> list[Chosen]:
    """Objects that may be several, or none: of outlying size, or of low solidity.

    A size is outlying if its logarithm is more than 3.5 robust standard deviations (1.4826 times
    the median absolute deviation) from the median; fewer than eight objects have no outliers.
    """
    size = default_column(table)
    found = []
    if size in table and len(table) >= ENOUGH:
        logs = np.log(table[size].to_numpy(dtype=float))
        middle = np.median(logs)
        spread = TO_SIGMA * float(np.median(np.abs(logs - middle)))
        away = (logs - middle) / spread if spread else np.zeros(len(logs))
        ordered = table.sort_values(size, kind="stable")
        large, small = (table.index[away > FAR], table.index[away < -FAR])
        found += [
            Chosen("unusually large: several in one?", ordered[ordered.index.isin(large)][::-1]),
            Chosen("unusually small: debris?", ordered[ordered.index.isin(small)]),
        ]
    if "solidity" in table:
        low = table[table["solidity"] < LOW_SOLIDITY].sort_values("solidity")
        found.append(Chosen(f"solidity below {LOW_SOLIDITY}: touching ones?", low))
    return [chosen for chosen in found if len(chosen.rows)]


def _measure(value: float, column: str) -> str:
    """Return a measure as it is printed: voxels are counted."""
    counted = column_unit(column) == "voxel" and value.is_integer()
    return count_text(int(value)) if counted else number(value)


def object_facts(row: pd.Series[Any], sizes: Sequence[str]) -> Rows:
    """What is written below the picture of an object."""
    told: Rows = [("t", str(int(row["t"])))] if "t" in row else []
    for column in (*sizes, *SHOWN):
        if column in row:
            told.append((column_title(column), _measure(float(row[column]), column)))
    if {"axis_major_length", "axis_minor_length"} <= set(row.index) and row["axis_minor_length"]:
        ratio = float(row["axis_major_length"]) / float(row["axis_minor_length"])
        told.append(("elongation", number(ratio)))
    places = [c for c in row.index if c.startswith("centroid_") and column_unit(c)]
    places = places or [c for c in row.index if c.startswith("centroid-")]
    if places:
        unit = pretty_unit(column_unit(places[0]))
        where = ", ".join(number(float(row[c])) for c in places)
        told.append((f"centre ({unit or 'voxels'})", where))
    return told
