"""OME-Zarr 0.4 and 0.5 (and older ones with five axes): the metadata of an image group.

A voxel's coordinate is what the transformations of its level, then those of the whole multiscale
image, make of its index: a chain of scales and translations, folded into one spacing and origin per
axis.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import zarr

from chunkseg.errors import FormatError
from chunkseg.geometry.calibration import Calibration
from chunkseg.storage.formats.found import Found, check_level, known_axes, stem
from chunkseg.storage.sources import ZarrSource

_FIVE = ("t", "c", "z", "y", "x")


def ome_attributes(group: zarr.Group) -> dict[str, Any]:
    """Attributes of OME-Zarr: under ``ome`` since 0.5, before that at the root."""
    attrs = dict(group.attrs)
    inner = attrs.get("ome")
    return dict(inner) if isinstance(inner, Mapping) else attrs


def series(group: zarr.Group, attrs: Mapping[str, Any]) -> list[str]:
    """Names of the images of a bioformats2raw collection; empty if it is none."""
    if attrs.get("bioformats2raw.layout") != 3:
        return []
    listed = _listed_series(group)
    return listed or sorted(name for name, _ in group.groups() if name.isdigit())


def _listed_series(group: zarr.Group) -> list[str]:
    if "OME" not in group:
        return []
    inner = group["OME"]
    names = ome_attributes(inner).get("series", []) if isinstance(inner, zarr.Group) else []
    return [str(n) for n in names]


def read(path: str, group: zarr.Group, attrs: Mapping[str, Any], level: int) -> Found:
    """Find one level of an image group.

    Parameters
    ----------
    path
        Of the group.
    group, attrs
        The group and its OME attributes.
    level
        Position in ``datasets``, whatever the level is called there.

    Raises
    ------
    FormatError
        If the metadata are incomplete or contradict the array.
    ParameterError
        If the level does not exist.
    """
    image, datasets = _image(path, attrs)
    check_level(path, level, len(datasets))
    array = _array(path, group, datasets[level])
    names, units = _axes(path, image, array.ndim)
    steps = [*_transformations(datasets[level]), *_transformations(image)]
    return Found(
        ZarrSource(array),
        names,
        _calibration(path, names, units, steps),
        _channels(attrs),
        _title(path, image),
        fixed_layout=len(names) == len(_FIVE),
        doubt="" if known_axes(names) else f"its axes are named {names}",
    )


def _title(path: str, image: Mapping[str, Any]) -> str:
    """Name after the file; an image of a collection is called just ``0`` there."""
    name = stem(path)
    return str(image.get("name") or name) if name.isdigit() else name


def _image(path: str, attrs: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[Any]]:
    images = attrs["multiscales"]
    datasets = images[0].get("datasets") if images and isinstance(images[0], Mapping) else None
    if not datasets:
        raise FormatError(
            f"{path} says it is an OME-Zarr image, but its multiscales name no datasets; "
            "open the array inside it by its own path"
        )
    return images[0], list(datasets)


def _array(path: str, group: zarr.Group, dataset: Mapping[str, Any]) -> zarr.Array[Any]:
    name = str(dataset.get("path"))
    array = group.get(name)
    if not isinstance(array, zarr.Array):
        raise FormatError(
            f"{path} names {name!r} as the array of this level, but there is none; "
            "the copy may be incomplete"
        )
    return array


def _axes(
    path: str, image: Mapping[str, Any], ndim: int
) -> tuple[tuple[str | None, ...], dict[str, str]]:
    axes = image.get("axes") or (_FIVE if ndim == len(_FIVE) else (None,) * ndim)
    if len(axes) != ndim:
        raise FormatError(f"{path} names {len(axes)} axes for an array of {ndim}")
    full = [axis if isinstance(axis, Mapping) else {"name": axis} for axis in axes]
    names = tuple(str(a["name"]).lower() if a.get("name") else None for a in full)
    units = {n: str(a["unit"]) for n, a in zip(names, full, strict=True) if n and a.get("unit")}
    return names, units


def _transformations(holder: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    steps: Sequence[Mapping[str, Any]] = holder.get("coordinateTransformations") or []
    return steps


def _calibration(
    path: str,
    names: Sequence[str | None],
    units: Mapping[str, str],
    steps: Iterable[Mapping[str, Any]],
) -> Calibration:
    spacing, origin = [1.0] * len(names), [0.0] * len(names)
    scaled = False
    for step in steps:
        kind = step.get("type")
        if kind == "identity":
            continue
        values = step.get(str(kind))
        if kind not in ("scale", "translation") or len(values or ()) != len(names):
            raise FormatError(
                f"{path} has a coordinate transformation that is not understood: {dict(step)}"
            )
        numbers = [float(v) for v in values or ()]
        if kind == "scale":
            scaled = True
            spacing = [a * b for a, b in zip(spacing, numbers, strict=True)]
            origin = [a * b for a, b in zip(origin, numbers, strict=True)]
        else:
            origin = [a + b for a, b in zip(origin, numbers, strict=True)]
    return _named(names, units, spacing, origin) if scaled else Calibration()


def _named(
    names: Sequence[str | None],
    units: Mapping[str, str],
    spacing: Sequence[float],
    origin: Sequence[float],
) -> Calibration:
    kept = [(n, s, o) for n, s, o in zip(names, spacing, origin, strict=True) if n and n != "c"]
    return Calibration({n: s for n, s, _ in kept}, dict(units), {n: o for n, _, o in kept})


def _channels(attrs: Mapping[str, Any]) -> tuple[str, ...] | None:
    channels = (attrs.get("omero") or {}).get("channels") or []
    labels = [c.get("label") for c in channels]
    return tuple(str(label) for label in labels) if labels and all(labels) else None
