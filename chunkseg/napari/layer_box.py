"""A combo box of the viewer's layers of one type, which follows the list of layers."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox

NONE = "(none)"


class LayerBox(QComboBox):
    """Layers of some type to choose from; ``optional`` puts "(none)" first."""

    chosen = Signal()

    def __init__(self, viewer: Any, kind: type[Any], optional: bool = False) -> None:
        super().__init__()
        self._viewer, self._kind, self._optional = viewer, kind, optional
        self._layers: list[Any] = []
        self._last: Any = None
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(12)
        self.setPlaceholderText(f"no {kind.__name__.lower()} layer")
        events = viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered):
            event.connect(self.refresh)
        events.inserted.connect(self._follow_name)
        for layer in viewer.layers:
            layer.events.name.connect(self.refresh)
        self.currentIndexChanged.connect(self._tell)
        self.refresh()

    @property
    def layer(self) -> Any:
        """The layer that is chosen; None if there is none."""
        index = self.currentIndex()
        return self._layers[index] if 0 <= index < len(self._layers) else None

    def choose(self, layer: Any) -> None:
        """Choose a layer."""
        self.setCurrentIndex(self._layers.index(layer))

    def refresh(self, event: Any = None) -> None:
        """Take the layers anew; the chosen one stays chosen if it is still there."""
        before = self.layer
        found = [layer for layer in reversed(self._viewer.layers) if type(layer) is self._kind]
        self._layers = [*([None] if self._optional else []), *found]
        self.blockSignals(True)
        self.clear()
        self.addItems([NONE if layer is None else layer.name for layer in self._layers])
        if before in found:
            self.setCurrentIndex(self._layers.index(before))
        elif self._layers:
            self.setCurrentIndex(len(self._layers) - max(1, len(found)))
        self.blockSignals(False)
        self._tell()

    def _follow_name(self, event: Any) -> None:
        event.value.events.name.connect(self.refresh)

    def _tell(self, index: int = 0) -> None:
        if self.layer is not self._last:
            self._last = self.layer
            self.chosen.emit()
