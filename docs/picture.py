"""Draw ``lesson.png``, the picture of the README: a run of the workflow on synthetic nuclei.

One plane of the image and of the mask, the seeds that erosion leaves, and the final labels over
the plane; counts are of the whole stack. The stack and the parameters are those of the notebook.

Run it as ``python docs/picture.py``; it needs the extra ``notebook``.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.patches import Rectangle

import chunkseg as cs

TARGET = Path(__file__).with_name("lesson.png")
SPACING = {"z": 0.29, "y": 0.26, "x": 0.26}
BLOCK = (16, 64, 64)
PLANE = 12
COLOURS = 64
BAR_UM = 10
INCHES, DOTS_PER_INCH = (12.0, 3.55), 100


def main() -> None:
    """Run the workflow in blocks, keep what lies between, and draw."""
    stack = cs.synthetic_nuclei((40, 192, 192), count=28, semi_axes=(12, 15), noise=0.08, seed=3)
    image = cs.from_array(stack, dims="zyx", spacing=SPACING, unit="micrometer")
    workflow = cs.Workflow(sigma=3, erosion_radius=10)
    with tempfile.TemporaryDirectory(prefix="chunkseg-") as folder:
        kept = ("mask", "seeds")
        result = workflow.run(image, Path(folder) / "out", keep=kept, block_shape=BLOCK)
        seeds = result.seeds
        draw(image, result, seeds)


def draw(image: Any, result: cs.Result, seeds: Any) -> None:
    """Draw the four panels and save them."""
    figure, panels = plt.subplots(1, 4, figsize=INCHES, layout="constrained")
    plane = image[PLANE].values
    mask = result.mask[PLANE].values
    counts = result.counts.iloc[0]
    percent = 100 * result.run["frames"][0]["foreground_fraction"]
    summary = result.summary.iloc[0]
    _grey(panels[0], plane, f"image\nplane {PLANE} of {len(image)}")
    _bar(panels[0])
    objects = f"{counts['mask']} objects, {percent:.1f} % of the voxels"
    _grey(panels[1], mask, f"blurred, above Otsu's threshold\n{objects}")
    from_above = result.mask.max("z").values
    title = f"eroded by a ball, seen from above\n{counts['eroded']} seeds"
    _grey(panels[2], from_above, title, dimmed=3)
    _coloured(panels[2], seeds.max("z").values)
    size = f"{summary['mean']:.0f} ± {summary['std']:.0f} µm³"
    _grey(panels[3], plane, f"expanded, border cleared\n{counts['final']} nuclei of {size}")
    _coloured(panels[3], result.labels[PLANE].values, alpha=0.65)
    figure.savefig(TARGET, dpi=DOTS_PER_INCH, bbox_inches="tight", pad_inches=0.08)


def _grey(axes: Axes, plane: Any, title: str, dimmed: float = 1) -> None:
    """Show a plane without axes; ``dimmed`` makes its brightest voxel that much darker."""
    axes.imshow(plane, cmap="gray", vmin=0, vmax=plane.max() * dimmed, interpolation="nearest")
    axes.set_title(title, fontsize=11)
    axes.set_axis_off()


def _coloured(axes: Axes, labels: Any, alpha: float = 1) -> None:
    """Lay labels over what is shown, one colour each, background left out."""
    colours = ListedColormap(np.random.default_rng(5).uniform(0.25, 1, (COLOURS, 3)))
    shown = np.ma.masked_equal(labels, 0) % COLOURS
    axes.imshow(shown, cmap=colours, vmin=0, vmax=COLOURS - 1, alpha=alpha, interpolation="nearest")


def _bar(axes: Axes) -> None:
    """Draw a scale bar at the lower left, on black."""
    length, low = BAR_UM / SPACING["x"], axes.get_ylim()[0]
    axes.add_patch(Rectangle((4, low - 21), length + 8, 17, color="black", alpha=0.8, linewidth=0))
    axes.plot([8, 8 + length], [low - 8] * 2, color="white", linewidth=4, solid_capstyle="butt")
    middle = 8 + length / 2
    axes.text(middle, low - 10, f"{BAR_UM} µm", color="white", ha="center", va="bottom", fontsize=9)


if __name__ == "__main__":
    main()
