"""The part of the workflow dock that starts the full run, beside napari, and shows its end."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from napari.layers import Labels
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFileDialog, QGroupBox, QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout

from chunkseg.api.workflow import Workflow
from chunkseg.errors import ChunksegError, ParameterError
from chunkseg.napari.described import Shown
from chunkseg.napari.jobs import Job
from chunkseg.napari.launching import FullRun, on_disk
from chunkseg.napari.layers import KEY, LayerData, layer_data
from chunkseg.napari.viewing import add_layers

POLL = 500
NARROW = 32
REFUSED, INTERRUPTED = 2, 130
"""Exit codes of the command line: it can't be run so; a user's interrupt."""
AGAIN = "Start it again and it goes on with what is done."

Wanted = tuple[Workflow, Any, Shown]
"""What is to be run: parameters, the image's layer, and what that shows."""


class RunBox(QGroupBox):
    """Folder, start and progress of a full run in a process of its own."""

    def __init__(self, viewer: Any, wanted: Callable[[], Wanted]) -> None:
        super().__init__("Full run")
        self._viewer, self._wanted = viewer, wanted
        self._layer: Any = None
        self.running: FullRun | None = None
        self.out = QLineEdit(placeholderText="folder of the result")
        self.browse, self.start = QPushButton("…"), QPushButton("Start full run")
        self.job = Job(self.start)
        self.timer = QTimer(self, interval=POLL)
        self._lay_out()
        self.browse.clicked.connect(self._ask_for_folder)
        self.start.clicked.connect(self.begin)
        self.job.cancel.clicked.connect(self.interrupt)
        self.timer.timeout.connect(self.look)

    def _lay_out(self) -> None:
        self.browse.setMaximumWidth(NARROW)
        folder = QHBoxLayout()
        folder.addWidget(self.out)
        folder.addWidget(self.browse)
        column = QVBoxLayout(self)
        column.addLayout(folder)
        column.addWidget(self.start)
        column.addWidget(self.job)

    def begin(self) -> None:
        """Start the run; of a layer in memory, the image is saved to the folder before."""
        try:
            workflow, self._layer, image = self._wanted()
            if not self.out.text().strip():
                raise ParameterError("name the folder of the result first")
            out = Path(self.out.text().strip()).expanduser()
        except (ChunksegError, OSError) as error:
            self.job.fail(error)
            return
        self.job.start(partial(on_disk, image, out), partial(self._launch, workflow, out))

    def look(self) -> None:
        """See how far the run is; at its end show the result."""
        run = self.running
        if run is None:
            return
        if run.code is None:
            at = run.progressed()
            self.job.show_progress(at.name, at.done, at.total)
            return
        self.timer.stop()
        self.running = None
        self.job.at_work(False)
        if run.code:
            self.job.say(how_it_ended(run), wrong=run.code != INTERRUPTED)
        else:
            self._show_result(run.out)
        run.tidy()

    def interrupt(self) -> None:
        """End the run; what is done stays."""
        if self.running is not None:
            self.running.interrupt()

    def _launch(self, workflow: Workflow, out: Path, image: Shown) -> None:
        try:
            self.running = FullRun.start(image, workflow, out)
        except (ChunksegError, OSError) as error:
            self.job.fail(error)
            return
        self.job.at_work(True)
        self.job.say(f"goes on by itself if napari is closed; writes to {out}")
        self.timer.start()

    def _show_result(self, out: Path) -> None:
        try:
            layers = [each for each in layer_data(out) if each[2] == "labels"]
        except (ChunksegError, OSError) as error:
            self.job.fail(error)
            return
        for before in [each for each in self._viewer.layers if shows_result(each, out)]:
            self._viewer.layers.remove(before)
        add_layers(self._viewer, [placed_as(self._layer, each) for each in layers])
        self.job.say(f"done: {out}")

    def _ask_for_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Folder of the result")
        if name:
            self.out.setText(name)


def shows_result(layer: Any, out: Path) -> bool:
    """Whether a layer shows labels or mask of the result in a folder."""
    told = layer.metadata.get(KEY, {}).get("out")
    return isinstance(layer, Labels) and told is not None and Path(told).resolve() == out.resolve()


def how_it_ended(run: FullRun) -> str:
    """Tell how a run ended that is not complete, and what to do."""
    if run.code == REFUSED:
        return run.said()
    return f"{'Interrupted' if run.code == INTERRUPTED else run.said()}. {AGAIN}"


def placed_as(image: Any, layer: LayerData) -> LayerData:
    """A layer of a result where the image lies that it is of, whatever the files say."""
    data, options, kind = layer
    if len(options["scale"]) != image.ndim:
        return layer
    place = {"scale": tuple(image.scale), "translate": tuple(image.translate)}
    return data, {**options, **place, "units": tuple(map(str, image.units))}, kind
