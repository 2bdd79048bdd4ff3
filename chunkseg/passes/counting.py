"""Small records of sweeps that only count or list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.kernels.runs import compact


@dataclass(frozen=True, slots=True)
class VoxelCount:
    """A number of voxels of a block: of its foreground, or written."""

    voxels: int


@dataclass(frozen=True, slots=True)
class LabelsPresent:
    """The labels that occur in a block, ascending, and whether any voxel is background."""

    labels: NDArray[np.int64]
    background: bool


def labels_present(labels: NDArray[Any]) -> LabelsPresent:
    """List the labels of a block."""
    ids, local = compact(labels)
    return LabelsPresent(np.sort(ids), bool((local == 0).any()))
