"""A result in napari: its layers, and beside them the dock that measures."""

from __future__ import annotations

import os
from typing import Any

from chunkseg.napari.extra import needed
from chunkseg.napari.layers import LayerData, layer_data

MEASURE, WORKFLOW = "Measure", "Workflow"


def view(out: str | os.PathLike[str], viewer: Any = None) -> Any:
    """Show a result in napari.

    Parameters
    ----------
    out : path
        Folder of a finished run.
    viewer : napari.Viewer, optional
        Where to show it; a new one by default.

    Returns
    -------
    napari.Viewer
        With the layers of :func:`chunkseg.napari.layers.layer_data` and the measure dock.

    Raises
    ------
    ParameterError
        If napari is not installed; it says how to install it.
    PathError, IncompleteError, FormatError
        If there is no finished run of a workflow.
    """
    needed()
    layers = layer_data(out)
    import napari

    from chunkseg.napari.measure_dock import MeasureDock

    shown = napari.Viewer(title=f"chunkseg {out}") if viewer is None else viewer
    add_layers(shown, layers)
    if MEASURE not in shown.window.dock_widgets:
        shown.window.add_dock_widget(MeasureDock(shown), name=MEASURE, area="right")
    return shown


def show(out: str | os.PathLike[str]) -> None:
    """Show a result, and wait until the window is closed; see :func:`view`."""
    view(out)
    import napari

    napari.run()


def add_layers(viewer: Any, layers: list[LayerData]) -> None:
    """Add layers to a viewer, and name its axes as theirs if it was empty."""
    from napari.layers import Layer

    empty = not viewer.layers
    for data, options, kind in layers:
        viewer.add_layer(Layer.create(data, options, kind))
    if empty and layers:
        viewer.dims.axis_labels = layers[0][1]["axis_labels"]
        viewer.canvas.overlays.scale_bar.visible = True
        viewer.reset_view()
