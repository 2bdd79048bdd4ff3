"""A table of objects and a labels layer select each other; the view goes to the object.

Of a movie the layer's features are those of the time point that is seen.
"""

from __future__ import annotations

from typing import Any

from chunkseg.napari.layers import features
from chunkseg.napari.objects import Objects
from chunkseg.napari.table_view import ObjectsView


class Link:
    """Ties the table that a view shows to a labels layer, until it is cut."""

    def __init__(self, viewer: Any, layer: Any, view: ObjectsView) -> None:
        self._viewer, self._layer, self._view = viewer, layer, view
        self._going = False
        layer.events.selected_label.connect(self._label_chosen)
        viewer.dims.events.current_step.connect(self._moved)
        view.picked.connect(self._row_chosen)
        self._frame = self.frame
        self._give_features()

    def cut(self) -> None:
        """Tie nothing any more."""
        self._layer.events.selected_label.disconnect(self._label_chosen)
        self._viewer.dims.events.current_step.disconnect(self._moved)
        self._view.picked.disconnect(self._row_chosen)

    @property
    def frame(self) -> int | None:
        """Time point that is seen; None where there is no time."""
        objects = self._view.objects
        if objects is None or "t" not in objects.table:
            return None
        return round(float(self._layer.world_to_data(self._viewer.dims.point)[0]))

    def _row_chosen(self, row: int) -> None:
        """Select the label and look at it."""
        objects = self._view.objects
        if objects is None:
            return
        self._going = True
        go_to(self._viewer, self._layer, objects.place(row))
        self._layer.selected_label = objects.label(row)
        self._going = False

    def _label_chosen(self, event: Any = None) -> None:
        if not self._going and self._view.objects is not None:
            label = int(self._layer.selected_label)
            self._view.show_row(self._view.objects.row_of(label, self.frame))

    def _moved(self, event: Any = None) -> None:
        if self.frame != self._frame:
            self._frame = self.frame
            self._give_features()

    def _give_features(self) -> None:
        objects: Objects | None = self._view.objects
        if objects is not None:
            self._layer.features = features(objects.table, self._frame)


def go_to(viewer: Any, layer: Any, place: tuple[float, ...] | None) -> None:
    """Look at a place of a layer: step through the axes that are not shown, move the camera."""
    if place is None or len(place) != layer.ndim:
        return
    world = layer.data_to_world(place)
    first = viewer.dims.ndim - layer.ndim
    shown = viewer.dims.displayed
    for axis, value in enumerate(world, first):
        if axis not in shown:
            viewer.dims.set_point(axis, value)
    centre = [world[axis - first] for axis in shown if axis >= first]
    viewer.scene.camera.center = (*[0.0] * (3 - len(centre)), *centre)
