"""Objects in a table: their order on the screen, and where each is in the image.

Columns are arrays of the table itself and sorting makes a permutation of row numbers, so a table of
a million rows is neither copied nor turned into items.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

VOXELS = "voxels"


@dataclass
class Objects:
    """Measured objects.

    Attributes
    ----------
    table
        One row per object, with ``label``, ``t`` for movies, and the centroid.
    spacing
        What centroids are in multiples of: the size of a voxel, or ones.
    unit
        What lengths are in, in words.
    undefined
        Titles of the groups of which no measure is defined for these objects.
    order
        Numbers of the table's rows, as they are shown.

    Examples
    --------
    >>> found = Objects(pd.DataFrame({"label": [1, 2], "area": [9.0, 4.0]}))
    >>> found.sort(1, ascending=True)
    >>> found.label(0), found.row_of(1), found.text(0, 1)
    (2, 1, '4')
    """

    table: pd.DataFrame
    spacing: tuple[float, ...] = ()
    unit: str = VOXELS
    undefined: tuple[str, ...] = ()
    order: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.order = np.arange(len(self.table))
        self._columns = [self.table[name].to_numpy() for name in self.table]

    def __len__(self) -> int:
        return len(self.table)

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return [str(name) for name in self.table.columns]

    def text(self, row: int, column: int) -> str:
        """Text of a cell; of what is not defined, nothing."""
        value = self._columns[column][self.order[row]]
        if isinstance(value, float | np.floating):
            return "" if np.isnan(value) else f"{value:.6g}"
        return str(value)

    def sort(self, column: int, ascending: bool) -> None:
        """Order by a column, equal values as they are in the table, undefined ones last."""
        values = pd.Series(self._columns[column])
        found = values.sort_values(ascending=ascending, kind="stable", na_position="last")
        self.order = found.index.to_numpy()

    def label(self, row: int) -> int:
        """Label of the object in a row."""
        return int(self.table["label"].to_numpy()[self.order[row]])

    def row_of(self, label: int, frame: int | None = None) -> int | None:
        """Row of an object; of a movie, of that at a time point; None where there is none."""
        found = self.table["label"].to_numpy() == label
        if frame is not None and "t" in self.table:
            found = found & (self.table["t"].to_numpy() == frame)
        rows = np.flatnonzero(found[self.order])
        return int(rows[0]) if len(rows) else None

    def place(self, row: int) -> tuple[float, ...] | None:
        """Where an object's centroid is, in voxels, after the time point of a movie."""
        number = self.order[row]
        names = [f"centroid-{axis}" for axis in range(3)]
        centroid = [float(self.table[n].iloc[number]) for n in names if n in self.table]
        if not centroid:
            return None
        steps = self.spacing or (1.0,) * len(centroid)
        at: list[float] = [c / s for c, s in zip(centroid, steps, strict=True)]
        return (*self._time(number), *at)

    def _time(self, number: Any) -> tuple[float, ...]:
        return (float(self.table["t"].iloc[number]),) if "t" in self.table else ()
