"""Summaries of a run: what came out at each time point, and in the whole movie."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from chunkseg.passes.tables import default_column, summarize, time_column

Facts = Sequence[Mapping[str, Any]]


def frames_summary(
    table: pd.DataFrame, facts: Facts, told: Mapping[str, Mapping[str, Any]]
) -> pd.DataFrame:
    """Summarise a run per time point, or in one row where it has none.

    Parameters
    ----------
    table
        The objects.
    facts
        What ``run.json`` tells of each frame.
    told
        ``spacing`` and ``units`` by axis.

    Returns
    -------
    DataFrame
        ``column`` to ``max`` of the objects' sizes as :func:`chunkseg.passes.tables.summarize` has
        them; ``percent_foreground`` of the frame's voxels; ``threshold``, NaN for a mask;
        ``intensity_mean`` (one for each channel) of all voxels of all objects, NaN without any;
        and, where the step between time points is known in a unit, the time since the first, as
        ``time_s``.

    Examples
    --------
    >>> table = pd.DataFrame({"t": [0, 0], "label": [1, 2], "area": [2.0, 4.0]})
    >>> facts = [{"t": 0, "foreground_fraction": 0.25, "threshold": 0.5}]
    >>> told = {"spacing": {"t": 2.0}, "units": {"t": "minute"}}
    >>> summary = frames_summary(table, facts, told)
    >>> summary[["count", "mean", "percent_foreground", "time_min"]].values.tolist()
    [[2.0, 3.0, 25.0, 0.0]]
    """
    looped = bool(facts) and "t" in facts[0]
    times = [fact["t"] for fact in facts] if looped else None
    summary = summarize(table, default_column(table), times)
    summary["percent_foreground"] = [100 * fact["foreground_fraction"] for fact in facts]
    summary["threshold"] = np.array([fact["threshold"] for fact in facts], dtype=float)
    for name in _means(table):
        by_frame = dict(iter(table.groupby("t"))) if looped else {}
        rows = [table] if times is None else [by_frame.get(t, table[:0]) for t in times]
        summary[name] = [_mean_of_voxels(part, name) for part in rows]
    time = time_column(str(told["units"].get("t", "")))
    if times is not None and time is not None:
        summary[time] = told["spacing"]["t"] * np.array(times, dtype=float)
    return summary


def movie_summary(table: pd.DataFrame, facts: Facts) -> dict[str, Any]:
    """Summarise all frames of a run together; ``threshold`` is None where frames differ in it.

    Examples
    --------
    >>> table = pd.DataFrame({"t": [0, 1], "label": [1, 1], "area": [2.0, 4.0]})
    >>> facts = [{"t": t, "foreground_fraction": t / 4, "threshold": 0.5} for t in (0, 1)]
    >>> whole = movie_summary(table, facts)
    >>> whole["count"], whole["mean"], whole["percent_foreground"], whole["threshold"]
    (2, 3.0, 12.5, 0.5)
    """
    objects = table.drop(columns="t", errors="ignore")
    (row,) = summarize(objects, default_column(table)).to_dict(orient="records")
    thresholds = {fact["threshold"] for fact in facts}
    fractions = [fact["foreground_fraction"] for fact in facts]
    row["percent_foreground"] = 100 * float(np.mean(fractions))
    row["threshold"] = thresholds.pop() if len(thresholds) == 1 else None
    named = {str(name): value for name, value in row.items()}
    return named | {name: _mean_of_voxels(table, name) for name in _means(table)}


def _means(table: pd.DataFrame) -> list[str]:
    return [str(name) for name in table.columns if str(name).startswith("intensity_mean")]


def _mean_of_voxels(table: pd.DataFrame, name: str) -> float:
    """Mean over the voxels of all objects: of the objects' means, weighted by their areas."""
    areas = table["area"].to_numpy(dtype=float)
    return float(np.average(table[name], weights=areas)) if len(areas) else math.nan
