"""``chunkseg report``: a page about a result; and how every run ends in one."""

from __future__ import annotations

import argparse

from chunkseg.api.result import Result
from chunkseg.cli.messages import error_text, note, warn
from chunkseg.cli.printing import aligned, say
from chunkseg.plan.memory import bytes_of
from chunkseg.report.extra import INSTALL, missing
from chunkseg.storage.places import Place

NEEDED = 2**30
"""Bytes that a process needs that has run a workflow and writes its report."""


def command(args: argparse.Namespace) -> int:
    """Write the report and print where it is."""
    from chunkseg.report.page import write_report

    path = write_report(args.output, args.input, seams=args.seams)
    say(aligned([["written to", str(path)]]))
    return 0


def report_of(result: Result, memory_limit: int | str | None) -> Place | None:
    """Write the report of a run that is complete; say why where that can't be done."""
    if memory_limit is not None and bytes_of(memory_limit) < NEEDED:
        note(f"no report within this memory limit; 'chunkseg report {result.path}' writes it")
        return None
    if missing():
        note(f"no report, which needs {', '.join(missing())}: {INSTALL}")
        return None
    from chunkseg.report.page import write_report

    try:
        return write_report(result.path)
    except Exception as error:
        warn(
            f"the run is complete, but its report could not be written: {error_text(error)}; try "
            f"'chunkseg report {result.path}'"
        )
        return None
