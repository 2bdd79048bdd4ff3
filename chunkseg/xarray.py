"""``import chunkseg.xarray``: the public functions as methods of every DataArray.

``image.chunkseg.gaussian(sigma=3)`` is ``chunkseg.gaussian(image, sigma=3)``. The methods are made
from the functions whose first argument is an image, by name; nothing is computed here.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import xarray as xr

import chunkseg
from chunkseg.api.result import Result
from chunkseg.api.workflow import Workflow
from chunkseg.plan.plan import Plan

FUNCTIONS = (
    "binary_erosion",
    "clear_border",
    "compare_masks",
    "erosion",
    "expand_labels",
    "foreground_fraction",
    "gaussian",
    "label",
    "measure",
    "regionprops_table",
    "relabel_sequential",
    "save_image",
    "store",
    "sweep_radius",
    "threshold_otsu",
)
_PARAMETERS = frozenset(field.name for field in fields(Workflow))


@xr.register_dataarray_accessor("chunkseg")  # type: ignore[no-untyped-call]
class ChunksegAccessor:
    """The public functions as methods, and the workflow.

    Each method is the function of its name with the image in the place of its first argument, and
    takes and returns the same; those that take labels are called on labels.

    Examples
    --------
    >>> import chunkseg as cs, chunkseg.xarray
    >>> image = cs.from_array(cs.synthetic_nuclei((90, 96)), spacing=0.5, unit="um")
    >>> blurred = image.chunkseg.gaussian(sigma=2)
    >>> labels = (blurred > blurred.chunkseg.threshold_otsu()).chunkseg.label()
    >>> table = labels.chunkseg.regionprops_table(image, properties=("label", "area"))
    >>> len(table) == int(labels.max())
    True
    """

    def __init__(self, image: xr.DataArray) -> None:
        self._image = image

    def run(
        self,
        out: str | os.PathLike[str],
        *,
        workflow: Workflow | None = None,
        **parameters: Any,
    ) -> Result:
        """Run a workflow: see :meth:`chunkseg.Workflow.run`.

        Parameters
        ----------
        out : path
            Folder of the result.
        workflow : Workflow, optional
            What to start from, by default ``Workflow()``.
        **parameters
            Parameters of the workflow, put over it, and arguments of its ``run``.

        Returns
        -------
        Result

        Examples
        --------
        >>> import chunkseg as cs, chunkseg.xarray, tempfile
        >>> image = cs.from_array(cs.synthetic_nuclei((90, 96)))
        >>> image.chunkseg.run(tempfile.mkdtemp(), sigma=2, workers=1).run["workflow"]["sigma"]
        2.0
        """
        chosen, options = _chosen(workflow, parameters)
        return chosen.run(self._image, out, **options)

    def plan(self, *, workflow: Workflow | None = None, **parameters: Any) -> Plan:
        """Say what a run will do and need: see :meth:`chunkseg.Workflow.plan`.

        Parameters
        ----------
        workflow : Workflow, optional
            What to start from, by default ``Workflow()``.
        **parameters
            Parameters of the workflow, put over it, and arguments of its ``plan``.

        Returns
        -------
        Plan

        Examples
        --------
        >>> import chunkseg as cs, chunkseg.xarray
        >>> image = cs.from_array(cs.synthetic_nuclei((90, 96)))
        >>> image.chunkseg.plan(sigma=2, block_shape=(50, 50)).blocks
        4
        """
        chosen, options = _chosen(workflow, parameters)
        return chosen.plan(self._image, **options)


def _chosen(
    workflow: Workflow | None, parameters: dict[str, Any]
) -> tuple[Workflow, dict[str, Any]]:
    """Tell parameters of the workflow from arguments of its methods."""
    given = {name: value for name, value in parameters.items() if name in _PARAMETERS}
    options = {name: value for name, value in parameters.items() if name not in _PARAMETERS}
    return replace(Workflow() if workflow is None else workflow, **given), options


def _method(name: str) -> Callable[..., Any]:
    """Make a method of a function, with its signature but for the image."""
    function = getattr(chunkseg, name)

    def method(self: ChunksegAccessor, *args: Any, **options: Any) -> Any:
        return function(self._image, *args, **options)

    signature = inspect.signature(function)
    first, *rest = signature.parameters.values()
    itself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    method.__signature__ = signature.replace(parameters=[itself, *rest])  # type: ignore[attr-defined]
    method.__name__ = name
    method.__qualname__ = f"{ChunksegAccessor.__name__}.{name}"
    text, _, _ = (inspect.getdoc(function) or "").partition("\n\nExamples\n")
    method.__doc__ = f"Call :func:`chunkseg.{name}` with the image as ``{first.name}``.\n\n{text}"
    return method


for _name in FUNCTIONS:
    setattr(ChunksegAccessor, _name, _method(_name))
