"""OME-Zarr 0.5 metadata of the label images that chunkseg writes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chunkseg.geometry.layout import Layout
from chunkseg.storage.commit import write_json


@dataclass(frozen=True)
class Frames:
    """Axes and calibration of the arrays that a run writes.

    Attributes
    ----------
    dims
        Names of the axes: ``t`` first if there is one, then the spatial axes.
    layout
        Their lengths and roles.
    spacing, origin, units
        Of each axis.
    """

    dims: tuple[str, ...]
    layout: Layout
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    units: tuple[str, ...]


def write_label_group(folder: Path, name: str, frames: Frames) -> None:
    """Make a folder an OME-Zarr label image of one level, ``0``."""
    attributes = {"ome": _ome(name, frames)}
    content = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    write_json(folder / "zarr.json", content)


def _ome(name: str, frames: Frames) -> dict[str, Any]:
    """OME-Zarr 0.5 metadata of a label image of one level."""
    axes = [_ome_axis(d, u) for d, u in zip(frames.dims, frames.units, strict=True)]
    placing: list[dict[str, Any]] = [{"type": "scale", "scale": list(frames.spacing)}]
    if any(frames.origin):
        placing.append({"type": "translation", "translation": list(frames.origin)})
    dataset = {"path": "0", "coordinateTransformations": placing}
    return {
        "version": "0.5",
        "multiscales": [{"name": name, "axes": axes, "datasets": [dataset]}],
        "image-label": {"version": "0.5"},
    }


def _ome_axis(dim: str, unit: str) -> dict[str, str]:
    axis = {"name": dim, "type": "time" if dim == "t" else "space"}
    return axis if unit == "pixel" else axis | {"unit": unit}
