"""The form of the parameters, from the class of the parameters itself: names, meanings, kinds.

Texts are what stands in a workflow file, without quotes and brackets; an empty one is a parameter
that is not set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields

from chunkseg.api.workflow import Workflow
from chunkseg.plan.parameters import ABSENT, SCOPES, UNITS, Parameters

CHOICES = {"units": UNITS, "threshold_scope": SCOPES}
Value = str | bool


@dataclass(frozen=True)
class Field:
    """One line of the form.

    Attributes
    ----------
    name
        Of the parameter.
    choices
        The texts to choose from; empty for any text.
    tick
        Whether it is on or off.
    """

    name: str
    choices: tuple[str, ...]
    tick: bool

    @property
    def title(self) -> str:
        """Name as a person reads it."""
        return self.name.replace("_", " ").capitalize()


def form_fields() -> list[Field]:
    """One field per parameter, in their order.

    Examples
    --------
    >>> [field.name for field in form_fields()][:3], form_fields()[0].choices
    (['units', 'sigma', 'threshold'], ('pixels', 'physical'))
    """
    return [
        Field(f.name, CHOICES.get(f.name, ()), isinstance(f.default, bool))
        for f in fields(Parameters)
        if f.default is not MISSING
    ]


def values_of(parameters: Parameters) -> dict[str, Value]:
    """What the form shows of parameters.

    Examples
    --------
    >>> found = values_of(Parameters(sigma=(3, 1, 1)))
    >>> found["sigma"], found["clear_border"], found["min_size"]
    ('3.0, 1.0, 1.0', True, '')
    """
    ticks = {field.name for field in form_fields() if field.tick}
    return {
        name: text == "true" if name in ticks else _plain(text)
        for name, text, _ in parameters.explained()
    }


def meanings(parameters: Parameters) -> dict[str, str]:
    """What each parameter means, in the units that are chosen."""
    return {name: meaning for name, _, meaning in parameters.explained()}


def workflow_of(values: Mapping[str, Value]) -> Workflow:
    """Workflow from what the form shows.

    Raises
    ------
    ParameterError, KindError
        For a value that can't be used.

    Examples
    --------
    >>> workflow_of({"sigma": "3, 1, 1", "threshold": "otsu", "clear_border": False}).sigma
    (3.0, 1.0, 1.0)
    """
    read = {name: v if isinstance(v, bool) else _value(v) for name, v in values.items()}
    return Workflow.from_dict({name: v for name, v in read.items() if v is not None})


def _plain(text: str) -> str:
    return "" if text == ABSENT else text.replace('"', "").strip("[]")


def _value(text: str) -> str | float | tuple[str | float, ...] | None:
    parts = [_one(part.strip()) for part in text.split(",") if part.strip()]
    if not parts:
        return None
    return tuple(parts) if "," in text else parts[0]


def _one(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text
