"""Plots of a result: each takes and returns a matplotlib Axes.

Without an Axes they draw on pyplot's current one, as seaborn's do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from chunkseg.api.result import Result
from chunkseg.errors import IncompleteError, ParameterError
from chunkseg.passes.tables import SUMMARY, default_column
from chunkseg.report.extra import needed
from chunkseg.report.words import column_title, length_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, FILL, MARK = "#2b4c7e", "#9db7d8", "#c8472b"
HEADROOM = 0.17
"""Above the bars, for the text at the line, as a share of the highest."""
BEHIND = {"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 1}


def plot_histogram(result: Result, frame: int = 0, ax: Axes | None = None) -> Axes:
    """Draw the histogram of a frame's blurred voxels, with its threshold.

    Parameters
    ----------
    result : Result
        Of a run whose threshold was found, not given.
    frame : int
        Number of the frame (of a movie: the time point).
    ax : matplotlib Axes, optional
        Where to draw; pyplot's current Axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        The counts are on a logarithmic scale, of the 256 bins that the threshold was found in.

    Raises
    ------
    IncompleteError
        If the run has no histogram of that frame.
    ParameterError
        If matplotlib is not installed.

    Examples
    --------
    >>> import chunkseg as cs, tempfile
    >>> nuclei = cs.synthetic_nuclei((90, 96))
    >>> result = cs.Workflow(sigma=1).run(nuclei, tempfile.mkdtemp())
    >>> from matplotlib.figure import Figure
    >>> plot_histogram(result, ax=Figure().subplots()).get_yscale()
    'log'
    """
    bins = result.histograms
    rows = bins[bins["frame"] == frame]
    if rows.empty:
        raise IncompleteError(
            f"{result.path} holds no histogram of frame {frame}: the threshold was given, or there "
            "is no such frame"
        )
    ax = _axes(ax)
    values, counts = rows["value"].to_numpy(), rows["count"].to_numpy()
    ax.fill_between(values, counts, 0.5, step="mid", color=FILL, linewidth=0)
    ax.step(values, np.maximum(counts, 0.5), where="mid", color=INK, linewidth=0.9)
    ax.set_yscale("log")
    ax.set_ylim(bottom=0.5)
    threshold = float(result.thresholds[frame])
    _marked(ax, threshold, f"threshold {threshold:.4g}")
    ax.set(xlabel="blurred intensity", ylabel="voxels")
    return _plain(ax)


def plot_distribution(
    result: Result | pd.DataFrame, column: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draw how a measure is distributed over the objects, with its median.

    Parameters
    ----------
    result : Result or DataFrame
        Of a run or a measurement, or a table of objects.
    column : str, optional
        The measure; by default the size, in the image's unit where it is known.
    ax : matplotlib Axes, optional
        Where to draw; pyplot's current Axes by default.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ParameterError
        If the table has no such column of numbers, or matplotlib is not installed.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"volume_um3": [4.0, 5.0, 5.0, 9.0]})
    >>> plot_distribution(table, ax=Figure().subplots()).get_xlabel()
    'volume (µm³)'
    """
    table = result.table if isinstance(result, Result) else result
    name = default_column(table) if column is None else column
    if name not in table.columns or table[name].dtype.kind not in "biuf":
        raise ParameterError(
            f"column {name!r} is not one of numbers in the table; it has {list(table.columns)}"
        )
    ax = _axes(ax)
    values = table[name].to_numpy(dtype=float)
    values = values[np.isfinite(values)]
    if len(values):
        most = min(60, max(5, 2 * int(np.sqrt(len(values)))))
        ax.hist(values, bins=most, color=FILL, edgecolor=INK, linewidth=0.7)
        middle = float(np.median(values))
        ax.margins(y=HEADROOM)
        _marked(ax, middle, f"median {middle:.5g}")
    ax.set(xlabel=column_title(name), ylabel="objects", yscale="linear")
    ax.locator_params(axis="y", integer=True)
    return _plain(ax)


def plot_over_time(result: Result, value: str = "count", ax: Axes | None = None) -> Axes:
    """Draw how a movie's objects change over time.

    Parameters
    ----------
    result : Result
        Of a movie.
    value : str
        A column of numbers of ``result.summary``, as ``"count"``, ``"mean"`` (with a band of one
        standard deviation), ``"threshold"``, ``"percent_foreground"``.
    ax : matplotlib Axes, optional
        Where to draw; pyplot's current Axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        Time is in the movie's unit where that is known, else in frames.

    Raises
    ------
    ParameterError
        If there is no such value, the result is of no movie, or matplotlib is not installed.

    Examples
    --------
    >>> import chunkseg as cs, numpy as np, tempfile
    >>> movie = np.stack([cs.synthetic_nuclei((90, 96), seed=s) for s in range(3)])
    >>> image = cs.from_array(movie, dims="tyx", spacing=0.5, unit="um")
    >>> result = cs.Workflow(sigma=1).run(image, tempfile.mkdtemp())
    >>> from matplotlib.figure import Figure
    >>> plot_over_time(result, "mean", ax=Figure().subplots()).get_ylabel()
    'mean area (µm²)'
    """
    series, label = _series(result, value)
    ax = _axes(ax)
    times, unit = times_of(result)
    if value == "mean":
        std = result.summary["std"].to_numpy(dtype=float)
        ax.fill_between(times, series - std, series + std, color=FILL, alpha=0.45, linewidth=0)
    ax.plot(times, series, color=INK, marker="o", markersize=3, linewidth=1.2)
    if value == "count":
        ax.set_ylim(bottom=0)
        ax.locator_params(axis="y", integer=True)
    ax.set(xlabel=f"time ({unit})" if unit else "frame", ylabel=label)
    return _plain(ax)


def times_of(result: Result) -> tuple[Any, str]:
    """Times of a movie's frames and their printed unit; without one, numbers of frames."""
    told = result.run["input"]
    numbers = np.array([frame.get("t", n) for n, frame in enumerate(result.run["frames"])])
    unit = told["units"].get("t", "pixel")
    if unit in ("", "pixel"):
        return numbers, ""
    return numbers * float(told["spacing"]["t"]), length_unit(unit)


def _series(result: Result, value: str) -> tuple[Any, str]:
    """Values of the frames, and how they are called."""
    frames = result.run["frames"]
    if "t" not in result.run["input"]["dims"]:
        raise ParameterError(f"{result.path} is no result of a movie: it has no axis t")
    if value == "threshold":
        return np.array([frame["threshold"] for frame in frames], float), "threshold"
    if value == "percent_foreground":
        return 100 * result.foreground_fractions.to_numpy(), "foreground (%)"
    summary = result.summary
    known = [str(n) for n in summary.columns if summary[n].dtype.kind in "iuf"]
    if value not in known:
        raise ParameterError(f"value must be one of {', '.join(known)}; got {value!r}")
    return summary[value].to_numpy(dtype=float), _called(value, str(summary["column"].iloc[0]))


def _called(value: str, column: str) -> str:
    if value == "count":
        return "objects"
    if value not in SUMMARY:
        return column_title(value)
    name, _, unit = column_title(column).partition(" ")
    return f"{value} {name} {unit}"


def _axes(ax: Axes | None) -> Axes:
    needed("matplotlib")
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.gca()


def _marked(ax: Axes, value: float, text: str) -> None:
    """Draw an upright line with a text beside its upper end."""
    ax.axvline(value, color=MARK, linewidth=1.3)
    ax.annotate(
        text,
        (value, 0.97),
        xytext=(5, 0),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        color=MARK,
        va="top",
        bbox=BEHIND,
    )


def _plain(ax: Axes) -> Axes:
    """Leave out the frame's upper and right side."""
    ax.spines[["top", "right"]].set_visible(False)
    return ax
