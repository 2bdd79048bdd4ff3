"""The dock that tries a workflow on what is seen, saves it, and starts the full run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import napari.viewer
import numpy as np
from napari.layers import Image, Labels
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from chunkseg.api.workflow import Workflow
from chunkseg.errors import ChunksegError, ParameterError
from chunkseg.napari.described import dims_of, may_be_time, says_time, shown
from chunkseg.napari.jobs import Job
from chunkseg.napari.launching import FullRun
from chunkseg.napari.layer_box import LayerBox
from chunkseg.napari.layers import layer_data
from chunkseg.napari.parameter_form import ParameterForm
from chunkseg.napari.preview import Preview
from chunkseg.napari.seen import canvas_size, seen_of
from chunkseg.napari.thresholds import Threshold, Thresholds
from chunkseg.napari.trial import Trial
from chunkseg.napari.viewing import add_layers

PREVIEWS = ("preview mask", "preview labels")
PLANES, MOST_PLANES = 25, 999
POLL = 500
WIDTH = 340
FILTER = "Workflow (*.toml)"


class WorkflowDock(QWidget):
    """Parameters, a preview of what is seen, and the full run beside napari."""

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.thresholds = Thresholds()
        self.image = LayerBox(napari_viewer, Image)
        self.time = QCheckBox("The first axis is time")
        self.channel = QLineEdit(placeholderText="if the file has several")
        self.form = ParameterForm()
        self.load, self.save = QPushButton("Load…"), QPushButton("Save…")
        self.planes = QSpinBox(minimum=1, maximum=MOST_PLANES, value=PLANES)
        self.try_it = QPushButton("Preview the view")
        self.job = Job(self.try_it)
        self.out = QLineEdit(placeholderText="folder of the result")
        self.browse, self.start = QPushButton("…"), QPushButton("Start full run")
        self.stop, self.bar, self.said = QPushButton("Interrupt"), QProgressBar(), QLabel()
        self.moving = _row(self.bar, self.stop)
        self.running: FullRun | None = None
        self.timer = QTimer(self, interval=POLL)
        self._lay_out()
        self._connect()
        self.image_chosen()
        self._show_running(False)
        self._say("")

    def _lay_out(self) -> None:
        top = QFormLayout()
        for title, widget in (("Image", self.image), ("", self.time), ("Channel", self.channel)):
            top.addRow(title, widget)
        column = QVBoxLayout()
        column.addLayout(top)
        column.addWidget(_boxed("Parameters", self.form, _row(self.load, self.save)))
        tried = _row(QLabel("Planes"), self.planes, self.try_it)
        column.addWidget(_boxed("Preview", tried, self.job))
        self.said.setWordWrap(True)
        folder = _row(self.out, self.browse)
        column.addWidget(_boxed("Full run", folder, self.start, self.moving, self.said))
        column.addStretch(1)
        inside, area = QWidget(), QScrollArea()
        inside.setLayout(column)
        area.setWidget(inside)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setMinimumWidth(WIDTH)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(area)
        self.browse.setMaximumWidth(32)
        self.planes.setToolTip("Planes around the one shown; objects are whole in enough of them")

    def _connect(self) -> None:
        self.image.chosen.connect(self.image_chosen)
        self.try_it.clicked.connect(self.preview)
        self.load.clicked.connect(self._ask_and_load)
        self.save.clicked.connect(self._ask_and_save)
        self.browse.clicked.connect(self._ask_for_folder)
        self.start.clicked.connect(self.start_run)
        self.stop.clicked.connect(self.interrupt)
        self.timer.timeout.connect(self.look)

    def image_chosen(self) -> None:
        """Ask only what the image leaves open."""
        layer = self.image.layer
        self.time.setVisible(layer is not None and may_be_time(layer))
        self.time.setChecked(layer is not None and says_time(layer))

    def preview(self) -> None:
        """Compute what is seen in a thread, and show it."""
        try:
            trial = self._trial()
        except ChunksegError as error:
            self.job.fail(error)
            return
        layers = list(self.viewer.layers)
        self.job.start(
            lambda tell: (trial, *trial.run(self.thresholds, layers, tell)),
            lambda found: self.show_preview(*found),
        )

    def show_preview(self, trial: Trial, found: Preview, threshold: Threshold) -> None:
        """Show mask and labels of a trial where they belong, and say the counts."""
        extra = (None,) * (trial.layer.ndim - found.mask.ndim)
        arrays = (found.mask[extra].astype(np.uint8), found.labels[extra])
        for name, array in zip(PREVIEWS, arrays, strict=True):
            self._show_layer(name, array, trial.placed)
        self.job.say(f"{found.told}. Threshold {threshold.value:.6g}, {threshold.origin}.")

    def start_run(self) -> None:
        """Start the full run in a process of its own."""
        try:
            workflow, layer = self.form.workflow(), self._layer()
            image = shown(layer, self.time.isChecked(), self._channel())
            if not self.out.text().strip():
                raise ParameterError("name the folder of the result first")
            out = Path(self.out.text().strip()).expanduser()
            self.running = FullRun.start(image, workflow, out)
        except (ChunksegError, OSError) as error:
            self._say(" ".join(str(error).split()))
            return
        self._show_running(True)
        self._say(f"goes on by itself if napari is closed; writes to {out}")

    def look(self) -> None:
        """See how far the run is; at its end show the result."""
        run = self.running
        if run is None:
            return
        code = run.code
        if code is None:
            at = run.progressed()
            self.bar.setRange(0, at.total)
            self.bar.setValue(at.done)
            self.bar.setFormat(f"{at.name}: %v of %m blocks")
            return
        self._show_running(False)
        self.running = None
        said = run.said()
        run.tidy()
        if code:
            self._say(f"{said} (the same run goes on with what is done)")
            return
        add_layers(self.viewer, [d for d in layer_data(run.out) if d[2] == "labels"])
        self._say(f"done: {run.out}")

    def interrupt(self) -> None:
        """End the run; what is done stays."""
        if self.running is not None:
            self.running.interrupt()

    def load_from(self, path: str | Path) -> None:
        """Show the parameters of a workflow file."""
        self._guarded(lambda: self.form.show_parameters(Workflow.load(path)), f"loaded {path}")

    def save_as(self, path: str | Path) -> None:
        """Save the parameters as a workflow file."""
        self._guarded(lambda: self.form.workflow().save(path), f"saved as {path}")

    def _guarded(self, action: Any, told: str) -> None:
        try:
            action()
            self.job.say(told)
        except (ChunksegError, OSError) as error:
            self.job.fail(error)

    def _trial(self) -> Trial:
        layer, time = self._layer(), self.time.isChecked()
        canvas, planes = canvas_size(self.viewer), self.planes.value()
        part = seen_of(self.viewer, canvas, layer, dims_of(layer, time), planes)
        return Trial(self.form.workflow(), layer, time, self._channel(), part)

    def _layer(self) -> Any:
        if self.image.layer is None:
            raise ParameterError("there is no image layer: open one first")
        return self.image.layer

    def _channel(self) -> str | None:
        return self.channel.text().strip() or None

    def _show_layer(self, name: str, array: Any, placed: dict[str, Any]) -> None:
        if name in self.viewer.layers:
            self.viewer.layers.remove(name)
        mask = name == PREVIEWS[0]
        layer = Labels(array, name=name, opacity=0.4 if mask else 0.7, visible=not mask, **placed)
        self.viewer.add_layer(layer)

    def _say(self, text: str) -> None:
        self.said.setText(text)
        self.said.setVisible(bool(text))

    def _show_running(self, running: bool) -> None:
        self.start.setEnabled(not running)
        self.moving.setVisible(running)
        self.bar.setRange(0, 0)
        if running:
            self.timer.start()
        else:
            self.timer.stop()

    def _ask_and_load(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Load workflow", "", FILTER)
        if name:
            self.load_from(name)

    def _ask_and_save(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "Save workflow", "workflow.toml", FILTER)
        if name:
            self.save_as(name)

    def _ask_for_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Folder of the result")
        if name:
            self.out.setText(name)


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
