"""Progress: who is told how many of a pass's blocks are done."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called as ``progress(name of the pass, blocks done, blocks in all)``."""


def silent(name: str, done: int, total: int) -> None:
    """Tell nobody."""
