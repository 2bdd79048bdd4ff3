"""The lesson as scikit-image does it in memory: the oracle of the workflow."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import skimage as ski
from scipy import ndimage as ndi


@dataclass
class Lesson:
    """What every step gives on a whole frame."""

    threshold: Any
    mask: np.ndarray
    unsplit: int
    seeds: np.ndarray
    expanded: np.ndarray
    labels: np.ndarray

    @property
    def counts(self) -> tuple[int, int, int]:
        return self.unsplit, int(self.seeds.max(initial=0)), int(self.labels.max(initial=0))


def lesson(image, sigma=1, radius=0, distance=None, threshold="otsu", border=True) -> Lesson:
    """Blur, threshold, erode, label, expand, clear the border, label."""
    blurred = ski.filters.gaussian(image, sigma)
    if threshold == "otsu":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            threshold = ski.filters.threshold_otsu(blurred)
    return from_mask(blurred > threshold, radius, distance, border, threshold)


def from_mask(mask, radius=0, distance=None, border=True, threshold=None) -> Lesson:
    """Do what follows the threshold."""
    distance = radius if distance is None else distance
    ball = ski.morphology.ball(radius) if mask.ndim == 3 else ski.morphology.disk(radius)
    eroded = ndi.binary_erosion(mask, ball, border_value=1)
    unsplit = ski.measure.label(mask, return_num=True)[1]
    seeds = ski.measure.label(eroded)
    expanded = seeds if not seeds.any() else ski.segmentation.expand_labels(seeds, distance)
    kept = ski.segmentation.clear_border(expanded) if border else expanded
    return Lesson(threshold, mask, unsplit, seeds, expanded, ski.measure.label(kept))


def eroded(mask, footprint, times):
    """Erode so many times, call by call: SciPy 1.17's own ``iterations`` can corrupt the heap."""
    for _ in range(times):
        mask = ndi.binary_erosion(mask, footprint, border_value=1)
    return mask
