"""``chunkseg status``: how far the run in a folder is, and how to go on."""

from __future__ import annotations

import argparse
import json

from chunkseg.cli.printing import aligned, say
from chunkseg.report.words import size_text
from chunkseg.storage.places import place_of
from chunkseg.storage.status import PassStatus, Status, status

COMPLETE, NOT_THERE, UNFINISHED = 0, 2, 3
WORDS = {
    "complete": "complete",
    "running": "running",
    "interrupted": "interrupted; the same command goes on where it stopped",
    "elsewhere": "running or interrupted on another machine",
    "nothing": "no result of chunkseg, and no run",
}


def command(args: argparse.Namespace) -> int:
    """Print how far it is; the exit code is 0, 2 or 3: complete, nothing, not complete."""
    found = status(place_of(args.output))
    say([json.dumps(found.as_dict(), indent=1)] if args.json else status_lines(found))
    codes = {"complete": COMPLETE, "nothing": NOT_THERE}
    return codes.get(found.state, UNFINISHED)


def status_lines(found: Status) -> list[str]:
    """Lines that tell the state, the frames, the passes and the scratch."""
    at_least = "" if found.counted else "at least "
    rows = [["folder", found.path], ["state", WORDS[found.state]]]
    if found.holder is not None:
        rows.append(["run by", found.holder])
    if found.frames:
        rows.append(["frames", f"{found.frames_done} of {found.frames} done"])
    rows += [_pass_row(each, at_least) for each in found.passes]
    if found.last_record is not None:
        rows.append(["last record", found.last_record])
    if found.scratch is not None:
        rows.append(["scratch", f"{at_least}{size_text(found.scratch_bytes)} in {found.scratch}"])
    return aligned(rows)


def _pass_row(each: PassStatus, at_least: str) -> list[str]:
    of = f" of {each.total}" if each.total is not None else ""
    where = ""
    if each.frames is not None and each.frames[1] - each.frames[0] == 1:
        where = f", frame {each.frames[0]}"
    elif each.frames is not None:
        where = f", frames {each.frames[0]} to {each.frames[1] - 1}"
    return [each.name, f"{at_least}{each.done}{of} blocks{where}"]
