"""Labels against the mask that they were made from: what was lost, what was gained.

``block`` finds the components of the mask in a block and counts the voxels that each has in common
with each label (0: with none of either). ``merge`` joins the components across seams and adds up
the counts of equal pairs, from which all else follows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chunkseg.geometry.boxes import Block, Box, Grid
from chunkseg.kernels.runs import compact
from chunkseg.passes.components import ComponentsPass, ComponentsRecord

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class OverlapRecord:
    """What is kept of a block.

    Attributes
    ----------
    components
        Components of the mask.
    local, labels, voxels
        Pairs of a local component and a label that have voxels in common, and how many; 0 is
        background of either, and the pair of both is left out.
    """

    components: ComponentsRecord
    local: Counts
    labels: Counts
    voxels: Counts


def overlap_block(
    labels: NDArray[Any], mask: NDArray[np.bool_], rule: ComponentsPass, core: Box, frame: Box
) -> OverlapRecord:
    """Count what components of the mask and labels have in common in one block."""
    runs, record = rule.block(np.ascontiguousarray(mask), core, frame)
    ids, place = compact(labels)
    keys = runs.filled().astype(np.int64) * (len(ids) + 1) + place
    flat = keys.reshape(-1)
    starts = np.flatnonzero(np.diff(flat, prepend=-1))
    pairs, where = np.unique(flat[starts], return_inverse=True)
    voxels = np.zeros(len(pairs), np.int64)
    np.add.at(voxels, where, np.diff(starts, append=flat.size))
    local, place_of = np.divmod(pairs, len(ids) + 1)
    named = np.concatenate([[0], ids]).astype(np.int64)[place_of]
    there = pairs != 0
    return OverlapRecord(record, local[there], named[there], voxels[there])


@dataclass(frozen=True, slots=True)
class Overlaps:
    """Pairs of a component of the mask and a label with voxels in common, of one frame.

    Attributes
    ----------
    count
        Number of components of the mask.
    components, labels, voxels
        The pairs, ascending; 0 is background of either.
    """

    count: int
    components: Counts
    labels: Counts
    voxels: Counts

    def table_of_components(self) -> pd.DataFrame:
        """One row per component of the mask."""
        total, kept = np.zeros((2, self.count + 1), np.int64)
        np.add.at(total, self.components, self.voxels)
        labelled = self.labels > 0
        np.add.at(kept, self.components[labelled], self.voxels[labelled])
        objects = np.bincount(self.components[labelled], minlength=self.count + 1)
        return pd.DataFrame(
            {
                "component": np.arange(1, self.count + 1),
                "voxels": total[1:],
                "lost": (total - kept)[1:],
                "objects": objects[1:],
            }
        )

    def table_of_objects(self) -> pd.DataFrame:
        """One row per label."""
        of_label = self.labels > 0
        ids, where = np.unique(self.labels[of_label], return_inverse=True)
        components, voxels = self.components[of_label], self.voxels[of_label]
        total, gained = np.zeros((2, len(ids)), np.int64)
        np.add.at(total, where, voxels)
        outside = components == 0
        np.add.at(gained, where[outside], voxels[outside])
        main = self._main_components(where[~outside], components[~outside], voxels[~outside], ids)
        rows = self.table_of_components().set_index("component").reindex(main)
        alone = rows["objects"].to_numpy() == 1
        lost = np.where(alone, rows["lost"].to_numpy(dtype=float), np.nan)
        table = {"label": ids, "voxels": total, "gained": gained, "component": main, "lost": lost}
        return pd.DataFrame(table)

    @staticmethod
    def _main_components(where: Counts, components: Counts, voxels: Counts, ids: Counts) -> Counts:
        """Return the component that holds most of each label, the first of several; 0 for none."""
        main = np.zeros(len(ids), np.int64)
        order = np.lexsort((-components, voxels))
        main[where[order]] = components[order]
        return main

    def totals(self) -> dict[str, Any]:
        """Sums over the frame."""
        mask = int(self.voxels[self.components > 0].sum())
        labelled = int(self.voxels[self.labels > 0].sum())
        both = int(self.voxels[(self.components > 0) & (self.labels > 0)].sum())
        kept = len(np.unique(self.components[(self.components > 0) & (self.labels > 0)]))
        return {
            "mask_voxels": mask,
            "label_voxels": labelled,
            "lost": mask - both,
            "gained": labelled - both,
            "components": self.count,
            "objects": len(np.unique(self.labels[self.labels > 0])),
            "vanished": self.count - kept,
            "bias": (labelled - mask) / mask if mask else np.nan,
        }


def merge_overlaps(
    records: Iterable[tuple[Block, OverlapRecord]], rule: ComponentsPass, grid: Grid
) -> Overlaps:
    """Join the components of a frame and add up the pairs."""
    found = list(records)
    merged = rule.merge(((block, record.components) for block, record in found), grid)
    lookup = merged.lookup(np.arange(1, merged.count + 1))
    components = [lookup.of_block(block.number)[record.local] for block, record in found]
    pairs = np.stack(
        [np.concatenate(components), np.concatenate([record.labels for _, record in found])]
    )
    distinct, where = np.unique(pairs, axis=1, return_inverse=True)
    voxels = np.zeros(distinct.shape[1], np.int64)
    np.add.at(voxels, where.reshape(-1), np.concatenate([record.voxels for _, record in found]))
    return Overlaps(merged.count, distinct[0], distinct[1], voxels)
