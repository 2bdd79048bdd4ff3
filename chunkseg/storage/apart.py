"""Results are kept apart from what they are made of: the input is never written to nor removed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PurePath

from chunkseg.errors import PathError
from chunkseg.storage.places import DOCUMENTS, Place
from chunkseg.storage.site import STATE, WRITTEN


def refuse_input(place: Place, sources: Iterable[str | None]) -> None:
    """Refuse an output that is an input, lies within its zarr, or whose files an input is.

    Parameters
    ----------
    place
        Where something is to be written.
    sources
        Where the inputs were opened from; None where nobody knows.

    Raises
    ------
    PathError
        If an input would be written to, or removed.
    """
    for source in sources:
        if source is not None and _touches(_resolved(str(place)), _resolved(source)):
            raise PathError(
                f"writing to {place} would change or remove the input {source}; give an output "
                "outside it"
            )


def _touches(output: PurePath, source: PurePath) -> bool:
    if output == source:
        return True
    if source.is_relative_to(output):
        return source.relative_to(output).parts[0] in (*WRITTEN, STATE)
    return output.is_relative_to(source) and _is_zarr(source)


def _resolved(place: str) -> PurePath:
    """Bring the ways to write a place to one; of an address the text counts."""
    return PurePath(place) if "://" in place else Path(os.path.realpath(place))


def _is_zarr(source: PurePath) -> bool:
    """Whether a folder is an array or group; what lies below an address is not looked at."""
    return not isinstance(source, Path) or any((source / name).is_file() for name in DOCUMENTS)
