"""Planning a run: from an image and a workflow to numbers, and, if asked, to an estimate of time.

The same plan decides on the blocks and threads of a run, so that what is promised is what is done.
"""

from __future__ import annotations

import logging
import math
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import xarray as xr

from chunkseg.api.given import Given
from chunkseg.errors import MemoryLimitError
from chunkseg.geometry.boxes import Grid, Shape
from chunkseg.geometry.bundles import bundle_length
from chunkseg.plan.blocks import requested_shape
from chunkseg.plan.costs import BUNDLES, PassCost, bundling_cost, grown_shape, pass_costs
from chunkseg.plan.memory import bytes_of, machine_memory
from chunkseg.plan.parameters import Parameters
from chunkseg.plan.plan import IMPORTS, MIB, PER_OBJECT, UNUSABLE, Budget, Needs, Plan, PlannedPass
from chunkseg.runner.execution import Execution
from chunkseg.runner.staging import needs_staging, stage_shape
from chunkseg.runner.sweep import REGION_BLOCKS, Input
from chunkseg.runner.workers import worker_memory
from chunkseg.storage.arrays import chunk_shape
from chunkseg.storage.sources import axis_amplification

if TYPE_CHECKING:
    from chunkseg.api.workflow import Workflow

RUN_BYTES = 0.2
"""Bytes of scratch per voxel: the runs of seeds and of objects."""
SAMPLES = 2
USABLE = 0.95
"""Share of its limit at which dask ends a worker."""

_log = logging.getLogger("chunkseg")


@dataclass(frozen=True)
class Planning:
    """What a plan is made of.

    Attributes
    ----------
    parameters
        The workflow.
    image
        The image, as it is swept.
    spacing
        Size of a voxel along each spatial axis.
    execution
        Where tasks will run.
    is_mask, until, keep
        As for :meth:`chunkseg.Workflow.run`.
    """

    parameters: Parameters
    image: Input
    spacing: tuple[float, ...]
    execution: Execution
    is_mask: bool = False
    until: str | None = None
    keep: Collection[str] = ()

    def plan(
        self, block_shape: Sequence[int] | None = None, memory_limit: int | str | None = None
    ) -> Plan:
        """Plan a run with blocks of a shape that is given, or with those that fit."""
        limit = machine_memory() // 2 if memory_limit is None else bytes_of(memory_limit)
        budget = Budget.of(limit)
        needs = self._needs()
        notes: list[str] = []
        if block_shape is not None:
            shape = requested_shape(needs.frame, block_shape)
        else:
            shape = _shape(needs, budget, self.execution.workers, memory_limit is not None, notes)
        width = self.execution.width
        within = budget.threads(needs.task(shape))
        threads = width if self.execution.client is not None else min(width, max(1, within))
        if not within:
            notes.append(_too_large(needs, shape, limit))
        elif threads < width:
            notes.append(
                f"{threads} of {width} threads work, since no more fit into {limit // MIB} MiB; "
                "smaller blocks would let more: give workers and memory_limit"
            )
        at_once = 1 if self.execution.client is not None else threads
        return Plan(
            shape=needs.frame,
            frames=self.image.layout.frames,
            block_shape=shape,
            blocks=len(Grid.regular(needs.frame, shape)),
            threads=threads,
            passes=self._passes(needs, shape),
            memory=needs.promise(shape, at_once, budget.cache),
            memory_limit=limit,
            cache=budget.cache,
            memory_per_object=0 if self.until else PER_OBJECT,
            scratch=self._scratch(shape),
            notes=tuple(notes),
            fits=within > 0,
        )

    def running(self, plan: Plan) -> Execution:
        """Where a plan is carried out: on as many threads as it allows."""
        if self.execution.client is not None:
            return self.execution
        return Execution(plan.threads, client=None)

    def staged(self, block: Shape) -> bool:
        """Whether the image is copied into scratch before it is swept in blocks."""
        halo = max((cost.halo for cost in self._costs() if cost.reads), key=sum)
        return needs_staging(self.image, block, halo, self.execution)

    def _costs(self) -> tuple[PassCost, ...]:
        dtype, keep = np.dtype(self.image.data.dtype), tuple(self.keep)
        given = self.parameters, dtype, self.spacing
        costs = pass_costs(*given, self.is_mask, self.until, keep)
        layout, length = self.image.layout, bundle_length(self.image.layout)
        if length == 1:
            return costs
        return *costs, bundling_cost(layout.ndim, length * layout.frame_size)

    def _tasks(self, cost: PassCost, blocks: int) -> int:
        """How many tasks a pass has: one per block and frame, or per bundle and array."""
        layout = self.image.layout
        if cost.name != BUNDLES:
            return blocks * layout.frames
        arrays = len({*self.keep, "mask" if self.until else "labels"})
        return arrays * -(-layout.frames // bundle_length(layout))

    def _needs(self) -> Needs:
        """Return what decides on the blocks; of an image that will be staged, of its copy."""
        layout, costs = self.image.layout, self._costs()
        frame = layout.frame_shape
        needs = Needs(frame, _stored(self.image), costs)
        if self.staged(needs.default_shape()):
            needs = replace(needs, stored=chunk_shape(stage_shape(self.image)))
        return needs

    def _passes(self, needs: Needs, block: Shape) -> tuple[PlannedPass, ...]:
        layout = self.image.layout
        blocks = len(Grid.regular(needs.frame, block))
        voxels = int(np.prod(layout.shape, dtype=np.int64))
        passes = []
        for cost in needs.costs:
            wanted = _repeated(needs.frame, (1,) * layout.ndim, block, cost.halo)
            decoded = _repeated(needs.frame, needs.stored, block, cost.halo)
            reads = tuple(int(n) for n in grown_shape(block, cost.halo, needs.frame))
            passes.append(
                PlannedPass(
                    cost.name,
                    cost.halo,
                    reads,
                    self._tasks(cost, blocks),
                    round(voxels * cost.reads * wanted),
                    round(voxels * cost.reads * decoded),
                    voxels * cost.writes,
                    int(cost.peak(block, needs.frame)),
                )
            )
        return tuple(passes)

    def _scratch(self, block: Shape) -> int:
        layout, data = self.image.layout, self.image.data
        voxels = int(np.prod(layout.frame_shape, dtype=np.int64))
        blocks = len(Grid.regular(layout.frame_shape, block))
        at_once = min(layout.frames, max(1, REGION_BLOCKS // blocks))
        copy = layout.frames * voxels * data.dtype.itemsize if self.staged(block) else 0
        return copy + (0 if self.until else round(RUN_BYTES * voxels * at_once))


def _repeated(frame: Shape, unit: Shape, block: Shape, halo: Shape) -> float:
    """How many voxels are read in whole units per voxel of the frame."""
    return math.prod(map(axis_amplification, frame, unit, block, halo))


def _stored(image: Input) -> Shape:
    data = image.data
    chunks = tuple(max(c) for c in data.chunks) if isinstance(data, da.Array) else data.chunks
    return tuple(int(chunks[axis]) for axis in image.layout.spatial)


def _shape(
    needs: Needs, budget: Budget, workers: int | None, given: bool, notes: list[str]
) -> Shape:
    """Shape under a limit; without one the default, where the machine has memory for it."""
    try:
        if given:
            return needs.shape_within(budget, workers)
        default = needs.default_shape()
        if budget.threads(needs.task(default)):
            return default
        found = needs.shape_within(budget, workers)
    except MemoryLimitError:
        return needs.smallest()
    notes.append(
        f"blocks of {found} instead of {default}, of which one needs "
        f"{needs.task(default) // MIB} MiB: half of this machine's memory is "
        f"{budget.limit // MIB} MiB; the last bits of float columns may differ from those of "
        "other machines"
    )
    return found


def _too_large(needs: Needs, shape: Shape, limit: int) -> str:
    """Say that not even one block fits, and what would."""
    if shape == needs.smallest():
        return needs.too_little(limit)
    least = needs.promise(shape, 1, Budget.of(limit).cache)
    found = needs.shape(Budget.of(limit).for_tasks)
    instead = "" if found is None else f", or blocks of {found}"
    return (
        f"one block of {shape} needs {least // MIB} MiB with all else, of {limit // MIB} MiB: give "
        f"a memory limit of at least {-(-least // MIB)} MiB{instead}"
    )


def check_plan(plan: Plan, planning: Planning, given: bool) -> None:
    """Say what is to be noted of a plan before it is run; refuse one that can't be.

    Raises
    ------
    MemoryLimitError
        If the limit was given and can't be kept, or a worker of the cluster has too little memory
        for one block.
    """
    client = planning.execution.client
    if client is None and given and not plan.fits:
        raise MemoryLimitError(plan.notes[-1])
    if client is None:
        for note in plan.notes:
            _log.warning(note)
        return
    there = worker_memory(client)
    need = IMPORTS + round(UNUSABLE * max(p.task_memory for p in plan.passes))
    if there is not None and need > USABLE * there:
        raise MemoryLimitError(
            f"a block of {plan.block_shape} needs {need // MIB} MiB in a worker, libraries "
            f"included, but the least worker has {there // MIB} MiB per thread: give workers more "
            f"memory, or a memory limit below {int(USABLE * there) // MIB} MiB, for smaller blocks"
        )


def estimated(plan: Plan, workflow: Workflow, given: Given, is_mask: bool) -> Plan:
    """Return a plan with the time that some of its blocks took, taken as many times as there are.

    Blocks of the first frame are run as images of their own, by one thread, and what is computed
    around a block is added in proportion.
    """
    seconds: dict[str, float] = {}
    plain = replace(workflow, clear_border=False, clear_border_axes=None)
    samples = _samples(plan, given)
    for sample in samples:
        with tempfile.TemporaryDirectory(prefix="chunkseg-") as name:
            options: dict[str, Any] = {"workers": 1, "block_shape": plan.block_shape}
            run = plain.run(sample, Path(name) / "out", input_is_mask=is_mask, **options).run
        for name, spent in run["seconds"].items():
            seconds[name] = seconds.get(name, 0.0) + spent["wall"]
    voxels = sum(sample.size for sample in samples)
    total = plan.frames * math.prod(plan.shape) / voxels / plan.threads
    passes = []
    for each in plan.passes:
        more = math.prod(each.reads) / math.prod(plan.block_shape)
        passes.append(replace(each, seconds=seconds.get(each.name, 0.0) * total * more))
    return replace(plan, passes=tuple(passes))


def _samples(plan: Plan, given: Given) -> list[xr.DataArray]:
    """Some blocks of the first frame, in memory, with what the image says of itself."""
    assert given.named is not None
    grid = Grid.regular(plan.shape, plan.block_shape)
    places = [(i + 1) / (SAMPLES + 1) for i in range(SAMPLES)]
    indices = sorted({tuple(int(n * place) for n in grid.counts) for place in places})
    boxes = [given.layout.slices(0, grid.core(index)) for index in indices]
    return [given.named[box].compute() for box in boxes]
