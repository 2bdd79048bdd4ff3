"""A region as a full run would have it: the part that is seen, with the halos of all steps.

The region is read with everything that can reach it, and the run's own steps are taken inwards: so
the mask is that of the run, voxel by voxel, and so are the objects that lie wholly in the region,
up to their numbers. What an object is that goes on beyond the region, and whether it touches the
image's border there, the region does not tell: such objects are shown and counted apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from chunkseg.kernels.components import components, sizes
from chunkseg.kernels.runs import Local, Runs
from chunkseg.napari.masks import MaskOf, Region, computed
from chunkseg.passes.masking import Masking
from chunkseg.passes.recomputing import inside
from chunkseg.plan.parameters import Parameters


@dataclass(frozen=True)
class Preview:
    """What a run would give for a region.

    Attributes
    ----------
    mask
        The mask.
    seeds
        What the erosion leaves of it, connected pieces numbered.
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
    seeds: Local
    labels: Local
    whole: int
    cut: int
    at_border: int
    off_size: int

    @property
    def told(self) -> str:
        """The counts in words.

        Examples
        --------
        >>> none = np.zeros(4, np.uint32)
        >>> Preview(np.ones(4, bool), none, none, 3, 1, 2, 0).told
        '100.0 % foreground; 3 whole objects, 1 cut by the view, 2 dropped at the border'
        """
        parts = [f"{self.whole} whole object{'s' * (self.whole != 1)}"]
        parts.append(f"{self.cut} cut by the view")
        if self.at_border:
            parts.append(f"{self.at_border} dropped at the border")
        if self.off_size:
            parts.append(f"{self.off_size} dropped for their size")
        return f"{100 * float(self.mask.mean()):.1f} % foreground; {', '.join(parts)}"


def preview(
    parameters: Parameters, region: Region, threshold: float, mask_of: MaskOf = computed
) -> Preview:
    """Compute a region as a run would.

    Parameters
    ----------
    parameters
        The workflow.
    region
        What is seen.
    threshold
        Of the region's frame.
    mask_of
        What makes the mask.

    Raises
    ------
    ParameterError
        If the region with its halos is too large to be computed while somebody waits.
    """
    ndim, whole = len(region.axes), region.whole
    erosion, expansion = parameters.erosion(region.spacing), parameters.expansion(region.spacing)
    seeded = region.core.grow(expansion.halo, whole)
    masked = seeded if erosion is None else seeded.grow(erosion.halo, whole)
    masking = Masking(parameters.blur(region.spacing), {region.frame: threshold}, ndim)
    mask = mask_of(region, masking, masked)
    within = seeded.slices(origin=masked.start)
    eroded = mask[within] if erosion is None else erosion(mask, within)
    seeds = components(np.ascontiguousarray(eroded), ndim)[0].filled()
    inner = region.core.slices(origin=seeded.start)
    expanded = expansion(seeds, inner)
    runs, first = components(expanded, ndim)
    objects = _Objects(runs, inside(runs.filled(), region.core, whole))
    objects.whole[1:] &= inside(seeds, seeded, whole)[expanded.reshape(-1)[first]]
    core = np.array(mask[region.core.slices(origin=masked.start)])
    return objects.chosen(parameters, region, core, seeds[inner])


@dataclass(frozen=True)
class _Objects:
    """Objects of a region.

    Attributes
    ----------
    runs
        Where they are, by local numbers.
    whole
        By local number (0: background): whether an object is whole.
    """

    runs: Runs
    whole: NDArray[np.bool_]

    def chosen(
        self, parameters: Parameters, region: Region, mask: NDArray[np.bool_], seeds: Local
    ) -> Preview:
        """Drop what a run drops as far as the region tells, and number the rest."""
        voxels = np.concatenate([[0], sizes(self.runs, len(self.whole) - 1)])
        at_border = self._at_border(parameters, region)
        off_size = self.whole & ~parameters.fitting(voxels, region.spacing) & ~at_border
        kept = ~at_border & ~off_size
        kept[0] = False
        numbers = np.where(kept, np.cumsum(kept), 0).astype(np.uint32)
        return Preview(
            mask=mask,
            seeds=seeds,
            labels=replace(self.runs, region=numbers[self.runs.region]).filled(),
            whole=int(np.count_nonzero(kept & self.whole)),
            cut=int(np.count_nonzero(kept & ~self.whole)),
            at_border=int(np.count_nonzero(at_border)),
            off_size=int(np.count_nonzero(off_size)),
        )

    def _at_border(self, parameters: Parameters, region: Region) -> NDArray[np.bool_]:
        """Which objects touch the border that is cleared, within the region."""
        touching = np.zeros(len(self.whole), np.bool_)
        border = parameters.border(region.axes)
        for part in border.parts(region.core, region.whole) if border is not None else ():
            touching[self.runs.within(part).region] = True
        touching[0] = False
        return touching
