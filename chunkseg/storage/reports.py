"""The report beside a result: written when the run is complete, and no part of what is verified.

A report says in its first lines that chunkseg made it; a file of its name that does not is somebody
else's, and stays.
"""

from __future__ import annotations

import os
from pathlib import Path

from chunkseg.errors import OutputExistsError
from chunkseg.storage.commit import committed

REPORT = "report.html"
GENERATOR = '<meta name="generator" content="chunkseg">'
_FIRST_BYTES = 1000


def write_page(folder: Path, page: str) -> Path:
    """Write a report, in place of the former one.

    Raises
    ------
    OutputExistsError
        If there is a file of its name that chunkseg did not make.
    """
    target = folder / REPORT
    if os.path.lexists(target) and not _ours(target):
        raise OutputExistsError(
            f"{target} was not made by chunkseg and will not be overwritten; move it elsewhere"
        )
    remove_page(folder)
    with committed(target) as partial:
        partial.write_text(page, encoding="utf-8")
    return target


def remove_page(folder: Path) -> None:
    """Remove the report of a result, and what was left where one was being written."""
    if _ours(folder / REPORT):
        (folder / REPORT).unlink(missing_ok=True)
    for partial in folder.glob(f".{REPORT}.*.partial"):
        partial.unlink(missing_ok=True)


def _ours(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return GENERATOR.encode() in file.read(_FIRST_BYTES)
