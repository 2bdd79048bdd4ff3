"""OME-Zarr 0.5 and 0.4 metadata of the images and label images that chunkseg writes.

A level's scale is the full resolution's times its factor. Labels are taken at even indices, so
that a level's first voxel lies where that of the full resolution does; the first voxel of a level
of means lies in the middle of those that it is the mean of.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from chunkseg.errors import ParameterError
from chunkseg.geometry.layout import Layout
from chunkseg.geometry.pyramid import Level
from chunkseg.geometry.units import PIXEL
from chunkseg.storage.commit import write_json
from chunkseg.storage.places import Place

Version = Literal["0.4", "0.5"]
OWN = "chunkseg"
_NEAREST = "the voxel at each even index of the level below"
_MEAN = "the mean of two voxels along each halved axis of the level below, rounded half up"
COLOURS = ("00FFFF", "FF00FF", "FFFF00", "FF0000", "00FF00", "0000FF")
VERSIONS: tuple[Version, ...] = ("0.5", "0.4")


def parse_version(version: str) -> Version:
    """Version of OME-Zarr that is to be written.

    Raises
    ------
    ParameterError
        If it is not one of those that can be.
    """
    for known in VERSIONS:
        if version == known:
            return known
    raise ParameterError(f"OME-Zarr is written in version {' or '.join(VERSIONS)}, not {version!r}")


@dataclass(frozen=True)
class Frames:
    """Axes and calibration of the arrays that a run writes.

    Attributes
    ----------
    dims
        Names of the axes: ``t`` and ``c`` first if there are any, then the spatial axes.
    layout
        Their lengths and roles.
    spacing, origin, units
        Of each axis.
    version
        Of OME-Zarr.
    """

    dims: tuple[str, ...]
    layout: Layout
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    units: tuple[str, ...]
    version: Version = "0.5"

    @property
    def spatial(self) -> tuple[str, ...]:
        """Names of the spatial axes."""
        return tuple(self.dims[axis] for axis in self.layout.spatial)

    @property
    def voxel(self) -> tuple[float, ...]:
        """Size of a voxel along the spatial axes, whatever their units."""
        return tuple(self.spacing[axis] for axis in self.layout.spatial)

    @property
    def spatial_spacing(self) -> tuple[float, ...] | None:
        """Spacing along the spatial axes; None where they are not in one unit."""
        one_unit = len({self.units[axis] for axis in self.layout.spatial}) <= 1
        return self.voxel if one_unit else None


def write_image_group(
    folder: Path,
    name: str,
    frames: Frames,
    levels: Sequence[Level],
    mean: bool = False,
    labels: bool = True,
    more: Mapping[str, Any] | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> None:
    """Make a folder an OME-Zarr image (by default of labels) with the levels ``0``, ``1``, ...

    Parameters
    ----------
    folder, name
        The group, and what the image is called.
    frames
        Axes and calibration of the full resolution.
    levels
        The full resolution first.
    mean
        Whether coarser voxels are means.
    labels
        Whether it is a label image.
    more
        Further OME metadata, as ``omero``.
    attributes
        Further attributes that are not OME's.
    """
    content = _multiscale(name, frames, levels, mean)
    version = {"version": frames.version}
    marked = {"image-label": version} if labels else {}
    own = dict(attributes or {})
    if frames.version == "0.5":
        ome = {**version, "multiscales": [content], **marked, **(more or {})}
        document = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": ome, **own}}
        write_json(folder / "zarr.json", document)
        return
    told = {"multiscales": [version | content], **marked, **(more or {}), **own}
    write_json(folder / ".zattrs", told)
    write_json(folder / ".zgroup", {"zarr_format": 2})


def group_attributes(folder: Place) -> dict[str, Any]:
    """Attributes of a group that was written at a place; none of anything else."""
    for name in ("zarr.json", ".zattrs"):
        try:
            content = json.loads((folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        found = content.get("attributes") if name == "zarr.json" else content
        return found if isinstance(found, dict) else {}
    return {}


def channel_metadata(
    names: Sequence[str], ranges: Sequence[tuple[float, float]], dtype: Any
) -> dict[str, Any]:
    """OME metadata of channels: names, colours, and the range of values to be shown.

    Parameters
    ----------
    names
        Of the channels.
    ranges
        Lowest and highest value of each.
    dtype
        Of the voxels.
    """
    kind = np.dtype(dtype)
    whole = np.iinfo(kind) if kind.kind in "iu" else None
    channels = [
        {
            "label": name,
            "color": COLOURS[number % len(COLOURS)] if len(names) > 1 else "FFFFFF",
            "active": True,
            "window": {
                "start": low,
                "end": high,
                "min": low if whole is None else int(whole.min),
                "max": high if whole is None else int(whole.max),
            },
        }
        for number, (name, (low, high)) in enumerate(zip(names, ranges, strict=True))
    ]
    return {"omero": {"channels": channels}}


def _multiscale(name: str, frames: Frames, levels: Sequence[Level], mean: bool) -> dict[str, Any]:
    axes = [_ome_axis(d, u) for d, u in zip(frames.dims, frames.units, strict=True)]
    placed = [_placed(frames, level, mean) for level in levels]
    shifted = any(any(translation) for _, translation in placed)
    datasets = [
        {"path": str(n), "coordinateTransformations": _steps(scale, translation, shifted)}
        for n, (scale, translation) in enumerate(placed)
    ]
    method = {"method": "chunkseg", "description": _MEAN if mean else _NEAREST}
    kind = {"type": "mean" if mean else "nearest", "metadata": method}
    return {"name": name, "axes": axes, "datasets": datasets, **kind}


def _placed(frames: Frames, level: Level, mean: bool) -> tuple[list[float], list[float]]:
    """Scale and translation of a level."""
    factors = frames.layout.per_axis(level.factor, 1)
    scale = [s * f for s, f in zip(frames.spacing, factors, strict=True)]
    shifts = [
        (f - 1) / 2 * s if mean else 0.0 for s, f in zip(frames.spacing, factors, strict=True)
    ]
    return scale, [o + shift for o, shift in zip(frames.origin, shifts, strict=True)]


def _steps(scale: list[float], translation: list[float], shifted: bool) -> list[dict[str, Any]]:
    placing: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
    return [*placing, {"type": "translation", "translation": translation}] if shifted else placing


def _ome_axis(dim: str, unit: str) -> dict[str, str]:
    axis = {"name": dim, "type": {"t": "time", "c": "channel"}.get(dim, "space")}
    return axis if unit == PIXEL else axis | {"unit": unit}
