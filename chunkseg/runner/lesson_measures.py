"""What a run measures of its objects: sums taken while labels are written, the rest afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from chunkseg.passes.measure import Measures, choose

PROPERTIES = ("label", "area", "bbox", "centroid")
INTENSITIES = ("intensity_mean", "intensity_min", "intensity_max")


@dataclass(frozen=True)
class RunMeasures:
    """The properties of a run, all in voxels.

    Attributes
    ----------
    all
        Everything, in the order of the columns.
    """

    all: Measures

    @classmethod
    def of(
        cls,
        asked: tuple[str, ...] | None,
        channels: tuple[str, ...] | None,
        images: int,
        ndim: int,
    ) -> RunMeasures:
        """Choose what is measured.

        Parameters
        ----------
        asked
            What the user named beside label, area, box and centroid; None for the intensities.
        channels
            Names of the channels whose intensities are measured; None for one without a name.
        images
            Number of intensity images.
        ndim
            Number of axes of a frame.

        Raises
        ------
        ParameterError, KindError
            For what can't be measured.
        """
        usual = INTENSITIES if images else ()
        names = (*PROPERTIES, *(usual if asked is None else asked))
        return cls(choose(names, (1.0,) * ndim, channels, images > 0))

    @cached_property
    def swept(self) -> Measures:
        """What the voxels of a block decide: sums."""
        chosen = [name for name in self.all.properties if self._in_block(name)]
        return replace(self.all, properties=tuple(chosen))

    @cached_property
    def rest(self) -> Measures | None:
        """What needs neighbours of a block or whole objects; None for nothing."""
        chosen = [name for name in self.all.properties if not self._in_block(name)]
        return replace(self.all, properties=("label", *chosen)) if chosen else None

    def _in_block(self, name: str) -> bool:
        alone = replace(self.all, properties=(name,))
        return not alone.wholes and alone.halo == 0

    def joined(self, swept: pd.DataFrame, rest: pd.DataFrame) -> pd.DataFrame:
        """One table of both, columns in the order asked for; both have the same labels."""
        assert np.array_equal(swept["label"], rest["label"])
        columns = pd.concat([swept, rest.drop(columns="label")], axis=1)
        return columns[self._names()]

    def _names(self) -> Sequence[str]:
        return [column for name in self.all.properties for column in self.all.column_names(name)]
