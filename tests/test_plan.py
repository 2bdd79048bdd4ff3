"""Plans: what they promise, what decides on blocks and threads, what is said where nothing fits."""

from __future__ import annotations

import json
import logging
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chunkseg as cs
from chunkseg.api import planning
from chunkseg.cli import main
from chunkseg.errors import MemoryLimitError, ParameterError
from chunkseg.plan.blocks import (
    BLOCK_VOXELS,
    fitting_shape,
    most_memory,
    requested_shape,
    smallest_shape,
)
from chunkseg.plan.costs import pass_costs
from chunkseg.plan.parameters import Parameters
from chunkseg.plan.plan import IMPORTS, MIB, Budget, Needs
from chunkseg.storage.cache import ChunkCache
from chunkseg.storage.sources import as_dask
from tests.benchmarks.driver import Nothing

GIB = 2**30
LESSON = cs.Workflow(sigma=3, erosion_radius=10)


def costs(sigma: float = 3, radius: int = 10, **options: Any) -> Any:
    parameters = Parameters(sigma=sigma, erosion_radius=radius)
    return pass_costs(parameters, np.dtype("uint16"), (1.0,) * 3, **options)


def image(*shape: int) -> np.ndarray[Any, Any]:
    """Voxels that nobody reads."""
    return np.broadcast_to(np.uint16(0), shape)


def test_numbers_of_a_plan() -> None:
    plan = LESSON.plan(image(512, 512, 512), "2GiB", workers=2)
    assert (plan.block_shape, plan.blocks, plan.threads, plan.fits) == ((256,) * 3, 8, 2, True)
    by_name = {p.name: p for p in plan.passes}
    assert list(by_name) == ["range", "seeds", "objects", "labels"]
    assert {p.tasks for p in plan.passes} == {8}
    assert by_name["seeds"].reads == (300,) * 3
    # of two blocks along an axis each reads 22 voxels of the other
    assert by_name["seeds"].bytes_read == 2 * (512 + 2 * 22) ** 3
    assert by_name["labels"].bytes_written == 4 * 512**3
    assert by_name["objects"].bytes_read == 0
    assert plan.memory > IMPORTS + 2 * max(p.task_memory for p in plan.passes)
    assert plan.seconds is None


def test_decoded_bytes_are_those_of_whole_chunks() -> None:
    source = Nothing((128,) * 3)
    assert source.chunks == (64,) * 3
    given = cs.from_array(as_dask(source), dims="zyx")
    plan = LESSON.plan(given, block_shape=(64, 128, 128))
    (seeds,) = (p for p in plan.passes if p.name == "seeds")
    assert seeds.bytes_decoded == 2 * 128**3  # both blocks reach into both planes of chunks


def test_forms_of_a_plan() -> None:
    plan = LESSON.plan(image(300, 300, 300), workers=1)
    content = json.loads(plan.to_json())
    assert content["passes"][1]["name"] == "seeds"
    assert content["memory"] == plan.memory
    assert content["seconds"] is None
    for word in ("MiB", "range", "bytes per object", "1 frame of 300 x 300 x 300", "1 thread\n"):
        assert word in str(plan)
    shown = replace(plan, notes=("less <b> than",))._repr_html_()
    assert "<td>seeds</td><td>" in shown
    assert "<p>less &lt;b&gt; than</p>" in shown


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"is_mask": True}, ["seeds", "objects", "labels"]),
        ({"until": "mask"}, ["range", "seeds"]),
    ],
)
def test_passes_that_a_run_has(options: Any, names: list[str]) -> None:
    assert [cost.name for cost in costs(**options)] == names


def test_passes_of_a_threshold_that_is_given() -> None:
    for dtype, first in (("uint8", "seeds"), ("float32", "range")):
        found = pass_costs(Parameters(threshold=0.5), np.dtype(dtype), (1.0,) * 2)
        assert found[0].name == first
    assert costs(keep=("mask", "seeds", "expanded"))[1].writes == 1
    assert costs(keep=("mask", "seeds", "expanded"))[2].writes == 8


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_shapes_keep_to_memory_and_take_less_work_with_more_of_it(data: st.DataObject) -> None:
    ndim = data.draw(st.integers(2, 3))
    lengths = st.integers(1, 3000)
    frame = tuple(data.draw(lengths) for _ in range(ndim))
    stored = tuple(data.draw(st.sampled_from([1, 7, 50, 64, 97, 128, 1024])) for _ in range(ndim))
    parameters = Parameters(sigma=data.draw(st.sampled_from([0, 1, 3])), erosion_radius=4)
    found = pass_costs(parameters, np.dtype("uint16"), (1.0,) * ndim)
    memory = data.draw(st.sampled_from([4, 30, 200, 2000])) * MIB
    shape = fitting_shape(frame, stored, found, memory)
    smallest = smallest_shape(frame, stored)
    if shape is None:
        assert most_memory(found, smallest, frame) > memory or math.prod(smallest) > BLOCK_VOXELS
        return
    assert all(1 <= b <= n for b, n in zip(shape, frame, strict=True))
    assert math.prod(shape) <= BLOCK_VOXELS
    assert most_memory(found, shape, frame) <= memory
    assert fitting_shape(frame, stored, found, 64 * memory) is not None


def test_edges_are_whole_chunks_where_that_can_be_had() -> None:
    shape = fitting_shape((2000,) * 3, (100,) * 3, costs(), 512 * MIB)
    assert shape is not None
    assert all(n % 100 == 0 for n in shape)


@pytest.mark.parametrize("requested", [(3, 3), (0, 3, 3), (1, 2, 3, 4)])
def test_shapes_that_are_none(requested: tuple[int, ...]) -> None:
    with pytest.raises(ParameterError, match="one positive length for each of 3 axes"):
        requested_shape((9, 9, 9), requested)


def test_the_default_shape_is_the_same_on_every_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = set()
    for memory in (4, 64, 4000):
        monkeypatch.setattr(planning, "machine_memory", lambda memory=memory: memory * GIB)
        for workers in (1, 2, 64):
            plan = LESSON.plan(image(2000, 2000, 2000), workers=workers)
            assert plan.memory <= memory * GIB // 2
            shapes.add(plan.block_shape)
    assert len(shapes) == 1


def test_a_small_machine_gets_smaller_blocks_and_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(planning, "machine_memory", lambda: 1100 * MIB)
    plan = LESSON.plan(image(2000, 2000, 2000))
    assert plan.fits
    assert math.prod(plan.block_shape) < BLOCK_VOXELS // 2
    assert "instead of (256, 256, 256)" in plan.notes[0]
    monkeypatch.setattr(planning, "machine_memory", lambda: 100 * MIB)
    with caplog.at_level(logging.WARNING, "chunkseg"):
        cs.Workflow().run(np.zeros((9, 9, 9), np.uint8), tmp_path / "out")
    assert "can't be kept" in caplog.text


def test_threads_that_have_no_room_are_left_out() -> None:
    plan = LESSON.plan(image(512, 512, 512), "1GiB", workers=64, block_shape=(256,) * 3)
    assert 1 <= plan.threads < 64
    assert plan.memory <= GIB
    assert f"{plan.threads} of 64 threads" in plan.notes[0]


def test_the_least_limit_is_one_that_can_be_kept(tmp_path: Path) -> None:
    voxels = image(512, 512, 512)
    plan = LESSON.plan(voxels, "100MiB")
    assert not plan.fits
    (note,) = plan.notes
    least = int(note.split("the least limit is ")[1].split()[0])
    assert LESSON.plan(voxels, f"{least}MiB").fits
    assert not LESSON.plan(voxels, f"{least - 3}MiB").fits
    with pytest.raises(MemoryLimitError, match=f"least limit is {least} MiB"):
        LESSON.run(voxels, tmp_path / "out", memory_limit="100MiB")
    assert not (tmp_path / "out").exists()
    budget = Budget.of(100 * MIB)
    with pytest.raises(MemoryLimitError, match="halo"):
        Needs((512,) * 3, (64,) * 3, costs()).shape_within(budget, 1)


def test_blocks_that_are_too_large_for_a_limit(tmp_path: Path) -> None:
    with pytest.raises(MemoryLimitError, match=r"one block of \(256, 256, 256\).*or blocks of"):
        LESSON.run(image(512, 512, 512), tmp_path, memory_limit="512MiB", block_shape=(256,) * 3)


def test_a_worker_that_is_too_small_for_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "worker_memory", lambda client: 300 * MIB)
    made = planning.Planning(
        Parameters(),
        planning.Input.of(Nothing((9, 9)), planning.Given.of(np.zeros((9, 9))).layout),
        (1.0, 1.0),
        planning.Execution(2, client=None),
    )
    plan = made.plan()
    object.__setattr__(made.execution, "client", "a client")
    with pytest.raises(MemoryLimitError, match="least worker has 300 MiB"):
        planning.check_plan(plan, made, False)
    monkeypatch.setattr(planning, "worker_memory", lambda client: 900 * MIB)
    planning.check_plan(plan, made, False)


def test_a_limit_changes_no_label(tmp_path: Path) -> None:
    pixels = cs.synthetic_nuclei((90, 100, 80), count=12, semi_axes=(8, 14), seed=3)
    workflow = cs.Workflow(sigma=2, erosion_radius=4)
    tables = [
        workflow.run(pixels, tmp_path / str(limit), memory_limit=limit, workers=1).table
        for limit in (None, LESSON.plan(pixels, "100MiB").memory)
    ]
    assert tables[0]["area"].tolist() == tables[1]["area"].tolist()
    assert len(tables[0]) > 1


def test_an_estimate_runs_some_blocks() -> None:
    pixels = cs.synthetic_nuclei((90, 100, 80), count=12, semi_axes=(8, 14), seed=3)
    plan = cs.Workflow(sigma=1, erosion_radius=2).plan(
        pixels, block_shape=(50, 50, 50), estimate=True
    )
    assert plan.seconds is not None
    assert plan.seconds > 0
    assert "time" in str(plan)


def test_the_command_line_plans(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "image.npy", np.zeros((40, 50, 60), np.uint8))
    arguments = ["plan", str(tmp_path / "image.npy"), "--sigma", "2"]
    assert main(arguments) == 0
    assert "40 x 50 x 60" in capsys.readouterr().out
    assert main([*arguments, "--json", "--memory-limit", "1GiB"]) == 0
    assert json.loads(capsys.readouterr().out)["memory_limit"] == GIB
    assert main([*arguments, "--memory-limit", "10MiB"]) == 1
    assert "least limit" in capsys.readouterr().out


def test_a_cache_is_limited_for_a_while() -> None:
    cache = ChunkCache(100)
    with cache.within(60):
        assert cache.limit == 60
        cache.get("a", lambda: np.zeros(5))
        assert cache.kept("a") is not None
    assert cache.limit == 100
    assert cache.kept("a") is None
    with cache.within(1000):
        assert cache.limit == 100
