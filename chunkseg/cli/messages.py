"""What goes to stderr: warnings and errors in one line each, and the progress of passes.

On a terminal the progress is a bar per pass; elsewhere it is a line when a pass is done, and for
a movie, where passes come again and again, not more than one line in ten seconds.
"""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich import progress as rich

    from chunkseg.runner.progress import Progress

SECONDS_BETWEEN_LINES = 10.0
SECONDS_WITHIN_A_PASS = 30.0


ARGUMENT = re.compile(
    r"(?<![\w/(-])(dims|spacing|unit|channel|level|series)="
    r"(?:'([^']*)'|\{'\w+': ([\d.]+)\}|(\d+))?(?=[\s,;:.)]|$)"
)
FUNCTIONS = " open_image or from_array"


def in_options(text: str) -> str:
    """Say the arguments of ``open_image`` as the options that they are on the command line.

    Examples
    --------
    >>> in_options("pass spacing= and unit=, for example spacing={'x': 0.26}, unit='micrometer'")
    'pass --spacing and --unit, for example --spacing 0.26, --unit micrometer'
    >>> in_options("name them with dims= of open_image or from_array, as dims='tyx'")
    'name them with --dims, as --dims tyx'
    """
    said = ARGUMENT.sub(lambda m: " ".join([f"--{m[1]}", *filter(None, m.groups()[1:])]), text)
    return said.replace(f" of{FUNCTIONS}", "").replace(f" to{FUNCTIONS}", "")


def one_line(text: str) -> str:
    """Return a text without line breaks and repeated blanks.

    Examples
    --------
    >>> one_line("  sigma must   be positive ")
    'sigma must be positive'
    """
    return " ".join(text.split())


def error_text(error: BaseException) -> str:
    """Text of an error for one line; of the system's errors the file and the reason.

    Examples
    --------
    >>> error_text(PermissionError(13, "Permission denied", "/data/out"))
    '/data/out: Permission denied'
    """
    reason = getattr(error, "strerror", None)
    if reason is None:
        return one_line(in_options(str(error))) or type(error).__name__
    name = getattr(error, "filename", None)
    return one_line(f"{name}: {reason}" if name is not None else reason)


def note(text: str) -> None:
    """Say on stderr what is going on; nothing where it is closed (``2>&-``)."""
    if sys.stderr is not None:
        print(f"chunkseg: {text}", file=sys.stderr, flush=True)


def warn(text: str) -> None:
    """Say a warning on stderr."""
    note(f"warning: {one_line(in_options(text))}")


class _Said(logging.Handler):
    """Says what is logged, the same text only once."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if text not in self.texts:
            self.texts.add(text)
            if record.levelno >= logging.WARNING:
                warn(text)
            else:
                note(one_line(text))


@contextmanager
def logged(least: int = logging.INFO) -> Iterator[None]:
    """Within it, what chunkseg logs of some level on goes to stderr; so does progress from INFO."""
    logger = logging.getLogger("chunkseg")
    handler = _Said()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(least)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


@contextmanager
def progress() -> Iterator[Progress]:
    """Within it, what is called with the progress of passes is shown on stderr."""
    level = logging.getLogger("chunkseg").level
    if level > logging.INFO:
        from chunkseg.runner.progress import silent

        yield silent
        return
    if sys.stderr is None or not sys.stderr.isatty():
        yield Lines(0.0 if level == logging.DEBUG else SECONDS_BETWEEN_LINES)
        return
    from rich import progress as rich
    from rich.console import Console

    columns = (
        "{task.description:<10}",
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        rich.TimeElapsedColumn(),
        "left",
        rich.TimeRemainingColumn(),
    )
    with rich.Progress(*columns, console=Console(stderr=True)) as bars:
        yield Bars(bars)


class Bars:
    """A bar for each pass, which starts again when the pass does."""

    def __init__(self, bars: rich.Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, rich.TaskID] = {}

    def __call__(self, pass_name: str, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` blocks are done."""
        if pass_name not in self._tasks:
            self._tasks[pass_name] = self._bars.add_task(pass_name, total=total)
        elif done == 0:
            self._bars.reset(self._tasks[pass_name], total=total)
        self._bars.update(self._tasks[pass_name], completed=done, total=total)


class Lines:
    """A line when a pass is done: the first time, and then now and again; of a long one, how far.

    Parameters
    ----------
    between
        Seconds from one line about a pass to the next.
    """

    def __init__(self, between: float = SECONDS_BETWEEN_LINES) -> None:
        self._between = between
        self._began: dict[str, float] = {}
        self._told: dict[str, float] = {}

    def __call__(self, pass_name: str, done: int, total: int) -> None:
        """Note the beginning of a pass, and tell its end."""
        now = time.monotonic()
        if done == 0:
            self._began[pass_name] = now
        if done < total:
            self._tell_how_far(pass_name, done, total, now)
            return
        if now - self._told.get(pass_name, -1e9) < self._between:
            return
        self._told[pass_name] = now
        seconds = now - self._began.get(pass_name, now)
        note(f"{pass_name}: {total} block{'s' * (total != 1)} in {seconds:.1f} s")

    def _tell_how_far(self, pass_name: str, done: int, total: int, now: float) -> None:
        """Say how much of a pass is done and about how long the rest takes, twice a minute."""
        from chunkseg.report.words import seconds_text

        began = self._began.get(pass_name, now)
        told = max(began, self._told.get(pass_name, began))
        if not done or now - told < SECONDS_WITHIN_A_PASS:
            return
        self._told[pass_name] = now
        left = (now - began) / done * (total - done)
        note(f"{pass_name}: {done} of {total} blocks, about {seconds_text(left)} left")
