"""``chunkseg verify``: whether a result is what a run wrote, and what scikit-image gives."""

from __future__ import annotations

import argparse
import json

from chunkseg.api.checks import FAILED, OK, Verification
from chunkseg.api.verifying import verify
from chunkseg.cli.messages import progress
from chunkseg.cli.printing import aligned, say

DIFFERENT = 1


def command(args: argparse.Namespace) -> int:
    """Verify, print the checks, and return 1 if one failed."""
    with progress() as tell:
        found = verify(
            args.output,
            args.input,
            regions=args.regions,
            seed=args.seed,
            workers=args.workers,
            progress=tell,
        )
    say([json.dumps(found.as_dict(), indent=1)] if args.json else verification_lines(found))
    return 0 if found.ok else DIFFERENT


def verification_lines(found: Verification) -> list[str]:
    """One line per check, and one that says how many failed."""
    rows = [[check.name, check.outcome, check.detail] for check in found.checks]
    counts = {o: sum(c.outcome == o for c in found.checks) for o in (OK, FAILED)}
    rest = len(found.checks) - sum(counts.values())
    told = f"{counts[OK]} checks ok, {counts[FAILED]} failed, {rest} not made; seed {found.seed}"
    return [*aligned(rows), told]
