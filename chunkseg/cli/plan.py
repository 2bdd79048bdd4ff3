"""``chunkseg plan``: what a run would do and need, without running it."""

from __future__ import annotations

import argparse

from chunkseg.cli.printing import say
from chunkseg.cli.run import chosen_workflow, opened

FITS, TOO_LARGE = 0, 1


def command(args: argparse.Namespace) -> int:
    """Print the plan; the exit code is 1 where the memory limit can't be kept."""
    plan = chosen_workflow(args).plan(
        opened(args),
        args.memory_limit,
        args.workers,
        input_is_mask=args.input_is_mask,
        until=args.until,
        keep=args.keep,
        block_shape=args.block_shape,
        estimate=args.estimate,
    )
    say([plan.to_json() if args.json else str(plan)])
    return FITS if plan.fits else TOO_LARGE
