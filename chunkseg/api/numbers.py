"""Numbers that users hand in, checked before any work is done."""

from __future__ import annotations

from typing import Any

import numpy as np

from chunkseg.errors import KindError, ParameterError


def number(value: Any, what: str) -> int | float:
    """Return one real number as Python's own; anything else (also a bool) is refused.

    Raises
    ------
    KindError
        If it is not one real number.

    Examples
    --------
    >>> number(np.float32(0.5), "distance")
    0.5
    """
    array = np.asarray(value)
    if array.ndim or array.dtype.kind not in "iuf":
        raise KindError(f"{what} must be a number; got {value!r}")
    return array.item()


def whole(value: Any, what: str, least: int | None = None) -> int:
    """Return a whole number, of at least ``least``.

    Raises
    ------
    KindError
        If it is not one real number.
    ParameterError
        If it is not whole or too small.

    Examples
    --------
    >>> whole(3.0, "radius", least=0)
    3
    """
    given = number(value, what)
    if given % 1 != 0 or (least is not None and given < least):
        bound = "" if least is None else f" of at least {least}"
        raise ParameterError(f"{what} must be a whole number{bound}; got {value!r}")
    return int(given)


def per_axis(value: Any, ndim: int, what: str) -> tuple[float, ...]:
    """One finite number per spatial axis, from one number for all or from a sequence of them.

    Raises
    ------
    KindError
        If there is anything but real numbers.
    ParameterError
        If there are not ``ndim`` of them, or NaN or infinity among them.

    Examples
    --------
    >>> per_axis(2, 3, "sigma")
    (2.0, 2.0, 2.0)
    """
    single = np.asarray(value, dtype=object).ndim == 0
    values = [value] * ndim if single else list(value)
    numbers = tuple(float(number(v, what)) for v in values)
    if len(numbers) != ndim:
        raise ParameterError(
            f"{what} must be one number or one per spatial axis ({ndim}); got {value!r}"
        )
    if not np.isfinite(numbers).all():
        raise ParameterError(f"{what} must be finite; got {value!r}")
    return numbers
