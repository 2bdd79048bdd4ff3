"""Amounts of memory: what a user allows, and what the machine or its container gives."""

from __future__ import annotations

import os
import re
from pathlib import Path

from chunkseg.errors import ParameterError

UNITS = {"": 1, "B": 1}
UNITS |= {f"{letter}B": 1000**n for n, letter in enumerate("KMGT", 1)}
UNITS |= {f"{letter}iB": 1024**n for n, letter in enumerate("KMGT", 1)}
_BY_NAME = {name.lower(): size for name, size in UNITS.items()}

CGROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")


def bytes_of(memory: int | str) -> int:
    """Bytes of an amount of memory: a whole number, or text such as ``"2GiB"`` or ``"500 MB"``.

    Raises
    ------
    ParameterError
        If it is no such amount, or not positive.

    Examples
    --------
    >>> bytes_of("1.5 KiB"), bytes_of("2GB"), bytes_of(1000)
    (1536, 2000000000, 1000)
    """
    found = re.fullmatch(r"\s*(\d+\.?\d*|\.\d+)\s*([a-z]*)\s*", str(memory), re.IGNORECASE)
    unit = _BY_NAME.get(found[2].lower()) if found else None
    amount = 0 if found is None or unit is None else int(float(found[1]) * unit)
    if amount <= 0 or not isinstance(memory, int | str):
        raise ParameterError(
            "an amount of memory must be a positive number of bytes, or text such as '2GiB' or "
            f"'500MB' (units: {', '.join(name for name in UNITS if name)}); got {memory!r}"
        )
    return amount


def machine_memory() -> int:
    """Bytes of memory that this process may use: the machine's, or its container's if fewer."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *_container_limits(OWN_GROUPS, CGROUPS)])


def _container_limits(own: Path, root: Path) -> list[int]:
    """Limits of the control groups, of either version, that a process is in and of those above."""
    try:
        lines = own.read_text(encoding="ascii").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if not controllers:
            found += _limits_above(root, name, "memory.max")
        elif "memory" in controllers.split(","):
            found += _limits_above(root / "memory", name, "memory.limit_in_bytes")
    return found


def _limits_above(root: Path, name: str, file: str) -> list[int]:
    """Limits in a folder below a root (``/`` is the root itself) and in those above it."""
    parts = Path(name.lstrip("/")).parts
    folders = [root.joinpath(*parts[:n]) for n in range(len(parts) + 1)]
    return [limit for folder in folders if (limit := _limit(folder / file)) is not None]


def _limit(path: Path) -> int | None:
    """Return the number in a file; None where there is none (no file, or ``max``)."""
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
