"""A region of a result against what scikit-image gives for it, as far as a region decides it.

A region is a box, the *core*. From the image in the core grown by blur, erosion and expansion, with
the threshold that was recorded, mask, eroded mask and expanded labels of the core follow bit for
bit; which seeds are one object, and so the ids, do not, since seeds may join outside. So

- the mask, and of seeds and expanded labels what is foreground, are compared voxel by voxel;
- a component of local seeds must be one seed, and expanding the stored seeds must give the stored
  expanded labels (all this where the run kept them);
- background of the expanded labels must be background of the label image;
- a *piece* (connected, expanded from one local seed) must be one label, or background, and
  background only if the border is cleared and the piece touches the border or may touch it outside;
- a piece that lies wholly in the core, its seed wholly in what was recomputed, is a whole object:
  no other voxel may have its label, and its row of the table must say what scikit-image measures.

Otsu's threshold itself follows from the whole frame: no region can tell whether it is right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.geometry.boxes import Box, Shape, add_halos
from chunkseg.kernels import reference
from chunkseg.passes.components import Border
from chunkseg.passes.steps import Blur, ErodeBall, Expand

Array = NDArray[Any]


@dataclass(frozen=True)
class Recipe:
    """What a region is recomputed with.

    Attributes
    ----------
    sigma
        Of the blur, per axis; None where the image is a mask already.
    thresholds
        The recorded threshold of each frame; None for a mask.
    radius, distance
        Of the erosion and of the expansion, in voxels or in the unit of ``spacing``.
    border
        The border that objects must not touch; None where they may.
    frame
        The box of a frame.
    iterations
        Of the erosion.
    spacing
        Size of a voxel, where lengths are not in voxels.
    fitting
        Which objects have a size that is kept, given their numbers of voxels; None for all.
    """

    sigma: tuple[float, ...] | None
    thresholds: tuple[float | None, ...]
    radius: float
    distance: float
    border: Border | None
    frame: Box
    iterations: int = 1
    spacing: tuple[float, ...] | None = None
    fitting: Callable[[NDArray[np.int64]], NDArray[np.bool_]] | None = None

    @property
    def _expansion(self) -> Shape:
        return Expand(self.distance, self.spacing or (1.0,) * len(self.frame.start)).halo

    @property
    def _erosion(self) -> Shape:
        return ErodeBall(self.radius, len(self.frame.start), self.iterations, self.spacing).halo

    @property
    def halo(self) -> Shape:
        """What has to be read around a region: the halos of all steps added up."""
        blur = Blur(self.sigma).halo if self.sigma is not None else (0,) * len(self.frame.start)
        return add_halos(blur, self._erosion, self._expansion)

    def seeds_box(self, core: Box) -> Box:
        """Box of the seeds that can reach the core."""
        return core.grow(self._expansion, self.frame)

    def image_box(self, core: Box) -> Box:
        """Box of the image that decides the core."""
        return core.grow(self.halo, self.frame)

    def recompute(self, image: Array, frame: int, core: Box) -> Recomputed:
        """Recompute the core from the image in :meth:`image_box`."""
        read, outer = self.image_box(core), self.seeds_box(core)
        masked = outer.grow(self._erosion, self.frame)
        mask = reference.mask_in_memory(image, self.sigma, self.thresholds[frame])
        mask = mask[masked.slices(origin=read.start)]
        eroded = reference.eroded_in_memory(mask, self.radius, self.iterations, self.spacing)
        seeds = reference.labelled_in_memory(eroded[outer.slices(origin=masked.start)])
        expanded = reference.expanded_in_memory(seeds, self.distance, self.spacing)
        inner = core.slices(origin=outer.start)
        return Recomputed(
            mask[core.slices(origin=masked.start)],
            seeds[inner],
            expanded[inner],
            inside(seeds, outer, self.frame),
        )


@dataclass(frozen=True)
class Recomputed:
    """What scikit-image gives for a core.

    Attributes
    ----------
    mask, seeds, expanded
        In the core; seeds numbered within the region.
    whole
        By local number of a seed (0: background): whether it lies wholly in what was recomputed.
    """

    mask: NDArray[np.bool_]
    seeds: NDArray[np.int64]
    expanded: NDArray[np.int64]
    whole: NDArray[np.bool_]


def inside(local: NDArray[Any], box: Box, frame: Box) -> NDArray[np.bool_]:
    """Which local numbers do not touch a side of a box where the frame goes on."""
    found = np.ones(int(local.max(initial=0)) + 1, np.bool_)
    for axis, n in enumerate(frame.stop):
        if box.start[axis] > 0:
            found[np.take(local, 0, axis)] = False
        if box.stop[axis] < n:
            found[np.take(local, -1, axis)] = False
    found[0] = False
    return found


@dataclass(frozen=True)
class Difference:
    """A voxel, by its index in the frame, where a result is not what was recomputed."""

    step: str
    voxel: Shape
    text: str


@dataclass(frozen=True)
class RegionRecord:
    """What came out of one region.

    Attributes
    ----------
    frame, core
        Where it lies.
    differences
        The first of each kind.
    foreground
        Voxels of the core that were recomputed as foreground.
    objects
        What scikit-image measures of the objects that lie wholly in the core, in voxels of the
        frame, by the names of its columns; ``label`` is the stored one.
    """

    frame: int
    core: Box
    differences: tuple[Difference, ...]
    foreground: int
    objects: Mapping[str, Array]


def compare(
    recipe: Recipe,
    frame: int,
    core: Box,
    image: Array,
    stored: Mapping[str, Array],
) -> RegionRecord:
    """Compare a region of a result with what scikit-image gives.

    Parameters
    ----------
    recipe
        Parameters and recorded thresholds.
    frame, core
        Which region.
    image
        The image in ``recipe.image_box(core)``.
    stored
        What is stored, by name: ``labels``, ``mask``, ``expanded`` of the core, ``seeds`` of
        ``recipe.seeds_box(core)``; what a run did not keep is left out.
    """
    new = recipe.recompute(image, frame, core)
    differences = list(_intermediates(recipe, core, new, stored))
    objects: Mapping[str, Array] = {}
    if "labels" in stored:
        pieces = _Pieces.of(recipe, core, new)
        labels = stored["labels"].astype(np.int64)
        differences += pieces.differences(labels, recipe)
        grey = image[core.slices(origin=recipe.image_box(core).start)]
        objects = pieces.measured(labels, grey if recipe.sigma is not None else None, core)
    moved = tuple(
        Difference(
            d.step, tuple(int(i) + a for i, a in zip(d.voxel, core.start, strict=True)), d.text
        )
        for d in differences
    )
    return RegionRecord(frame, core, moved, int(np.count_nonzero(new.mask)), objects)


def _first(step: str, differs: NDArray[np.bool_], text: str) -> Iterator[Difference]:
    """Name the first voxel that differs, if any does."""
    flat = differs.reshape(-1)
    where = int(flat.argmax()) if flat.size else 0
    if flat.size and flat[where]:
        voxel = tuple(int(i) for i in np.unravel_index(where, differs.shape))
        yield Difference(step, voxel, f"{text} ({int(flat.sum())} voxels of the region)")


def _intermediates(
    recipe: Recipe, core: Box, new: Recomputed, stored: Mapping[str, Array]
) -> Iterator[Difference]:
    """Compare what the run kept besides the label image."""
    inner = core.slices(origin=recipe.seeds_box(core).start)
    if "mask" in stored:
        yield from _first("mask", stored["mask"] != new.mask, "the mask is another")
    if "seeds" in stored:
        seeds = stored["seeds"][inner]
        yield from _first("seeds", (seeds != 0) != (new.seeds != 0), "the eroded mask is another")
        mixed = _mixed(new.seeds, seeds)
        yield from _first("seeds", mixed[new.seeds], "a component has several labels")
    if "expanded" in stored:
        there = stored["expanded"] != 0
        yield from _first("expanded", there != (new.expanded != 0), "other voxels are labelled")
    if "expanded" in stored and "seeds" in stored:
        seeds = stored["seeds"].astype(np.int64)
        again = reference.expanded_in_memory(seeds, recipe.distance, recipe.spacing)
        differs = again[inner] != stored["expanded"]
        yield from _first("expanded", differs, "not what the stored seeds expand to")


def _mixed(local: NDArray[np.int64], values: Array) -> NDArray[np.bool_]:
    """Which local numbers (0: never) hold more than one value."""
    low, high = _ends(local, values)
    mixed: NDArray[np.bool_] = low < high
    mixed[0] = False
    return mixed


def _ends(local: NDArray[np.int64], values: Array) -> tuple[Array, Array]:
    """Smallest and largest value of each local number; of one that is nowhere, 0 both."""
    count = int(local.max(initial=0)) + 1
    low, high = np.full(count, np.iinfo(np.int64).max), np.zeros(count, np.int64)
    np.minimum.at(low, local.reshape(-1), values.reshape(-1).astype(np.int64))
    np.maximum.at(high, local.reshape(-1), values.reshape(-1).astype(np.int64))
    return np.minimum(low, high), high


@dataclass(frozen=True)
class _Pieces:
    """The connected parts of the core that were expanded from one local seed.

    Attributes
    ----------
    local
        Their numbers, voxel by voxel; 0 is background.
    touches, whole
        By number: whether a piece touches the border that is cleared, and whether it is a whole
        object, its seed whole as well.
    """

    local: NDArray[np.int64]
    touches: NDArray[np.bool_]
    whole: NDArray[np.bool_]

    @classmethod
    def of(cls, recipe: Recipe, core: Box, new: Recomputed) -> _Pieces:
        """Find the pieces of a core."""
        local = reference.labelled_in_memory(new.expanded)
        touches = np.zeros(int(local.max(initial=0)) + 1, np.bool_)
        if recipe.border is not None:
            for part in recipe.border.parts(core, recipe.frame):
                touches[local[part]] = True
        _, seed = _ends(local, new.expanded)
        whole = inside(local, core, recipe.frame) & new.whole[seed]
        touches[0] = False
        return cls(local, touches, whole)

    def differences(self, labels: NDArray[np.int64], recipe: Recipe) -> Iterator[Difference]:
        """Compare with the label image."""
        background = self.local == 0
        yield from _first("labels", background & (labels != 0), "a label where background is")
        yield from _first(
            "labels", _mixed(self.local, labels)[self.local], "a piece has several labels"
        )
        gone = ~background & (labels == 0)
        allowed = np.zeros_like(self.touches)
        if recipe.border is not None:
            allowed |= self.touches | ~self.whole
        if recipe.fitting is not None:
            unfit = self.whole & ~recipe.fitting(np.bincount(self.local.reshape(-1)))
            allowed |= unfit | ~self.whole
            there = unfit[self.local] & (labels != 0)
            yield from _first("labels", there, "an object that is too small or large is there")
        yield from _first("labels", gone & ~allowed[self.local], "an object is missing")
        at_border = self.touches[self.local] & (labels != 0)
        yield from _first("labels", at_border, "an object that touches the border is there")
        yield from _first("labels", self._strangers(labels), "two objects have one label")

    def _strangers(self, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Voxels that have the label of a whole object and lie in another piece."""
        _, named = _ends(self.local, labels)
        wholes = np.flatnonzero(self.whole & (named > 0))
        ids, owner = np.unique(named[wholes], return_index=True)
        if not len(ids):
            return np.zeros(labels.shape, np.bool_)
        place = np.minimum(np.searchsorted(ids, labels), len(ids) - 1)
        return (ids[place] == labels) & (wholes[owner][place] != self.local) & (self.local != 0)

    def measured(
        self, labels: NDArray[np.int64], image: Array | None, core: Box
    ) -> dict[str, Array]:
        """Measure the whole objects, those of one label each; positions are those of the frame."""
        low, high = _ends(self.local, labels)
        sound = self.whole & (low == high) & (high > 0)
        columns = reference.measured_in_memory(np.where(sound[self.local], self.local, 0), image)
        columns["label"] = high[columns["label"]]
        ndim = len(core.start)
        for axis, start in enumerate(core.start):
            for name in (f"bbox-{axis}", f"bbox-{axis + ndim}", f"centroid-{axis}"):
                columns[name] = columns[name] + start
        return columns
