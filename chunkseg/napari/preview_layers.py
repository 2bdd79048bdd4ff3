"""The layers of a preview: mask, labels and seeds from below, each in place of the one before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari.layers import Labels

OPACITY = {"preview mask": 0.4, "preview labels": 0.7, "preview seeds": 0.9}


def show_layers(viewer: Any, arrays: Mapping[str, Any], placed: Mapping[str, Any]) -> None:
    """Show the arrays of a preview; a layer that is there keeps its looks.

    Parameters
    ----------
    viewer
        Where.
    arrays
        Arrays by the names of ``OPACITY``; layers of names that are missing are removed.
    placed
        Scale, translation and units.
    """
    layers = viewer.layers
    for name in OPACITY:
        before = next((layer for layer in layers if layer.name == name), None)
        array = arrays.get(name)
        if before is not None and array is not None and before.ndim == array.ndim:
            before.data = array
            for key, value in placed.items():
                setattr(before, key, value)
            continue
        if before is not None:
            layers.remove(before)
        if array is not None:
            layer = Labels(array, name=name, opacity=OPACITY[name], **placed)
            layers.insert(_place(viewer, name), layer)


def _place(viewer: Any, name: str) -> int:
    """Where a layer goes: below those of the preview that lie above it, else on top."""
    above = list(OPACITY)[list(OPACITY).index(name) + 1 :]
    numbers = [number for number, layer in enumerate(viewer.layers) if layer.name in above]
    return min(numbers, default=len(viewer.layers))
