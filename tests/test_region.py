"""A part of an image: read from the whole, placed as in the whole, run as an image of its own."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

import chunkseg as cs
from chunkseg.cli import main
from chunkseg.errors import ParameterError
from chunkseg.kernels.reference import lesson_in_memory
from chunkseg.report.methods import methods
from chunkseg.storage.parts import Part, part_of
from chunkseg.storage.sources import source_of

STACK = cs.synthetic_nuclei((24, 60, 64), count=80, semi_axes=(2.5, 4), seed=2)
REGION = {"z": (4, 24), "y": (7, 55), "x": (0, 50)}
SPANS = "z=4:,y=7:55,x=:50"
WORKFLOW = cs.Workflow(sigma=1, erosion_radius=2)
OPTIONS = ["--sigma", "1", "--erosion-radius", "2", "--quiet"]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A calibrated OME-Zarr image with a pyramid, whose first voxel is not at 0."""
    path = tmp_path_factory.mktemp("stored") / "nuclei.ome.zarr"
    image = cs.from_array(STACK, spacing=(0.5, 0.25, 0.25), unit="um")
    cs.save_image(image.assign_coords(z=image.z + 10.0), path, chunks=(8, 16, 16), levels=2)
    return str(path)


def cut(image: Any) -> Any:
    return image.isel({d: slice(*span) for d, span in REGION.items()})


def run(stored: str, out: Path, *more: str) -> int:
    return main(["run", stored, "-o", str(out), *OPTIONS, *more])


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_a_part_is_what_isel_gives(data):
    shape = data.draw(st.tuples(*[st.integers(1, 9)] * 3))
    chunks = data.draw(st.tuples(*[st.integers(1, 4)] * 3))
    spans = {}
    for dim, n in zip("zyx", shape, strict=True):
        if data.draw(st.booleans()):
            start = data.draw(st.integers(0, n - 1))
            spans[dim] = (start, data.draw(st.integers(start + 1, n)))
    stored = zarr.create_array({}, data=np.arange(np.prod(shape)).reshape(shape), chunks=chunks)
    whole = cs.from_array(stored, spacing=(0.3, 0.1, 0.7), unit="um", dims="zyx", name="cells")
    found = part_of(whole, spans)
    xr.testing.assert_identical(found, whole.isel({d: slice(*s) for d, s in spans.items()}))
    assert found.x.attrs["spacing"] == 0.7
    inner = data.draw(st.tuples(*[st.slices(n) for n in found.shape]))
    np.testing.assert_array_equal(source_of(found.data)[inner], found.values[inner])


def test_a_part_is_read_from_the_source_and_can_be_sent_to_workers(stored):
    image = cs.open_image(stored, region=REGION)
    part = source_of(image.data)
    assert isinstance(part, Part)
    assert part.chunks == (8, 16, 16)
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(part))[:], cut(cs.from_array(STACK)).values
    )


def test_an_image_opened_in_part_keeps_its_place_and_says_so(stored):
    found = cs.open_image(stored, region={**REGION, "z": slice(4, None)}, chunks={"x": 8})
    expected = cut(cs.open_image(stored))
    told = json.loads(found.attrs.pop("opened_with"))
    xr.testing.assert_identical(found, expected)
    assert told == {"region": {d: list(span) for d, span in REGION.items()}}
    assert float(found.z[0]) == 12.0
    assert found.chunks[2] == (8, 8, 8, 8, 8, 8, 2)


def test_a_run_of_a_part_is_a_run_of_what_isel_gives(stored, tmp_path):
    assert run(stored, tmp_path / "part", "--region", SPANS, "--no-report") == 0
    part = cs.Result.open(tmp_path / "part")
    other = WORKFLOW.run(cut(cs.open_image(stored)), tmp_path / "isel")
    expected = lesson_in_memory(STACK[4:, 7:55, :50], 1, 2)
    assert len(expected.sizes) > 2
    np.testing.assert_array_equal(part.labels.values, expected.labels)
    xr.testing.assert_equal(part.labels, other.labels)
    xr.testing.assert_equal(part.labels.x, cut(cs.open_image(stored)).x)
    assert float(part.labels.z[0]) == 12.0
    assert part.table.equals(other.table)
    assert part.run["input"]["opened_with"]["region"] == {d: list(s) for d, s in REGION.items()}
    verified = part.verify(regions=2, seed=1)
    assert verified.ok
    assert {c.name: c.outcome for c in verified.checks}["input"] == "ok"


def test_another_part_is_another_run(stored, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(stored, out, "--region", "z=0:8", "--no-report") == 0
    assert run(stored, out, "--region", "z=0:8", "--no-report") == 0
    assert run(stored, out, "--region", "z=8:16", "--no-report") == 2
    assert "region was {'z': [0, 8]} and is {'z': [8, 16]}" in capsys.readouterr().err
    assert run(stored, out, "--no-report") == 2
    assert "region was {'z': [0, 8]} and is not given" in capsys.readouterr().err


def test_frames_are_added_to_a_part_in_time(tmp_path):
    movie = np.stack([cs.synthetic_nuclei((40, 40), seed=s) for s in range(3)])
    np.save(tmp_path / "movie.npy", movie)
    for stop, frames in (("1", 1), ("3", 3)):
        options = ["--dims", "tyx", "--no-report", "--region", f"t=0:{stop},y=5:"]
        assert run(str(tmp_path / "movie.npy"), tmp_path / "out", *options) == 0
        assert len(cs.Result.open(tmp_path / "out").run["frames"]) == frames


@pytest.mark.parametrize(
    ("region", "said"),
    [
        ("c=0:1", "the region names axis 'c', but the image has z, y, x"),
        ("z=5:5", "span 5:5 along z is empty or reaches beyond the image"),
        ("z=9:3", "span 9:3 along z is empty"),
        ("y=0:61", "span 0:61 along y is empty or reaches beyond the image, which has voxels 0 to"),
        ("x=-4:", "span -4:64 along x is empty or reaches beyond"),
        ("x=64:", "span 64:64 along x is empty"),
        ("z=1", "needs a span of voxels for each axis once, such as z=0:64,y=512:, not 'z=1'"),
        ("z=1:2:3", "needs a span of voxels"),
        ("z=0:4,z=4:8", "needs a span of voxels for each axis once"),
    ],
)
def test_parts_that_are_not_there(stored, tmp_path, capsys, region, said):
    assert run(stored, tmp_path / "out", "--region", region) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "span", [3, "34", (1,), (1, 2, 3), slice(0, 8, 2), (0.5, 4), (True, 4), ("1", 4)]
)
def test_spans_that_are_none(stored, span):
    with pytest.raises(ParameterError, match="span along z needs two whole numbers"):
        cs.open_image(stored, region={"z": span})


def test_a_region_is_a_mapping(stored):
    with pytest.raises(ParameterError, match="a region is a mapping of axes to spans"):
        cs.open_image(stored, region=(slice(0, 4),))


def test_plan_sweep_and_convert_take_a_part(stored, tmp_path, capsys):
    assert main(["plan", stored, "--region", SPANS, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["shape"] == [20, 48, 50]
    sweep = ["--erosion-radius", "1,2", "--sigma", "1", "--quiet"]
    assert main(["sweep", stored, "-o", str(tmp_path / "s"), "--region", SPANS, *sweep]) == 0
    target = tmp_path / "part.ome.zarr"
    assert main(["convert", stored, str(target), "--region", SPANS, "--verify", "--quiet"]) == 0
    xr.testing.assert_equal(cs.open_image(target), cut(cs.open_image(stored)))


def test_report_and_methods_say_that_it_is_a_part(stored, tmp_path):
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    assert run(stored, tmp_path / "out", "--region", SPANS) == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert "A part of the image only: voxels z 4 to 23, y 7 to 54, x 0 to 49." in page
    assert page.count("<img") >= 6
    assert "'region'" not in page
    told = methods(cs.Result.open(tmp_path / "out"))
    assert "uint16; voxels z 4 to 23, y 7 to 54, x 0 to 49 of a larger one) was segmented" in told
