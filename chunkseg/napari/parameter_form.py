"""The form of a workflow's parameters: an editor for each, of the kind that it needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qtpy.QtWidgets import QCheckBox, QComboBox, QFormLayout, QLineEdit, QWidget

from chunkseg.api.workflow import Workflow
from chunkseg.napari.form import Field, Value, form_fields, meanings, values_of, workflow_of
from chunkseg.plan.parameters import Parameters

SHORT = 60


class ParameterForm(QWidget):
    """Editors of all parameters; tool tips say what they mean."""

    def __init__(self) -> None:
        super().__init__()
        lines = QFormLayout(self)
        lines.setContentsMargins(0, 0, 0, 0)
        self.editors: dict[str, Any] = {}
        for field in form_fields():
            self.editors[field.name] = self._editor(field)
            lines.addRow("" if field.tick else field.title, self.editors[field.name])
        self.show_parameters(Parameters())
        self.editors["units"].currentTextChanged.connect(self._explain)

    @property
    def values(self) -> dict[str, Value]:
        """What stands in the form."""
        return {name: _value(editor) for name, editor in self.editors.items()}

    def workflow(self) -> Workflow:
        """Workflow of what stands in the form.

        Raises
        ------
        ParameterError, KindError
            For a value that can't be used.
        """
        return workflow_of(self.values)

    def show_parameters(self, parameters: Parameters) -> None:
        """Show other parameters."""
        self.show_values(values_of(parameters))

    def show_values(self, values: Mapping[str, Value]) -> None:
        """Show what stood in a form; lines that it did not have stay."""
        for name in self.editors.keys() & values:
            _show(self.editors[name], values[name])
        self._explain()

    def _editor(self, field: Field) -> Any:
        if field.tick:
            editor: Any = QCheckBox(field.title)
        elif field.choices:
            editor = QComboBox()
            editor.addItems(field.choices)
        else:
            editor = QLineEdit()
            editor.setMinimumWidth(SHORT)
        return editor

    def _explain(self, units: str = "") -> None:
        """Say what each parameter means in the units that are chosen."""
        said = meanings(Parameters(units=self.editors["units"].currentText()))
        for name, editor in self.editors.items():
            editor.setToolTip(said[name])
            if isinstance(editor, QLineEdit):
                editor.setPlaceholderText(_absent(said[name]))


def _absent(meaning: str) -> str:
    """What the absence of a parameter means, from what its comment says of it."""
    return meaning.partition("absent: ")[2]


def _value(editor: Any) -> Value:
    if isinstance(editor, QCheckBox):
        return bool(editor.isChecked())
    text = editor.currentText() if isinstance(editor, QComboBox) else editor.text()
    return str(text)


def _show(editor: Any, value: Value) -> None:
    if isinstance(editor, QCheckBox):
        editor.setChecked(bool(value))
    elif isinstance(editor, QComboBox):
        editor.setCurrentText(str(value))
    else:
        editor.setText(str(value))
