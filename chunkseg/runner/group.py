"""The passes of the lesson over one group of frames.

range -> seeds -> objects -> labels, each a sweep over the blocks of the group's frames, with a
merge of its records behind it. Intermediates live in the scratch folder of the group and go with
it. Every pass reads the image itself and blurs anew what it needs.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chunkseg.errors import ScratchError
from chunkseg.passes.components import Components, ComponentsPass, ComponentsRecord
from chunkseg.passes.dropping import dropped_counts, dropped_objects
from chunkseg.passes.measure import Measures
from chunkseg.passes.tables import with_physical, with_time
from chunkseg.runner.bundling import bundle
from chunkseg.runner.coarsening import coarsen
from chunkseg.runner.failures import FailedBlocksError
from chunkseg.runner.lesson_tasks import (
    LabelsRecord,
    LabelsTask,
    ObjectsTask,
)
from chunkseg.runner.measuring import measure_frames
from chunkseg.runner.outcome import FrameFacts, Spent, timed
from chunkseg.runner.seeding import Seeding
from chunkseg.runner.sweep import Input, Skip, Sweeper, Task
from chunkseg.storage.bundled import BundledSink
from chunkseg.storage.lookups import LookedUpRuns, Lookups
from chunkseg.storage.pyramids import PyramidSink
from chunkseg.storage.records import Records
from chunkseg.storage.runs import RunStore
from chunkseg.storage.site import KEPT, LABELS

if TYPE_CHECKING:
    from chunkseg.runner.lesson import Lesson

R = TypeVar("R")
ImageSink = PyramidSink | BundledSink

ATTEMPTS = 3

_log = logging.getLogger("chunkseg")


@dataclass
class Group:
    """The passes over one group of frames."""

    lesson: Lesson
    frames: range
    spent: Spent = field(default_factory=dict)
    kind: str = "frames"

    @property
    def folder(self) -> Path:
        """Where its intermediates are."""
        name = f"{self.kind}-{self.frames.start:06d}-{self.frames.stop:06d}"
        return self.lesson.output.scratch / name

    def run(self) -> None:
        """Do the frames of the group; what of the scratch turns out damaged, again."""
        self.folder.mkdir(exist_ok=True)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                content, table = self._passes()
                break
            except (FailedBlocksError, ScratchError) as error:
                curable = isinstance(error, ScratchError) or error.scratch_only
                if not curable or attempt == ATTEMPTS:
                    raise
                _log.warning("scratch is damaged; what is lost is computed again (%s)", error)
        output = self.lesson.output
        output.keep_group(self.frames, content, table)
        if not output.keep_scratch:
            shutil.rmtree(self.folder)

    def _passes(self) -> tuple[dict[str, Any], pd.DataFrame | None]:
        """Carry out the passes; return what is told of the frames, and their objects."""
        self.facts = {frame: FrameFacts() for frame in self.frames}
        self.spent = {}
        seeds = Seeding(self).run()
        table = None if seeds is None else self._labels(*self._objects(*seeds))
        facts = [vars(self.facts[frame]) for frame in self.frames]
        return {"frames": facts, "spent": self.spent}, table

    def sweep(
        self,
        task: Task[R],
        inputs: Sequence[Input],
        kind: type[R],
        skip: Skip = (),
        sinks: Sequence[ImageSink | RunStore | None] = (),
    ) -> Records[R]:
        """Sweep over the group's blocks, complete what they wrote, and return the records."""
        lesson = self.lesson
        sweeper: Sweeper[R] = Sweeper(lesson.grid, self.frames, lesson.execution, lesson.progress)
        records = Records(kind, self.folder / "records" / task.name)
        written = [sink for sink in sinks if sink is not None]
        with timed(task.name, self.spent):
            sweeper.run(task, inputs, records, skip, written)
            for number, sink in enumerate(written):
                folder = self.folder / "levels" / f"{task.name}-{number}"
                if isinstance(sink, PyramidSink):
                    coarsen(sink, self.frames, lesson.execution, lesson.progress, folder)
                elif isinstance(sink, BundledSink):
                    bundle(sink, self.frames, lesson.execution, lesson.progress, folder)
        return records

    def image_sink(self, name: str, dtype: Any) -> ImageSink:
        """Where blocks of an image go that is written; where frames are bundled, by scratch."""
        lesson = self.lesson
        pyramid = lesson.written(name, dtype)
        if pyramid.bundle == 1:
            return pyramid
        return BundledSink.beside(self.folder / "single" / name, pyramid, lesson.block)

    def _scratch(self, name: str) -> RunStore:
        return RunStore(self.folder / name)

    def _objects(
        self, local: RunStore, seeds: dict[int, Components]
    ) -> tuple[RunStore, dict[int, Components]]:
        """Expand the seeds and find the objects."""
        lesson = self.lesson
        dtype = np.dtype(lesson.label_dtype(max(c.count for c in seeds.values())))
        tables = {f: c.lookup(np.arange(1, c.count + 1, dtype=dtype)) for f, c in seeds.items()}
        lookups = self._lookups("seeds", tables)
        layout = lesson.frames.layout
        source = LookedUpRuns(local, layout, lesson.grid, lookups)
        expansion = lesson.parameters.expansion(lesson.spacing)
        border = lesson.parameters.border(lesson.frames.spatial)
        rule = ComponentsPass(lesson.grid.ndim, border=border, sized=True)
        names = [name for name in KEPT if name != "mask" and name in lesson.keep]
        keep = {name: self.image_sink(name, dtype) for name in names}
        sink = self._scratch("objects")
        task = ObjectsTask(lesson.grid.frame, expansion, rule, sink, keep)
        skip = self._out_of_reach(seeds, expansion.halo)
        found = self.sweep(
            task, [Input(source, layout)], ComponentsRecord, skip, sinks=(sink, *keep.values())
        )
        return sink, {f: rule.merge(records, lesson.grid) for f, records in found.frames()}

    def _out_of_reach(self, seeds: dict[int, Components], halo: tuple[int, ...]) -> Skip:
        """Blocks that no seed can reach."""
        grid = self.lesson.grid
        skip = set()
        for frame, components in seeds.items():
            for block in grid.overlapping(grid.frame):
                near = grid.overlapping(block.core.grow(halo, grid.frame))
                if not any(components.sizes[b.number] for b in near):
                    skip.add((frame, block.number))
        return skip

    def _labels(self, local: RunStore, objects: dict[int, Components]) -> pd.DataFrame:
        """Drop objects at the border, number the rest, write and measure them."""
        lesson = self.lesson
        kept = {f: self._kept(c) for f, c in objects.items()}
        for frame, components in objects.items():
            self._note_dropped(frame, components, kept[frame])
        counts = {f: int(k.sum()) for f, k in kept.items()}
        dtype = np.dtype(lesson.label_dtype(max(counts.values())))
        numbers = {
            f: c.lookup((np.cumsum(kept[f]) * kept[f]).astype(dtype)) for f, c in objects.items()
        }
        lookups = self._lookups("objects", numbers)
        images, measures = lesson.intensities, lesson.measures.swept
        sink = self.image_sink(LABELS.removesuffix(".ome.zarr"), dtype)
        task = LabelsTask(local, lookups, sink, measures, len(images))
        skip = self._out_of_reach(objects, (0,) * lesson.grid.ndim)
        found = self.sweep(task, images, LabelsRecord, skip, sinks=(sink,))
        tables = {}
        for frame, group in found.frames():
            self.facts[frame].counts["expanded"] = objects[frame].count
            self.facts[frame].counts["final"] = counts[frame]
            records = sorted(((b.number, r) for b, r in group), key=itemgetter(0))
            self.facts[frame].checksums = [record.checksum for _, record in records]
            sums = measures.merge(record.measures for _, record in records)
            tables[frame] = pd.DataFrame(measures.finish(sums))
        if lesson.measures.rest is not None:
            tables = self._with_rest(tables, lesson.measures.rest)
        finished = [self._finished(frame, table) for frame, table in tables.items()]
        return pd.concat(finished, ignore_index=True)

    def _with_rest(
        self, tables: dict[int, pd.DataFrame], measures: Measures
    ) -> dict[int, pd.DataFrame]:
        """Add what is measured of the label image that was written."""
        lesson = self.lesson
        layout = lesson.frames.layout
        with timed("measure", self.spent):
            found = measure_frames(
                Input(lesson.output.written_labels(), layout),
                lesson.intensities,
                measures,
                grid=lesson.grid,
                frames=self.frames,
                execution=lesson.execution,
                progress=lesson.progress,
                folder=self.folder / "records" / "measure",
            )
        pairs = zip(tables.items(), found, strict=True)
        return {frame: lesson.measures.joined(table, rest) for (frame, table), rest in pairs}

    def _note_dropped(self, frame: int, objects: Components, kept: NDArray[np.bool_]) -> None:
        """Note which objects are dropped, and why."""
        shape = self.lesson.grid.shape
        dropped = dropped_objects(objects, kept, self.lesson.frames.spatial, shape)
        self.facts[frame].dropped_objects = dropped
        self.facts[frame].dropped = dropped_counts(dropped)

    def _kept(self, objects: Components) -> NDArray[np.bool_]:
        """Which objects touch no border and have a size that is wanted."""
        voxels = np.zeros(0, np.int64) if objects.voxels is None else objects.voxels
        fitting = self.lesson.parameters.fitting(voxels, self.lesson.spacing)
        return fitting & ~objects.touches

    def _finished(self, frame: int, table: pd.DataFrame) -> pd.DataFrame:
        """Add the columns in the image's unit, the time point and its time."""
        frames = self.lesson.frames
        unit = frames.units[frames.layout.spatial[0]]
        table = with_physical(table, self.lesson.spacing, unit)
        if not frames.layout.looped:
            return table
        return with_time(table, frame, frames.spacing[0], frames.units[0])

    def _lookups(self, name: str, tables: dict[int, Any]) -> Lookups:
        return Lookups.of(tables, self.folder / "lookups" / name)
