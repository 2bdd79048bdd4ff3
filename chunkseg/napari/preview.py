"""A region as a full run would have it: the part that is seen, with the halos of all steps.

The region is read with everything that can reach it, and the run's own steps are taken inwards: so
the mask is that of the run, voxel by voxel, and so are the objects that lie wholly in the region,
up to their numbers. What an object is that goes on beyond the region, and whether it touches the
image's border there, the region does not tell: such objects are shown and counted apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.errors import ParameterError
from chunkseg.geometry.boxes import Box, Shape, add_halos
from chunkseg.kernels.components import components, look_up
from chunkseg.passes.masking import Masking
from chunkseg.passes.recomputing import inside
from chunkseg.passes.steps import Chain, chain_halo, run_chain
from chunkseg.plan.parameters import Parameters
from chunkseg.runner.sweep import Input

MOST_VOXELS = 2**25


@dataclass(frozen=True)
class Region:
    """A part of one frame of an image, and how large its voxels are.

    Attributes
    ----------
    image
        The image.
    frame
        Number of the frame.
    core
        The part.
    axes
        Names of the axes of a frame.
    spacing
        Size of a voxel along each.
    """

    image: Input
    frame: int
    core: Box
    axes: tuple[str, ...]
    spacing: tuple[float, ...]

    @property
    def whole(self) -> Box:
        """Box of the frame."""
        return Box.whole(self.image.layout.frame_shape)

    def read(self, box: Box) -> NDArray[Any]:
        """Pixels of a box of the frame."""
        layout = self.image.layout
        pixels = layout.take_frame(np.asarray(self.image.data[layout.slices(self.frame, box)]))
        return np.ascontiguousarray(pixels)


@dataclass(frozen=True)
class Preview:
    """What a run would give for a region.

    Attributes
    ----------
    mask
        The mask.
    labels
        The objects, numbered within the region.
    whole
        Number of objects that lie wholly in the region: those of the run.
    cut
        Number of objects that go on beyond it.
    at_border, off_size
        Number of objects that are dropped, since they touch the image's border or for their size.
    """

    mask: NDArray[np.bool_]
    labels: NDArray[np.int32]
    whole: int
    cut: int
    at_border: int
    off_size: int

    @property
    def told(self) -> str:
        """The counts in words.

        Examples
        --------
        >>> Preview(np.ones(4, bool), np.ones(4, np.int32), 3, 1, 2, 0).told
        '100.0 % foreground; 3 whole objects, 1 cut by the view, 2 dropped at the border'
        """
        parts = [f"{self.whole} whole object{'s' * (self.whole != 1)}"]
        parts.append(f"{self.cut} cut by the view")
        if self.at_border:
            parts.append(f"{self.at_border} dropped at the border")
        if self.off_size:
            parts.append(f"{self.off_size} dropped for their size")
        return f"{100 * float(self.mask.mean()):.1f} % foreground; {', '.join(parts)}"


def preview(parameters: Parameters, region: Region, threshold: float) -> Preview:
    """Compute a region as a run would.

    Parameters
    ----------
    parameters
        The workflow.
    region
        What is seen.
    threshold
        Of the region's frame.

    Raises
    ------
    ParameterError
        If the region with its halos is too large to be computed while somebody waits.
    """
    steps = _Steps.of(parameters, region, threshold)
    mask = run_chain(steps.chain, region.read(steps.read), steps.read, steps.masked, region.whole)
    within = steps.seeded.slices(origin=steps.masked.start)
    erosion = parameters.erosion(region.spacing)
    eroded = mask[within] if erosion is None else erosion(mask, within)
    ndim = len(region.axes)
    seeds = components(np.ascontiguousarray(eroded), ndim)[0].filled()
    inner = region.core.slices(origin=steps.seeded.start)
    expanded = parameters.expansion(region.spacing)(seeds, inner)
    runs, first = components(expanded, ndim)
    local = runs.filled()
    whole_seeds = inside(seeds, steps.seeded, region.whole)
    whole = inside(local, region.core, region.whole)
    whole[1:] &= whole_seeds[expanded.reshape(-1)[first]]
    core = np.array(mask[region.core.slices(origin=steps.masked.start)])
    return _chosen(parameters, region, core, local, whole)


@dataclass(frozen=True)
class _Steps:
    """The mask's steps, and which boxes they and the others are asked for.

    ``read`` of the image, ``masked`` of the mask, ``seeded`` of the seeds that reach the region.
    """

    chain: Chain
    read: Box
    masked: Box
    seeded: Box

    @classmethod
    def of(cls, parameters: Parameters, region: Region, threshold: float) -> _Steps:
        """Grow the region by one halo after the other, from the last step to the first."""
        ndim, whole = len(region.axes), region.whole
        masking = Masking(parameters.blur(region.spacing), {region.frame: threshold}, ndim)
        chain = masking.chain(region.frame)
        erosion = parameters.erosion(region.spacing)
        split = (0,) * ndim if erosion is None else erosion.halo
        spread = parameters.expansion(region.spacing).halo
        seeded = region.core.grow(spread, whole)
        masked = seeded.grow(split, whole)
        read = masked.grow(chain_halo(chain, ndim), whole)
        if read.size > MOST_VOXELS:
            raise ParameterError(_too_large(region.core, read, add_halos(split, spread)))
        return cls(chain, read, masked, seeded)


def _too_large(core: Box, read: Box, halo: Shape) -> str:
    return (
        f"the view of {' x '.join(map(str, core.shape))} voxels needs {read.size:.2g} voxels with "
        f"its halos ({max(halo)} voxels beside those of the blur), more than {MOST_VOXELS:.2g}; "
        "zoom in, or take fewer planes"
    )


def _chosen(
    parameters: Parameters,
    region: Region,
    mask: NDArray[np.bool_],
    local: NDArray[Any],
    whole: NDArray[np.bool_],
) -> Preview:
    """Drop what a run drops as far as the region tells, and number the rest."""
    sizes = np.bincount(local.reshape(-1), minlength=len(whole))
    at_border = _at_border(parameters, region, local, len(whole))
    fits = parameters.fitting(sizes, region.spacing)
    off_size = whole & ~fits & ~at_border
    kept = ~at_border & ~off_size
    kept[0] = False
    numbers = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    return Preview(
        mask=mask,
        labels=look_up(local, numbers),
        whole=int(np.count_nonzero(kept & whole)),
        cut=int(np.count_nonzero(kept & ~whole)),
        at_border=int(np.count_nonzero(at_border)),
        off_size=int(np.count_nonzero(off_size)),
    )


def _at_border(
    parameters: Parameters, region: Region, local: NDArray[Any], count: int
) -> NDArray[np.bool_]:
    """Which local numbers touch the border that is cleared, within the region."""
    touching = np.zeros(count, np.bool_)
    border = parameters.border(region.axes)
    for part in border.parts(region.core, region.whole) if border is not None else ():
        touching[local[part]] = True
    touching[0] = False
    return touching
