"""The dock that measures: layers, groups of measures, and a table tied to the labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import napari.viewer
from napari.layers import Image, Labels
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from chunkseg.errors import ChunksegError
from chunkseg.napari.described import may_be_time, says_time
from chunkseg.napari.jobs import Job
from chunkseg.napari.layer_box import LayerBox
from chunkseg.napari.linking import Link
from chunkseg.napari.measuring import GROUPS, known_objects, measure, save_csv
from chunkseg.napari.objects import VOXELS, Objects
from chunkseg.napari.remembered import recalled, remember
from chunkseg.napari.table_view import ObjectsView

DOCK = "measure"
TICKED = ("size", "intensity", "position")
ACROSS = 3


class MeasureDock(QWidget):
    """Measure the objects of a labels layer, out of core, and look at them one by one."""

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.image = LayerBox(napari_viewer, Image, optional=True)
        self.labels = LayerBox(napari_viewer, Labels)
        self.time = QCheckBox("The first axis is time")
        self.groups = {name: QCheckBox(title) for name, title in GROUPS.items()}
        self.measure = QPushButton("Measure")
        self.save = QPushButton("Save CSV…")
        self.job = Job(self.measure)
        self.table = ObjectsView()
        self.link: Link | None = None
        self._lay_out()
        self.labels.chosen.connect(self.labels_chosen)
        self.measure.clicked.connect(self.start)
        self.save.clicked.connect(self.ask_and_save)
        self.labels_chosen()

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.addRow("Labels", self.labels)
        form.addRow("Image", self.image)
        form.addRow("", self.time)
        ticks = QGridLayout()
        ticked = recalled(DOCK).get("groups", TICKED)
        for number, (name, tick) in enumerate(self.groups.items()):
            tick.setChecked(name in ticked)
            ticks.addWidget(tick, *divmod(number, ACROSS))
        buttons = QHBoxLayout()
        buttons.addWidget(self.measure, 2)
        buttons.addWidget(self.save, 1)
        column = QVBoxLayout(self)
        for part in (form, ticks, buttons):
            column.addLayout(part)
        column.addWidget(self.job)
        column.addWidget(self.table, 1)
        self.table.setToolTip(
            "Click a row to go to its object; pick an object in the viewer (colour picker of the "
            "labels layer) to find its row. A click on a heading sorts."
        )

    def labels_chosen(self) -> None:
        """Show what is known of the labels: the table of the run that they are of."""
        layer = self.labels.layer
        self.time.setVisible(layer is not None and may_be_time(layer))
        self.time.setChecked(layer is not None and says_time(layer))
        self.show_objects(None if layer is None else known_objects(layer), layer)

    def start(self) -> None:
        """Measure in a thread."""
        labels, image, time = self.labels.layer, self.image.layer, self.time.isChecked()
        groups = [name for name, tick in self.groups.items() if tick.isChecked()]
        if labels is None:
            self.job.say("there is no labels layer: open or make one", wrong=True)
            return
        remember(DOCK, {"groups": groups})
        self.job.start(
            lambda tell: measure(labels, image, groups, time=time, progress=tell),
            lambda objects: self.show_objects(objects, labels),
        )

    def show_objects(self, objects: Objects | None, layer: Any) -> None:
        """Show a table, tied to a layer if that is still the chosen one."""
        if layer is not self.labels.layer:
            self.job.say(f"{layer.name} was measured, but it is not the chosen layer any more")
            return
        if self.link is not None:
            self.link.cut()
            self.link = None
        self.table.show_objects(objects)
        if objects is None:
            self.job.say("")
            return
        self.link = Link(self.viewer, layer, self.table)
        in_voxels = objects.unit == VOXELS
        units = "all in voxels" if in_voxels else f"lengths in {objects.unit}, boxes in voxels"
        nothing = f"; not defined for these: {', '.join(objects.undefined)}"
        self.job.say(f"{len(objects)} objects; {units}{nothing if objects.undefined else ''}")

    def ask_and_save(self) -> None:
        """Ask for a file and save the table as CSV."""
        name, _ = QFileDialog.getSaveFileName(self, "Save table", "objects.csv", "CSV (*.csv)")
        if name:
            self.save_as(Path(name))

    def save_as(self, path: Path) -> None:
        """Save the table as CSV."""
        try:
            save_csv(self.table.objects, path)
            self.job.say(f"saved as {path}")
        except (ChunksegError, OSError) as error:
            self.job.fail(error)
