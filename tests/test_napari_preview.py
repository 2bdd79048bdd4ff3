"""What is previewed is what a full run has there; thresholds, forms and full runs around it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chunkseg as cs
from chunkseg.errors import ParameterError
from chunkseg.geometry.boxes import Box
from chunkseg.geometry.layout import Layout
from chunkseg.napari import preview as previews
from chunkseg.napari import thresholds as found_thresholds
from chunkseg.napari.described import Shown, origin_of
from chunkseg.napari.form import form_fields, meanings, values_of, workflow_of
from chunkseg.napari.launching import FullRun, command_of
from chunkseg.napari.preview import Preview, Region, preview
from chunkseg.napari.seen import Seen, seen
from chunkseg.napari.thresholds import FOUND, GIVEN, Thresholds, one_frame
from chunkseg.napari.trial import Trial, region_of
from chunkseg.plan.parameters import Parameters
from chunkseg.runner.progress import silent
from chunkseg.runner.sweep import Input
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
    got = preview(parameters, region(image, core), whole.threshold)
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
    found = known.of(workflow, image, 0, [], lambda *told_: told.append(told_))
    assert found.value == result.thresholds.iloc[0]
    assert found.origin == (GIVEN if workflow.threshold == 0.3 else FOUND)
    assert bool(told) == (found.origin == FOUND)
    monkeypatch.setattr(found_thresholds, "_found", refuse)
    assert known.of(workflow, image, 0, [], silent) == found
    of_run = Thresholds().of(workflow, image, 0, [layer_of(result)], silent)
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
    known = Thresholds().of(cs.Workflow(sigma=1), shown, 0, [layer_of(result)], silent)
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
        found = known.of(workflow, shown, frame, [], silent)
        assert found.value == result.thresholds.iloc[frame]
        core = Box((5, 6), (30, 40))
        got = preview(workflow, region_of(shown, Seen(frame, core)), found.value)
        mask, labels = result.mask.to_numpy()[frame], result.labels.to_numpy()[frame]
        assert_agrees(got, mask, labels, core)
    assert len(known._known) == (1 if scope == "movie" else 3)


def test_a_region_too_large_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(previews, "MOST_VOXELS", 1000)
    with pytest.raises(ParameterError, match="zoom in, or take fewer planes"):
        preview(Parameters(threshold=0.5), region(STACK, BOXES[1]), 0.5)


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


def test_what_no_process_can_open(tmp_path: Path) -> None:
    memory = Shown(cs.from_array(STACK), None, {}, "array")
    with pytest.raises(ParameterError, match="in memory only"):
        FullRun.start(memory, cs.Workflow(), tmp_path)
    part = command_of("a.tif", {"region": {"z": [0, 4], "x": [2, 9]}}, tmp_path, tmp_path)
    assert part[-1] == "--region=z=0:4,x=2:9"
    with pytest.raises(ParameterError, match="by axis"):
        command_of("a.tif", {"spacing": {"z": 2}}, tmp_path, tmp_path)
