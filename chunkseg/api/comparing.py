"""Comparing labels with the mask that they were made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chunkseg.api.given import Given
from chunkseg.api.sweeping import sweep
from chunkseg.errors import KindError
from chunkseg.geometry.boxes import Block, Box
from chunkseg.passes.comparing import OverlapRecord, merge_overlaps, overlap_block
from chunkseg.passes.components import ComponentsPass


@dataclass(frozen=True)
class MaskComparison:
    """What :func:`compare_masks` found.

    Attributes
    ----------
    summary
        One row per frame: ``mask_voxels``, ``label_voxels``, ``lost`` (voxels of the mask without a
        label), ``gained`` (voxels with a label outside the mask), ``components`` of the mask,
        ``objects``, ``vanished`` (components without any label) and ``bias``, the relative
        difference of the volumes, (labels - mask) / mask; NaN for an empty mask.
    objects
        One row per label: its ``voxels``, those ``gained``, the ``component`` of the mask that
        holds most of it (0: none; the first of several), and the voxels that this component
        ``lost``, NaN where it holds other objects as well.
    components
        One row per component of the mask: ``voxels``, those ``lost``, and how many ``objects``
        have voxels in it.
    """

    summary: pd.DataFrame
    objects: pd.DataFrame
    components: pd.DataFrame

    @property
    def vanished(self) -> pd.DataFrame:
        """The components of the mask that hold no object."""
        return self.components[self.components["objects"] == 0]


@dataclass(frozen=True, slots=True)
class _OverlapTask:
    """Count what components of a mask and labels have in common."""

    rule: ComponentsPass
    frame: Box
    name: str = "compare"

    def reads(self, block: Block) -> Sequence[Box | None]:
        """Return the block, of labels and mask."""
        return block.core, block.core

    def __call__(
        self, block: Block, labels: NDArray[Any], mask: NDArray[np.bool_]
    ) -> OverlapRecord:
        """Do one block."""
        return overlap_block(labels, mask != 0, self.rule, block.core, self.frame)


def compare_masks(labels: Any, mask: Any) -> MaskComparison:
    """Compare labels with the mask that they were made from: is the erosion reversible?

    To split touching objects a mask is eroded, labelled and expanded again. What was thinner than
    the radius is lost, and what fills corners and gaps is gained. Compare the expanded labels,
    before the border is cleared, with the mask: both are there after a run with
    ``keep=("mask", "expanded")``.

    Parameters
    ----------
    labels : DataArray, dask or NumPy array of integers
        Label image; 0 is background. Axes named ``t`` and ``c`` are looped over.
    mask : DataArray, dask or NumPy array of bool or integers
        Of the same shape; everything but 0 is foreground.

    Returns
    -------
    MaskComparison
        Tables; with looped axes, each begins with the number of the frame, ``frame``.

    Raises
    ------
    KindError
        If ``labels`` are not integers, or ``mask`` is not of bool or integers.
    ParameterError
        If the shapes or axes differ.

    Notes
    -----
    One sweep reads both images once, out of core. Components of the mask are those of
    :func:`skimage.measure.label`, numbered alike. An object that was cut in two counts as two.

    Examples
    --------
    >>> import numpy as np, chunkseg as cs
    >>> mask = np.array([[1, 1, 1, 0, 0, 1, 0, 0, 1]], bool)
    >>> labels = np.array([[0, 1, 1, 1, 0, 0, 0, 0, 2]])
    >>> compared = compare_masks(labels, mask)
    >>> compared.summary[["lost", "gained", "components", "vanished"]].values.tolist()
    [[2, 1, 3, 1]]
    >>> compared.objects
       label  voxels  gained  component  lost
    0      1       3       1          1   1.0
    1      2       1       0          3   0.0
    """
    given = Given.of(labels, "label image")
    if given.data.dtype.kind not in "ui":
        raise KindError(f"the labels must be integers; got dtype {given.data.dtype}")
    other = given.aligned(mask, "mask")
    if other.dtype.kind not in "bui":
        raise KindError(
            f"the mask must be of bool or integers; got dtype {other.dtype}. Compare first, as in "
            "image > threshold."
        )
    rule = ComponentsPass(given.layout.ndim)
    task = _OverlapTask(rule, given.grid.frame)
    records = sweep(given, task, [given.data, other], OverlapRecord, given.grid)
    found = {f: merge_overlaps(group, rule, given.grid) for f, group in records.frames()}
    looped = bool(given.layout.looped)
    return MaskComparison(
        _joined({f: pd.DataFrame([o.totals()]) for f, o in found.items()}, looped),
        _joined({f: o.table_of_objects() for f, o in found.items()}, looped),
        _joined({f: o.table_of_components() for f, o in found.items()}, looped),
    )


def _joined(tables: dict[int, pd.DataFrame], looped: bool) -> pd.DataFrame:
    if looped:
        for frame, table in tables.items():
            table.insert(0, "frame", frame)
    return pd.concat(tables.values(), ignore_index=True)
