"""The dock that tries a workflow on what is seen, saves it, and starts the full run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import napari.viewer
import numpy as np
from napari.layers import Image
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from chunkseg.api.workflow import Workflow
from chunkseg.errors import ChunksegError, ParameterError
from chunkseg.napari.described import dims_of, has_file, may_be_time, says_time, shown
from chunkseg.napari.jobs import Job
from chunkseg.napari.layer_box import LayerBox
from chunkseg.napari.parameter_form import ParameterForm
from chunkseg.napari.preview_layers import show_layers
from chunkseg.napari.remembered import recalled, remember
from chunkseg.napari.run_box import RunBox, Wanted
from chunkseg.napari.seen import seen_of
from chunkseg.napari.trial import Attempt, Known, Trial
from chunkseg.runner.progress import Progress

DOCK = "workflow"
ON_REQUEST = ("mask", "seeds")
PLANES, MOST_PLANES = 25, 999
WIDTH = 340
FILTER = "Workflow (*.toml)"


class WorkflowDock(QWidget):
    """Parameters, a preview of what is seen, and the full run beside napari."""

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.known = Known()
        self.image = LayerBox(napari_viewer, Image)
        self.area, self.top = QScrollArea(), QFormLayout()
        self.time = QCheckBox("The first axis is time")
        self.channel = QLineEdit(placeholderText="if the file has several")
        self.form = ParameterForm()
        self.load, self.save = QPushButton("Load…"), QPushButton("Save…")
        self.reset = QPushButton("Reset")
        self.planes = QSpinBox(minimum=1, maximum=MOST_PLANES, value=PLANES)
        self.ticks = {name: QCheckBox(name.capitalize()) for name in ON_REQUEST}
        self.try_it = QPushButton("Preview the view")
        self.job = Job(self.try_it)
        self.run = RunBox(napari_viewer, self._wanted)
        self._lay_out()
        self._connect()
        self.image_chosen()
        self._recall()

    def _lay_out(self) -> None:
        for title, widget in (("Image", self.image), ("", self.time), ("Channel", self.channel)):
            self.top.addRow(title, widget)
        column = QVBoxLayout()
        column.addLayout(self.top)
        files = _row(self.load, self.save, self.reset)
        column.addWidget(_boxed("Parameters", self.form, files))
        tried = _row(QLabel("Planes"), self.planes, *self.ticks.values())
        column.addWidget(_boxed("Preview", tried, self.try_it, self.job))
        column.addWidget(self.run)
        column.addStretch(1)
        inside = QWidget()
        inside.setLayout(column)
        self.area.setWidget(inside)
        self.area.setWidgetResizable(True)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setMinimumWidth(WIDTH)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self.area)
        self.planes.setToolTip("Planes around the one shown; objects are whole in enough of them")
        self.ticks["mask"].setToolTip("Show what exceeds the threshold as a layer, too")
        self.ticks["seeds"].setToolTip("Show what the erosion leaves as a layer, too")

    def _connect(self) -> None:
        self.image.chosen.connect(self.image_chosen)
        self.try_it.clicked.connect(self.preview)
        self.job.found.connect(self.show_preview)
        self.load.clicked.connect(self._ask_and_load)
        self.save.clicked.connect(self._ask_and_save)
        for job in (self.job, self.run.job):
            job.told.connect(partial(self._scroll_to, job))
        self.reset.clicked.connect(lambda: self.form.show_parameters(Workflow()))

    def image_chosen(self) -> None:
        """Ask only what the image leaves open."""
        layer = self.image.layer
        self.time.setVisible(layer is not None and may_be_time(layer))
        self.time.setChecked(layer is not None and says_time(layer))
        self.top.setRowVisible(self.channel, layer is not None and has_file(layer))

    def preview(self) -> None:
        """Compute what is seen in a thread, and show it."""
        try:
            trial = self._trial()
        except ChunksegError as error:
            self.job.fail(error)
            return
        self._remember()
        layers = list(self.viewer.layers)

        def work(tell: Progress) -> None:
            for attempt in trial.attempts(self.known, layers, tell):
                self.job.found.emit(attempt)

        self.job.start(work)

    def show_preview(self, attempt: Attempt) -> None:
        """Show the labels of an attempt where they belong, what else is ticked, and the counts."""
        trial, found, threshold = attempt.trial, attempt.preview, attempt.threshold
        if trial.layer not in self.viewer.layers:
            self.job.say(f"{trial.layer.name} is gone")
            return
        extra = (None,) * (trial.layer.ndim - found.mask.ndim)
        arrays: dict[str, Any] = {
            "labels": found.labels,
            "mask": found.mask.astype(np.uint8),
            "seeds": found.seeds,
        }
        unwanted = {name for name, tick in self.ticks.items() if not tick.isChecked()}
        wanted = {f"preview {n}": array[extra] for n, array in arrays.items() if n not in unwanted}
        show_layers(self.viewer, wanted, trial.placed)
        hint = " With more planes more of them are whole." if trial.too_thin(found) else ""
        self.job.say(f"{found.told}.{hint} Threshold {threshold.value:.6g}, {threshold.origin}.")

    def _scroll_to(self, job: Job) -> None:
        """Bring what a job says into view, once it has been laid out."""
        QTimer.singleShot(0, partial(self.area.ensureWidgetVisible, job))

    def load_from(self, path: str | Path) -> None:
        """Show the parameters of a workflow file."""
        self._guarded(lambda: self.form.show_parameters(Workflow.load(path)), f"loaded {path}")

    def save_as(self, path: str | Path) -> None:
        """Save the parameters as a workflow file."""
        self._guarded(lambda: self.form.workflow().save(path), f"saved as {path}")

    def _guarded(self, action: Callable[[], None], told: str) -> None:
        try:
            action()
            self.job.say(told)
        except (ChunksegError, OSError) as error:
            self.job.fail(error)

    def _trial(self) -> Trial:
        layer, time = self._layer(), self.time.isChecked()
        part = seen_of(self.viewer, layer, dims_of(layer, time), self.planes.value())
        return Trial(self.form.workflow(), layer, time, self._channel(), part)

    def _wanted(self) -> Wanted:
        layer, workflow = self._layer(), self.form.workflow()
        self._remember()
        return workflow, layer, shown(layer, self.time.isChecked(), self._channel())

    def _layer(self) -> Any:
        if self.image.layer is None:
            raise ParameterError("there is no image layer: open one first")
        return self.image.layer

    def _channel(self) -> str | None:
        return self.channel.text().strip() or None

    def _remember(self) -> None:
        ticks = {name: tick.isChecked() for name, tick in self.ticks.items()}
        told = {"parameters": self.form.values, "planes": self.planes.value(), "ticks": ticks}
        remember(DOCK, {**told, "out": self.run.out.text()})

    def _recall(self) -> None:
        """Show what was tried last."""
        found = recalled(DOCK)
        self.form.show_values(found.get("parameters", {}))
        self.planes.setValue(found.get("planes", PLANES))
        for name, tick in self.ticks.items():
            tick.setChecked(found.get("ticks", {}).get(name, False))
        self.run.out.setText(found.get("out", ""))

    def _ask_and_load(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Load workflow", "", FILTER)
        if name:
            self.load_from(name)

    def _ask_and_save(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "Save workflow", "workflow.toml", FILTER)
        if name:
            self.save_as(name)


def _row(*widgets: QWidget) -> QWidget:
    """Widgets side by side."""
    row = QWidget()
    line = QHBoxLayout(row)
    line.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        line.addWidget(widget)
    return row


def _boxed(title: str, *widgets: QWidget) -> QGroupBox:
    """Widgets below each other in a box with a title."""
    box = QGroupBox(title)
    column = QVBoxLayout(box)
    for widget in widgets:
        column.addWidget(widget)
    return box
