"""Synthetic nuclei: images of touching ellipsoids, made from a seed.

Every second object is put beside the one before it, near enough to touch, the others where most
room is left; each is drawn in its own bounding box only, with a soft rim; then comes noise whose
variance grows with the intensity. Made for demonstrations, tests and benchmarks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from chunkseg.errors import KindError, ParameterError

Image = NDArray[np.float32]
Vector = NDArray[np.float64]

VOXELS_PER_OBJECT = {2: 1_500, 3: 80_000}
SEMI_AXES = {2: (6.0, 12.0), 3: (10.0, 23.0)}
BRIGHTNESS = (0.4, 0.8)
RIM = 0.3
PLACES_TRIED = 20
PAIR_DISTANCE = (0.8, 1.0)


def synthetic_nuclei(
    shape: Sequence[int] = (60, 256, 256),
    *,
    count: int | None = None,
    semi_axes: tuple[float, float] | None = None,
    background: float = 0.05,
    noise: float = 0.05,
    seed: int = 0,
    dtype: DTypeLike = "uint16",
) -> NDArray[Any]:
    """Make an image of touching nuclei, the same for the same arguments.

    Parameters
    ----------
    shape : sequence of int
        Shape ``(z, y, x)`` or ``(y, x)`` in voxels.
    count : int, optional
        Number of ellipsoids; by default one per 80,000 voxels (2-D: 1,500 pixels), at least one.
    semi_axes : (float, float), optional
        Smallest and largest semi-axis in voxels; by default 10 to 23 (2-D: 6 to 12).
    background : float
        Intensity between the nuclei, as a fraction of the full scale.
    noise : float
        Standard deviation of the noise at full intensity, as a fraction of the full scale; it
        grows with the square root of the intensity, as photon noise does. 0 for none.
    seed : int
        Seed of NumPy's generator.
    dtype : dtype
        An integer type of up to 32 bits, whose largest value is the full scale, or a float type
        (full scale 1).

    Returns
    -------
    ndarray
        Of the given shape and dtype. Some objects touch the border, and about every second one
        touches a neighbour.

    Raises
    ------
    ParameterError
        If the shape has not two or three positive lengths, or a number is out of range.
    KindError
        If the dtype is another.

    Examples
    --------
    >>> import chunkseg.api.synthetic as synthetic
    >>> image = synthetic.synthetic_nuclei((40, 90, 90), seed=1)
    >>> image.shape, image.dtype, bool(image.max() > 5 * np.median(image))
    ((40, 90, 90), dtype('uint16'), True)
    """
    extent = _checked_shape(shape)
    kind = _checked_dtype(dtype)
    number = _checked_count(count, extent)
    sizes = _checked_semi_axes(SEMI_AXES[len(extent)] if semi_axes is None else semi_axes)
    _check_fraction("background", background)
    _check_fraction("noise", noise)
    rng = np.random.default_rng(seed)
    image = np.full(extent, background, np.float32)
    for nucleus in _placed(rng, extent, number, sizes):
        _draw(image, nucleus, background)
    return _recorded(rng, image, noise, kind)


@dataclass(frozen=True, slots=True)
class Nucleus:
    """An ellipsoid of any orientation: ``axes`` holds its semi-axes as rows, in voxels."""

    centre: Vector
    axes: Vector
    brightness: float

    @property
    def reach(self) -> Vector:
        """Half the edges of the bounding box, the rim included."""
        return np.asarray(np.sqrt((self.axes**2).sum(axis=0)) * (1 + RIM / 2))


def _checked_shape(shape: Sequence[int]) -> tuple[int, ...]:
    extent = tuple(int(n) for n in shape)
    if len(extent) not in SEMI_AXES or min(extent) < 1:
        raise ParameterError(
            f"shape must have two or three positive lengths, (z, y, x) or (y, x); got {extent}"
        )
    return extent


def _checked_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    kind = np.dtype(dtype)
    if kind.kind not in "uif" or (kind.kind != "f" and kind.itemsize > 4):
        raise KindError(
            f"dtype must be a float type or integers of up to 32 bits, such as uint16; got {kind}"
        )
    return kind


def _checked_count(count: int | None, shape: Sequence[int]) -> int:
    if count is None:
        return max(1, math.prod(shape) // VOXELS_PER_OBJECT[len(shape)])
    if count < 0:
        raise ParameterError(f"count must be 0 or more objects; got {count}")
    return count


def _checked_semi_axes(semi_axes: tuple[float, float]) -> tuple[float, float]:
    low, high = semi_axes
    if not 0 < low <= high < math.inf:
        raise ParameterError(
            f"semi_axes must be the smallest and the largest in voxels, above 0; got {semi_axes}"
        )
    return low, high


def _check_fraction(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ParameterError(f"{name} must be a fraction of the full scale, 0 to 1; got {value}")


def _placed(
    rng: np.random.Generator, shape: tuple[int, ...], count: int, sizes: tuple[float, float]
) -> Iterator[Nucleus]:
    """Objects one after the other, every second one beside the one before it."""
    extent = np.array(shape, float)
    centres = np.empty((count, len(shape)))
    before = np.zeros((len(shape), len(shape)))
    for i in range(count):
        axes = _oriented(rng, len(shape), sizes)
        if i % 2:
            centre = _beside(rng, centres[i - 1], before, axes)
        else:
            centre = _roomiest(rng, extent, centres[:i], sizes[1])
        centres[i] = np.clip(centre, 0, extent - 1)
        before = axes
        yield Nucleus(centres[i], axes, rng.uniform(*BRIGHTNESS))


def _oriented(rng: np.random.Generator, ndim: int, sizes: tuple[float, float]) -> Vector:
    directions, _ = np.linalg.qr(rng.standard_normal((ndim, ndim)))
    return np.asarray(directions * rng.uniform(*sizes, (ndim, 1)))


def _beside(rng: np.random.Generator, centre: Vector, before: Vector, axes: Vector) -> Vector:
    """Centre of an object in a random direction from another, at which their surfaces meet."""
    direction = rng.standard_normal(len(centre))
    direction /= np.linalg.norm(direction)
    distance = _radius(before, direction) + _radius(axes, direction)
    return np.asarray(centre + direction * distance * rng.uniform(*PAIR_DISTANCE))


def _radius(axes: Vector, direction: Vector) -> float:
    """Distance from the centre of an ellipsoid to its surface in a direction."""
    lengths = (axes**2).sum(axis=1)
    return float(1 / np.linalg.norm(axes @ direction / lengths))


def _roomiest(rng: np.random.Generator, extent: Vector, placed: Vector, largest: float) -> Vector:
    """Among a few random places, the one farthest from all objects; most lie off the border."""
    margin = np.minimum(0.8 * largest, extent / 3)
    places = rng.uniform(margin, extent - margin, (PLACES_TRIED, len(extent)))
    if not len(placed):
        return np.asarray(places[0])
    gaps = [((placed - place) ** 2).sum(axis=1).min() for place in places]
    return np.asarray(places[int(np.argmax(gaps))])


def _draw(image: Image, nucleus: Nucleus, background: float) -> None:
    """Brighten the voxels of one object; where objects overlap the brighter one is seen."""
    start = np.maximum(np.floor(nucleus.centre - nucleus.reach), 0).astype(int)
    stop = np.minimum(np.ceil(nucleus.centre + nucleus.reach) + 1, image.shape).astype(int)
    window = image[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]
    radius = _normalised_radius(nucleus, start, stop)
    profile = np.clip((1 + RIM / 2 - radius) / RIM, 0, 1)
    np.maximum(window, background + nucleus.brightness * profile, out=window)


def _normalised_radius(nucleus: Nucleus, start: NDArray[np.int_], stop: NDArray[np.int_]) -> Image:
    """Distance from the centre in a box of voxels, 1 on the surface of the ellipsoid."""
    grid = np.ogrid[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]
    offsets = [(g - c).astype(np.float32) for g, c in zip(grid, nucleus.centre, strict=True)]
    total = np.zeros(stop - start, np.float32)
    for axis in nucleus.axes:
        scaled = (axis / (axis**2).sum()).astype(np.float32)
        along = sum(w * offset for w, offset in zip(scaled, offsets, strict=True))
        total += np.asarray(along) ** 2
    return np.asarray(np.sqrt(total))


def _recorded(
    rng: np.random.Generator, image: Image, noise: float, kind: np.dtype[Any]
) -> NDArray[Any]:
    """Add noise and quantise, plane by plane."""
    recorded = np.empty(image.shape, kind)
    for plane, out in zip(image, recorded, strict=True):
        grain = rng.standard_normal(plane.shape, np.float32)
        seen = np.clip(plane + np.float32(noise) * np.sqrt(plane) * grain, 0, 1)
        out[...] = seen if kind.kind == "f" else np.rint(seen.astype(float) * np.iinfo(kind).max)
    return recorded
