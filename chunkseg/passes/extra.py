"""The user's own measures: functions of one object's crop, as scikit-image's ``extra_properties``.

A function takes the mask of the object's bounding box and, if it has a second argument, the
intensities there (0 outside the object). What it returns for the first object says how many columns
it fills; their dtype is found by trying the function on two small masks, as scikit-image does.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.errors import ParameterError

MISSING = object()


@dataclass(frozen=True, slots=True)
class Extra:
    """One function of the user.

    Attributes
    ----------
    name
        Its name, and that of its columns.
    function
        ``f(mask)`` or ``f(mask, intensities)``.
    needs_image
        Whether it takes intensities.
    """

    name: str
    function: Callable[..., Any]
    needs_image: bool

    @classmethod
    def of(cls, function: Any) -> Extra:
        """Take in a function with one or two required arguments.

        Raises
        ------
        ParameterError
            If it is no named function, or takes another number of arguments.
        """
        name = getattr(function, "__name__", None)
        if not callable(function) or name is None:
            raise ParameterError(
                f"extra_properties must be functions with a name; got {function!r}. Wrap it in a "
                "function (def), whose name becomes that of the column."
            )
        spec = inspect.getfullargspec(function)
        count = len(spec.args) - len(spec.defaults or ())
        if count not in (1, 2):
            raise ParameterError(
                f"extra_properties function {name!r} must take the mask, or the mask and the "
                f"intensities; it takes {count} arguments"
            )
        return cls(name, function, count == 2)

    def __call__(
        self, label: int, mask: NDArray[np.bool_], images: Sequence[NDArray[Any]], split: bool
    ) -> Any:
        """Evaluate for one object.

        Parameters
        ----------
        label
            Its label, for the message of an error.
        mask
            Its crop.
        images
            The channels' crops.
        split
            Whether the channels are several: the results are stacked along a last axis.

        Raises
        ------
        ParameterError
            If the function fails; its own exception is the cause.
        """
        try:
            if not self.needs_image:
                return self.function(mask)
            results = [self.function(mask, image * mask) for image in images]
            return np.stack(results, axis=-1) if split else results[0]
        except Exception as error:
            raise ParameterError(
                f"extra_properties function {self.name!r} failed for label {label}, a crop of "
                f"shape {mask.shape}: {type(error).__name__}: {error}"
            ) from error

    def dtype(self, ndim: int) -> Any:
        """Type of its numbers, from a mask of 2 and one of 3 voxels per axis; object if shapes
        differ.

        Raises
        ------
        ParameterError
            If the function fails for one of these masks.
        """
        single = np.pad(np.ones((1,) * ndim, bool), (0, 1))
        double = np.pad(np.ones((2,) * ndim, bool), (1, 0))
        rng = np.random.default_rng(0)
        first, second = (
            np.asarray(self(1, mask, [rng.random(mask.shape)], False)) for mask in (single, double)
        )
        return first.dtype.type if first.shape == second.shape else np.object_


def extras_of(
    functions: Iterable[Any] | None, taken: Collection[str], has_image: bool
) -> tuple[Extra, ...]:
    """Take in the user's functions.

    Raises
    ------
    ParameterError
        If one can't be used, is named as another or as one of the properties ``taken``, or needs
        an intensity image where there is none.
    """
    extras: list[Extra] = []
    for function in functions or ():
        extra = Extra.of(function)
        if extra.name in taken or extra.name in [e.name for e in extras]:
            raise ParameterError(
                f"extra_properties function {extra.name!r} has the name of another property; "
                "rename it"
            )
        if extra.needs_image and not has_image:
            raise ParameterError(
                f"extra_properties function {extra.name!r} takes intensities, but no intensity "
                "image was given: pass it as intensity_image"
            )
        extras.append(extra)
    return tuple(extras)


def extra_columns(
    extra: Extra,
    results: Sequence[Any],
    labels: Sequence[int],
    dtypes: Sequence[np.dtype[Any]],
    ndim: int,
    channels: Sequence[str] | None,
) -> dict[str, NDArray[Any]]:
    """Columns of a function's results.

    Parameters
    ----------
    extra
        The function.
    results
        What it returned for each object; ``MISSING`` for objects that it was not called for.
    labels
        Their labels.
    dtypes
        Of the intensity images.
    ndim
        Number of axes of a frame.
    channels
        Names of the channels, None for a single unnamed one.

    Returns
    -------
    dict of arrays
        ``name`` for scalars, ``name-0``, ``name-1``, ``name-0-0``, ... for arrays, and with named
        channels ``-channel`` at the end. The dtype is scikit-image's unless it would cut a value
        short. Missing cells are NaN (None in columns of objects), and their columns are floats.

    Raises
    ------
    ParameterError
        If the results of two objects have different shapes.
    """
    kind = extra.dtype(ndim)
    split = channels is not None and extra.needs_image
    there = np.array([r is not MISSING for r in results], bool)
    found = [r for r in results if r is not MISSING]
    shape = np.shape(found[0] if found else _for_no_object(extra, dtypes, ndim, split))
    if kind is np.object_:
        return {extra.name: _objects(found, there)}
    for result, label in zip(found, np.asarray(labels)[there], strict=True):
        if np.shape(result) != shape:
            raise ParameterError(
                f"extra_properties function {extra.name!r} must return the same shape for every "
                f"object: {shape} at first, {np.shape(result)} for label {label}"
            )
    values = _typed(np.array(found).reshape(len(found), *shape), kind, there)
    return {
        "-".join(map(str, (extra.name, *_named(at, channels if split else None)))): np.array(
            values[(slice(None), *at)]
        )
        for at in np.ndindex(*shape)
    }


def _named(at: tuple[int, ...], channels: Sequence[str] | None) -> tuple[Any, ...]:
    return at if channels is None else (*at[:-1], channels[at[-1]])


def _for_no_object(extra: Extra, dtypes: Sequence[np.dtype[Any]], ndim: int, split: bool) -> Any:
    """Return what the function gives for one black voxel: it says the columns of no objects."""
    mask = np.ones((1,) * ndim, bool)
    return extra(1, mask, [np.zeros(mask.shape, dtype) for dtype in dtypes], split)


def _objects(found: Sequence[Any], there: NDArray[np.bool_]) -> NDArray[Any]:
    column = np.full(len(there), None, object)
    for row, result in zip(np.flatnonzero(there), found, strict=True):
        column[row] = result
    return column


def _typed(values: NDArray[Any], kind: Any, there: NDArray[np.bool_]) -> NDArray[Any]:
    """Cast to ``kind`` where no value changes, and put NaN where values are missing."""
    if not len(values):
        values = values.astype(kind)
    elif values.dtype.kind in "biuf":
        cast = values.astype(kind)
        values = cast if np.array_equal(cast, values, equal_nan=True) else values
    if there.all():
        return values
    wide = np.result_type(values.dtype, np.float64) if values.dtype.kind in "biufc" else object
    full = np.full((len(there), *values.shape[1:]), np.nan, wide)
    full[there] = values
    return full
