"""Execute every notebook of ``notebooks/``, each in a temporary folder of its own.

A notebook fails if a cell raises, if its kernel dies, if its cells together take more than
``SECONDS``, or if it was committed with outputs: those grow the repository and go stale. The exit
code is 1 if one fails, after the failing cell and its traceback; 2 if there is no notebook at all.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellControlSignal, DeadKernelError

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
SECONDS = 600.0
FAILED, NOTHING_FOUND = 1, 2


class NotebookError(Exception):
    """A notebook that does not pass; the text says where and why."""


def main(folder: Path = FOLDER) -> int:
    """Check all notebooks of a folder and print a line for each.

    Returns
    -------
    int
        The exit code.
    """
    paths = sorted(folder.glob("*.ipynb"))
    if not paths:
        print(f"there is no notebook in {folder}", file=sys.stderr)
        return NOTHING_FOUND
    passed = [check(path) for path in paths]
    return 0 if all(passed) else FAILED


def check(path: Path) -> bool:
    """Print a line about one notebook and return whether it passes."""
    start = time.monotonic()
    try:
        notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
        refuse_outputs(notebook)
        execute(notebook, SECONDS)
    except NotebookError as error:
        print(f"{path.name}: FAILED\n{error}", flush=True)
        return False
    cells = sum(cell.cell_type == "code" for cell in notebook.cells)
    print(f"{path.name}: ok, {cells} code cells, {time.monotonic() - start:.0f} s", flush=True)
    return True


def refuse_outputs(notebook: Any) -> None:
    """Raise if a cell holds outputs or the number of an execution."""
    kept = [
        number
        for number, cell in enumerate(notebook.cells)
        if cell.get("outputs") or cell.get("execution_count") is not None
    ]
    if kept:
        raise NotebookError(
            f"cells {kept} hold outputs or execution counts; clear all outputs before committing"
        )


def execute(notebook: Any, seconds: float) -> None:
    """Run all cells in a new kernel; raise with the cell that failed."""
    running = [0]
    end = time.monotonic() + seconds
    with tempfile.TemporaryDirectory(prefix="notebook-") as folder:
        client = NotebookClient(
            notebook,
            kernel_name="python3",
            timeout_func=lambda cell: max(1, round(end - time.monotonic())),
            on_cell_start=lambda cell, cell_index: running.append(cell_index),
            resources={"metadata": {"path": folder}},
        )
        try:
            client.execute()
        except (CellControlSignal, DeadKernelError) as error:
            raise NotebookError(_failure(notebook, running[-1], error)) from error


def _failure(notebook: Any, number: int, error: Exception) -> str:
    """Say where and why; nbclient's own errors show the cell, that of a dead kernel does not."""
    shown = "" if isinstance(error, CellControlSignal) else f"{notebook.cells[number].source}\n\n"
    return f"in cell {number}:\n\n{shown}{error}"


if __name__ == "__main__":
    sys.exit(main())
