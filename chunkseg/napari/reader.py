"""How napari opens the folder of a run: by its reader, without a line of Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chunkseg.napari.layers import LayerData, is_run, layer_data

Reader = Callable[[str | Sequence[str]], list[LayerData]]


def get_reader(path: str | Sequence[str]) -> Reader | None:
    """Return what reads a path, if it is the folder of a finished run; else None.

    Examples
    --------
    >>> get_reader("image.tif") is None
    True
    """
    if not isinstance(path, str) or not is_run(path):
        return None
    return lambda path: layer_data(path if isinstance(path, str) else path[0])
