"""What is told of a run: in ``run.json``, in ``summary.json`` and as warnings."""

from __future__ import annotations

import functools
import math
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import pandas as pd
import xarray as xr

import chunkseg
from chunkseg.api.given import Given
from chunkseg.passes.summaries import movie_summary
from chunkseg.passes.tables import default_column, summarize
from chunkseg.runner.lesson import Lesson
from chunkseg.runner.outcome import Outcome, told_spent
from chunkseg.runner.resident import peak_memory
from chunkseg.storage.identity import TOGETHER, Identity
from chunkseg.storage.ome import Frames
from chunkseg.storage.opening import opened_with, region_of
from chunkseg.storage.sources import source_of

_TABLES = ("histogram", "dropped_objects")
_LIBRARIES = ("numpy", "scipy", "scikit-image", "dask", "zarr", "numba")


def run_facts(
    lesson: Lesson, outcome: Outcome, image: xr.DataArray, warnings: list[str]
) -> dict[str, Any]:
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
        "frames": _frames(lesson, outcome),
        "warnings": warnings,
        **told_spent(outcome.spent),
        "peak_memory_bytes": peak_memory(),
    }


@functools.cache
def _libraries() -> dict[str, str]:
    return {name: version(name) for name in _LIBRARIES}


def versions() -> dict[str, str]:
    """Versions of chunkseg, Python and the libraries that results depend on."""
    own = {"chunkseg": chunkseg.__version__, "python": platform.python_version()}
    return own | _libraries()


def run_identity(
    workflow: Mapping[str, Any],
    image: xr.DataArray,
    given: Given,
    frames: Frames,
    **options: Any,
) -> Identity:
    """Who a run is: what its results depend on."""
    layout = given.layout
    facts: dict[str, Any] = {
        "command": "run",
        "input": image_source(image),
        "axes": [str(d) for d in image.dims],
        "shape of a frame": layout.frame_shape,
        "dtype": str(image.dtype),
        "chunks": [max(given.data.chunks[axis]) for axis in layout.spatial],
        "spacing": frames.spacing,
        "origin": frames.origin,
        "unit": frames.units,
    }
    region = {dim: span for dim, span in region_of(image).items() if dim != "t"}
    if region:
        facts["region"] = region
    if workflow.get("threshold_scope") == "movie" and not options["mask"]:
        facts[TOGETHER] = True
    data = source_of(given.data)
    return Identity.of(
        {**facts, **workflow, **options}, given.data if data is None else data, layout
    )


def image_source(image: Any) -> str | None:
    """Where an image was opened from; None where nobody knows."""
    return image.attrs.get("source") if isinstance(image, xr.DataArray) else None


def _input(lesson: Lesson, image: xr.DataArray) -> dict[str, Any]:
    frames = lesson.frames
    return {
        "source": image_source(image),
        "opened_with": opened_with(image),
        "dims": [str(d) for d in image.dims],
        "shape": image.shape,
        "dtype": str(image.dtype),
        "spacing": dict(zip(frames.dims, frames.spacing, strict=True)),
        "units": dict(zip(frames.dims, frames.units, strict=True)),
    }


def _frames(lesson: Lesson, outcome: Outcome) -> list[dict[str, Any]]:
    looped = lesson.frames.layout.looped
    told = [({"t": n} if looped else {}) | vars(f) for n, f in sorted(outcome.facts.items())]
    return [{k: v for k, v in frame.items() if k not in _TABLES} for frame in told]


def summary_facts(lesson: Lesson, outcome: Outcome) -> dict[str, Any]:
    """Content of ``summary.json``: the size statistics, in all and per time point."""
    assert outcome.table is not None
    summary = table_summary(outcome.table, sorted(outcome.facts))
    told = _frames(lesson, outcome)
    whole = _without_nan(movie_summary(outcome.table, told))
    frames = [{name: v for name, v in frame.items() if name != "checksums"} for frame in told]
    return summary | {"objects": whole, "frames": frames}


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


def warnings_of(lesson: Lesson, outcome: Outcome) -> list[str]:
    """What a user should know: constant images, empty masks, borders or sizes that take all."""
    texts = []
    facts = outcome.facts

    def where(numbers: list[int]) -> str:
        if not lesson.frames.layout.looped:
            return ""
        shown = ", ".join(map(str, numbers[:5])) + (", ..." if len(numbers) > 5 else "")
        return f" at t = {shown} ({len(numbers)} of {len(facts)} time points)"

    constant = [n for n, f in facts.items() if f.constant]
    empty = [n for n, f in facts.items() if f.counts.get("mask") == 0 and not f.constant]
    eroded = [n for n, f in facts.items() if f.counts.get("mask") and f.counts.get("eroded") == 0]
    taken = [n for n, f in facts.items() if f.counts.get("expanded") and not f.counts["final"]]
    if constant:
        texts.append(f"the image is constant, so nothing is foreground{where(constant)}")
    if empty:
        texts.append(f"no voxel is above the threshold{where(empty)}: no objects")
    if eroded:
        texts.append(
            f"the erosion by {lesson.parameters.eroded} leaves nothing"
            f"{where(eroded)}: no objects; try a smaller erosion_radius"
        )
    sized = [n for n in taken if facts[n].dropped.get("size")]
    bordering = [n for n in taken if n not in sized]
    if sized:
        texts.append(
            f"every object is dropped, some or all for their size{where(sized)}: no objects; "
            "Result.dropped tells which; try another min_size or max_size"
        )
    if bordering:
        texts.append(
            f"every object touches the image's border and is dropped{where(bordering)}; in a "
            "thin stack let only the sides count: clear_border_axes=('y', 'x') in a Workflow, "
            "--clear-border-axes y,x on the command line (axes= of clear_border)"
        )
    return texts
