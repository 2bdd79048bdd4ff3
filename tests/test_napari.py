"""The two docks and the window of napari, on Qt's offscreen platform; the window needs OpenGL."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import pytest
from skimage.measure import regionprops_table

import chunkseg as cs
from chunkseg.geometry.boxes import Box

if sys.platform == "linux" and not os.environ.get("DISPLAY"):
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

WHY = "needs the extra: pip install .[napari], and the libraries that Qt needs"
napari = pytest.importorskip("napari", reason=WHY)
widgets = pytest.importorskip("qtpy.QtWidgets", reason=WHY, exc_type=Exception)
npe2 = pytest.importorskip("npe2", reason=WHY)

from napari.components import ViewerModel  # noqa: E402
from napari.layers import Image, Labels  # noqa: E402
from qtpy.QtCore import QSettings, Qt  # noqa: E402

from chunkseg.napari import jobs, remembered, run_box  # noqa: E402
from chunkseg.napari.layers import layer_data  # noqa: E402
from chunkseg.napari.measure_dock import MeasureDock  # noqa: E402
from chunkseg.napari.objects import Objects  # noqa: E402
from chunkseg.napari.table_view import ObjectsView  # noqa: E402
from chunkseg.napari.viewing import add_layers  # noqa: E402
from chunkseg.napari.workflow_dock import WorkflowDock  # noqa: E402

SPACING = (0.5, 0.25, 0.25)
STACK = cs.synthetic_nuclei((20, 280, 300), count=30, semi_axes=(4, 10), seed=3)
WORKFLOW = cs.Workflow(sigma=1, erosion_radius=2, clear_border_axes=("y", "x"))
COLOURS = 8
KEPT: list[Any] = []
"""Widgets of all tests: garbage that a worker's thread collects would be destroyed there."""


@pytest.fixture(scope="module", autouse=True)
def application() -> Any:
    """Qt's application; a second one is refused."""
    return widgets.QApplication.instance() or widgets.QApplication([])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dock")
    image = cs.from_array(STACK, spacing=SPACING, unit="um")
    cs.save_image(image, folder / "cells.ome.zarr")
    WORKFLOW.run(folder / "cells.ome.zarr", folder / "out", keep=("mask",))
    return folder / "out"


@pytest.fixture
def viewer(run: Path) -> ViewerModel:
    """A viewer of the result, without a window."""
    model = ViewerModel()
    add_layers(model, layer_data(run))
    return model


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Docks remember what they are told in this test, and nothing of the user's."""
    file, ini = str(tmp_path / "docks.ini"), QSettings.Format.IniFormat
    monkeypatch.setattr(remembered, "settings", lambda: QSettings(file, ini))


@pytest.fixture
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the screenshots; ``CHUNKSEG_SCREENSHOTS`` names another, to look at them."""
    folder = os.environ.get("CHUNKSEG_SCREENSHOTS")
    return Path(folder) if folder else tmp_path_factory.mktemp("shots")


def kept(widget: Any) -> Any:
    KEPT.append(widget)
    return widget


def measuring(viewer: ViewerModel) -> MeasureDock:
    return kept(MeasureDock(viewer))


def spin(until: Callable[[], bool], seconds: float = 60) -> None:
    """Let Qt work until something is so."""
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, "nothing came of it"
        widgets.QApplication.processEvents()
        time.sleep(0.01)


def shoot(widget: Any, path: Path, size: tuple[int, int] = (380, 760)) -> None:
    """Take a screenshot and see that it is of the size, and not of one colour."""
    widget.resize(*size)
    widget.show()
    widgets.QApplication.processEvents()
    picture = widget.grab().toImage()
    assert picture.save(str(path))
    assert (picture.width(), picture.height()) >= size
    seen = {picture.pixel(x, y) for x in range(0, size[0], 3) for y in range(0, size[1], 3)}
    assert len(seen) >= COLOURS


def measured(dock: MeasureDock) -> Objects:
    dock.measure.click()
    spin(lambda: not dock.job.busy)
    assert dock.table.objects is not None, dock.job.said.text()
    return dock.table.objects


def test_layers_become_layers_of_napari(viewer: ViewerModel, run: Path) -> None:
    image, mask, labels = viewer.layers
    assert [type(layer) for layer in viewer.layers] == [Image, Labels, Labels]
    for layer in viewer.layers:
        assert layer.multiscale
        np.testing.assert_array_equal(layer.scale, SPACING)
        assert [str(unit) for unit in layer.units] == ["micrometer"] * 3
        assert layer.axis_labels == ("z", "y", "x")
    assert viewer.dims.axis_labels == ("z", "y", "x")
    assert not mask.visible
    np.testing.assert_array_equal(labels.data[0].compute(), cs.Result.open(run).labels)
    assert labels._label_index[3] == 3
    assert len(labels.features) == len(cs.Result.open(run).table) + 1
    assert image.metadata["chunkseg"]["source"].endswith("cells.ome.zarr")


def test_the_manifest_is_valid_and_its_commands_exist(run: Path) -> None:
    import chunkseg.napari

    manifest = npe2.PluginManifest.from_file(Path(chunkseg.napari.__file__).parent / "napari.yaml")
    manifest.validate_imports()
    assert [w.display_name for w in manifest.contributions.widgets] == ["Measure", "Workflow"]
    assert manifest.contributions.readers[0].accepts_directories
    manager = npe2.PluginManager()
    manager.register(manifest)
    manager.activate("chunkseg")
    read = manager.commands.execute("chunkseg.read", (str(run),))
    assert [kind for _, _, kind in read(str(run))] == ["image", "labels", "labels"]
    assert manager.commands.execute("chunkseg.read", (str(run.parent),)) is None


def test_the_table_of_a_run_is_there_at_once(viewer: ViewerModel, run: Path) -> None:
    dock = measuring(viewer)
    table = cs.Result.open(run).table
    assert dock.labels.layer is viewer.layers[2]
    assert len(dock.table.objects) == len(table)
    assert f"{len(table)} objects" in dock.job.said.text()
    dock.labels.choose(viewer.layers[1])
    assert dock.table.objects is None
    assert not dock.time.isVisibleTo(dock)


def test_measuring_gives_what_scikit_image_gives(
    viewer: ViewerModel, run: Path, tmp_path: Path
) -> None:
    dock = measuring(viewer)
    for name, tick in dock.groups.items():
        tick.setChecked(name in ("size", "intensity", "shape", "perimeter"))
    objects = measured(dock)
    names = ["label", "area", "solidity", "intensity_mean", "extent"]
    labels = cs.Result.open(run).labels.to_numpy()
    expected = regionprops_table(labels, STACK, properties=names, spacing=SPACING)
    for name in names:
        np.testing.assert_allclose(objects.table[name], expected[name], rtol=1e-9)
    assert objects.columns[0] == "label"
    assert objects.columns[-3:] == ["centroid-0", "centroid-1", "centroid-2"]
    said = (
        f"{len(expected['label'])} objects; lengths in µm, boxes in voxels; not defined for these: "
    )
    assert dock.job.said.text() == f"{said}Perimeter"
    dock.save_as(tmp_path / "objects.csv")
    saved = pd.read_csv(tmp_path / "objects.csv")
    np.testing.assert_allclose(saved["area"], objects.table["area"])
    dock.save_as(tmp_path / "nowhere" / "objects.csv")
    assert "nowhere" in dock.job.said.text()


def test_rows_and_objects_select_each_other(viewer: ViewerModel) -> None:
    dock = measuring(viewer)
    objects, layer = measured(dock), viewer.layers[2]
    heading = dock.table.horizontalHeader()
    heading.setSortIndicator(objects.columns.index("area"), Qt.SortOrder.DescendingOrder)
    areas = objects.table["area"].to_numpy()[objects.order]
    assert (np.diff(areas) <= 0).all()
    dock.table.selectRow(0)
    largest = objects.table.loc[objects.table["area"].idxmax()]
    assert layer.selected_label == largest["label"]
    centre = [largest[f"centroid-{axis}"] for axis in range(3)]
    np.testing.assert_allclose(viewer.scene.camera.center[-2:], centre[1:])
    assert viewer.dims.current_step[0] == round(centre[0] / SPACING[0])
    other = int(objects.table["label"].iloc[4])
    layer.selected_label = other
    assert objects.label(dock.table.currentIndex().row()) == other
    np.testing.assert_allclose(viewer.scene.camera.center[-2:], centre[1:])  # the view stays
    heading.setSortIndicator(0, Qt.SortOrder.AscendingOrder)
    assert objects.label(dock.table.currentIndex().row()) == other
    layer.selected_label = 10_000
    assert not dock.table.selectionModel().hasSelection()


def test_movies_show_the_features_of_the_frame(tmp_path: Path) -> None:
    movie = np.stack(
        [cs.synthetic_nuclei((80, 84), count=12, semi_axes=(3, 6), seed=s) for s in range(3)]
    )
    image = cs.from_array(movie, "tyx", spacing={"t": 5, "y": 0.5, "x": 0.5}, unit="um")
    cs.Workflow(sigma=1, clear_border=False).run(image, tmp_path)
    table = cs.Result.open(tmp_path).table
    viewer = ViewerModel()
    add_layers(viewer, layer_data(tmp_path))
    viewer.add_image(movie, name="movie", scale=(5, 0.5, 0.5))
    dock, layer = measuring(viewer), viewer.layers[0]
    for frame in (2, 0, 1):
        viewer.dims.set_current_step(0, frame)
        areas = table.loc[table["t"] == frame, "area"]
        assert layer.features["area"].tolist()[1:] == areas.tolist()
    layer.selected_label = 2
    row = dock.table.currentIndex().row()
    assert table.loc[dock.table.objects.order[row], ["t", "label"]].tolist() == [1, 2]
    last = len(table) - 1
    dock.table.selectRow(last)
    assert viewer.dims.current_step[0] == 2
    assert layer.selected_label == table["label"].iloc[last]
    assert dock.time.isChecked()
    assert set(measured(dock).table["t"]) == {0, 1, 2}


def test_boxes_follow_the_layers(viewer: ViewerModel) -> None:
    dock = measuring(viewer)
    names = [dock.labels.itemText(i) for i in range(dock.labels.count())]
    assert names == ["out labels", "out mask"]
    assert dock.image.itemText(0) == "(none)"
    added = viewer.add_labels(np.eye(4, dtype=int), name="mine")
    assert dock.labels.layer.name == "out labels"
    dock.labels.choose(added)
    added.name = "yours"
    assert dock.labels.currentText() == "yours"
    viewer.layers.remove(added)
    assert dock.labels.layer.name == "out labels"
    viewer.layers.clear()
    assert dock.labels.layer is None
    dock.measure.click()
    assert "no labels layer" in dock.job.said.text()
    dock.save_as(Path("never.csv"))
    assert "press Measure first" in dock.job.said.text()


def test_what_can_not_be_measured_is_said(viewer: ViewerModel) -> None:
    dock = measuring(viewer)
    dock.image.setCurrentIndex(0)
    for name, tick in dock.groups.items():
        tick.setChecked(name == "intensity")
    dock.measure.click()
    spin(lambda: not dock.job.busy)
    assert "intensities need an image" in dock.job.said.text()
    assert jobs.ERROR_COLOUR in dock.job.said.styleSheet()


def test_work_is_told_and_cancelled(viewer: ViewerModel) -> None:
    dock = measuring(viewer)
    told: list[tuple[str, int, int]] = []
    dock.job.progressed.connect(lambda *args: told.append(args))

    def forever(tell: Callable[[str, int, int], None]) -> None:
        for number in range(10_000):
            tell("count", number, 10_000)
            time.sleep(0.01)

    dock.job.start(forever, lambda result: None)
    assert not dock.measure.isEnabled()
    spin(lambda: len(told) > 2)
    assert dock.job.bar.maximum() == 10_000
    dock.job.cancel.click()
    spin(lambda: not dock.job.busy)
    assert dock.job.said.text() == "Cancelled."
    assert dock.measure.isEnabled()
    assert len(told) < 1000


def test_a_million_rows_are_not_copied() -> None:
    n = 1_000_000
    table = pd.DataFrame({"label": np.arange(1, n + 1), "area": np.arange(n, 0, -1.0)})
    view = kept(ObjectsView())
    start = time.process_time()
    view.show_objects(Objects(table))
    model = view.objects_model
    assert np.shares_memory(view.objects._columns[1], table["area"].to_numpy())
    model.sort(1, Qt.SortOrder.AscendingOrder)
    assert model.data(model.index(0, 0)) == str(n)
    assert model.rowCount() == n
    view.show_row(view.objects.row_of(5))
    assert view.currentIndex().row() == n - 5
    print(f"a million rows shown, sorted and searched in {time.process_time() - start:.2f} s")


def test_empty_tables_say_why(shots: Path) -> None:
    seen = []
    for name, table in (("nothing", None), ("none", pd.DataFrame({"label": [], "area": []}))):
        view = kept(ObjectsView())
        view.show_objects(None if table is None else Objects(table))
        shoot(view, shots / f"{name}.png", (300, 200))
        seen.append(view.viewport().grab().toImage())
    assert seen[0] != seen[1]


def filled(viewer: ViewerModel) -> WorkflowDock:
    dock = kept(WorkflowDock(viewer))
    dock.form.show_parameters(WORKFLOW)
    return dock


def look_at(viewer: ViewerModel, centre: tuple[float, float], zoom: float) -> None:
    viewer.canvas.size = (200, 240)
    viewer.dims.set_current_step(0, 10)
    viewer.scene.camera.center = (0, *centre)
    viewer.scene.camera.zoom = zoom


def test_a_preview_is_the_crop_of_the_run(viewer: ViewerModel, run: Path) -> None:
    dock = filled(viewer)
    dock.ticks["mask"].setChecked(True)
    look_at(viewer, (35, 40), 5)
    dock.planes.setValue(9)
    dock.try_it.click()
    spin(lambda: not dock.job.busy)
    assert f"of the run {run}" in dock.job.said.text()
    mask, labels = (viewer.layers[name] for name in ("preview mask", "preview labels"))
    core = Box((6, 60, 64), (15, 221, 257))
    assert mask.data.shape == labels.data.shape == core.shape
    np.testing.assert_allclose(mask.translate, np.multiply(core.start, SPACING))
    full = cs.Result.open(run)
    np.testing.assert_array_equal(mask.data, full.mask.to_numpy()[core.slices()])
    assert [str(unit) for unit in mask.units] == ["micrometer"] * 3
    dock.form.editors["sigma"].setText("2")
    look_at(viewer, (0, 0), 5)
    dock.try_it.click()
    spin(lambda: not dock.job.busy)
    assert "found in the image" in dock.job.said.text()
    assert [layer.name for layer in viewer.layers[-2:]] == ["preview mask", "preview labels"]
    assert len(viewer.layers) == 5


def test_a_layer_in_memory_is_previewed_and_saved_for_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = ViewerModel(ndisplay=3)
    viewer.add_image(da.from_array(STACK[:, :60, :70], chunks=16), scale=(2, 1, 1))
    dock = filled(viewer)
    dock.ticks["mask"].setChecked(True)
    dock.try_it.click()
    spin(lambda: not dock.job.busy)
    full = WORKFLOW.run(STACK[:, :60, :70], tmp_path / "out", keep=("mask",))
    mask, labels = (viewer.layers[name].data for name in ("preview mask", "preview labels"))
    np.testing.assert_array_equal(mask, full.mask.to_numpy())
    np.testing.assert_array_equal(labels > 0, full.labels.to_numpy() > 0)
    assert f"{len(full.table)} whole object" in dock.job.said.text()
    started: list[Any] = []
    monkeypatch.setattr(run_box.FullRun, "start", lambda *told: started.append(told))
    dock.run.out.setText(str(tmp_path / "run"))
    dock.run.start.click()
    spin(lambda: started)
    ((shown, workflow, out),) = started
    assert (workflow, out) == (WORKFLOW, tmp_path / "run")
    np.testing.assert_array_equal(cs.open_image(shown.file), STACK[:, :60, :70])
    result = SimpleNamespace(code=0, out=tmp_path / "out", tidy=lambda: None)
    for _ in range(2):  # a result that is shown again takes the place of its layers
        dock.run.running = result
        dock.run.look()
        assert [layer.name for layer in viewer.layers[-2:]] == ["out mask", "out labels"]
        assert len(viewer.layers) == 5
    labels = viewer.layers["out labels"]
    assert labels.scale.tolist() == [2, 1, 1]
    assert run_box.shows_result(labels, tmp_path / "elsewhere" / ".." / "out")
    assert not run_box.shows_result(labels, tmp_path / "elsewhere" / "out")
    assert not run_box.shows_result(viewer.layers["preview labels"], tmp_path / "out")


def test_layers_of_a_preview_come_on_request(viewer: ViewerModel) -> None:
    dock = filled(viewer)

    def tried(*ticked: str) -> list[str]:
        for name, tick in dock.ticks.items():
            tick.setChecked(name in ticked)
        dock.try_it.click()
        spin(lambda: not dock.job.busy)
        return [layer.name for layer in viewer.layers[3:]]

    look_at(viewer, (35, 40), 5)
    assert tried() == ["preview labels"]
    labels = viewer.layers["preview labels"]
    labels.contour = 2
    assert tried("seeds", "mask") == ["preview mask", "preview labels", "preview seeds"]
    seeds, mask = viewer.layers["preview seeds"].data, viewer.layers["preview mask"].data
    assert 0 < np.count_nonzero(seeds) < np.count_nonzero(mask)
    look_at(viewer, (30, 30), 5)
    assert tried("seeds") == ["preview labels", "preview seeds"]
    assert viewer.layers["preview labels"] is labels
    assert labels.contour == 2
    np.testing.assert_array_equal(labels.translate, viewer.layers["preview seeds"].translate)


def test_layers_that_are_gone_when_work_ends(viewer: ViewerModel) -> None:
    dock, measure = filled(viewer), measuring(viewer)
    dock.try_it.click()
    measure.measure.click()
    viewer.layers.clear()
    spin(lambda: not dock.job.busy and not measure.job.busy)
    assert not viewer.layers
    assert dock.job.said.text() == "cells.ome.zarr is gone"
    assert measure.job.said.text().startswith("out labels was measured, but")


def test_docks_remember_what_was_tried(viewer: ViewerModel) -> None:
    dock, measure = filled(viewer), measuring(viewer)
    dock.ticks["seeds"].setChecked(True)
    dock.planes.setValue(7)
    dock.run.out.setText("somewhere")
    dock.try_it.click()
    for name, tick in measure.groups.items():
        tick.setChecked(name == "moments")
    measure.measure.click()
    spin(lambda: not dock.job.busy and not measure.job.busy)
    again, measured = kept(WorkflowDock(viewer)), measuring(viewer)
    assert again.form.workflow() == WORKFLOW
    assert [again.planes.value(), again.run.out.text()] == [7, "somewhere"]
    assert [tick.isChecked() for tick in again.ticks.values()] == [False, True]
    assert [n for n, tick in measured.groups.items() if tick.isChecked()] == ["moments"]
    again.reset.click()
    assert again.form.workflow() == cs.Workflow()
    remembered.settings().setValue("workflow", "{")
    assert kept(WorkflowDock(viewer)).form.workflow() == cs.Workflow()


def test_what_can_not_be_previewed_is_said(viewer: ViewerModel) -> None:
    dock = filled(viewer)
    dock.form.editors["sigma"].setText("-1")
    dock.try_it.click()
    assert "sigma must not be negative" in dock.job.said.text()
    dock.form.editors["sigma"].setText("1, 1")
    dock.try_it.click()
    spin(lambda: not dock.job.busy)
    assert "one per spatial axis" in dock.job.said.text()
    dock.run.start.click()
    assert "name the folder" in dock.run.job.said.text()
    viewer.layers.clear()
    dock.try_it.click()
    assert "no image layer" in dock.job.said.text()


def test_workflows_are_saved_and_loaded(viewer: ViewerModel, tmp_path: Path) -> None:
    dock = filled(viewer)
    dock.form.editors["units"].setCurrentText("physical")
    assert "the image's unit" in dock.form.editors["sigma"].toolTip()
    assert dock.form.editors["expand_distance"].placeholderText() == "as far as was eroded"
    dock.form.editors["clear_border"].setChecked(False)
    dock.save_as(tmp_path / "wf.toml")
    assert "clear_border_axes is given" in dock.job.said.text()
    dock.form.editors["clear_border_axes"].setText("")
    dock.save_as(tmp_path / "wf.toml")
    saved = cs.Workflow.load(tmp_path / "wf.toml")
    assert saved == cs.Workflow(units="physical", sigma=1, erosion_radius=2, clear_border=False)
    dock.load_from(tmp_path / "none.toml")
    assert "can't be read" in dock.job.said.text()
    WORKFLOW.save(tmp_path / "wf.toml")
    dock.load_from(tmp_path / "wf.toml")
    assert dock.form.workflow() == WORKFLOW


def test_the_full_run_and_its_end(viewer: ViewerModel, run: Path, tmp_path: Path) -> None:
    dock = filled(viewer)
    dock.run.out.setText(str(tmp_path / "again"))
    dock.run.start.click()
    assert not dock.run.start.isEnabled()
    spin(lambda: dock.run.start.isEnabled())
    assert dock.run.job.said.text() == f"done: {tmp_path / 'again'}"
    assert viewer.layers[-1].name == "again labels"
    np.testing.assert_array_equal(viewer.layers[-1].data[0].compute(), cs.Result.open(run).labels)
    again = "Start it again and it goes on with what is done."
    ends = {2: "error: 1 block", 3: f"error: 1 block. {again}", 130: f"Interrupted. {again}"}
    for code, told in ends.items():
        failed = SimpleNamespace(code=code, said=lambda: "error: 1 block", tidy=lambda: None)
        dock.run.running = failed
        dock.run.look()
        assert dock.run.job.said.text() == told
        assert (jobs.ERROR_COLOUR in dock.run.job.said.styleSheet()) == (code != 130)


def test_screenshots_of_the_docks(viewer: ViewerModel, shots: Path) -> None:
    from napari.qt import get_stylesheet

    for name, dock in (("measure", measuring(viewer)), ("workflow", filled(viewer))):
        dock.setStyleSheet(get_stylesheet("dark"))
        shoot(dock, shots / f"{name}.png")


@pytest.fixture
def window(run: Path) -> Iterator[Any]:
    """A real window; offscreen Qt has no OpenGL for its canvas."""
    if widgets.QApplication.platformName() == "offscreen":
        pytest.skip("needs a display with OpenGL, as xvfb-run gives; offscreen Qt has none")
    shown = cs.Result.open(run).view()
    yield shown
    shown.close()


def test_the_window(window: Any, run: Path, shots: Path) -> None:
    dock = window.window.dock_widgets["Measure"]
    assert isinstance(dock, MeasureDock)
    assert cs.Result.open(run).view(window) is window
    assert len(window.layers) == 6
    dock.table.selectRow(2)
    widgets.QApplication.processEvents()
    shoot(window.window._qt_window, shots / "window.png", (1400, 900))
