"""Components of a user's array: one sweep, then values looked up lazily."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import dask.array as da
from numpy.typing import NDArray

from chunkseg.api.given import Given, map_indexed_frames
from chunkseg.api.sweeping import Scratch, kept_runs, stored_as, sweep_into
from chunkseg.geometry.boxes import Grid
from chunkseg.kernels.components import components, look_up
from chunkseg.passes.components import Components, ComponentsPass, ComponentsRecord, Lookup
from chunkseg.runner.tasks import LabelTask
from chunkseg.storage.kept import KeptRuns
from chunkseg.storage.lookups import LookedUpRuns, Lookups


@dataclass(frozen=True)
class Found:
    """The components of every frame of an array.

    Attributes
    ----------
    given
        The array.
    rule
        How it was labelled.
    grid
        The blocks it was labelled in.
    kept
        The blocks' own labels, if they were kept.
    frames
        The merged components of each frame.
    """

    given: Given
    rule: ComponentsPass
    grid: Grid
    kept: KeptRuns | None
    frames: dict[int, Components]

    @classmethod
    def of(
        cls, given: Given, rule: ComponentsPass, scratch: Scratch, more: Sequence[Any] = ()
    ) -> Found:
        """Sweep over the array (and ``more`` inputs of its shape) and merge each frame."""
        local = kept_runs(given, scratch, "components", more, rule=asdict(rule))
        grid = local.grid if local else given.grid
        task = partial(LabelTask, rule, grid.frame)
        records = sweep_into(given, local, task, [given.data, *more], ComponentsRecord)
        frames = {frame: rule.merge(group, grid) for frame, group in records.frames()}
        return cls(given, rule, grid, local, frames)

    def looked_up(self, table: Callable[[Components], Lookup]) -> da.Array:
        """Lazy array of a value per component, in the chunks of the array given."""
        lookups = Lookups.of({frame: table(found) for frame, found in self.frames.items()})
        if self.kept:
            runs, layout = self.kept.source, self.given.layout
            return stored_as(LookedUpRuns(runs, layout, self.grid, lookups), self.given)
        again = partial(_label_again, self.rule, self.grid, lookups)
        return map_indexed_frames(self.given, again, lookups.dtype)


def _label_again(
    rule: ComponentsPass,
    grid: Grid,
    lookups: Lookups,
    block: NDArray[Any],
    frame: int,
    index: tuple[int, ...],
) -> NDArray[Any]:
    runs, _ = components(block, rule.connectivity, rule.background)
    return look_up(runs.filled(), lookups.of_block(frame, grid.number(index)))
