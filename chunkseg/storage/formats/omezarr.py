"""OME-Zarr 0.4 and 0.5 (and older ones with five axes): the metadata of an image group.

A voxel's coordinate is what the transformations of its level, then those of the whole multiscale
image, make of its index: a chain of scales and translations, folded into one spacing and origin per
axis.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import ParseError

import zarr
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import collect_aiterator, sync

from chunkseg.errors import FormatError
from chunkseg.geometry.calibration import Calibration
from chunkseg.storage.formats import omexml
from chunkseg.storage.formats.asked import Asked
from chunkseg.storage.formats.found import Found, check_level, known_axes, number_of
from chunkseg.storage.sources import ZarrSource

_FIVE = ("t", "c", "z", "y", "x")

logger = logging.getLogger("chunkseg")


def ome_attributes(group: zarr.Group) -> dict[str, Any]:
    """Attributes of OME-Zarr: under ``ome`` since 0.5, before that at the root."""
    attrs = dict(group.attrs)
    inner = attrs.get("ome")
    return dict(inner) if isinstance(inner, Mapping) else attrs


def collected(group: zarr.Group, attrs: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Images that a group only collects: bioformats2raw's series, a well's fields, labels.

    Returns
    -------
    tuple of two lists of str
        The path of each image inside the group, and what it is called; both empty if the group is
        no such collection. A bioformats2raw series is called by its number, or by its name in
        ``OME/METADATA.ome.xml`` where the names are there and differ.
    """
    if attrs.get("bioformats2raw.layout") == 3:
        names = [image.name for image in _described(group)]
        parts = _listed_series(group) or _numbered(group) or [str(i) for i in range(len(names))]
        clear = len(names) == len(parts) == len(set(names)) and all(names)
        return parts, names if clear else parts
    fields = [f.get("path") for f in (attrs.get("well") or {}).get("images") or []]
    parts = [str(name) for name in fields or attrs.get("labels") or []]
    return parts, parts


def _listed_series(group: zarr.Group) -> list[str]:
    inner = group.get("OME")
    names = ome_attributes(inner).get("series") or [] if isinstance(inner, zarr.Group) else []
    return [str(n) for n in names]


def _numbered(group: zarr.Group) -> list[str]:
    """Numbers of the images, by listing the store; none where that is not possible."""
    try:
        names = collect_aiterator(group.store.list_dir(group.path))
    except (NotImplementedError, OSError):
        return []
    return sorted((name for name in names if name.isdecimal()), key=int)


def _described(group: zarr.Group) -> list[omexml.OmeImage]:
    """What the OME-XML of a bioformats2raw collection tells about its images; nothing without."""
    document = sync(
        group.store.get(_key(group, "OME/METADATA.ome.xml"), default_buffer_prototype())
    )
    try:
        return [] if document is None else omexml.images(document.to_bytes().decode())
    except (ParseError, UnicodeDecodeError):
        return []


def _key(group: zarr.Group, name: str) -> str:
    return f"{group.path}/{name}" if group.path else name


def read(asked: Asked, group: zarr.Group, attrs: Mapping[str, Any]) -> Found:
    """Find one level of an image group.

    Parameters
    ----------
    asked
        The place of the group, and the level: its position in ``datasets``, whatever it is called
        there.
    group, attrs
        The group and its OME attributes.

    Raises
    ------
    FormatError
        If the metadata are incomplete or contradict the array.
    ParameterError
        If the level or series does not exist.
    """
    image, titles = _image(asked, attrs)
    path = asked.name
    datasets = list(image["datasets"])
    check_level(path, asked.level, len(datasets))
    dataset = datasets[asked.level]
    array = _array(path, group, dataset)
    names, units = _axes(path, image, array.ndim)
    steps = [*_transformations(dataset), *_transformations(image)]
    return Found(
        ZarrSource(array),
        names,
        _calibration(path, names, units, steps),
        _channels(attrs),
        _title(asked.stem, image),
        fixed_layout=len(names) == len(_FIVE),
        doubt="" if known_axes(names) else f"its axes are named {names}",
        series=titles,
        levels=len(datasets),
        is_labels="image-label" in attrs,
    )


def level_named(attrs: Mapping[str, Any], name: str) -> int | None:
    """Level whose array has a name, where the attributes are those of one image group."""
    images = attrs.get("multiscales")
    if not isinstance(images, list) or len(images) != 1 or not isinstance(images[0], Mapping):
        return None
    datasets = images[0].get("datasets")
    paths = [d.get("path") if isinstance(d, Mapping) else None for d in datasets or ()]
    return paths.index(name) if name in paths else None


def _title(stem: str, image: Mapping[str, Any]) -> str:
    """Name after the file; an image of a collection is called just ``0`` there."""
    return str(image.get("name") or stem) if stem.isdigit() else stem


def _image(asked: Asked, attrs: Mapping[str, Any]) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """Multiscale image that is wanted, and the names of all: a group has one, rarely several."""
    listed = [i for i in attrs["multiscales"] or () if isinstance(i, Mapping)]
    images = [i for i in listed if i.get("datasets")]
    names = tuple(str(i.get("name", n)) for n, i in enumerate(images))
    if not images:
        raise FormatError(
            f"{asked.name} says it is an OME-Zarr image, but its multiscales name no datasets; "
            "open the array inside it by its own path"
        )
    if asked.series is not None:
        return images[number_of("series", asked.series, names)], names
    if len(images) > 1:
        logger.warning(
            "%s holds %d images (%s); the first is opened, another by series=",
            asked.name,
            len(images),
            ", ".join(names),
        )
    return images[0], names


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
