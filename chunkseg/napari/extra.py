"""The libraries of the extra ``napari``: there or not, and what to do about it."""

from __future__ import annotations

from importlib.util import find_spec

from chunkseg.errors import ParameterError

INSTALL = "pip install 'chunkseg[napari]'"
LIBRARIES = ("napari", "qtpy")
BINDINGS = ("PySide6", "PyQt6", "PyQt5")


def missing() -> list[str]:
    """Names of the libraries of the extra that are not installed; of Qt's bindings any one does."""
    absent = [name for name in LIBRARIES if find_spec(name) is None]
    if not any(find_spec(name) for name in BINDINGS):
        absent.append(BINDINGS[0])
    return absent


def needed() -> None:
    """Refuse to go on without the libraries.

    Raises
    ------
    ParameterError
        If one is not installed; it says how to install it.
    """
    absent = missing()
    if absent:
        raise ParameterError(f"this needs {', '.join(absent)}: {INSTALL}")
