"""The lesson in memory, by scikit-image and SciPy alone: on a whole image, or step by step.

Nothing of chunkseg's own kernels is used here: this is what the demonstration and the verification
of a result hold them against.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi
from skimage.filters import gaussian, threshold_otsu
from skimage.measure import label, regionprops_table
from skimage.morphology import ball, disk
from skimage.segmentation import clear_border, expand_labels


@dataclass(frozen=True)
class Lesson:
    """What the lesson finds in one image.

    Attributes
    ----------
    threshold
        Otsu's threshold of the blurred image.
    foreground_fraction
        Fraction of the voxels above it.
    counts
        Number of objects in the mask, after erosion, and in the end.
    labels
        The label image in the end.
    """

    threshold: float
    foreground_fraction: float
    counts: tuple[int, int, int]
    labels: NDArray[Any]

    @property
    def sizes(self) -> list[int]:
        """Number of voxels of each object."""
        return np.bincount(self.labels.ravel())[1:].tolist()


def lesson_in_memory(image: NDArray[Any], sigma: float, radius: int) -> Lesson:
    """Blur, threshold, erode, label, expand, clear the border and label, as scikit-image does.

    Parameters
    ----------
    image : ndarray
        2-D or 3-D image.
    sigma : float
        Of the blur, in voxels.
    radius : int
        Of the ball (2-D: disk) that erodes, and the distance of the expansion, in voxels.

    Examples
    --------
    >>> image = np.zeros((9, 12), np.uint8)
    >>> image[2:7, 2:5] = image[2:7, 6:9] = 200
    >>> lesson = lesson_in_memory(image, sigma=0, radius=1)
    >>> lesson.counts, lesson.sizes
    ((2, 2, 2), [11, 11])
    """
    blurred = gaussian(image, sigma=sigma)
    threshold = threshold_otsu(blurred)
    mask = blurred > threshold
    footprint = ball(radius) if image.ndim == 3 else disk(radius)
    seeds = label(ndi.binary_erosion(mask, footprint, border_value=1))
    labels = label(clear_border(expand_labels(seeds, radius)))
    counts = (int(label(mask).max()), int(seeds.max()), int(labels.max()))
    return Lesson(float(threshold), float(mask.mean()), counts, labels)


def mask_in_memory(image: NDArray[Any], sigma: Any, threshold: float | None) -> NDArray[np.bool_]:
    """Blur and compare; without a threshold the image is a mask, of all that is not 0."""
    if threshold is None:
        return np.asarray(image != 0)
    return np.asarray(gaussian(image, sigma=sigma) > threshold)


def eroded_in_memory(
    mask: NDArray[np.bool_],
    radius: float,
    iterations: int = 1,
    spacing: Sequence[float] | None = None,
) -> NDArray[np.bool_]:
    """Erode by a ball (2-D: disk): keep what is farther than the radius from any background.

    What lies outside the array counts as foreground, as in :func:`skimage.morphology.erosion`.

    Examples
    --------
    >>> eroded_in_memory(np.array([[1, 1, 1, 0], [1, 1, 1, 1]], bool), 1).astype(int)
    array([[1, 1, 0, 0],
           [1, 1, 1, 0]])
    """
    for _ in range(iterations if radius else 0):
        if not mask.all():
            mask = np.asarray(ndi.distance_transform_edt(mask, sampling=spacing) > radius)
    return mask


def labelled_in_memory(image: NDArray[Any]) -> NDArray[np.int64]:
    """Label the regions of equal value that are not 0."""
    return np.asarray(label(image), np.int64)


def expanded_in_memory(
    seeds: NDArray[Any], distance: float, spacing: Sequence[float] | None = None
) -> NDArray[Any]:
    """Expand labels; where there are none, nothing."""
    sizes = 1 if spacing is None else spacing
    return np.asarray(expand_labels(seeds, distance, sizes)) if seeds.any() else seeds


def measured_in_memory(
    labels: NDArray[np.int64], image: NDArray[Any] | None
) -> dict[str, NDArray[Any]]:
    """Measure what a run's table holds of each object, in voxels."""
    names = ["label", "area", "bbox", "centroid"]
    if image is not None:
        names += ["intensity_mean", "intensity_min", "intensity_max"]
    return dict(regionprops_table(labels, image, properties=names))
