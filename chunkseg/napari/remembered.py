"""What the docks remember from one session to the next, where Qt keeps a program's settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from qtpy.QtCore import QSettings


def settings() -> QSettings:
    """Settings of the docks."""
    return QSettings("chunkseg", "napari")


def remember(dock: str, values: Mapping[str, Any]) -> None:
    """Keep what stands in a dock: texts, numbers and ticks by name."""
    settings().setValue(dock, json.dumps(dict(values)))


def recalled(dock: str) -> dict[str, Any]:
    """What stood in a dock; nothing if that is not known, or can't be read any more."""
    try:
        found = json.loads(str(settings().value(dock, "{}")))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
