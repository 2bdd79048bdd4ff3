"""The table of objects on the screen: Qt asks for the cells it shows, whatever the table's length.

Nothing is copied into items; sorting permutes row numbers.
"""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt, Signal
from qtpy.QtGui import QPainter, QPaintEvent
from qtpy.QtWidgets import QAbstractItemView, QTableView

from chunkseg.napari.objects import Objects

NOWHERE = QModelIndex()
ROW_HEIGHT = 22
NO_TABLE, NO_OBJECTS = "no table yet: choose labels and press Measure", "no objects"


class ObjectsModel(QAbstractTableModel):
    """Objects as Qt asks for them."""

    def __init__(self) -> None:
        super().__init__()
        self.objects: Objects | None = None

    def show_objects(self, objects: Objects | None) -> None:
        """Show other objects."""
        self.beginResetModel()
        self.objects = objects
        self.endResetModel()

    def rowCount(self, parent: QModelIndex = NOWHERE) -> int:  # noqa: N802 - Qt's name
        """Return the number of objects."""
        return 0 if self.objects is None else len(self.objects)

    def columnCount(self, parent: QModelIndex = NOWHERE) -> int:  # noqa: N802 - Qt's name
        """Return the number of columns."""
        return 0 if self.objects is None else len(self.objects.columns)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Text of a cell, which stands right."""
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if role != Qt.ItemDataRole.DisplayRole or self.objects is None:
            return None
        return self.objects.text(index.row(), index.column())

    def headerData(  # noqa: N802 - Qt's name
        self, section: int, orientation: Any, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Name of a column; rows have none."""
        horizontal = orientation == Qt.Orientation.Horizontal
        if role != Qt.ItemDataRole.DisplayRole or not horizontal or self.objects is None:
            return None
        return self.objects.columns[section]

    def sort(self, column: int, order: Any = Qt.SortOrder.AscendingOrder) -> None:
        """Order by a column."""
        if self.objects is None or column < 0:
            return
        self.layoutAboutToBeChanged.emit()
        self.objects.sort(column, order == Qt.SortOrder.AscendingOrder)
        self.layoutChanged.emit()


class ObjectsView(QTableView):
    """The table; a click on a heading sorts, one on a row tells which object it is."""

    picked = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.objects_model = ObjectsModel()
        self.setModel(self.objects_model)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        self.horizontalHeader().setSortIndicatorShown(True)
        self.horizontalHeader().setSectionsClickable(True)
        self.horizontalHeader().sortIndicatorChanged.connect(self._sort)
        self.selectionModel().currentRowChanged.connect(self._tell)
        self._silent = False

    @property
    def objects(self) -> Objects | None:
        """What is shown."""
        return self.objects_model.objects

    def show_objects(self, objects: Objects | None) -> None:
        """Show other objects, in the order of their labels."""
        self.horizontalHeader().setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self.objects_model.show_objects(objects)
        self.resizeColumnsToContents()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw the table; where it is empty, say why."""
        super().paintEvent(event)
        if self.objects_model.rowCount():
            return
        text = NO_TABLE if self.objects is None else NO_OBJECTS
        flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
        painter = QPainter(self.viewport())
        painter.drawText(self.viewport().rect(), int(flags), text)
        painter.end()

    def show_row(self, row: int | None) -> None:
        """Select a row without telling, and scroll to it; None for none."""
        self._silent = True
        if row is None:
            self.clearSelection()
        else:
            self.selectRow(row)
            self.scrollTo(self.objects_model.index(row, 0))
        self._silent = False

    def _sort(self, column: int, order: Any) -> None:
        """Sort; the object that was selected stays so."""
        objects, row = self.objects, self.currentIndex().row()
        number = None if objects is None or row < 0 else objects.order[row]
        self.objects_model.sort(column, order)
        if objects is not None and number is not None:
            self.show_row(int((objects.order == number).argmax()))

    def _tell(self, current: QModelIndex, before: QModelIndex) -> None:
        if not self._silent and current.isValid():
            self.picked.emit(current.row())
