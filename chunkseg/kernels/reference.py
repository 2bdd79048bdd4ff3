"""The lesson on a whole image in memory, by scikit-image and SciPy alone.

Nothing of chunkseg's own kernels is used here: this is what the demonstration holds them against.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi
from skimage.filters import gaussian, threshold_otsu
from skimage.measure import label
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
