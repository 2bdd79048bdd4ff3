"""The report beside a result: written when the run is complete, and no part of what is verified.

A report says in its first lines that chunkseg made it; a file of its name that does not is somebody
else's, and stays.
"""

from __future__ import annotations

import os
from pathlib import Path

from chunkseg.errors import OutputExistsError
from chunkseg.storage.address import Address
from chunkseg.storage.commit import committed
from chunkseg.storage.places import Place

REPORT = "report.html"
GENERATOR = '<meta name="generator" content="chunkseg">'
_FIRST_BYTES = 1000


def write_page(folder: Place, page: str) -> Place:
    """Write a report, in place of the former one.

    Raises
    ------
    OutputExistsError
        If there is a file of its name that chunkseg did not make.
    """
    target = folder / REPORT
    if _there(target) and not _ours(target):
        raise OutputExistsError(
            f"{target} was not made by chunkseg and will not be overwritten; move it elsewhere"
        )
    remove_page(folder)
    if isinstance(target, Address):
        target.write_bytes(page.encode())
        return target
    with committed(target) as partial:
        partial.write_text(page, encoding="utf-8")
    return target


def _there(path: Place) -> bool:
    """Whether anything is there, be it a link to nothing."""
    return path.exists() if isinstance(path, Address) else os.path.lexists(path)


def remove_page(folder: Place) -> None:
    """Remove the report of a result, and what was left where one was being written."""
    if _ours(folder / REPORT):
        (folder / REPORT).unlink(missing_ok=True)
    for partial in folder.glob(f".{REPORT}.*.partial") if isinstance(folder, Path) else ():
        partial.unlink(missing_ok=True)


def _ours(path: Place) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return GENERATOR.encode() in file.read(_FIRST_BYTES)
