"""Layers of a result and the reader of its folder, without napari."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dask.array as da
import numpy as np
import pytest

import chunkseg as cs
from chunkseg.cli import main
from chunkseg.errors import FormatError, IncompleteError, KindError, ParameterError, PathError
from chunkseg.napari import extra
from chunkseg.napari.described import calibrated, dims_of, may_be_time, named, says_time, shown
from chunkseg.napari.layers import features, layer_data
from chunkseg.napari.reader import get_reader
from chunkseg.napari.viewing import view
from chunkseg.storage.sources import ZarrSource

SPACING = (0.5, 0.25, 0.25)
STACK = cs.synthetic_nuclei((20, 280, 300), count=30, semi_axes=(4, 10), seed=3)
WORKFLOW = cs.Workflow(sigma=1, erosion_radius=2, clear_border_axes=("y", "x"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of an OME-Zarr with levels; the mask was kept."""
    folder = tmp_path_factory.mktemp("napari")
    image = cs.from_array(STACK, spacing=SPACING, unit="um")
    image = image.assign_coords({"x": image.x + 10})
    image.x.attrs |= {"units": "micrometer"}
    cs.save_image(image, folder / "cells.ome.zarr")
    WORKFLOW.run(folder / "cells.ome.zarr", folder / "out", keep=("mask",))
    return folder / "out"


@pytest.fixture(scope="module")
def movie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a movie whose file has t behind y; no mask was kept."""
    folder = tmp_path_factory.mktemp("movie")
    shape = (80, 84)
    each = [cs.synthetic_nuclei(shape, count=12, semi_axes=(3, 6), seed=s) for s in range(3)]
    frames = np.stack(each, axis=1)
    np.save(folder / "movie.npy", frames)
    spacing, unit = {"t": 5, "y": 0.5, "x": 0.5}, {"t": "s", "y": "um", "x": "um"}
    image = cs.open_image(folder / "movie.npy", dims="ytx", spacing=spacing, unit=unit)
    cs.Workflow(sigma=1).run(image, folder / "out")
    return folder / "out"


def layer(data: Any, **more: Any) -> Any:
    """What is asked of a layer of napari."""
    several = isinstance(data, list)
    ndim = (data[0] if several else data).ndim
    told: dict[str, Any] = {
        "name": "a layer",
        "data": data,
        "ndim": ndim,
        "multiscale": several,
        "scale": np.ones(ndim),
        "translate": np.zeros(ndim),
        "units": ("pixel",) * ndim,
        "axis_labels": tuple(f"axis {n}" for n in range(-ndim, 0)),
        "metadata": {},
        "source": SimpleNamespace(path=None),
    }
    return SimpleNamespace(**told | more)


def of(layers: list[Any], name: str) -> tuple[Any, dict[str, Any], str]:
    (found,) = (each for each in layers if each[1]["name"].endswith(name))
    return found


def test_every_level_of_image_mask_and_labels(run: Path) -> None:
    layers = layer_data(run)
    names = [options["name"] for _, options, _ in layers]
    assert names == ["cells.ome.zarr", "out mask", "out labels"]
    assert [kind for _, _, kind in layers] == ["image", "labels", "labels"]
    folders = [run.parent / "cells.ome.zarr", run / "mask.ome.zarr", run / "labels.ome.zarr"]
    for (levels, options, _), folder in zip(layers, folders, strict=True):
        assert options["multiscale"]
        assert [level.shape for level in levels] == [(20, 280, 300), (20, 140, 150)]
        for number, level in enumerate(levels):
            stored = cs.open_image(folder, level=number).to_numpy()
            assert isinstance(level, da.Array)
            np.testing.assert_array_equal(level.compute(), stored)
            expected = np.uint8 if stored.dtype == bool else stored.dtype
            assert level.dtype == expected


def test_calibration(run: Path) -> None:
    for _, options, _ in layer_data(run):
        assert options["scale"] == SPACING
        assert options["translate"] == (0.0, 0.0, 10.0)
        assert options["units"] == ("micrometer",) * 3
        assert options["axis_labels"] == ("z", "y", "x")


def test_only_what_is_seen_is_read(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    whole = ZarrSource._read
    monkeypatch.setattr(ZarrSource, "_read", lambda s, spans: read.append(spans) or whole(s, spans))
    layers = layer_data(run)
    read.clear()  # the input was sampled
    for levels, _, _ in layers:
        levels[1][7, :100, :100].compute(scheduler="sync")
    sizes = [np.prod([s.stop - s.start for s in spans]) for spans in read]
    assert 0 < sum(sizes) <= 3 * 20 * 140 * 150


def test_features_are_the_table_with_a_row_for_background(run: Path) -> None:
    _, options, _ = of(layer_data(run), "labels")
    table = cs.Result.open(run).table
    found = options["features"]
    assert found["index"].tolist() == [0, *table["label"]]
    assert found.loc[0].drop("index").isna().all()
    for column in table.columns.drop("label"):
        np.testing.assert_array_equal(found[column].to_numpy()[1:], table[column].to_numpy())


def test_movies_have_time_first_and_the_features_of_a_frame(movie: Path) -> None:
    layers = layer_data(movie)
    table = cs.Result.open(movie).table
    (image, _, _), (labels, options, _) = of(layers, "npy"), of(layers, "labels")
    stored = np.load(movie.parent / "movie.npy")
    np.testing.assert_array_equal(image.compute().transpose(1, 0, 2), stored)
    np.testing.assert_array_equal(labels.compute(), cs.Result.open(movie).labels.to_numpy())
    assert options["units"] == ("second", "micrometer", "micrometer")
    assert options["scale"] == (5.0, 0.5, 0.5)
    assert options["axis_labels"] == ("t", "y", "x")
    assert options["features"]["index"].tolist() == [0, *table.loc[table["t"] == 0, "label"]]
    second = features(table, 1)
    assert second["area"].tolist()[1:] == table.loc[table["t"] == 1, "area"].tolist()
    assert "t" not in second


def test_an_input_that_is_gone_is_left_out(run: Path, tmp_path: Path, warnings: list[str]) -> None:
    own = Path(shutil.copytree(run, tmp_path / "out"))
    (own / "run.json").write_text((own / "run.json").read_text().replace("cells.ome", "gone.ome"))
    assert [kind for _, _, kind in layer_data(own)] == ["labels", "labels"]
    assert any("without its image" in text for text in warnings)


def test_a_run_that_stopped_at_the_mask(tmp_path: Path) -> None:
    cs.Workflow(threshold=0.5).run(np.eye(9), tmp_path, until="mask")
    ((mask, options, _),) = layer_data(tmp_path)
    assert options["visible"]
    np.testing.assert_array_equal(mask.compute(), cs.Result.open(tmp_path).mask.to_numpy())


def test_what_is_no_run(tmp_path: Path) -> None:
    labels = np.array([[1, 1, 0], [0, 0, 2]])
    cs.measure(labels, tmp_path / "measured")
    with pytest.raises(FormatError, match="not what a run writes"):
        layer_data(tmp_path / "measured")
    with pytest.raises(IncompleteError):
        layer_data(tmp_path)
    with pytest.raises(PathError):
        layer_data(tmp_path / "nowhere")


def test_the_reader_takes_folders_of_runs_only(run: Path) -> None:
    assert get_reader(str(run.parent)) is None
    assert get_reader([str(run)]) is None
    read = get_reader(str(run))
    assert read is not None
    assert len(read(str(run))) == len(read([str(run)])) == 3


def test_without_napari(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(extra, "find_spec", lambda name: None)
    for look in (lambda: view(run), cs.Result.open(run).view):
        with pytest.raises(ParameterError, match=r"napari, qtpy, PySide6: pip install 'chunkseg\["):
            look()
    assert main(["view", str(run)]) == 2
    assert "chunkseg[napari]" in capsys.readouterr().err
    monkeypatch.setattr(extra, "find_spec", lambda name: name != "PySide6" or None)
    assert extra.missing() == []


@pytest.mark.parametrize(
    ("ndim", "first", "asked", "time", "dims"),
    [
        (2, "axis", False, False, "yx"),
        (3, "axis", True, False, "zyx"),
        (3, "z", False, False, "zyx"),
        (3, "t", False, True, "tyx"),
        (4, "axis", False, True, "tzyx"),
    ],
)
def test_what_the_axes_of_a_layer_are(
    ndim: int, first: str, asked: bool, time: bool, dims: str
) -> None:
    data = np.zeros((2,) * ndim)
    given = layer(data, axis_labels=(first, *"?" * (ndim - 1)))
    assert may_be_time(given) == asked
    assert says_time(given) == time
    assert dims_of(given, says_time(given)) == dims


def test_layers_that_can_not_be_used() -> None:
    with pytest.raises(KindError, match="colour image"):
        dims_of(layer(np.zeros((4, 4, 3)), rgb=True), False)
    with pytest.raises(KindError, match="two to four axes"):
        dims_of(layer(np.zeros(4)), False)
    with pytest.raises(KindError, match="Split Stack"):
        dims_of(layer(np.zeros((2, 4, 4)), axis_labels=("c", "y", "x")), False)
    with pytest.raises(KindError, match="those of a layer are x, y, z"):
        dims_of(layer(np.zeros((2, 4, 4)), axis_labels=("x", "y", "z")), False)


def test_arrays_in_memory_are_told_apart() -> None:
    data = np.zeros((4, 4))
    origins = {shown(layer(data), False).origin for _ in range(2)}
    for _ in range(20):  # an id is soon used again
        origins.add(shown(layer(np.zeros((4, 4))), False).origin)
    assert len(origins) == 21


def test_an_array_in_memory_is_another_image_with_other_axes_or_sizes() -> None:
    data = np.zeros((3, 4, 4))
    stack, thin = layer(data), layer(data, scale=(1, 2, 2), units=("micrometer",) * 3)
    told = [shown(stack, False), shown(stack, True), shown(thin, False)]
    assert len({one.origin for one in told}) == 3


def test_a_layer_in_memory_has_the_scale_of_the_layer() -> None:
    data = da.zeros((3, 4, 5), chunks=2)
    image = calibrated(layer(data, scale=(2, 1, 1), units=("micrometer",) * 3), False)
    assert image.dims == ("z", "y", "x")
    assert image.z.attrs == {"units": "micrometer", "spacing": 2.0}
    assert named(layer([data, data[:, ::2]]), True).dims == ("t", "y", "x")
    mixed = calibrated(layer(data, units=("second", "micrometer", "micrometer")), False)
    assert mixed.x.attrs["units"] == "pixel"
    odd = calibrated(layer(data, units=("furlong",) * 3), False)
    assert odd.x.attrs["units"] == "pixel"


def test_a_layer_of_a_file_is_that_file(tmp_path: Path) -> None:
    np.save(tmp_path / "two.npy", np.zeros((2, 6, 7), np.uint8))
    file = SimpleNamespace(path=str(tmp_path / "two.npy"))
    data = np.zeros((2, 6, 7), np.uint8)
    found = shown(layer(data, source=file), time=True)
    assert found.image.dims == ("t", "y", "x")
    assert found.options == {"dims": "tyx"}
    scaled = shown(layer(data, source=file, scale=(1, 2, 2), units=("um",) * 3), time=False)
    assert scaled.options == {"spacing": [1.0, 2.0, 2.0], "unit": "micrometer"}
    assert scaled.image.y.attrs["spacing"] == 2.0
    assert scaled.origin != found.origin
    with pytest.raises(ParameterError, match="name the channel"):
        shown(layer(data[:, :5], source=file), time=False)


def test_a_layer_of_one_channel(tmp_path: Path) -> None:
    image = cs.from_array(np.zeros((2, 6, 7), np.uint8), "cyx", channels=["dna", "actin"])
    cs.save_image(image, tmp_path / "two.ome.zarr")
    file = SimpleNamespace(path=str(tmp_path / "two.ome.zarr"))
    found = shown(layer(np.zeros((6, 7)), source=file), time=False, channel="actin")
    assert found.image.attrs["channel"] == "actin"
    with pytest.raises(ParameterError, match="2 channels"):
        shown(layer(np.zeros((6, 7)), source=file), time=False)
