"""Checks of a result's files, of its facts against each other, and of the input against those."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from chunkseg.api.checks import FAILED, NOT_CHECKED, OK, Check, Subject, Tally
from chunkseg.api.facts import run_identity
from chunkseg.api.given import Given
from chunkseg.api.run_input import frames_of, opened_image
from chunkseg.errors import ChunksegError, ParameterError
from chunkseg.plan.parameters import Parameters
from chunkseg.runner.sweep import Input
from chunkseg.storage.identity import Identity, canonical
from chunkseg.storage.opening import open_image
from chunkseg.storage.places import Place, take
from chunkseg.storage.written import changed_files, missing_files

ELSEWHERE = ("command", "input", "chunks")


def file_checks(path: Place, run: Mapping[str, Any]) -> list[Check]:
    """Whether every file is there, and what has a digest is what it was."""
    missing, changed = missing_files(path, run), changed_files(path, run)
    files, digests = f"{len(run['files'])} there", f"SHA-256 of {len(run['sha256'])} files"
    return [
        Check("files", FAILED if missing else OK, _named(missing, "missing") or files),
        Check("digests", FAILED if changed else OK, _named(changed, "changed") or digests),
    ]


def _named(names: list[str], what: str) -> str:
    return f"{what}: {', '.join(names)}" if names else ""


def fact_checks(subject: Subject) -> list[Check]:
    """Whether ``run.json`` says what ``summary.json`` and ``workflow.toml`` say."""
    tally = Tally()
    tally.note("facts", "", _workflow_differs(subject))
    if subject.run["until"] is None:
        tally.note("facts", "", _summary_differs(subject))
    told = "run.json agrees with itself, workflow.toml and summary.json"
    return tally.checks({"facts": told})


def _workflow_differs(subject: Subject) -> str | None:
    known, facts = subject.parameters.as_dict(), subject.run["identity"]["facts"]
    if any(canonical(facts.get(name)) != canonical(value) for name, value in known.items()):
        return "the workflow of run.json is not the one of its identity"
    try:
        saved = _workflow_of(subject).as_dict()
    except ChunksegError as error:
        return str(error)
    return None if saved == known else "run.json and workflow.toml tell of different workflows"


def _workflow_of(subject: Subject) -> Parameters:
    """Read the workflow as it was saved; of an address, a copy."""
    file = subject.path / "workflow.toml"
    if isinstance(file, Path):
        return Parameters.load(file)
    with tempfile.TemporaryDirectory(prefix="chunkseg-verify-") as folder:
        copy = Path(folder) / "workflow.toml"
        take(file, copy)
        return Parameters.load(copy)


def _summary_differs(subject: Subject) -> str | None:
    try:
        content = json.loads((subject.path / "summary.json").read_text(encoding="utf-8"))
        summarized = content["frames"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"summary.json can't be read ({type(error).__name__}: {error})"
    if len(summarized) != len(subject.frames):
        return f"summary.json tells of {len(summarized)} frames, run.json of {len(subject.frames)}"
    for number, (ours, other) in enumerate(zip(subject.frames, summarized, strict=True)):
        for name in sorted((ours.keys() | other.keys()) - {"checksums"}):
            if canonical(ours.get(name)) != canonical(other.get(name)):
                told = f"{name} is {ours.get(name)} in run.json and {other.get(name)} in"
                return f"{subject.where(number)}{told} summary.json"
    return None


def threshold_checks(subject: Subject) -> list[Check]:
    """Whether thresholds are those given; Otsu's follow from whole frames, and are taken as is."""
    given = subject.parameters.threshold
    if subject.is_mask:
        return []
    if given == "otsu":
        why = "Otsu's threshold follows from a whole frame; the recorded one is taken as it is"
        return [Check("threshold", NOT_CHECKED, why)]
    tally = Tally()
    for number, frame in enumerate(subject.frames):
        found = frame["threshold"]
        text = None if found == given else f"the threshold is {found} and {given} was given"
        tally.note("threshold", subject.where(number), text)
    return tally.checks({"threshold": f"{given:g}, as it was given"})


def input_check(subject: Subject, image: Any) -> tuple[Check, Input | None]:
    """Whether the input is what it was; return it, if so, to be read.

    An input that is gone or changed is no failure of the result.
    """
    try:
        opened = _opened(subject, image)
        given = Given.of(opened)
        then = Identity.from_json(subject.run["identity"])
        now = run_identity({}, opened, given, frames_of(opened, given.layout))
    except (ChunksegError, OSError) as error:
        return Check("input", NOT_CHECKED, " ".join(str(error).split())), None
    names = [name for name in now.facts if name not in ELSEWHERE]
    known = Identity({name: then.facts.get(name) for name in names}, then.frames)
    changes = known.changes(Identity({name: now.facts[name] for name in names}, now.frames))
    if changes:
        why = f"the input is not what it was: {'; '.join(changes)}"
        return Check("input", NOT_CHECKED, why), None
    return Check("input", OK, "what it was, by a sample"), Input.of(given.data, given.layout)


def _opened(subject: Subject, image: Any) -> xr.DataArray:
    """Open the input as the run did, or the image given in its place."""
    options = subject.run["input"].get("opened_with", {})
    place = subject.run["input"]["source"] if image is None else image
    if place is None:
        raise ParameterError("the input was an array in memory; give it (image=)")
    if isinstance(place, str | os.PathLike):
        return opened_image(open_image(place, **options), None)
    has_channels = "c" in getattr(place, "dims", ())
    return opened_image(place, options.get("channel") if has_channels else None)
