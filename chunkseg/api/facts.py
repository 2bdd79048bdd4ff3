"""What is told of a run: in ``run.json``, in ``summary.json`` and as warnings."""

from __future__ import annotations

import math
import platform
import re
import resource
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

import chunkseg
from chunkseg.passes.tables import default_column, summarize
from chunkseg.runner.lesson import Lesson

_LIBRARIES = ("numpy", "scipy", "scikit-image", "dask", "zarr", "numba", "connected-components-3d")


def run_facts(lesson: Lesson, image: xr.DataArray, warnings: list[str]) -> dict[str, Any]:
    """Content of ``run.json``."""
    return {
        "versions": versions(),
        "input": _input(lesson, image),
        "workflow": lesson.parameters.as_dict(),
        "input_is_mask": lesson.is_mask,
        "until": lesson.until,
        "block_shape": lesson.block,
        "blocks_per_frame": len(lesson.grid),
        "workers": lesson.execution.width,
        "frames": [_frame(lesson, number) for number in sorted(lesson.facts)],
        "warnings": warnings,
        "seconds": lesson.seconds,
        "peak_memory_bytes": peak_memory(),
    }


def versions() -> dict[str, str]:
    """Versions of chunkseg, Python and the libraries that results depend on."""
    own = {"chunkseg": chunkseg.__version__, "python": platform.python_version()}
    return own | {name: version(name) for name in _LIBRARIES}


def peak_memory() -> int:
    """Peak resident memory of this process in bytes.

    Linux has it as ``VmHWM``; ``ru_maxrss`` would start with the memory of the process
    that started this one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        found = re.search(r"VmHWM:\s*(\d+) kB", status.read_text())
        if found:
            return int(found.group(1)) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _input(lesson: Lesson, image: xr.DataArray) -> dict[str, Any]:
    frames = lesson.frames
    return {
        "source": str(image.attrs.get("source", "")) or None,
        "dims": [str(d) for d in image.dims],
        "shape": image.shape,
        "dtype": str(image.dtype),
        "spacing": dict(zip(frames.dims, frames.spacing, strict=True)),
        "units": dict(zip(frames.dims, frames.units, strict=True)),
    }


def _frame(lesson: Lesson, number: int) -> dict[str, Any]:
    facts = lesson.facts[number]
    place = {"t": number} if lesson.frames.layout.looped else {}
    return place | {
        "threshold": facts.threshold,
        "foreground_fraction": facts.foreground_fraction,
        "counts": facts.counts,
    }


def summary_facts(table: pd.DataFrame, lesson: Lesson) -> dict[str, Any]:
    """Content of ``summary.json``: the size statistics, in all and per time point."""
    times = sorted(lesson.facts)
    return table_summary(table, times) | {"frames": [_frame(lesson, n) for n in times]}


def table_summary(table: pd.DataFrame, times: Sequence[int] | None = None) -> dict[str, Any]:
    """Size statistics of a table, in all and per time point; nothing if no size was measured."""
    sizes = table.drop(columns="t", errors="ignore")
    if default_column(sizes) not in sizes:
        return {}
    content: dict[str, Any] = {"objects": _without_nan(summarize(sizes).iloc[0].to_dict())}
    if "t" in table.columns:
        rows = summarize(table, times=times).reset_index().to_dict(orient="records")
        content["per_time_point"] = [_without_nan(row) for row in rows]
    return content


def _without_nan(row: dict[Any, Any]) -> dict[str, Any]:
    missing = {k: None for k, v in row.items() if isinstance(v, float) and math.isnan(v)}
    return {str(k): v for k, v in row.items()} | missing


def warnings_of(lesson: Lesson) -> list[str]:
    """What a user should know: constant images, empty masks, borders that take everything."""
    texts = []
    facts = lesson.facts
    constant = [n for n, f in facts.items() if f.constant]
    empty = [n for n, f in facts.items() if f.counts.get("mask") == 0 and not f.constant]
    eroded = [n for n, f in facts.items() if f.counts.get("mask") and f.counts.get("eroded") == 0]
    taken = [n for n, f in facts.items() if f.counts.get("expanded") and not f.counts["final"]]
    if constant:
        texts.append(f"the image is constant, so nothing is foreground{_where(constant, lesson)}")
    if empty:
        texts.append(f"no voxel is above the threshold{_where(empty, lesson)}: no objects")
    if eroded:
        texts.append(
            f"the erosion by {lesson.parameters.erosion_radius} voxels leaves nothing"
            f"{_where(eroded, lesson)}: no objects; try a smaller erosion_radius"
        )
    if taken:
        texts.append(
            f"every object touches the image's border and is dropped{_where(taken, lesson)}; in a "
            "thin stack let only the sides count: clear_border_axes=('y', 'x') in a Workflow, "
            "--clear-border-axes y,x on the command line (axes= of clear_border)"
        )
    return texts


def _where(numbers: list[int], lesson: Lesson) -> str:
    if not lesson.frames.layout.looped:
        return ""
    shown = ", ".join(map(str, numbers[:5])) + (", ..." if len(numbers) > 5 else "")
    return f" at t = {shown} ({len(numbers)} of {len(lesson.facts)} time points)"
