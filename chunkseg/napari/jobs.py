"""Work beside the window: a thread that tells how far it is, can be ended, and says what failed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from napari.qt.threading import create_worker
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from chunkseg.runner.progress import Progress

ERROR_COLOUR = "#e05252"


def nothing(result: Any) -> None:
    """Take a result and do nothing with it."""


class CancelledError(Exception):
    """Ends work that the user no longer wants."""


@dataclass(frozen=True)
class _Outcome:
    """How work ended. It is handed over, not raised: napari's own listeners stumble over errors."""

    result: Any = None
    error: Exception | None = None


def _outcome(work: Callable[[Progress], Any], tell: Progress) -> _Outcome:
    try:
        return _Outcome(work(tell))
    except Exception as error:
        return _Outcome(error=error)


class Job(QWidget):
    """A line of progress with a button to cancel; what was said last stays below.

    One piece of work at a time: the buttons that start it are off meanwhile.
    """

    progressed = Signal(str, int, int)
    told = Signal()
    found = Signal(object)
    """What work emits in its thread as soon as it has it, before it ends."""

    def __init__(self, *starters: QWidget) -> None:
        super().__init__()
        self._starters = starters
        self._cancelled = threading.Event()
        self._done: Callable[[Any], None] = nothing
        self._worker: Any = None
        self.bar, self.cancel, self.said = QProgressBar(), QPushButton("Cancel"), QLabel()
        self.said.setWordWrap(True)
        self.said.hide()
        self.cancel.clicked.connect(self.stop)
        self.progressed.connect(self.show_progress)
        line = QHBoxLayout()
        line.addWidget(self.bar, 1)
        line.addWidget(self.cancel)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(line)
        column.addWidget(self.said)
        self.at_work(False)

    @property
    def busy(self) -> bool:
        """Whether work is under way."""
        return self._worker is not None

    def start(self, work: Callable[[Progress], Any], done: Callable[[Any], None] = nothing) -> None:
        """Work in a thread; ``done`` gets the result, in the window's thread."""
        self._cancelled.clear()
        self._done = done
        self.say("")
        self.at_work(True)
        self._worker = create_worker(
            _outcome, work, self._tell, _start_thread=True, _connect={"returned": self._ended}
        )

    def stop(self) -> None:
        """End the work at its next block."""
        self._cancelled.set()
        self.cancel.setEnabled(False)

    def say(self, text: str, wrong: bool = False) -> None:
        """Show a text below the progress; none hides it."""
        self.said.setStyleSheet(f"color: {ERROR_COLOUR}" if wrong else "")
        self.said.setText(text)
        self.said.setVisible(bool(text))
        self._take_room()
        self.told.emit()

    def fail(self, error: BaseException) -> None:
        """Show an error."""
        self.say(" ".join(str(error).split()) or type(error).__name__, wrong=True)

    def show_progress(self, name: str, done: int, total: int) -> None:
        """Show how far a pass is; without a total only that something moves."""
        self.bar.setRange(0, total)
        self.bar.setValue(done)
        self.bar.setFormat(f"{name}: %v of %m blocks")

    def _take_room(self) -> None:
        """Take no room where there is nothing to be shown."""
        self.setVisible(not (self.bar.isHidden() and self.said.isHidden()))

    def _tell(self, name: str, done: int, total: int) -> None:
        if self._cancelled.is_set():
            raise CancelledError
        self.progressed.emit(name, done, total)

    def _ended(self, outcome: _Outcome) -> None:
        self._worker = None
        self.at_work(False)
        if outcome.error is None:
            self._done(outcome.result)
        elif isinstance(outcome.error, CancelledError):
            self.say(f"{self.said.text()} Cancelled.".strip())
        else:
            self.fail(outcome.error)

    def at_work(self, busy: bool) -> None:
        """Show that work goes on, or has ended: of a thread, or of whoever says so."""
        self.show_progress("", 0, 0 if busy else 1)
        self.bar.setVisible(busy)
        self.cancel.setVisible(busy)
        self.cancel.setEnabled(busy)
        self._take_room()
        for widget in self._starters:
            widget.setEnabled(not busy)
