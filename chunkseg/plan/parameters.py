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

from chunkseg.errors import FormatError, KindError, ParameterError, PathError

_TABLE = "workflow"
_COMMENTS = {
    "sigma": "standard deviation of the Gaussian blur, in voxels (one number, or one per axis)",
    "threshold": '"otsu", or a number on the scale of the blurred image (integers: 0 to 1)',
    "erosion_radius": "radius in voxels of the ball that splits touching objects; 0: no splitting",
    "expand_distance": "how far labels grow back, in voxels; absent: the erosion radius",
    "clear_border": "whether objects that touch the image's border are dropped",
    "clear_border_axes": "the axes whose ends count as border; absent: all",
}


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """Parameters of the lesson: blur, threshold, split, expand, clear the border, measure."""

    sigma: float | tuple[float, ...] = 1.0
    threshold: float | str = "otsu"
    erosion_radius: int = 0
    expand_distance: float | None = None
    clear_border: bool = True
    clear_border_axes: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "sigma", _sigma(self.sigma))
        set_(self, "threshold", _threshold(self.threshold))
        set_(self, "erosion_radius", _radius(self.erosion_radius))
        set_(self, "expand_distance", _distance(self.expand_distance))
        set_(self, "clear_border_axes", _axes(self.clear_border_axes))
        if not isinstance(self.clear_border, bool):
            raise KindError(f"clear_border must be True or False; got {self.clear_border!r}")
        if self.clear_border_axes is not None and not self.clear_border:
            raise ParameterError("clear_border_axes is given, but clear_border is off; drop one")

    @property
    def distance(self) -> float:
        """How far labels grow back: ``expand_distance``, by default the erosion radius."""
        return float(self.erosion_radius if self.expand_distance is None else self.expand_distance)

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
        lines = [f"# chunkseg workflow\n\n[{_TABLE}]"]
        for name, value in self.as_dict().items():
            lines.append(f"# {_COMMENTS[name]}\n{name} = {_toml(value)}")
        Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")

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


def _radius(value: Any) -> int:
    number = _number(value, "erosion_radius")
    if number < 0 or number != int(number):
        raise ParameterError(
            f"erosion_radius must be a whole number of voxels, 0 or more; got {value!r}"
        )
    return int(number)


def _distance(value: Any) -> float | None:
    if value is None:
        return None
    number = _number(value, "expand_distance")
    if number < 0:
        raise ParameterError(f"expand_distance must not be negative; got {value!r}")
    return number


def _axes(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    axes = tuple(value.replace(",", "")) if isinstance(value, str) else value
    if not isinstance(axes, Sequence) or not axes or any(a not in ("z", "y", "x") for a in axes):
        raise ParameterError(f"clear_border_axes must be some of z, y, x; got {value!r}")
    return tuple(axes)
