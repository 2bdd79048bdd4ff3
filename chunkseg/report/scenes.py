"""Scenes of a result: image, mask and labels of some views, and its objects one by one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from chunkseg.api.checking_files import input_check
from chunkseg.api.checks import Subject
from chunkseg.api.run_input import opened_image
from chunkseg.errors import ChunksegError
from chunkseg.geometry.boxes import Box
from chunkseg.geometry.layout import Layout
from chunkseg.geometry.units import PIXEL
from chunkseg.passes.masking import Masking
from chunkseg.report.pictures import (
    Picture,
    black_and_white,
    grey,
    grid_of,
    overlaid,
    picture,
    scale_bar,
    with_seams,
)
from chunkseg.report.views import Budget, Level, Masked, Pyramid, View, affordable
from chunkseg.report.words import length_unit
from chunkseg.runner.sweep import Input
from chunkseg.storage.opening import REGION, find_image, image_of
from chunkseg.storage.site import LABELS

PANEL, CARD = 420, 200
MASK = "mask"
PLANES = (0.5, 0.25, 0.75)
FRAMES = 3
AROUND = 0.35
LEAST_AROUND = 4


@dataclass(frozen=True)
class Scene:
    """Some pictures of one view, side by side."""

    title: str
    pictures: tuple[Picture, ...]
    note: str = ""


@dataclass
class Stage:
    """What can be pictured of a result.

    Attributes
    ----------
    subject
        The result.
    image, mask, labels
        What can be read; None where it can't.
    why
        Why there is no image; empty where there is one.
    budget
        What may be read.
    seams
        Whether the seams of blocks are drawn.
    """

    subject: Subject
    image: Pyramid | None
    mask: Pyramid | Masked | None
    labels: Pyramid | None
    why: str
    budget: Budget
    seams: bool = False

    @classmethod
    def of(
        cls, subject: Subject, image: Any = None, budget: Budget | None = None, seams: bool = False
    ) -> Stage:
        """Open what is there; ``image`` stands in for an input that can't be opened again."""
        told, source = input_check(subject, image)
        pyramid = None if source is None else Pyramid(_levels(subject, source, image))
        mask = _stored(subject, "mask.ome.zarr") or _masked(subject, pyramid)
        labels = _stored(subject, LABELS)
        why = "" if pyramid is not None else told.detail
        return cls(subject, pyramid, mask, labels, why, budget or Budget(), seams)

    @property
    def spacing(self) -> tuple[float, ...]:
        """Size of a voxel along each axis of a frame."""
        return self.subject.spacing

    @property
    def unit(self) -> str:
        """Printed symbol of the unit of lengths."""
        return length_unit(self.subject.run["input"]["units"].get(self.subject.spatial[-1], PIXEL))

    def scenes(self, table: pd.DataFrame | None) -> list[Scene]:
        """Picture planes and maximum projections; a part of one where the mask costs too much."""
        views = _views(self.subject, table)
        found = []
        for number, (title, view) in enumerate(views):
            share = self.budget.share(2 * (len(views) - number + 1))
            scene = self.scene(title, view, share)
            if scene is not None:
                found.append(scene)
        if any(p.title == MASK for scene in found for p in scene.pictures):
            return found
        detail = self._detail(views, self.budget.share(2))
        return found if detail is None else [*found, detail]

    def _detail(self, views: Sequence[tuple[str, View]], share: int) -> Scene | None:
        """Picture so small a part of a plane that the mask can be computed there."""
        planes = [view for view in views if view[1].depth == 1]
        if self.mask is None or not planes:
            return None
        title, view = planes[len(planes) // 2]
        smaller = affordable(view, [*self._arrays(), self.mask], share // 2)
        return None if smaller is None else self.scene(f"{title}, in detail", smaller, share)

    def _arrays(self) -> list[Pyramid]:
        """What is read of every view."""
        stored = self.mask if isinstance(self.mask, Pyramid) else None
        return [array for array in (self.image, self.labels, stored) if array is not None]

    def middle(self, table: pd.DataFrame | None) -> Scene | None:
        """Picture one plane: of the middle one of the views."""
        views = [view for view in _views(self.subject, table) if view[1].depth == 1]
        return self.scene(*views[len(views) // 2], self.budget.share(2))

    def scene(self, title: str, view: View, share: int) -> Scene | None:
        """Picture one view; what can't be read for its share is left out or made smaller."""
        smaller = affordable(view, self._arrays(), share)
        if smaller is None:
            return None
        grid = grid_of(smaller.box, self.spacing, PANEL)
        ground = None
        pictures = []
        bar = scale_bar(smaller.box, self.spacing, self.unit)
        if self.image is not None:
            ground = grey(self.image.read(smaller, self.budget), grid)
            pictures.append(self._picture("image", ground, smaller.box, bar))
        mask = self.mask
        if mask is not None and mask.cost(smaller) <= share:
            seen = black_and_white(mask.read(smaller, self.budget), grid)
            pictures.append(self._picture(MASK, seen, smaller.box, bar))
        if self.labels is not None:
            labels = overlaid(ground, self.labels.read(smaller, self.budget), grid)
            pictures.append(self._picture("labels", labels, smaller.box, bar))
        note = "" if smaller.box == self._whole(view) else _part(smaller, self.subject)
        return Scene(title, tuple(pictures), note) if pictures else None

    def _whole(self, view: View) -> Box:
        """Box of the whole frame, or of the plane that a view lies in."""
        whole = Box.whole(self.subject.layout.frame_shape)
        flat = len(whole.shape) == 3 and view.depth == 1
        return _plane(whole, view.box.start[0]) if flat else whole

    def _picture(self, title: str, pixels: Any, box: Box, bar: tuple[float, str]) -> Picture:
        if self.seams:
            pixels = with_seams(pixels, box, tuple(self.subject.run["block_shape"]))
        return picture(title, pixels, bar)

    def portrait(self, row: pd.Series[Any], share: int) -> Picture | None:
        """Picture one object: the plane of its centroid and some of what is around it."""
        view = _around(row, self.subject)
        if self.labels is None or view is None:
            return None
        arrays = [array for array in (self.image, self.labels) if array is not None]
        smaller = affordable(view, arrays, share)
        if smaller is None:
            return None
        grid = grid_of(smaller.box, self.spacing, CARD)
        ground = None
        if self.image is not None:
            ground = grey(self.image.read(smaller, self.budget), grid)
        labels = self.labels.read(smaller, self.budget)
        seen = overlaid(ground, labels, grid, only=int(row["label"]))
        title = f"label {int(row['label'])}"
        return picture(title, seen, scale_bar(smaller.box, self.spacing, self.unit))


def _levels(subject: Subject, source: Input, image: Any) -> tuple[Level, ...]:
    """Levels of the input: the one that the run read, and coarser ones of a file."""
    layout = source.layout
    ones = (1,) * layout.ndim
    first = Level(source.data, layout, ones)
    place = subject.run["input"]["source"] if image is None else image
    if not isinstance(place, str):
        return (first,)
    return (first, *_coarser(subject, place, layout))


def _coarser(subject: Subject, place: str, layout: Layout) -> Iterable[Level]:
    told = subject.run["input"]
    options = told.get("opened_with", {})
    if REGION in options:
        return
    used = options.get("level", 0)
    named = {name: options.get(name) for name in ("channel", "dims")}
    spacing = {dim: told["spacing"][dim] for dim in subject.spatial}
    units = {dim: told["units"][dim] for dim in subject.spatial}
    try:
        count = find_image(place, used, options.get("series")).levels
        for level in range(used + 1, count):
            found = find_image(place, level, options.get("series"))
            image = opened_image(image_of(place, found, spacing=spacing, unit=units, **named), None)
            data = Input.of(image.data, Layout.of(image.shape, list(map(str, image.dims))))
            yield _level(data.data, data.layout, layout)
    except (ChunksegError, OSError):
        return


def _level(data: Any, layout: Layout, full: Layout) -> Level:
    pairs = zip(full.frame_shape, layout.frame_shape, strict=True)
    return Level(data, layout, tuple(max(1, round(n / m)) for n, m in pairs))


def _stored(subject: Subject, name: str) -> Pyramid | None:
    """Open an array that the run wrote, at its levels."""
    folder = subject.path / name
    if name not in subject.run["files"] or not folder.is_dir():
        return None
    try:
        count = find_image(str(folder)).levels
        found = [find_image(str(folder), level) for level in range(count)]
    except (ChunksegError, OSError):
        return None
    layouts = [Layout.of(f.source.shape, subject.dims) for f in found]
    pairs = zip(found, layouts, strict=True)
    return Pyramid(tuple(_level(f.source, layout, layouts[0]) for f, layout in pairs))


def _masked(subject: Subject, image: Pyramid | None) -> Masked | None:
    """Prepare to compute the mask from the image, where the thresholds are known."""
    if image is None:
        return None
    thresholds = {n: f["threshold"] for n, f in enumerate(subject.frames)}
    blur = None if subject.is_mask else subject.parameters.blur(subject.spacing)
    masking = Masking(blur, thresholds, subject.layout.ndim)
    return Masked(image.levels[0], {n: masking.chain(n) for n in thresholds})


def _views(subject: Subject, table: pd.DataFrame | None) -> list[tuple[str, View]]:
    """Planes and maximum projections of one frame, or a view of some frames of a movie."""
    whole = Box.whole(subject.layout.frame_shape)
    frames = spread(subject.layout.frames, FRAMES)
    if len(whole.shape) == 2:
        return [(_time(subject, f), View(f, whole)) for f in frames]
    if len(frames) > 1:
        middles = [(f, _plane(whole, _depths(subject, table, f)[0])) for f in frames]
        views = [(f"{_time(subject, f)}, z = {b.start[0]}", View(f, b)) for f, b in middles]
        middle = frames[len(frames) // 2]
        return [*views, (f"{_time(subject, middle)}, maximum along z", View(middle, whole))]
    planes = sorted(set(_depths(subject, table, 0)))
    views = [(f"plane z = {z}", View(0, _plane(whole, z))) for z in planes]
    return [*views, ("maximum along z", View(0, whole))]


def spread(count: int, most: int) -> list[int]:
    """Some numbers below a count: the first, the last, and what is evenly between."""
    return sorted({round(i) for i in np.linspace(0, count - 1, min(count, most))})


def _plane(whole: Box, z: int) -> Box:
    return Box((z, 0, 0), (z + 1, *whole.stop[1:]))


def _depths(subject: Subject, table: pd.DataFrame | None, frame: int) -> list[int]:
    """Planes worth seeing: where objects lie, else evenly spread."""
    depth = subject.layout.frame_shape[0]
    rows = None if table is None else subject.rows(table, frame)
    if rows is None or rows.empty or "centroid-0" not in rows:
        return [int(q * (depth - 1)) for q in PLANES]
    places = rows["centroid-0"].quantile(list(PLANES))
    return [min(depth - 1, max(0, round(float(z)))) for z in places]


def _time(subject: Subject, frame: int) -> str:
    if not subject.layout.looped:
        return "the image"
    return f"t = {subject.frames[frame].get('t', frame)}"


def _part(view: View, subject: Subject) -> str:
    """Say which part of a frame a view shows."""
    spans = zip(subject.spatial, view.box.start, view.box.stop, strict=True)
    edges = [f"{d} {a} to {b - 1}" for d, a, b in spans if b - a > 1]
    return "a part of it, to be read in seconds: " + ", ".join(edges)


def _around(row: pd.Series[Any], subject: Subject) -> View | None:
    ndim = subject.layout.ndim
    needed = [f"bbox-{i}" for i in range(2 * ndim)] + [f"centroid-{i}" for i in range(ndim)]
    if "label" not in row or not set(needed) <= set(row.index):
        return None
    start = [int(row[f"bbox-{i}"]) for i in range(ndim)]
    stop = [int(row[f"bbox-{i + ndim}"]) for i in range(ndim)]
    if ndim == 3:
        middle = min(stop[0] - 1, max(start[0], round(float(row["centroid-0"]))))
        start[0], stop[0] = middle, middle + 1
    box = Box(tuple(start), tuple(stop))
    margin = [max(LEAST_AROUND, int(AROUND * n)) for n in box.shape[-2:]]
    halo: Sequence[int] = [0] * (ndim - 2) + margin
    frame = int(row["t"]) if "t" in row else 0
    return View(frame, box.grow(halo, Box.whole(subject.layout.frame_shape)))
