"""The whole lesson in one call."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Sequence
from html import escape
from typing import Literal

import xarray as xr

from chunkseg.api.channels import Channels, intensity_images
from chunkseg.api.facts import image_source, run_facts, summary_facts, warnings_of
from chunkseg.api.planning import check_plan, estimated
from chunkseg.api.result import Result
from chunkseg.api.run_input import Image, RunInput
from chunkseg.errors import IncompleteError, KindError, ParameterError, PathError, PixelError
from chunkseg.geometry.boxes import Grid
from chunkseg.passes.summaries import frames_summary
from chunkseg.plan.parameters import Parameters
from chunkseg.plan.plan import Plan
from chunkseg.plan.script import script
from chunkseg.runner.lesson import Lesson
from chunkseg.runner.lesson_measures import RunMeasures
from chunkseg.runner.outcome import (
    Outcome,
    Spent,
    add_spent,
    dropped_table,
    histogram_table,
    timed,
)
from chunkseg.runner.progress import Progress, silent
from chunkseg.runner.staging import stage
from chunkseg.runner.workers import probe_shared, refuse_unshared
from chunkseg.storage.apart import refuse_input
from chunkseg.storage.cache import CHUNKS
from chunkseg.storage.claim import claim
from chunkseg.storage.places import folder_of, place_of

_log = logging.getLogger("chunkseg")


class Workflow(Parameters):
    """The lesson's parameters, and how to run them on an image.

    Blur, threshold, erode by a ball to split touching objects, label, expand the labels back, clear
    the border, label again, measure: what scikit-image gives on each whole frame, bit for bit.

    Parameters
    ----------
    units : "pixels" or "physical"
        What lengths and sizes are in: voxels (the default), or the unit of the image's
        coordinates. With ``"physical"`` the blur is by ``sigma / spacing`` along each axis, what is
        left by the erosion is farther than the radius from background
        (``scipy.ndimage.distance_transform_edt(mask, sampling=spacing) > radius``, outside the
        image counts as foreground), and labels are expanded by
        ``skimage.segmentation.expand_labels(labels, distance, spacing=spacing)``.
    sigma : float or tuple of float
        Standard deviation of the Gaussian blur, one number or one per axis.
    threshold : "otsu" or float
        A number is on the scale of the blurred image: 0 to 1 for integer images, which are scaled
        as scikit-image does.
    threshold_scope : "frame" or "movie"
        Whether Otsu's threshold is that of each frame, or one of all frames, as
        :func:`skimage.filters.threshold_otsu` finds it in the stacked, blurred frames. To a movie
        with one threshold no frames can be added.
    erosion_radius : float
        Radius of the ball (2-D: disk) that splits touching objects, a whole number if it is in
        voxels; 0 for no splitting.
    erosion_iterations : int
        How many times the ball erodes.
    expand_distance : float, optional
        How far labels grow back; by default as far as was eroded, radius times iterations.
    clear_border : bool
        Whether objects that touch the image's border are dropped.
    clear_border_axes : sequence of str, optional
        The axes whose ends count as border, as ``("y", "x")`` for thin stacks; all by default.
    min_size, max_size : float, optional
        Objects smaller than the one or larger than the other are dropped after the border is
        cleared, as by ``skimage.morphology.remove_small_objects`` on the final labels (which keeps
        objects of exactly ``min_size``) and
        ``skimage.segmentation.relabel_sequential``. In voxels, or the unit cubed (2-D: squared).
    properties : sequence of str, optional
        What is measured beside label, area, box and centroid: properties and groups as of
        :func:`chunkseg.regionprops_table`, in voxels; by default mean, minimum and maximum of the
        intensities.

    Raises
    ------
    ParameterError, KindError
        If a value can't be used.

    Examples
    --------
    >>> import chunkseg as cs
    >>> cs.Workflow(sigma=3, erosion_radius=10).distance
    10.0
    """

    def run(
        self,
        image: Image,
        out: str | os.PathLike[str],
        *,
        channel: str | int | None = None,
        intensity_channels: Channels = None,
        input_is_mask: bool = False,
        keep: Collection[str] = (),
        until: Literal["mask"] | None = None,
        block_shape: Sequence[int] | None = None,
        workers: int | None = None,
        memory_limit: int | str | None = None,
        scratch: str | os.PathLike[str] | None = None,
        keep_scratch: bool = False,
        overwrite: bool = False,
        ome_version: str = "0.5",
        progress: Progress | None = None,
    ) -> Result:
        """Run the workflow out of core and write the result to a folder.

        The same call after an interruption of any kind goes on with what is done and ends with the
        same bytes; of a complete run it returns the result, and of an image that has grown along
        ``t`` it does the new frames.

        Parameters
        ----------
        image : path, DataArray, dask, zarr or NumPy array
            2-D or 3-D frames, with or without ``t``. Paths are opened with
            :func:`chunkseg.open_image`.
        out : path
            Folder of the result, or an address such as ``s3://bucket/run1``. To an address the
            result is moved when it is finished, ``run.json`` last; until then it lies in a folder
            of this machine (workers of a cluster must see it), in ``scratch`` or where this
            process is, which is removed then.
        channel : str or int, optional
            The channel to segment, by name or number.
        intensity_channels : "all", sequence of str or int, or mapping, optional
            The channels whose intensities are measured, by name or number, in columns such as
            ``intensity_mean-<channel>``; by default the one that is segmented, without its name.
            A mapping gives images of the same axes and shape by name.
        input_is_mask : bool
            The image is a mask already (bool, or integers with 0 as background).
        keep : collection of {"mask", "seeds", "expanded"}
            Intermediates to be written as well.
        until : "mask", optional
            Stop there and write the mask.
        block_shape : sequence of int, optional
            Shape of the blocks along the spatial axes; a run that goes on keeps the one it has.
        workers : int, optional
            Number of threads; as many as there are cores by default. With an active
            ``dask.distributed`` client its workers are used instead.
        memory_limit : int or str, optional
            Bytes, or text such as ``"2GiB"``, that this process may use, libraries included (on a
            cluster: a worker); it decides on the shape of the blocks and how many threads work.
            By default blocks have at most 2**24 voxels, and half of the memory that the machine or
            the container gives is not exceeded. What tables need per object is beside it, see
            :meth:`plan`.
        scratch : path, optional
            Folder for intermediates; within ``out`` by default. A run that goes on keeps the one it
            has.
        keep_scratch : bool
            Leave the intermediates there when the run is complete, in ``out`` as
            ``.chunkseg/scratch``, elsewhere as ``chunkseg-...``.
        overwrite : bool
            Remove what chunkseg wrote to ``out`` before, and nothing else.
        ome_version : {"0.5", "0.4"}
            Version of the OME-Zarr that is written: 0.5 is zarr 3, 0.4 is zarr 2.
        progress : callable, optional
            Called as ``progress(name of the pass, blocks done, blocks in all)``.

        Returns
        -------
        Result

        Raises
        ------
        ParameterError, KindError, PixelError, PathError, FormatError, OutputExistsError
            For what can't be run; nothing is left behind then.
        MemoryLimitError
            If not even one block fits into ``memory_limit`` or a worker of the cluster.
        BusyError
            If another run is writing to ``out``.
        BlocksError
            If some blocks could not be done, as for a corrupted input chunk; all else is, and the
            same call goes on once the cause is mended.
        """
        path = place_of(out)
        asked = RunInput.of(self, image, channel, input_is_mask, keep, until, workers, ome_version)
        chosen = intensity_images(image, intensity_channels)
        refuse_input(path, map(image_source, (asked.image, *(chosen or {}).values())))
        names = None if chosen is None else tuple(chosen)
        intensities, planning = asked.intensities(chosen), asked.planning
        measures = RunMeasures.of(self.properties, names, len(intensities), asked.given.layout.ndim)
        refuse_unshared([planning.image, *intensities], planning.execution.client)
        plan = planning.plan(block_shape, memory_limit)
        check_plan(plan, planning, memory_limit is not None)
        folder = folder_of(scratch) if scratch is not None else None
        settings = {"block_shape": plan.block_shape}
        identity = asked.identity(names)
        with claim(path, identity, settings, folder, overwrite, keep_scratch) as output:
            if output.standing == "complete":
                _log.info("%s is complete already: nothing to do", path)
                return Result.open(path)
            plan = planning.plan(output.started.settings["block_shape"], memory_limit)
            lesson = Lesson(
                parameters=self,
                image=planning.image,
                is_mask=input_is_mask,
                intensities=intensities,
                measures=measures,
                frames=asked.frames,
                grid=Grid.regular(plan.shape, plan.block_shape),
                output=output,
                keep=frozenset(planning.keep),
                until=until,
                execution=planning.running(plan),
                progress=progress or silent,
            )
            with CHUNKS.within(plan.cache):
                self._carry_out(lesson, asked)
        return Result.open(path)

    def plan(
        self,
        image: Image,
        memory_limit: int | str | None = None,
        workers: int | None = None,
        *,
        channel: str | int | None = None,
        input_is_mask: bool = False,
        keep: Collection[str] = (),
        until: Literal["mask"] | None = None,
        block_shape: Sequence[int] | None = None,
        estimate: bool = False,
    ) -> Plan:
        """Say what a run of the workflow will do and need, without running it.

        Parameters
        ----------
        image, memory_limit, workers, channel, input_is_mask, keep, until, block_shape
            As for :meth:`run`.
        estimate : bool
            Run a block or two of the image to estimate the time.

        Returns
        -------
        Plan
            With ``fits`` False and a note of what would fit where the limit can't be kept.

        Raises
        ------
        ParameterError, KindError, PathError, FormatError
            For what can't be run.

        Examples
        --------
        >>> import numpy as np, chunkseg as cs
        >>> image = np.zeros((512, 512, 512), np.uint8)
        >>> plan = cs.Workflow(sigma=3, erosion_radius=10).plan(image, "2GiB", workers=2)
        >>> plan.block_shape, plan.blocks, plan.fits
        ((256, 256, 256), 8, True)
        """
        asked = RunInput.of(self, image, channel, input_is_mask, keep, until, workers)
        found = asked.planning.plan(block_shape, memory_limit)
        return estimated(found, self, asked.given, input_is_mask) if estimate else found

    def to_script(self, *, movie: bool = False) -> str:
        """Write the workflow as a plain scikit-image script, for images that fit in memory.

        Parameters
        ----------
        movie : bool
            Whether the first axis is time; else the image is one 2-D or 3-D frame.

        Returns
        -------
        str
            Python source that runs in napari's console (on the first layer) or as a file, and gives
            the labels of a run. With physical units the size of a voxel is to be set in it.

        Examples
        --------
        >>> import chunkseg as cs
        >>> "SIGMA = 3.0" in cs.Workflow(sigma=3, erosion_radius=10).to_script()
        True
        """
        return script(self, movie)

    def _repr_html_(self) -> str:
        cells = [[f"<td>{escape(cell)}</td>" for cell in row] for row in self.explained()]
        rows = [f"<tr>{''.join(row)}</tr>" for row in cells]
        return f"<table><caption>chunkseg workflow</caption>{''.join(rows)}</table>"

    def _carry_out(self, lesson: Lesson, asked: RunInput) -> None:
        """Run the passes and complete the output; what refuses to begin leaves nothing behind."""
        staging: Spent = {}
        execution, output = lesson.execution, lesson.output
        try:
            if execution.client is not None:
                for folder in {output.state, output.scratch}:
                    probe_shared(folder, execution.client)
            if asked.planning.staged(lesson.block):
                with timed("stage", staging):
                    into = output.scratch / f"input-{lesson.image.layout.frames}"
                    lesson.image = stage(lesson.image, into, execution, lesson.progress)
            lesson.run()
        except (ParameterError, KindError, PixelError, PathError, IncompleteError):
            if output.standing == "new" and not lesson.any_done:
                output.abandon()
            raise
        outcome = Outcome.gathered(output, lesson.groups())
        add_spent(outcome.spent, staging)
        add_spent(outcome.spent, lesson.spent)
        self._finish(lesson, outcome, asked.image)

    def _finish(self, lesson: Lesson, outcome: Outcome, image: xr.DataArray) -> None:
        """Write the tables and what is told of the run."""
        warnings = warnings_of(lesson, outcome)
        for text in warnings:
            _log.warning(text)
        run = run_facts(lesson, outcome, image, warnings)
        self.save(lesson.output.building() / "workflow.toml")
        lesson.output.keep_table("histograms", histogram_table(outcome.facts), csv=False)
        looped = bool(lesson.frames.layout.looped)
        lesson.output.keep_table("dropped", dropped_table(outcome.facts, looped))
        if outcome.table is None:
            lesson.output.complete(run)
            return
        summary = frames_summary(outcome.table, run["frames"], run["input"])
        lesson.output.keep_table("summary", summary.reset_index() if looped else summary)
        lesson.output.finish(outcome.table, summary_facts(lesson, outcome), run)
