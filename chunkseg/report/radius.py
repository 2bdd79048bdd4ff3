"""Pictures of a sweep over radii: what each leaves of the mask, and the sizes of objects."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from chunkseg.api.radius import RadiusSweep
from chunkseg.geometry.calibration import spacing_of
from chunkseg.report.extra import needed
from chunkseg.report.words import column_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GREY, DROPPED, DIM = 0.25, 0.7, 0.5
COLOURS = np.delete(np.arange(20), (14, 15))
"""Those of matplotlib's tab20 that are not grey."""
_SIDE = 3.2


def write_pictures(swept: RadiusSweep, folder: Path) -> None:
    """Write ``planes.png`` and ``sizes.png``."""
    needed("matplotlib")
    from matplotlib.figure import Figure

    plot_planes(swept).savefig(folder / "planes.png", dpi=120)
    figure = Figure(layout="constrained")
    plot_sizes(swept, figure.subplots())
    figure.savefig(folder / "sizes.png", dpi=120)


def plot_planes(swept: RadiusSweep, most: int = 3) -> Figure:
    """Draw the mask, what each radius leaves of it and makes of it, at the planes that matter.

    Parameters
    ----------
    swept
        A sweep.
    most
        How many planes at most, see :meth:`chunkseg.api.radius.RadiusSweep.planes`.

    Returns
    -------
    Figure
        A row per plane, a column per radius.
    """
    needed("matplotlib")
    from matplotlib.figure import Figure

    planes = swept.planes(most) or [(0, 0)]
    size = (_SIDE * len(swept.results), _SIDE * len(planes))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(planes), len(swept.results), squeeze=False)
    for row, (frame, plane) in zip(axes, planes, strict=True):
        for ax, radius in zip(row, swept.results, strict=True):
            draw_plane(swept, radius, frame, plane, ax)
    return figure


def draw_plane(swept: RadiusSweep, radius: float, frame: int, plane: int, ax: Axes) -> Axes:
    """Draw one plane: the mask in grey, final objects in colours, brighter what the erosion leaves.

    What is left of objects that are dropped, as at the border, is light grey.
    """
    needed("matplotlib")
    from matplotlib import colormaps

    where = {"t": frame, "z": plane}
    result = swept.results[radius]
    mask, seeds = swept.mask.mask, result.seeds
    cut = {dim: index for dim, index in where.items() if dim in mask.dims}
    shown, parts, objects = (a.isel(cut).values for a in (mask, seeds, result.labels))
    picture = np.zeros((*shown.shape, 3))
    picture[shown != 0] = GREY
    picture[parts != 0] = DROPPED
    inside = objects != 0
    colours = colormaps["tab20"](COLOURS[(objects[inside] - 1) % len(COLOURS)])[:, :3]
    picture[inside] = colours * np.where(parts[inside] != 0, 1, DIM)[:, None]
    high, wide = spacing_of(mask, mask.dims[-2:])
    ax.imshow(picture, interpolation="nearest", aspect=high / wide)
    facts = result.run["frames"][frame]["counts"]
    place = ", ".join(f"{dim} = {index}" for dim, index in cut.items())
    told = f"radius {radius:g}: {facts['eroded']} parts, {facts['final']} objects"
    ax.set_title(f"{told}\n{place}" if place else told, fontsize="small")
    ax.set_axis_off()
    return ax


def plot_sizes(swept: RadiusSweep, ax: Axes | None = None) -> Axes:
    """Draw the sizes of the final objects for each radius, as boxes.

    Parameters
    ----------
    swept
        A sweep.
    ax
        Where to draw; a new figure by default.
    """
    needed("matplotlib")
    from matplotlib.figure import Figure

    ax = Figure(layout="constrained").subplots() if ax is None else ax
    sizes = swept.sizes
    column = sizes.columns[-1]
    radii = list(swept.results)
    groups = [sizes[column][sizes["radius"] == radius].to_numpy() for radius in radii]
    ax.boxplot(groups, tick_labels=[f"{radius:g}" for radius in radii])
    ax.set_xlabel("erosion radius")
    ax.set_ylabel(column_title(str(column)))
    return ax
