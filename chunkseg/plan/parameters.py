"""The user's choice of parameters, checked, and saved as TOML."""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from chunkseg.errors import FormatError, KindError, ParameterError, PathError
from chunkseg.passes.components import Border
from chunkseg.passes.steps import Blur, ErodeBall, Expand

Spacing = tuple[float, ...]

PIXELS, PHYSICAL = "pixels", "physical"
UNITS = (PIXELS, PHYSICAL)
SCOPES = ("frame", "movie")

_TABLE = "workflow"
_COMMENTS = {
    "units": 'what lengths and sizes are in: "pixels", or "physical": the image\'s own unit',
    "sigma": "standard deviation of the Gaussian blur, in {length} (one number, or one per axis)",
    "threshold": '"otsu", or a number on the scale of the blurred image (integers: 0 to 1)',
    "threshold_scope": 'Otsu\'s threshold of each "frame", or one of the whole "movie"',
    "erosion_radius": "radius in {length} of the ball that splits touching objects; 0: none",
    "erosion_iterations": "how many times the ball erodes",
    "expand_distance": "how far labels grow back, in {length}; absent: as far as was eroded",
    "clear_border": "whether objects that touch the image's border are dropped",
    "clear_border_axes": "the axes whose ends count as border; absent: all",
    "min_size": "objects smaller than this are dropped, in {volume}; absent: none",
    "max_size": "objects larger than this are dropped, in {volume}; absent: none",
    "properties": "what is measured of each object; absent: size, position and intensity",
}
ABSENT = "-"
_EXAMPLES: dict[str, Any] = {
    "expand_distance": 5,
    "clear_border_axes": ["y", "x"],
    "min_size": 100,
    "max_size": 100000,
    "properties": ["size", "intensity"],
}
_SAID = {
    PIXELS: {"length": "voxels", "volume": "voxels"},
    PHYSICAL: {"length": "the image's unit", "volume": "the image's unit cubed (2-D: squared)"},
}


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """Parameters of the lesson: blur, threshold, split, expand, clear the border, measure."""

    units: str = PIXELS
    sigma: float | tuple[float, ...] = 1.0
    threshold: float | str = "otsu"
    threshold_scope: str = "frame"
    erosion_radius: float = 0
    erosion_iterations: int = 1
    expand_distance: float | None = None
    clear_border: bool = True
    clear_border_axes: tuple[str, ...] | None = None
    min_size: float | None = None
    max_size: float | None = None
    properties: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        _one_of(UNITS, self.units, "units")
        _one_of(SCOPES, self.threshold_scope, "threshold_scope")
        set_(self, "sigma", _sigma(self.sigma))
        set_(self, "threshold", _threshold(self.threshold))
        set_(self, "erosion_radius", _radius(self.erosion_radius, self.units))
        set_(self, "erosion_iterations", _iterations(self.erosion_iterations))
        for name in ("expand_distance", "min_size", "max_size"):
            set_(self, name, _length(getattr(self, name), name))
        set_(self, "clear_border_axes", _axes(self.clear_border_axes))
        set_(self, "properties", _names(self.properties))
        if not isinstance(self.clear_border, bool):
            raise KindError(f"clear_border must be True or False; got {self.clear_border!r}")
        self._check_together()

    def _check_together(self) -> None:
        """Refuse choices that contradict each other."""
        if self.clear_border_axes is not None and not self.clear_border:
            raise ParameterError("clear_border_axes is given, but clear_border is off; drop one")
        if self.threshold_scope == "movie" and self.threshold != "otsu":
            raise ParameterError(
                f"threshold_scope='movie' goes with threshold='otsu'; {self.threshold} is the same "
                "for all frames anyway"
            )
        if None not in (self.min_size, self.max_size) and self.min_size > self.max_size:  # type: ignore[operator]
            raise ParameterError(
                f"min_size must not be above max_size; got {self.min_size} and {self.max_size}"
            )

    @property
    def distance(self) -> float:
        """How far labels grow back: ``expand_distance``, by default as far as was eroded."""
        if self.expand_distance is None:
            return float(self.erosion_radius * self.erosion_iterations)
        return float(self.expand_distance)

    @property
    def eroded(self) -> str:
        """The erosion in words.

        Examples
        --------
        >>> Parameters(erosion_radius=1, erosion_iterations=10).eroded
        '1 voxels, 10 times'
        """
        times = f", {self.erosion_iterations} times" if self.erosion_iterations > 1 else ""
        unit = "voxels" if self.units == PIXELS else "in the image's unit"
        return f"{self.erosion_radius:g} {unit}{times}"

    def blur(self, spacing: Spacing) -> Blur:
        """Blur of frames whose voxels have the given size."""
        sigma = self.sigma if isinstance(self.sigma, tuple) else (self.sigma,) * len(spacing)
        if self.units == PHYSICAL:
            sigma = tuple(length / size for length, size in zip(sigma, spacing, strict=True))
        return Blur(sigma)

    def erosion(self, spacing: Spacing) -> ErodeBall | None:
        """Erosion of frames whose voxels have the given size; None for no splitting."""
        if not self.erosion_radius:
            return None
        sizes = spacing if self.units == PHYSICAL else None
        return ErodeBall(self.erosion_radius, len(spacing), self.erosion_iterations, sizes)

    def expansion(self, spacing: Spacing) -> Expand:
        """Expansion of labels in frames whose voxels have the given size."""
        return Expand(self.distance, spacing if self.units == PHYSICAL else (1.0,) * len(spacing))

    def border(self, spatial: Sequence[str]) -> Border | None:
        """Border that objects must not touch, in frames of the given axes; None where they may."""
        if not self.clear_border:
            return None
        wanted = self.clear_border_axes or spatial
        return Border(tuple(i for i, dim in enumerate(spatial) if dim in wanted))

    def fitting(self, voxels: NDArray[np.int64], spacing: Spacing) -> NDArray[np.bool_]:
        """Which objects have a size from ``min_size`` to ``max_size``, given their voxels."""
        sizes = voxels * math.prod(spacing if self.units == PHYSICAL else ())
        low = -math.inf if self.min_size is None else self.min_size
        high = math.inf if self.max_size is None else self.max_size
        return (sizes >= low) & (sizes <= high)

    @property
    def limits_size(self) -> bool:
        """Whether objects are dropped for their size."""
        return self.min_size is not None or self.max_size is not None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, without those that are None."""
        values = {k: v for k, v in asdict(self).items() if v is not None}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Parameters from plain values, as of a TOML file.

        Raises
        ------
        ParameterError
            For an unknown name or a value that can't be used.
        """
        known = [f.name for f in fields(cls)]
        for name in values:
            if name not in known:
                raise ParameterError(f"unknown parameter {name!r}; there are {', '.join(known)}")
        plain: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        return cls(**plain)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the parameters to a TOML file, with a comment each."""
        Path(path).write_text(self.as_toml(), encoding="utf-8")

    def as_toml(self, absent: bool = False) -> str:
        """Text of the TOML file; with ``absent`` also what is not set, as comments.

        Examples
        --------
        >>> Parameters().as_toml(absent=True).splitlines()[-3]
        '# max_size = 100000'
        """
        lines = [f"# chunkseg workflow\n\n[{_TABLE}]"]
        for name, value, meaning in self.explained():
            if value != ABSENT:
                lines.append(f"# {meaning}\n{name} = {value}")
            elif absent:
                lines.append(f"# {meaning}\n# {name} = {_toml(_EXAMPLES[name])}")
        return "\n".join(lines) + "\n"

    def explained(self) -> list[tuple[str, str, str]]:
        """Each parameter's name, its value as TOML has it (``"-"`` if not set), its meaning."""
        values = self.as_dict()
        said = _SAID[self.units]
        return [
            (name, _toml(values[name]) if name in values else ABSENT, comment.format(**said))
            for name, comment in _COMMENTS.items()
        ]

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read parameters from a TOML file that :meth:`save` wrote or a user edited.

        Raises
        ------
        PathError
            If there is no such file.
        FormatError
            If it is not TOML or has no table ``workflow``.
        ParameterError
            For an unknown name or a value that can't be used.
        """
        try:
            content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise PathError(f"workflow file {path} can't be read: {error.strerror}") from error
        except (ValueError, RecursionError) as error:  # also numbers too long, lists too deep
            raise FormatError(f"workflow file {path} is not valid TOML: {error}") from error
        table = content.get(_TABLE)
        if not isinstance(table, dict):
            raise FormatError(f"workflow file {path} needs a table [{_TABLE}]")
        return cls.from_dict(table)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list):
        return f"[{', '.join(_toml(v) for v in value)}]"
    return repr(value)


def _number(value: Any, what: str) -> float:
    if isinstance(value, np.integer | np.floating):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise KindError(f"{what} must be a number; got {value!r}")
    try:
        number = float(value)
    except OverflowError:  # an integer beyond any float
        number = math.inf
    if not math.isfinite(number):
        raise ParameterError(f"{what} must be finite and below 1e308; got {number!r}")
    return number


def _sigma(value: Any) -> float | tuple[float, ...]:
    if isinstance(value, Sequence) and not isinstance(value, str):
        numbers = tuple(_number(v, "sigma") for v in value)
    else:
        numbers = (_number(value, "sigma"),)
    if not numbers or min(numbers) < 0:
        raise ParameterError(f"sigma must not be negative; got {value!r}")
    return numbers if isinstance(value, Sequence) else numbers[0]


def _threshold(value: Any) -> float | str:
    if isinstance(value, str):
        if value != "otsu":
            raise ParameterError(f'threshold must be "otsu" or a number; got {value!r}')
        return value
    return _number(value, "threshold")


def _one_of(known: Sequence[str], value: Any, what: str) -> None:
    if value not in known:
        raise ParameterError(f"{what} must be {' or '.join(map(repr, known))}; got {value!r}")


def _radius(value: Any, units: str) -> float:
    number = _number(value, "erosion_radius")
    if number < 0 or (units == PIXELS and number != int(number)):
        what = "a whole number of voxels" if units == PIXELS else "a number"
        raise ParameterError(f"erosion_radius must be {what}, 0 or more; got {value!r}")
    return int(number) if units == PIXELS else number


def _iterations(value: Any) -> int:
    number = _number(value, "erosion_iterations")
    if number < 1 or number != int(number):
        raise ParameterError(f"erosion_iterations must be a whole number from 1 on; got {value!r}")
    return int(number)


def _length(value: Any, what: str) -> float | None:
    if value is None:
        return None
    number = _number(value, what)
    if number < 0:
        raise ParameterError(f"{what} must not be negative; got {value!r}")
    return number


def _names(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, Sequence) or not names or not all(isinstance(n, str) for n in names):
        raise ParameterError(f"properties must be names of measures; got {value!r}")
    return tuple(names)


def _axes(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    axes = tuple(value.replace(",", "")) if isinstance(value, str) else value
    if not isinstance(axes, Sequence) or not axes or any(a not in ("z", "y", "x") for a in axes):
        raise ParameterError(f"clear_border_axes must be some of z, y, x; got {value!r}")
    return tuple(axes)
