"""``chunkseg measure``: a table of a label image that any tool made."""

from __future__ import annotations

import argparse
from typing import Any

from chunkseg.api.measuring import measure
from chunkseg.cli.printing import measured_lines, say
from chunkseg.storage.opening import open_image


def command(args: argparse.Namespace) -> int:
    """Measure, and print what was written."""
    calibration = {"dims": args.dims, "spacing": args.spacing, "unit": args.unit}
    wanted = {"level": args.level, "series": args.series, "channel": args.channel}
    labels = open_image(args.input, **wanted, **calibration)
    image = None
    if args.image is not None:
        image = open_image(args.image, **calibration)
    options: dict[str, Any] = {"memory_limit": args.memory_limit}
    if args.properties is not None:
        options["properties"] = args.properties
    result = measure(labels, args.output, image, overwrite=args.overwrite, **options)
    say(measured_lines(result))
    return 0
