"""What a block costs in each pass of the workflow: memory, voxels read and written, work.

The peak of a task is linear in four volumes: what it reads (the core grown by the halo of all
steps), what the erosion reads (the core grown by its radius), the core itself, and, where the image
is blurred, a few planes of it. The factors are bytes per voxel, from what the kernels hold at the
same time, and were measured; ``tests/test_plan_costs.py`` measures them again, pass by pass.

They hold for objects: each row of a block is cut into few runs of equal labels. A mask of noise has
a run per voxel or two and needs up to 40 bytes per voxel more in the passes that label.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chunkseg.geometry.boxes import Shape, add_halos
from chunkseg.kernels.blur_tiles import PLANES
from chunkseg.kernels.erosion import may_erode_by_scipy
from chunkseg.kernels.expansion import expands_by_scipy
from chunkseg.passes.steps import Expand
from chunkseg.plan.parameters import Parameters

FAST = ("uint8", "uint16", "float32", "float64")
"""Types of voxels that are blurred plane by plane; the others as a whole."""
LABEL = 4
"""Bytes of a label: uint32, unless there are more than 4,294,967,295 of them."""
RUNS = 0.3
"""Bytes per voxel of the runs of objects, and what goes with them."""
FIXED = 2**20
"""Bytes of a task of any size: chunks that are being decoded, a tile that is being blurred."""
BY_SCIPY = 50.0
"""Bytes per voxel of SciPy's distance transform, which expands labels by physical distances."""
BUNDLES = "bundles"
"""Name of the pass that writes small frames of a movie, many to a file."""
BUNDLED = 4 * LABEL
"""Bytes per voxel of a bundle of frames that is written: read, encoded, and of coarser levels."""

DECODE, BLUR, ERODE, EXPAND = 6.0, 16.0, 4.0, 8.0
"""Nanoseconds per voxel decoded, blurred, eroded, expanded, in proportion."""


@dataclass(frozen=True, slots=True)
class PassCost:
    """Cost of one pass.

    Attributes
    ----------
    name
        Name of the pass.
    halo
        What a task reads on either side of its core.
    reads
        Bytes per voxel that is read from the image, 0 where the image is not read.
    writes
        Bytes per voxel written to arrays that stay.
    grown, eroded, core
        Bytes of memory per voxel of what is read, of the core grown by ``split``, and of the core.
    split
        Radius of the erosion along each axis.
    planes
        Bytes of memory per voxel of the planes that are blurred at a time.
    fixed
        Bytes of memory of a task whatever the block.
    work
        Nanoseconds per voxel of the core grown by ``split``, beside those of decoding what is read;
        to compare shapes of blocks.
    """

    name: str
    halo: Shape
    reads: int = 0
    writes: int = 0
    grown: float = 0.0
    eroded: float = 0.0
    core: float = 0.0
    split: Shape = ()
    planes: float = 0.0
    fixed: float = FIXED
    work: float = 0.0

    def peak(self, block: Sequence[Any], frame: Sequence[int]) -> Any:
        """Bytes of memory of one task at its peak.

        Parameters
        ----------
        block, frame
            Shapes of a block's core and of the frame, which clips halos. The lengths of a block may
            be arrays that broadcast: then so is the result.

        Examples
        --------
        >>> int(PassCost("range", (12,) * 3, grown=2).peak((64,) * 3, (512,) * 3))
        2411520
        """
        core = math.prod(block)
        total = self.fixed + (self.core + self.writes) * core
        total = total + self.grown * math.prod(grown_shape(block, self.halo, frame))
        total = total + self.eroded * math.prod(grown_shape(block, self.near, frame))
        return total + self.planes * np.minimum(PLANES, block[0]) * math.prod(block[1:])

    @property
    def near(self) -> Shape:
        """How far around the core voxels are computed: the radius of the erosion, or the halo."""
        return self.split or self.halo


def grown_shape(block: Sequence[Any], halo: Sequence[int], frame: Sequence[int]) -> tuple[Any, ...]:
    """Shape of a block in the middle of a frame, grown by a halo."""
    spans = zip(block, halo, frame, strict=True)
    return tuple(np.minimum(b + 2 * min(h, n), n) for b, h, n in spans)


def pass_costs(
    parameters: Parameters,
    dtype: np.dtype[np.generic],
    spacing: Sequence[float],
    is_mask: bool = False,
    until: str | None = None,
    keep: Sequence[str] = (),
) -> tuple[PassCost, ...]:
    """Costs of the passes of a workflow, in their order.

    Parameters
    ----------
    parameters
        The workflow.
    dtype
        Type of the image's voxels.
    spacing
        Size of a voxel along each spatial axis.
    is_mask, until, keep
        As for :meth:`chunkseg.Workflow.run`.

    Examples
    --------
    >>> workflow = Parameters(sigma=3, erosion_radius=10)
    >>> costs = pass_costs(workflow, np.dtype("uint16"), (1.0, 1.0, 1.0))
    >>> [(cost.name, cost.halo[0]) for cost in costs]
    [('range', 12), ('seeds', 22), ('objects', 10), ('labels', 0)]
    """
    spacing = tuple(spacing)
    ndim = len(spacing)
    blur = (0,) * ndim if is_mask else parameters.blur(spacing).halo
    erosion = None if until == "mask" else parameters.erosion(spacing)
    split = None if erosion is None else erosion.halo
    whole = ndim == 3 and dtype.name in FAST
    keeps_mask = int("mask" in keep or until == "mask")
    seeds = replace(_seeds(dtype, blur, split, is_mask, whole), writes=keeps_mask)
    if erosion is not None and may_erode_by_scipy(erosion.radius, erosion.spacing):
        seeds = replace(seeds, eroded=seeds.eroded + BY_SCIPY)
    costs = [seeds]
    if not is_mask:
        costs = [*_range_passes(dtype, blur, whole, parameters), *costs]
    if until is None:
        kept = LABEL * len({"seeds", "expanded"} & set(keep))
        costs.append(_objects(parameters.expansion(spacing), kept))
        measured = 0 if is_mask else dtype.itemsize
        core = LABEL + measured + RUNS
        costs.append(PassCost("labels", (0,) * ndim, measured, LABEL, core=core))
    return tuple(costs)


def _blurred(dtype: np.dtype[np.generic], whole: bool) -> tuple[float, float]:
    """Bytes per voxel of what is read, and of the planes blurred, beside the image itself."""
    precision = 4 if dtype.name in ("float16", "float32") else 8
    return (0.0, precision) if whole else (3.0 * precision, 0.0)


def _range_passes(
    dtype: np.dtype[np.generic], blur: Shape, whole: bool, parameters: Parameters
) -> list[PassCost]:
    """Range, which Otsu's threshold needs, and histogram, which that of a whole movie needs.

    With a threshold that is given, floats are searched for NaN. The histogram pass over blocks
    without foreground is left out here, since the seeds pass leaves those out in turn.
    """
    size, nowhere = dtype.itemsize, (0,) * len(blur)
    search = 0.4 if dtype.kind == "f" else 0.0
    if parameters.threshold != "otsu":
        cost = PassCost("range", nowhere, size, grown=size, core=search)
        return [cost] if dtype.kind == "f" else []
    more, planes = _blurred(dtype, whole)
    cost = PassCost(
        "range",
        blur,
        size,
        grown=size + more,
        core=search,
        split=nowhere,
        planes=planes,
        work=BLUR,
    )
    whole_movie = parameters.threshold_scope == "movie"
    return [cost, replace(cost, name="histogram")] if whole_movie else [cost]


def _seeds(
    dtype: np.dtype[np.generic], blur: Shape, split: Shape | None, is_mask: bool, whole: bool
) -> PassCost:
    more, planes = (0.0, 0.0) if is_mask else _blurred(dtype, whole)
    masking = 0.0 if is_mask else BLUR
    size, nowhere = dtype.itemsize, (0,) * len(blur)
    seeds = PassCost("seeds", blur, size, grown=size + more, eroded=1.0, core=RUNS, split=nowhere)
    if split is None:
        return replace(seeds, planes=planes, work=masking)
    halo = add_halos(blur, split)
    return replace(seeds, halo=halo, eroded=2.0, core=2 + RUNS, split=split, work=masking + ERODE)


def _objects(expansion: Expand, kept: int) -> PassCost:
    grown = LABEL + (BY_SCIPY if expands_by_scipy(expansion.distance, expansion.spacing) else 2.0)
    core = LABEL + RUNS
    return PassCost("objects", expansion.halo, 0, kept, grown=grown, core=core, work=EXPAND)


def bundling_cost(ndim: int, voxels: int) -> PassCost:
    """Cost of writing small frames of a movie in bundles of so many voxels.

    Examples
    --------
    >>> int(bundling_cost(2, 2**21).peak((128, 128), (256, 256))) // 2**20
    33
    """
    return PassCost(BUNDLES, (0,) * ndim, fixed=FIXED + BUNDLED * voxels)
