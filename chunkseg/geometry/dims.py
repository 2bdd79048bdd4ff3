"""Names of axes: an image's are some of ``t c z y x``."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

from chunkseg.errors import ParameterError
from chunkseg.geometry.layout import LOOPED

AXES = ("t", "c", "z", "y", "x")

_DEFAULT_DIMS = {2: ("y", "x"), 3: ("z", "y", "x")}


def spatial(dims: Iterable[Hashable]) -> tuple[str, ...]:
    """Names of the axes within a frame: all but ``t`` and ``c``."""
    return tuple(str(d) for d in dims if d not in LOOPED)


def parse_dims(dims: str | Sequence[str] | None, shape: Sequence[int]) -> tuple[str, ...]:
    """Names of the axes of an array of the given shape.

    Parameters
    ----------
    dims
        A text of one letter per axis or a sequence of letters; None is ``yx`` or ``zyx``.
    shape
        Shape of the array.

    Raises
    ------
    ParameterError
        If a name is unknown or comes twice, if there are not as many as axes, or if there is no
        default.
    """
    if dims is None:
        if len(shape) not in _DEFAULT_DIMS:
            raise ParameterError(
                f"an array of shape {tuple(shape)} needs names for its {len(shape)} axes; "
                f"pass dims=, for example dims='{example_dims(len(shape))}'"
            )
        return _DEFAULT_DIMS[len(shape)]
    names = tuple(dims)
    if not set(names) <= set(AXES) or len(set(names)) != len(names):
        raise ParameterError(
            f"dims= takes each of the letters t c z y x at most once, not {dims!r}"
        )
    if len(names) != len(shape):
        raise ParameterError(
            f"dims={dims!r} names {len(names)} axes, but the array has {len(shape)}: "
            f"shape {tuple(shape)}"
        )
    return names


def example_dims(ndim: int) -> str:
    """Names that the axes of an image may have; all there are where it has more.

    Examples
    --------
    >>> example_dims(3), example_dims(4), example_dims(6)
    ('zyx', 'tzyx', 'tczyx')
    """
    return {4: "tzyx"}.get(ndim, "tczyx"[-min(ndim, 5) :])
