"""Where results go: folders of this machine.

Resuming rests on renames that happen at once and on locks, which object stores do not have.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from chunkseg.errors import KindError, PathError


def local_path(path: str | os.PathLike[str]) -> Path:
    """Take a path that something is to be written to.

    Raises
    ------
    PathError
        If it is an address.
    KindError
        If it is no path.

    Examples
    --------
    >>> local_path("out/cells").name
    'cells'
    """
    if not isinstance(path, str | os.PathLike):
        raise KindError(f"the output must be a path; got {type(path).__name__}")
    if re.match(r"[a-z][a-z0-9+.-]+:(//|:)", str(path), re.IGNORECASE):
        raise PathError(
            f"{path} is an address, and results are written to folders only, since a run that was "
            "interrupted goes on by renames and locks; write to a folder, then copy it there"
        )
    return Path(path).expanduser()
