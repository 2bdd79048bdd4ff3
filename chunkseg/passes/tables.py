"""Tables of objects: physical columns, and summaries of a column per time point."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chunkseg.errors import ParameterError
from chunkseg.geometry.units import PIXEL, is_time, unit_symbol

SUMMARY = ("column", "unit", "count", "mean", "std", "range", "min", "max")


def with_physical(table: pd.DataFrame, spacing: tuple[float, ...], unit: str) -> pd.DataFrame:
    """Add volume (2-D: area) and centroid in a physical unit, which is in the columns' names.

    Parameters
    ----------
    table
        Measures in voxels; what it has of ``area`` and ``centroid`` is converted.
    spacing
        Voxel size along each axis.
    unit
        Of the spacing, as ``micrometer``; with ``pixel`` nothing is added.
    """
    if unit == PIXEL:
        return table
    symbol = unit_symbol(unit)
    size = f"volume_{symbol}3" if len(spacing) == 3 else f"area_{symbol}{len(spacing)}"
    columns: dict[str, NDArray[Any]] = {}
    if "area" in table:
        columns[size] = table["area"].to_numpy() * math.prod(spacing)
    for axis, step in enumerate(spacing):
        if f"centroid-{axis}" in table:
            columns[f"centroid_{symbol}-{axis}"] = table[f"centroid-{axis}"].to_numpy() * step
    return table.assign(**columns)


def with_time(table: pd.DataFrame, frame: int, step: float, unit: str) -> pd.DataFrame:
    """Add the number of the time point as ``t`` and, in a unit of time, the time since the first.

    Examples
    --------
    >>> with_time(pd.DataFrame({"label": [1]}), 3, 0.5, "minute").to_dict(orient="list")
    {'t': [3], 'label': [1], 'time_min': [1.5]}
    """
    table.insert(0, "t", frame)
    name = time_column(unit)
    return table if name is None else table.assign(**{name: step * frame})


def time_column(unit: str) -> str | None:
    """Return the name of the column of times in a unit; None if it is not one of time."""
    return f"time_{unit_symbol(unit)}" if is_time(unit) else None


def summarize(
    table: pd.DataFrame, column: str | None = None, times: Iterable[int] | None = None
) -> pd.DataFrame:
    """Summarise a column per time point; see :func:`chunkseg.summarize`.

    ``times`` names the time points, with or without objects; by default those in the table.
    """
    name = column if column is not None else default_column(table)
    if name not in table.columns:
        raise ParameterError(f"column {name!r} is not in the table; it has {list(table.columns)}")
    unit = column_unit(name, str(table.attrs.get("size_unit", "voxel")))
    if "t" not in table.columns:
        return pd.DataFrame([_summary(table[name], name, unit)])
    groups = dict(iter(table.groupby("t")[name]))
    wanted = groups if times is None else times
    rows = {t: _summary(groups.get(t, table[name][:0]), name, unit) for t in wanted}
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=list(SUMMARY))
    return frame.rename_axis("t")


def default_column(table: pd.DataFrame) -> str:
    """Return the column that is summarised by default: a physical size, else ``area``."""
    physical = [str(c) for c in table.columns if re.match(r"(volume|area)_[a-z]+[23]$", str(c))]
    return physical[0] if physical else "area"


def column_unit(name: str, size_unit: str = "voxel") -> str:
    """Unit of a column: from its name, as ``um3`` of ``volume_um3``, or that of sizes."""
    if name == "num_pixels":
        return "voxel"
    if name in ("area", "area_bbox", "area_convex", "area_filled"):
        return size_unit
    found = re.match(
        r"(?:volume|area|centroid|time)_(?!local|weighted)([a-z]+[23]?)(?:-\d)?$", name
    )
    return found.group(1) if found else ""


def column_units(table: pd.DataFrame) -> dict[str, str]:
    """Unit of every column: lengths, places and sizes of scikit-image's names are in voxels.

    Examples
    --------
    >>> column_units(pd.DataFrame(columns=["centroid_weighted-0", "centroid_local-1"]))
    {'centroid_weighted-0': 'voxel', 'centroid_local-1': 'voxel'}
    >>> column_units(pd.DataFrame(columns=["t", "label", "area", "bbox-0", "centroid_um-1"]))
    {'t': 'frame', 'label': '', 'area': 'voxel', 'bbox-0': 'voxel', 'centroid_um-1': 'um'}
    """
    size = str(table.attrs.get("size_unit", "voxel"))
    return {str(name): _unit(str(name), size) for name in table.columns}


def _unit(name: str, size: str) -> str:
    if name == "t":
        return "frame"
    length = re.match(
        r"(bbox|centroid(_weighted)?(_local)?)-\d|(axis|feret|equivalent)_|perimeter", name
    )
    return "voxel" if length else column_unit(name, size)


def _summary(values: pd.Series[Any], name: str, unit: str) -> dict[str, Any]:
    data = values.to_numpy(dtype=float)
    row: dict[str, Any] = {"column": name, "unit": unit, "count": len(data)}
    if not len(data):
        return row | dict.fromkeys(SUMMARY[3:], math.nan)
    low, high = float(data.min()), float(data.max())
    spread = {"range": high - low, "min": low, "max": high}
    return row | {"mean": float(np.mean(data)), "std": float(np.std(data))} | spread
