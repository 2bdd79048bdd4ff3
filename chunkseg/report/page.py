"""``report.html``: one file that holds all of its pictures, made of what a run has written."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from chunkseg.api.checks import Subject
from chunkseg.api.result import Result
from chunkseg.errors import IncompleteError
from chunkseg.passes.tables import default_column
from chunkseg.report import telling
from chunkseg.report.extra import needed
from chunkseg.report.methods import methods, subject_of
from chunkseg.report.pictures import Picture
from chunkseg.report.plots import plot_distribution, plot_histogram, plot_over_time
from chunkseg.report.scenes import FRAMES, Stage, spread
from chunkseg.report.views import Budget
from chunkseg.storage.places import Place
from chunkseg.storage.reports import GENERATOR, write_page
from chunkseg.storage.site import TABLE, WRITTEN

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HERE = Path(__file__).parent
WIDE, HIGH, DOTS = 4.6, 2.7, 150
FONT: dict[Any, Any] = {"font.size": 9, "axes.linewidth": 0.7, "axes.labelsize": 9}
CURVES = ("count", "mean", "percent_foreground", "threshold")
MOST_INTENSITIES = 3
FEWEST = 2
"""Objects whose measures are seen as a distribution."""


def write_report(out: str | os.PathLike[str], image: Any = None, *, seams: bool = False) -> Place:
    """Write ``report.html`` beside the result of a run: pictures, plots, numbers, methods.

    The page needs no network and no scripts. It is made of what the run has written and of a
    bounded number of voxels of the image, so it takes seconds whatever the size of the image.

    Parameters
    ----------
    out : path
        Folder or address of a complete run.
    image : path, DataArray, dask, zarr or NumPy array, optional
        The input, where it is not to be found where it was, or was an array in memory. Without it
        there are no pictures of the image, and the report says so.
    seams : bool
        Draw where the blocks of the run meet.

    Returns
    -------
    path
        Of the file. A former report is replaced.

    Raises
    ------
    PathError, IncompleteError
        If there is no complete result.
    ParameterError
        If it is a table of :func:`chunkseg.measure`, or the extra ``report`` is not installed.
    FormatError
        If its ``run.json`` is not what a run writes.
    OutputExistsError
        If a ``report.html`` is there that chunkseg did not make.

    Examples
    --------
    >>> import chunkseg as cs, tempfile
    >>> nuclei = cs.synthetic_nuclei((90, 96))
    >>> result = cs.Workflow(sigma=2).run(nuclei, tempfile.mkdtemp())
    >>> write_report(result.path, nuclei).name
    'report.html'
    """
    result = Result.open(out)
    return write_page(result.path, report_page(result, image, seams=seams))


def report_page(
    result: Result, image: Any = None, *, seams: bool = False, budget: Budget | None = None
) -> str:
    """Make the page; ``budget`` says how many voxels may be read, and is told how many were."""
    needed("matplotlib", "jinja2", "PIL")
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    subject = subject_of(result)
    table = result.table if (result.path / TABLE).is_file() else None
    stage = Stage.of(subject, image, budget, seams)
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    content = _told(subject, table) | _shown(stage, table) | _drawn(result, subject, table)
    return environment.get_template("report.jinja").render(
        **content,
        methods=methods(result),
        generator=GENERATOR,
        style=(HERE / "report.css").read_text(encoding="utf-8"),
    )


def _told(subject: Subject, table: pd.DataFrame | None) -> dict[str, Any]:
    run = subject.run
    return {
        "title": telling.title_of(subject),
        "part": telling.part(subject),
        "headline": telling.headline(subject, table),
        "warnings": run["warnings"],
        "steps": telling.steps(subject),
        "dropped": telling.dropped(subject),
        "movie": bool(subject.layout.looped),
        "input": telling.input_rows(subject),
        "parameters": subject.parameters.explained(),
        "versions": list(run["versions"].items()),
        "times": telling.time_rows(subject),
        "machine": telling.machine_rows(subject),
        "files": [n for n in WRITTEN if (subject.path / n).exists()],
    }


@dataclass(frozen=True)
class Card:
    """An object: its picture, where it could be read, and its row."""

    label: str
    picture: Picture | None
    facts: telling.Rows


def _shown(stage: Stage, table: pd.DataFrame | None) -> dict[str, Any]:
    scenes = stage.scenes(table)
    extremes, suspects = [], []
    if table is not None and len(table):
        extremes = telling.extremes(table)
        suspects = telling.suspects(table)
    most = telling.MOST_SUSPECTS
    rows = sum(min(most, len(chosen.rows)) for chosen in (*extremes, *suspects))
    share = stage.budget.share(rows)
    return {
        "scenes": scenes,
        "why": stage.why,
        "seams": stage.seams,
        "extremes": [(c.title, len(c.rows), _cards(stage, c, share)) for c in extremes],
        "suspects": [(c.title, len(c.rows), _cards(stage, c, share)) for c in suspects],
    }


def _cards(stage: Stage, chosen: telling.Chosen, share: int) -> list[Card]:
    sizes = [default_column(chosen.rows)]
    return [
        Card(
            str(int(row["label"])) if "label" in row else "-",
            stage.portrait(row, share),
            telling.object_facts(row, sizes),
        )
        for _, row in chosen.rows.head(telling.MOST_SUSPECTS).iterrows()
    ]


def _drawn(result: Result, subject: Subject, table: pd.DataFrame | None) -> dict[str, Any]:
    return {
        "histograms": list(_histograms(result, subject)),
        "distributions": list(_distributions(table)),
        "curves": list(_curves(result, subject)),
    }


def _histograms(result: Result, subject: Subject) -> Iterator[Picture]:
    frames = spread(len(subject.frames), FRAMES)
    for frame in (n for n in frames if not subject.frames[n]["constant"]):
        title = f"t = {subject.frames[frame]['t']}" if subject.layout.looped else "histogram"
        try:
            yield chart(title, partial(plot_histogram, result, frame))
        except IncompleteError:
            return


def _distributions(table: pd.DataFrame | None) -> Iterator[Picture]:
    if table is None or len(table) < FEWEST:
        return
    intensities = [c for c in table.columns if c.startswith("intensity_mean")]
    for column in (default_column(table), *intensities[:MOST_INTENSITIES]):
        if column in table:
            yield chart(column, partial(plot_distribution, table, column))


def _curves(result: Result, subject: Subject) -> Iterator[Picture]:
    if not subject.layout.looped or subject.layout.frames < 2:
        return
    stopped = subject.run["until"] is not None
    for value in CURVES[2:] if stopped else CURVES:
        if value != "threshold" or subject.frames[0]["threshold"] is not None:
            yield chart(value, partial(plot_over_time, result, value))


def chart(title: str, draw: Callable[[Axes], Any]) -> Picture:
    """Draw a plot and encode it."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    memory = io.BytesIO()
    with mpl.rc_context(FONT):
        figure = Figure(figsize=(WIDE, HIGH), layout="constrained")
        draw(figure.subplots())
        figure.savefig(memory, format="png", dpi=DOTS)
    uri = "data:image/png;base64," + base64.b64encode(memory.getvalue()).decode("ascii")
    return Picture(title, uri, int(WIDE * DOTS), int(HIGH * DOTS))
