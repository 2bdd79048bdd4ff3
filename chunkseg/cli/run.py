"""``chunkseg run``: a workflow over an image file."""

from __future__ import annotations

import argparse
import json
import logging
from dataclasses import replace
from typing import Any

import xarray as xr

from chunkseg.api.channels import channel_indices, channel_names
from chunkseg.api.workflow import Workflow
from chunkseg.cli.cluster import cluster_of
from chunkseg.cli.messages import progress
from chunkseg.cli.parser import WORKFLOW_OPTIONS
from chunkseg.cli.printing import aligned, result_facts, result_lines, say, time_lines
from chunkseg.cli.report import report_of
from chunkseg.storage.opening import LABELS, open_image

WIDE = 4

logger = logging.getLogger("chunkseg")


def command(args: argparse.Namespace) -> int:
    """Run the workflow and print what came out."""
    workflow = chosen_workflow(args)
    image = opened(args)
    if not args.input_is_mask:
        tell_labels(image)
    with cluster_of(args) as execution, progress() as tell:
        result = workflow.run(
            image,
            args.output,
            intensity_channels=intensities(args),
            input_is_mask=args.input_is_mask,
            until=args.until,
            keep=args.keep,
            block_shape=args.block_shape,
            workers=execution.workers,
            memory_limit=args.memory_limit,
            scratch=args.scratch,
            keep_scratch=args.keep_scratch,
            overwrite=args.overwrite,
            ome_version=args.ome_zarr,
            progress=tell,
        )
    if args.json:
        report = None if args.no_report else report_of(result, args.memory_limit)
        say([json.dumps(result_facts(result, report), indent=1)])
        return 0
    say([*result_lines(result), *(time_lines(result) if args.verbose else [])])
    report = None if args.no_report else report_of(result, args.memory_limit)
    if report is not None:
        say(aligned([["report", str(report)]], first=len("written to")))
    return 0


def chosen_workflow(args: argparse.Namespace) -> Workflow:
    """Return the workflow of the file, if any, with the options given put over it."""
    given = {name: getattr(args, name) for name in WORKFLOW_OPTIONS if hasattr(args, name)}
    base = Workflow() if args.workflow is None else Workflow.load(args.workflow)
    return replace(base, **given)


def tell_labels(image: xr.DataArray) -> None:
    """Warn of an image that looks like labels: to blur and threshold those makes no sense."""
    told = image.attrs.get("kind") == LABELS
    if told or (image.dtype.kind in "iu" and image.dtype.itemsize >= WIDE):
        why = "its file says so" if told else f"its pixels are {image.dtype}"
        logger.warning(
            "%s may be a label image (%s); measure labels with 'chunkseg measure', or take them "
            "as a mask by --input-is-mask",
            image.attrs["source"],
            why,
        )


def intensities(args: argparse.Namespace) -> dict[str, xr.DataArray] | None:
    """Open the channels whose intensities are asked for, by name; None if none are."""
    if args.intensity_channels is None:
        return None
    whole = _open(args, None)
    asked = args.intensity_channels
    channels = "all" if asked == ("all",) else [int(n) if n.isdigit() else n for n in asked]
    names = channel_names(whole)
    return {names[index]: _open(args, index) for index in channel_indices(whole, channels)}


def opened(args: argparse.Namespace) -> Any:
    """Open the input as its options say."""
    return _open(args, args.channel)


def _open(args: argparse.Namespace, channel: str | int | None) -> Any:
    return open_image(
        args.input,
        channel=channel,
        level=args.level,
        series=args.series,
        dims=args.dims,
        spacing=args.spacing,
        unit=args.unit,
        region=args.region,
    )
