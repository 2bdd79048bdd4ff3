"""The libraries of the extra ``report``: there or not, and what to do about it."""

from __future__ import annotations

from importlib.util import find_spec

from chunkseg.errors import ParameterError

INSTALL = "pip install 'chunkseg[report]'"
LIBRARIES = {"matplotlib": "matplotlib", "jinja2": "jinja2", "PIL": "pillow"}


def missing() -> list[str]:
    """Names of the libraries of the extra that are not installed."""
    return [name for module, name in LIBRARIES.items() if find_spec(module) is None]


def needed(*modules: str) -> None:
    """Refuse to go on without some libraries.

    Raises
    ------
    ParameterError
        If one is not installed; it says how to install it.
    """
    absent = [LIBRARIES[module] for module in modules if find_spec(module) is None]
    if absent:
        raise ParameterError(f"this needs {', '.join(absent)}: {INSTALL}")
