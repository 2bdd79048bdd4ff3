"""Pictures: pixels and labels brought to one grid of square pixels, as PNG in a data URI.

Colours of labels are as far apart as the golden ratio makes them, and stay with the label.
"""

from __future__ import annotations

import base64
import colorsys
import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.geometry.boxes import Box, Shape
from chunkseg.report.extra import needed
from chunkseg.report.words import number, round_length

RGB = NDArray[np.uint8]

COLOURS = 256
GOLDEN = 0.6180339887
DARKEST, BRIGHTEST = 0.5, 99.8
FILLED = 0.38
BAR_SHARE = 0.3
SEAM = (255, 213, 0)
GREY = (150, 150, 150)


@dataclass(frozen=True)
class Picture:
    """A picture to be put into a page.

    Attributes
    ----------
    title
        What is seen.
    uri
        The PNG as a data URI.
    width, height
        In pixels.
    bar
        Length of the scale bar as a share of the width, and what is written at it; None where the
        pixels have no size.
    """

    title: str
    uri: str
    width: int
    height: int
    bar: tuple[float, str] | None = None


def grid_of(box: Box, spacing: Sequence[float], longest: int) -> Shape:
    """Height and width, in square pixels, of the picture of the last two axes of a box.

    Examples
    --------
    >>> grid_of(Box((0, 0, 0), (1, 50, 200)), (1.0, 2.0, 1.0), 400)
    (200, 400)
    """
    lengths = [n * s for n, s in zip(box.shape[-2:], spacing[-2:], strict=True)]
    scale = longest / max(lengths)
    height, width = (max(1, round(length * scale)) for length in lengths)
    return height, width


def resampled(pixels: NDArray[Any], grid: Shape) -> NDArray[Any]:
    """Bring a plane to a grid, each pixel from where its middle lies."""
    rows, columns = (
        ((np.arange(wanted) + 0.5) * n / wanted).astype(int)
        for wanted, n in zip(grid, pixels.shape, strict=True)
    )
    return pixels[np.ix_(rows, columns)]


def grey(pixels: NDArray[Any], grid: Shape) -> NDArray[np.uint8]:
    """Bring a plane to a grid and its contrast to 0 .. 255; dull ends are cut off."""
    from PIL import Image

    values = pixels.astype(np.float32)
    low, high = np.percentile(values, [DARKEST, BRIGHTEST])
    if high <= low:
        low, high = float(values.min()), float(values.max())
    scaled = (values - low) * (255 / (high - low if high > low else 1))
    image = Image.fromarray(np.clip(scaled, 0, 255).astype(np.uint8))
    smaller = grid[0] < pixels.shape[0]
    how = Image.Resampling.BOX if smaller else Image.Resampling.NEAREST
    return np.asarray(image.resize((grid[1], grid[0]), how))


def black_and_white(mask: NDArray[Any], grid: Shape) -> NDArray[np.uint8]:
    """Bring a mask to a grid, foreground light."""
    return np.where(resampled(mask, grid) != 0, np.uint8(235), np.uint8(20))


def overlaid(
    below: NDArray[np.uint8] | None, labels: NDArray[Any], grid: Shape, only: int | None = None
) -> RGB:
    """Lay labels over a grey picture: filled lightly, outlined.

    Parameters
    ----------
    below
        On the grid; None for a dark ground.
    labels
        A plane.
    grid
        Height and width.
    only
        The label that is coloured; the others are outlined in grey. None for all.
    """
    shown = resampled(labels, grid)
    ground = np.full(grid, 24, np.uint8) if below is None else below
    rgb = np.repeat(ground[..., None], 3, axis=2)
    colours = _colours()[shown % COLOURS]
    inside = shown != 0 if only is None else shown == only
    share = FILLED if below is not None else 0.8
    rgb[inside] = ((1 - share) * rgb[inside] + share * colours[inside]).astype(np.uint8)
    edge = outlines(shown)
    rgb[edge] = colours[edge]
    if only is not None:
        rgb[edge & (shown != only)] = GREY
    return rgb


def outlines(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Which labelled pixels have a neighbour, of four, with another value."""
    edge = np.zeros(labels.shape, np.bool_)
    for axis in (0, 1):
        n = labels.shape[axis]
        low, high = (np.arange(n - 1), np.arange(1, n))
        differs = labels.take(low, axis) != labels.take(high, axis)
        for part in (low, high):
            index = (part, slice(None)) if axis == 0 else (slice(None), part)
            edge[index] |= differs
    return edge & (labels != 0)


def with_seams(picture: NDArray[np.uint8], box: Box, block: Shape) -> RGB:
    """Draw where blocks meet within a box."""
    rgb = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
    rgb = rgb.copy()
    for axis in (-2, -1):
        start, stop, step = box.start[axis], box.stop[axis], block[axis]
        for at in range((start // step + 1) * step, stop, step):
            line = int((at - start) / (stop - start) * rgb.shape[axis + 2])
            span = slice(max(0, line - 1), line + 1)
            rgb[(span,) if axis == -2 else (slice(None), span)] = SEAM
    return rgb


@cache
def _colours() -> NDArray[np.float32]:
    tones = itertools.cycle(itertools.product((0.85, 0.5, 0.68), (1.0, 0.82)))
    hues = ((0.05 + n * GOLDEN) % 1 for n in range(COLOURS))
    colours = [colorsys.hsv_to_rgb(hue, *tone) for hue, tone in zip(hues, tones, strict=False)]
    return 255 * np.array(colours, np.float32)


def picture(title: str, pixels: NDArray[np.uint8], bar: tuple[float, str] | None = None) -> Picture:
    """Encode a picture."""
    needed("PIL")
    from PIL import Image

    memory = io.BytesIO()
    Image.fromarray(pixels).save(memory, "PNG", optimize=False, compress_level=6)
    uri = "data:image/png;base64," + base64.b64encode(memory.getvalue()).decode("ascii")
    return Picture(title, uri, pixels.shape[1], pixels.shape[0], bar)


def scale_bar(box: Box, spacing: Sequence[float], unit: str) -> tuple[float, str]:
    """Length of a round scale bar as a share of a picture's width, and what is written at it.

    Examples
    --------
    >>> scale_bar(Box((0, 0), (100, 100)), (0.26, 0.26), "µm")
    (0.19230769230769232, '5 µm')
    """
    width = box.shape[-1] * spacing[-1]
    length = round_length(BAR_SHARE * width)
    shown = f"{length:g}" if length < 1e4 else number(length)
    return length / width, f"{shown} {unit}"
