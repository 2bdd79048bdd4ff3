"""What is previewed is what a full run has there; thresholds, forms and full runs around it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chunkseg as cs
from chunkseg.errors import OutputExistsError, ParameterError
from chunkseg.geometry.boxes import Box
from chunkseg.geometry.layout import Layout
from chunkseg.napari import masks, searching, trial
from chunkseg.napari import thresholds as found_thresholds
from chunkseg.napari.described import Shown, origin_of
from chunkseg.napari.form import form_fields, meanings, values_of, workflow_of
from chunkseg.napari.launching import FullRun, command_of, on_disk
from chunkseg.napari.masks import Masks, Region, computed
from chunkseg.napari.preview import Preview, preview
from chunkseg.napari.seen import Seen, seen
from chunkseg.napari.thresholds import ESTIMATED, FOUND, GIVEN, Thresholds, one_frame
from chunkseg.napari.trial import Known, Trial, region_of
from chunkseg.plan.parameters import Parameters
from chunkseg.runner import tasks
from chunkseg.runner.progress import silent
from chunkseg.runner.sweep import Input
from chunkseg.runner.thresholds import estimated_thresholds
from chunkseg.storage.leaves import MemorySource
from tests.lesson import lesson

STACK = cs.synthetic_nuclei((20, 90, 96), count=24, semi_axes=(3, 9), seed=5)
SPACING = (0.5, 0.25, 0.25)
BOXES = [
    Box((0, 0, 0), (20, 90, 96)),
    Box((4, 20, 30), (16, 70, 80)),
    Box((0, 0, 0), (20, 50, 60)),
    Box((9, 40, 41), (10, 60, 70)),
]
WORKFLOWS = {
    "voxels": cs.Workflow(sigma=1, erosion_radius=3, clear_border_axes=("y", "x"), min_size=400),
    "physical": cs.Workflow(
        units="physical", sigma=0.3, erosion_radius=0.8, erosion_iterations=2, max_size=60
    ),
    "whole": cs.Workflow(sigma=(0.5, 2, 1), threshold=0.3, clear_border=False, expand_distance=4),
}


def masks_of(labels: np.ndarray[Any, Any], core: Box) -> dict[int, set[int]]:
    """Voxels of each label that lies in a box and not at a side where the image goes on."""
    found = {}
    for number in np.unique(labels[core.slices()]).tolist():
        at = np.argwhere(labels == number)
        low, high = at.min(axis=0), at.max(axis=0) + 1
        clear = all(
            (a > s or (s == 0 and a == 0)) and (b < e or (e == n and b == n))
            for a, b, s, e, n in zip(low, high, core.start, core.stop, labels.shape, strict=True)
        )
        if number and clear:
            inside = at - core.start
            found[number] = set(np.ravel_multi_index(inside.T, core.shape).tolist())
    return found


def assert_agrees(
    got: Preview, mask: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], core: Box
) -> int:
    """Compare with a full run: its mask, and its objects that lie wholly in the box."""
    np.testing.assert_array_equal(got.mask, mask[core.slices()])
    flat = got.labels.reshape(-1)
    pieces = [frozenset(np.flatnonzero(flat == n).tolist()) for n in range(1, flat.max() + 1)]
    expected = [frozenset(voxels) for voxels in masks_of(labels, core).values()]
    assert set(expected) <= set(pieces)
    assert len(pieces) == got.whole + got.cut
    assert got.whole <= len(expected)
    foreground = labels[core.slices()] != 0
    assert got.labels[foreground].all()
    assert np.array_equal(got.labels != 0, foreground) or got.cut
    return len(expected)


def region(image: np.ndarray[Any, Any], core: Box, spacing: Any = None, frame: int = 0) -> Region:
    source = Input(MemorySource(image), Layout.of(image.shape))
    return Region(source, frame, core, tuple("zyx"[-image.ndim :]), spacing or (1.0,) * image.ndim)


@st.composite
def boxes(draw: st.DrawFn, shape: tuple[int, ...]) -> Box:
    spans = [sorted(draw(st.tuples(st.integers(0, n - 1), st.integers(1, n)))) for n in shape]
    return Box(
        tuple(min(a, n - 1) for (a, _), n in zip(spans, shape, strict=True)),
        tuple(max(a + 1, b) for a, b in spans),
    )


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray[Any, Any], Box, dict[str, Any]]:
    ndim = draw(st.integers(2, 3))
    shape = draw(st.tuples(*[st.integers(4, 26 if ndim == 2 else 12)] * ndim))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    coarse = rng.integers(0, 200, [-(-n // 3) for n in shape]).astype(np.uint8)
    image = np.kron(coarse, np.ones((3,) * ndim, np.uint8))[tuple(slice(n) for n in shape)]
    options = {
        "sigma": draw(st.sampled_from([0, 0.6, 1])),
        "radius": draw(st.integers(0, 2)),
        "border": draw(st.booleans()),
    }
    return image, draw(boxes(image.shape)), options


@settings(max_examples=60)
@given(cases())
def test_a_region_is_that_of_the_whole_image(case: Any) -> None:
    image, core, options = case
    whole = lesson(image, **options)
    parameters = Parameters(
        sigma=options["sigma"],
        erosion_radius=options["radius"],
        clear_border=options["border"],
    )
    kept = Masks().of("mask")
    for mask_of in (computed, kept, kept):
        got = preview(parameters, region(image, core), whole.threshold, mask_of)
        np.testing.assert_array_equal(got.seeds != 0, whole.seeds[core.slices()] != 0)
    inside = assert_agrees(got, whole.mask, whole.labels, core)
    if not options["border"]:
        np.testing.assert_array_equal(got.labels != 0, whole.expanded[core.slices()] != 0)
    if core == Box.whole(image.shape):
        assert (got.whole, got.cut) == (inside, 0) == (whole.counts[2], 0)


@pytest.fixture(scope="module", params=WORKFLOWS)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A full run of a file, its workflow and its image."""
    folder = tmp_path_factory.mktemp("run")
    np.save(folder / "stack.npy", STACK)
    opened = {"spacing": list(SPACING), "unit": "micrometer"}
    image = cs.open_image(folder / "stack.npy", **opened)
    workflow = WORKFLOWS[request.param]
    result = workflow.run(image, folder / "out", keep=("mask",), block_shape=(12, 50, 40))
    return result, workflow, Shown.of_file(image)


@pytest.mark.parametrize("core", BOXES, ids=["all", "middle", "corner", "plane"])
def test_a_preview_is_the_crop_of_the_full_run(run: Any, core: Box) -> None:
    result, workflow, image = run
    threshold = result.thresholds.iloc[0]
    got = preview(workflow, region_of(image, Seen(0, core)), threshold)
    mask, labels = result.mask.to_numpy(), result.labels.to_numpy()
    inside = assert_agrees(got, mask, labels, core)
    assert got.whole == inside
    if core == BOXES[0]:
        dropped = result.dropped
        assert got.whole == len(result.table)
        assert got.off_size == (dropped["why"] == "size").sum()
        assert got.at_border == (dropped["why"] != "size").sum()
    assert f"{inside} whole object{'s' * (inside != 1)}, {got.cut} cut" in got.told


def layer_of(result: cs.Result) -> Any:
    return SimpleNamespace(metadata={"chunkseg": {"run": str(result.path)}})


def refuse(*_: object) -> None:
    raise AssertionError("the threshold was searched")


def test_thresholds_are_given_or_of_a_run_or_found_once(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, workflow, image = run
    known, told = Thresholds(), []
    *_, found = known.each(workflow, image, 0, [], lambda *told_: told.append(told_))
    assert found.value == result.thresholds.iloc[0]
    assert found.origin == (GIVEN if workflow.threshold == 0.3 else FOUND)
    assert bool(told) == (found.origin == FOUND)
    monkeypatch.setattr(found_thresholds, "otsu_thresholds", refuse)
    assert list(known.each(workflow, image, 0, [], silent)) == [found]
    (of_run,) = Thresholds().each(workflow, image, 0, [layer_of(result)], silent)
    assert of_run.value == found.value
    if found.origin == FOUND:
        assert of_run.origin == f"of the run {result.path}"


@pytest.mark.parametrize("other", ["sigma", "file", "gone", "mask", "changed"])
def test_thresholds_of_other_runs_are_not_taken(tmp_path: Path, other: str) -> None:
    np.save(tmp_path / "stack.npy", STACK)
    image = cs.open_image(tmp_path / "stack.npy")
    workflow = cs.Workflow(sigma=2 if other == "sigma" else 1)
    result = workflow.run(image, tmp_path / "out", until="mask", input_is_mask=other == "mask")
    name = "elsewhere.npy" if other == "file" else "stack.npy"
    shown = Shown(image, str(tmp_path / name), {}, origin_of(str(tmp_path / name), {}))
    if other == "gone":
        (result.path / "run.json").unlink()
    if other == "changed":
        np.save(tmp_path / "stack.npy", STACK // 2)
    *_, known = Thresholds().each(cs.Workflow(sigma=1), shown, 0, [layer_of(result)], silent)
    assert known.origin == FOUND


@pytest.mark.parametrize("scope", ["frame", "movie"])
@pytest.mark.parametrize("stored", [True, False])
def test_thresholds_of_movies(tmp_path: Path, scope: str, stored: bool) -> None:
    shape = (40, 44)
    each = [cs.synthetic_nuclei(shape, count=9, semi_axes=(2, 4), seed=s) for s in range(3)]
    movie = np.stack([frame // (n + 1) for n, frame in enumerate(each)], axis=1)
    np.save(tmp_path / "movie.npy", movie)
    image = cs.open_image(tmp_path / "movie.npy", dims="ytx")
    image = image if stored else image.copy(data=image.data + 0)
    np.testing.assert_array_equal(one_frame(image, 2), movie[:, 2])
    workflow = cs.Workflow(sigma=1, threshold_scope=scope)
    result = workflow.run(image, tmp_path / "out", keep=("mask",))
    shown = Shown.of_file(image)
    known = Thresholds()
    for frame in range(3):
        *_, found = known.each(workflow, shown, frame, [], silent)
        assert found.value == result.thresholds.iloc[frame]
        core = Box((5, 6), (30, 40))
        got = preview(workflow, region_of(shown, Seen(frame, core)), found.value)
        mask, labels = result.mask.to_numpy()[frame], result.labels.to_numpy()[frame]
        assert_agrees(got, mask, labels, core)
    assert len(known._known) == (1 if scope == "movie" else 3)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Box]:
    """Boxes whose masks are made from the image."""
    boxes: list[Box] = []

    def counted(region: Region, masking: Any, box: Box) -> Any:
        boxes.append(box)
        return computed(region, masking, box)

    monkeypatch.setattr(masks, "computed", counted)
    return boxes


def test_a_mask_is_made_once_for_all_that_it_decides(made: list[Box]) -> None:
    known = Masks()
    core = Box((6, 30, 30), (12, 60, 60))
    for radius in (3, 2, 5):
        workflow = cs.Workflow(sigma=1, erosion_radius=radius)
        got = preview(workflow, region(STACK, core), 0.3, known.of("a"))
        expected = preview(workflow, region(STACK, core), 0.3)
        np.testing.assert_array_equal(got.labels, expected.labels)
        np.testing.assert_array_equal(got.seeds, expected.seeds)
        assert got.told == expected.told
    assert made == [Box((0, 12, 12), (20, 78, 78))]
    aside = Box((6, 33, 28), (12, 63, 58))
    preview(workflow, region(STACK, aside), 0.3, known.of("a"))
    assert len(made) == 1
    far = preview(workflow, region(STACK, BOXES[2]), 0.3, known.of("a"))
    np.testing.assert_array_equal(far.mask, preview(workflow, region(STACK, BOXES[2]), 0.3).mask)
    assert len(made) == 2
    other = preview(workflow, region(STACK, BOXES[2]), 0.5, known.of("b"))
    np.testing.assert_array_equal(other.mask, preview(workflow, region(STACK, BOXES[2]), 0.5).mask)
    assert len(made) == 3


def test_a_margin_that_is_too_large_is_left_out(
    made: list[Box], monkeypatch: pytest.MonkeyPatch
) -> None:
    core = Box((6, 30, 30), (12, 60, 60))
    monkeypatch.setattr(masks, "MOST_VOXELS", 6000)
    preview(Parameters(sigma=0, threshold=0.5), region(STACK, core), 0.5, Masks().of(""))
    assert made == [core]


@pytest.fixture
def sketched(monkeypatch: pytest.MonkeyPatch) -> Shown:
    """An image of which no block is so small that its first sweep tells the threshold."""
    monkeypatch.setattr(tasks, "SMALL_FRAME", 0)
    return Shown(cs.from_array(STACK, "zyx"), None, {}, "array")


def test_an_estimate_comes_first(sketched: Shown, tmp_path: Path) -> None:
    workflow = cs.Workflow(sigma=1, erosion_radius=2)
    full = workflow.run(sketched.image, tmp_path, keep=("mask",))
    passes: list[str] = []
    found = Thresholds().each(workflow, sketched, 0, [], lambda name, *_: passes.append(name))
    assert next(found).origin == ESTIMATED
    assert set(passes) == {"range"}
    (verified,) = found
    assert (verified.value, verified.origin) == (full.thresholds.iloc[0], FOUND)
    assert set(passes) == {"range", "histogram"}


@pytest.mark.parametrize("off", [0.0, 0.05])
def test_a_wrong_estimate_is_put_right(
    sketched: Shown, made: list[Box], monkeypatch: pytest.MonkeyPatch, off: float
) -> None:
    def estimated(*swept: Any) -> Any:
        return {
            frame: replace(found, threshold=found.threshold + off)
            for frame, found in estimated_thresholds(*swept).items()
        }

    workflow = cs.Workflow(sigma=1, erosion_radius=2)
    monkeypatch.setattr(searching, "estimated_thresholds", estimated)
    layer = SimpleNamespace(ndim=3)
    monkeypatch.setattr(trial, "shown", lambda *_: sketched)
    trying = Trial(workflow, layer, False, None, Seen(0, Box.whole(STACK.shape)))
    first, last = trying.attempts(Known(), [], silent)
    assert first.threshold.value == pytest.approx(last.threshold.value + off)
    assert len(made) == (2 if off else 1)
    whole = lesson(STACK, sigma=1, radius=2)
    np.testing.assert_array_equal(last.preview.mask, whole.mask)


def test_an_image_that_is_staged_has_the_same_threshold(tmp_path: Path) -> None:
    image = cs.from_array(da.from_array(STACK, chunks=(20, 30, 96)) + 0, "zyx")
    workflow = cs.Workflow(sigma=1)
    expected = workflow.run(STACK, tmp_path, until="mask").thresholds.iloc[0]
    *_, (value, verified) = searching.otsu_thresholds(workflow, image, silent)
    assert (value, verified) == (expected, True)


def test_a_region_too_large_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masks, "MOST_VOXELS", 1000)
    with pytest.raises(ParameterError, match="zoom in, or take fewer planes"):
        preview(Parameters(threshold=0.5), region(STACK, BOXES[1]), 0.5)


def test_a_trial_says_that_more_planes_would_help() -> None:
    def too_thin(shape: tuple[int, ...], box: Box, whole: int) -> bool:
        layer = SimpleNamespace(data=np.zeros(shape, np.uint8), multiscale=False)
        none = np.zeros(1, np.uint32)
        found = Preview(none != 0, none, none, whole=whole, cut=2, at_border=0, off_size=0)
        return Trial(cs.Workflow(), layer, False, None, Seen(0, box)).too_thin(found)

    assert too_thin((9, 5, 5), Box((2, 0, 0), (4, 5, 5)), 1)
    assert not too_thin((9, 5, 5), Box((2, 0, 0), (4, 5, 5)), 2)
    assert not too_thin((9, 5, 5), Box((0, 0, 0), (9, 4, 5)), 1)
    assert not too_thin((9, 5, 5), Box((0, 0), (4, 5)), 1)


def test_a_trial_says_where_its_arrays_lie() -> None:
    layer = SimpleNamespace(
        ndim=4, scale=(2, 1, 0.5, 0.5), translate=(1, 0, 9, 0), units=("second", *["um"] * 3)
    )
    part = Seen(3, Box((2, 4, 6), (3, 8, 9)))
    placed = Trial(cs.Workflow(), layer, True, None, part).placed
    assert placed["scale"] == (2.0, 1.0, 0.5, 0.5)
    assert placed["translate"] == (7.0, 2.0, 11.0, 3.0)
    layer = SimpleNamespace(ndim=3, scale=(1, 2, 2), translate=(0, 0, 0), units=("pixel",) * 3)
    assert Trial(cs.Workflow(), layer, False, None, part).placed["translate"] == (2.0, 8.0, 12.0)


def test_what_is_seen() -> None:
    corners = ([0.0, -4.0, 2.3], [0.0, 7.0, 99.0])
    at = seen("tyx", (5, 20, 30), corners, (3.4, 0, 0), (1, 2), planes=9)
    assert at == Seen(3, Box((0, 2), (8, 30)))
    at = seen("zyx", (5, 20, 30), corners, (4, 0, 0), (1, 2), planes=3)
    assert at.box == Box((2, 0, 2), (5, 8, 30))
    at = seen("zyx", (5, 20, 30), corners, (9, 0, 0), (1, 2), planes=30)
    assert at.box == Box((0, 0, 2), (5, 8, 30))
    beside = ([0.0, 50.0, -9.0], [0.0, 60.0, -2.0])
    assert seen("zyx", (5, 20, 30), beside, (0, 0, 0), (1, 2), 1).box.shape == (1, 1, 1)


@pytest.mark.parametrize("workflow", [cs.Workflow(), *WORKFLOWS.values()])
def test_the_form_gives_back_what_it_shows(workflow: cs.Workflow) -> None:
    values = values_of(workflow)
    assert list(values) == [field.name for field in form_fields()] == list(meanings(workflow))
    assert workflow_of(values) == workflow
    assert workflow_of(values | {"properties": "size, shape"}).properties == ("size", "shape")


def test_the_form_refuses_what_a_workflow_refuses() -> None:
    with pytest.raises(ParameterError, match="sigma must not be negative"):
        workflow_of({"sigma": "-1"})
    with pytest.raises(ParameterError, match="threshold must be"):
        workflow_of({"threshold": "li"})


def finished(run: FullRun, seconds: float = 60) -> Iterator[str]:
    end = time.monotonic() + seconds
    while run.code is None and time.monotonic() < end:
        yield run.progressed().name
        time.sleep(0.05)


def test_a_full_run_in_a_process_of_its_own(tmp_path: Path) -> None:
    np.save(tmp_path / "stack.npy", STACK)
    options = {"dims": "zyx", "spacing": list(SPACING), "unit": "micrometer"}
    image = cs.open_image(tmp_path / "stack.npy", **options)
    shown = Shown.of_file(image)
    run = FullRun.start(shown, WORKFLOWS["voxels"], tmp_path / "out")
    assert "starting" in set(finished(run))
    assert run.code == 0, run.said()
    told = json.loads((tmp_path / "out" / "run.json").read_text())
    assert told["workflow"] == WORKFLOWS["voxels"].as_dict()
    assert origin_of(told["input"]["source"], told["input"]["opened_with"]) == shown.origin
    again = FullRun.start(shown, cs.Workflow(sigma=5), tmp_path / "out")
    list(finished(again))
    assert again.code == 2
    assert again.said().startswith("error: ")
    again.interrupt()
    again.tidy()
    assert not again.log.exists()
    run.tidy()


def test_an_image_in_memory_is_saved_for_the_run(tmp_path: Path) -> None:
    image = cs.from_array(STACK, spacing=SPACING, unit="um")
    memory, told = Shown(image, None, {}, "array"), []
    saved = on_disk(memory, tmp_path / "out", lambda *args: told.append(args))
    assert told
    assert saved.file == str(tmp_path / "out" / "image.ome.zarr")
    np.testing.assert_array_equal(saved.image, STACK)
    assert saved.image.x.attrs["spacing"] == SPACING[2]
    assert on_disk(memory, tmp_path / "out", silent).file == saved.file
    assert on_disk(saved, tmp_path / "elsewhere", refuse) is saved
    other = Shown(cs.from_array(STACK // 2), None, {}, "other")
    with pytest.raises(OutputExistsError, match=r"image\.ome\.zarr"):
        on_disk(other, tmp_path / "out", silent)


def test_what_the_command_line_can_not_say(tmp_path: Path) -> None:
    part = command_of("a.tif", {"region": {"z": [0, 4], "x": [2, 9]}}, tmp_path, tmp_path)
    assert part[-1] == "--region=z=0:4,x=2:9"
    with pytest.raises(ParameterError, match="by axis"):
        command_of("a.tif", {"spacing": {"z": 2}}, tmp_path, tmp_path)
