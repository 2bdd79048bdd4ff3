"""Bad input is refused before work starts and leaves nothing behind; odd input ends well."""

from __future__ import annotations

import json
import logging
import warnings

import numpy as np
import pytest
import xarray as xr

import chunkseg as cs
from chunkseg.errors import (
    ChunksegError,
    FormatError,
    IncompleteError,
    KindError,
    OutputExistsError,
    ParameterError,
    PathError,
    PixelError,
)
from chunkseg.storage.site import WRITTEN

IMAGE = np.random.default_rng(0).integers(0, 99, (8, 20, 22)).astype(np.uint16)


@pytest.mark.parametrize(
    ("values", "error", "builtin", "match"),
    [
        ({"sigma": -1}, ParameterError, ValueError, "sigma must not be negative; got -1"),
        ({"sigma": (1, -2)}, ParameterError, ValueError, "sigma must not be negative"),
        ({"sigma": ()}, ParameterError, ValueError, "sigma must not be negative"),
        ({"sigma": "3"}, KindError, TypeError, "sigma must be a number; got '3'"),
        ({"sigma": float("nan")}, ParameterError, ValueError, "sigma must be finite"),
        ({"threshold": "li"}, ParameterError, ValueError, 'must be "otsu" or a number'),
        ({"threshold": None}, KindError, TypeError, "threshold must be a number"),
        ({"erosion_radius": -1}, ParameterError, ValueError, "whole number of voxels"),
        ({"erosion_radius": 2.5}, ParameterError, ValueError, "whole number of voxels"),
        ({"erosion_radius": True}, KindError, TypeError, "erosion_radius must be a number"),
        ({"expand_distance": -0.5}, ParameterError, ValueError, "must not be negative"),
        ({"clear_border": 1}, KindError, TypeError, "True or False"),
        ({"clear_border_axes": "t"}, ParameterError, ValueError, "some of z, y, x"),
        ({"clear_border_axes": ()}, ParameterError, ValueError, "some of z, y, x"),
        (
            {"clear_border": False, "clear_border_axes": "yx"},
            ParameterError,
            ValueError,
            "drop one",
        ),
    ],
)
def test_parameters_are_checked(values, error, builtin, match):
    with pytest.raises(error, match=match) as caught:
        cs.Workflow(**values)
    assert isinstance(caught.value, ChunksegError)
    assert isinstance(caught.value, builtin)


def test_parameters_round_trip(tmp_path):
    path = tmp_path / "measurement workflow ü.toml"
    for workflow in (
        cs.Workflow(),
        cs.Workflow(sigma=(1, 2.5, 2.5), threshold=0.1, erosion_radius=np.int64(3)),
        cs.Workflow(expand_distance=2, clear_border_axes=["y", "x"]),
        cs.Workflow(clear_border=False, sigma=np.float32(0.5)),
    ):
        workflow.save(path)
        assert cs.Workflow.load(path) == workflow
    with pytest.raises(AttributeError):
        workflow.sigma = 3


@pytest.mark.parametrize(
    ("text", "error", "match"),
    [
        ("sigma = 3", FormatError, r"needs a table \[workflow\]"),
        ("[workflow]\nsigma = ", FormatError, "not valid TOML"),
        (
            "[workflow]\nradius = 3",
            ParameterError,
            "unknown parameter 'radius'; there are units, sigma",
        ),
        ("[workflow]\nsigma = -3", ParameterError, "must not be negative"),
    ],
)
def test_damaged_workflow_files(tmp_path, text, error, match):
    path = tmp_path / "w.toml"
    path.write_text(text)
    with pytest.raises(error, match=match):
        cs.Workflow.load(path)


def test_absent_workflow_file(tmp_path):
    with pytest.raises(PathError, match="can't be read"):
        cs.Workflow.load(tmp_path / "none.toml")


def with_bad_pixels():
    image = IMAGE.astype(np.float32)
    image[3, 4, 5] = np.nan
    image[6, 0, 0] = np.inf
    return image


CHANNELS = cs.from_array(np.stack([IMAGE] * 2), "czyx", channels=["DAPI", "GFP"])
REFUSED = [
    ("no path", "nowhere.tif", {}, PathError, "nowhere.tif"),
    ("1-D", cs.from_array(IMAGE[0, 0], "x"), {}, KindError, "two or three spatial axes"),
    ("strange axes", cs.from_array(IMAGE).rename(z="q"), {}, KindError, "named z, y, x"),
    ("4-D without names", np.zeros((2, 2, 2, 2)), {}, ChunksegError, "dims="),
    ("no array", [[1, 2]], {}, KindError, "list"),
    ("no voxels", IMAGE[:0], {}, ParameterError, "no voxels"),
    ("complex", xr.DataArray(IMAGE + 1j, dims=list("zyx")), {}, KindError, "real numbers"),
    ("NaN", with_bad_pixels(), {}, PixelError, r"2 of 3520 voxels .* index \(3, 4, 5\)"),
    ("channels", CHANNELS, {}, ParameterError, r"2 channels \['DAPI', 'GFP'\]"),
    ("no such channel", CHANNELS, {"channel": "RFP"}, ParameterError, "no channel 'RFP'"),
    ("no such number", CHANNELS, {"channel": 2}, ParameterError, "no channel 2"),
    ("no channels", IMAGE, {"channel": 0}, ParameterError, "no axis 'c'"),
    ("float mask", IMAGE / 2, {"input_is_mask": True}, KindError, "a mask must be of bool"),
    ("keep", IMAGE, {"keep": ("masks",)}, ParameterError, "mask, seeds, expanded"),
    ("keep text", IMAGE, {"keep": "mask"}, ParameterError, "mask, seeds, expanded"),
    ("until", IMAGE, {"until": "seeds"}, ParameterError, 'until must be "mask"'),
    ("both", IMAGE, {"until": "mask", "keep": ["seeds"]}, ParameterError, "stops before"),
    ("workers", IMAGE, {"workers": 0}, ParameterError, "at least 1"),
    ("blocks", IMAGE, {"block_shape": (4, 4)}, ParameterError, "one positive length"),
    ("zero block", IMAGE, {"block_shape": (4, 4, 0)}, ParameterError, "one positive length"),
]


@pytest.mark.parametrize(("image", "options", "error", "match"), [r[1:] for r in REFUSED],
                         ids=[r[0] for r in REFUSED])  # fmt: skip
def test_refused_and_nothing_left_behind(tmp_path, image, options, error, match):
    out = tmp_path / "out"
    with pytest.raises(error, match=match):
        cs.Workflow().run(image, out, **options)
    assert not out.exists()


@pytest.mark.parametrize(
    ("values", "image", "match"),
    [
        ({"sigma": (1, 1)}, IMAGE, "one number or one per spatial axis"),
        ({"clear_border_axes": "z"}, IMAGE[0], "names 'z', but the image has y, x"),
        ({"threshold": 3000}, IMAGE, r"the same threshold is 3000/65535 = 0.0457771"),
    ],
)
def test_parameters_that_do_not_fit_the_image(tmp_path, values, image, match):
    with pytest.raises(ParameterError, match=match):
        cs.Workflow(**values).run(image, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nan_is_found_with_a_threshold_given_too(tmp_path):
    with pytest.raises(PixelError, match="2 of 3520"):
        cs.Workflow(threshold=0.5).run(with_bad_pixels(), tmp_path / "out")


def test_output_is_not_overwritten_unasked(tmp_path):
    out = tmp_path / "out"
    cs.Workflow().run(IMAGE, out)
    before = (out / "run.json").read_bytes()
    with pytest.raises(OutputExistsError, match=r"erosion_radius was \d+ and is 1"):
        cs.Workflow(erosion_radius=1).run(IMAGE, out)
    assert (out / "run.json").read_bytes() == before
    (out / "notes.txt").write_text("mine")
    cs.Workflow(erosion_radius=1).run(IMAGE, out, overwrite=True, until="mask")
    assert (out / "notes.txt").read_text() == "mine"
    assert not (out / "objects.csv").exists()
    with pytest.raises(IncompleteError, match="holds no table"):
        _ = cs.Result.open(out).table
    with pytest.raises(IncompleteError, match="holds no labels"):
        _ = cs.Result.open(out).labels
    assert cs.Result.open(out).mask.shape == IMAGE.shape


@pytest.mark.parametrize("overwrite", [False, True])
def test_files_of_others_are_never_removed(tmp_path, overwrite):
    (tmp_path / "objects.csv").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"objects.csv, which chunkseg did not write"):
        cs.Workflow().run(IMAGE, tmp_path, overwrite=overwrite)
    assert [p.name for p in tmp_path.iterdir()] == ["objects.csv"]


def test_a_file_where_the_output_should_go(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputExistsError, match="is a file"):
        cs.Workflow().run(IMAGE, tmp_path / "out")


def test_an_output_that_can_not_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PathError, match="can't write"):
        cs.Workflow().run(IMAGE, tmp_path / "file" / "out")


def test_an_interrupted_run_is_not_a_result(tmp_path, monkeypatch):
    def interrupted(name, done, total):
        if name == "objects":
            raise KeyboardInterrupt

    out = tmp_path / "out"
    scratch = tmp_path / "scratch"
    with pytest.raises(KeyboardInterrupt):
        cs.Workflow().run(IMAGE, out, progress=interrupted, scratch=scratch)
    assert list(scratch.iterdir())
    with pytest.raises(IncompleteError, match="no complete result"):
        cs.Result.open(out)
    with pytest.raises(OutputExistsError, match=r"interrupted run of something else: sigma was"):
        cs.Workflow(sigma=0.25).run(IMAGE, out)
    result = cs.Workflow().run(IMAGE, out, overwrite=True)
    assert list(scratch.iterdir()) == []
    assert sorted(p.name for p in out.iterdir()) == sorted(result.run["files"])
    assert set(result.run["files"]) <= set(WRITTEN)


def test_results_that_are_not_there(tmp_path):
    with pytest.raises(PathError, match="no such folder"):
        cs.Result.open(tmp_path / "none")
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(IncompleteError, match="is damaged"):
        cs.Result.open(tmp_path)


def test_scratch_elsewhere_is_removed(tmp_path):
    scratch = tmp_path / "scratch"
    cs.Workflow().run(IMAGE, tmp_path / "out", scratch=scratch)
    assert list(scratch.iterdir()) == []


def run_quietly(image, tmp_path, caplog, workflow=None, **options):
    with caplog.at_level(logging.WARNING, "chunkseg"), warnings.catch_warnings():
        warnings.simplefilter("error")
        result = (workflow or cs.Workflow()).run(image, tmp_path / "out", **options)
    assert result.run["warnings"] == [r.message for r in caplog.records if "pixel" not in r.message]
    return result


def test_constant_image(tmp_path, caplog):
    result = run_quietly(np.full((5, 6, 7), 9, np.uint8), tmp_path, caplog)
    assert "constant" in caplog.text
    assert result.counts.to_dict("records") == [{"mask": 0, "eroded": 0, "expanded": 0, "final": 0}]
    full = cs.Workflow(clear_border=False).run(IMAGE, tmp_path / "full")
    assert list(result.table.columns) == list(full.table.columns)
    assert list(result.table.dtypes) == list(full.table.dtypes)
    assert len(result.table) == 0
    assert result.summary["count"].tolist() == [0]
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["objects"]["mean"] is None


def test_empty_mask(tmp_path, caplog):
    result = run_quietly(IMAGE, tmp_path, caplog, cs.Workflow(threshold=1.0))
    assert "no voxel is above the threshold" in caplog.text
    assert not result.labels.values.any()


def test_erosion_that_leaves_nothing(tmp_path, caplog):
    run_quietly(IMAGE, tmp_path, caplog, cs.Workflow(erosion_radius=8))
    assert "leaves nothing" in caplog.text


def test_border_that_takes_every_object(tmp_path, caplog):
    mask = np.zeros((3, 20, 20), bool)
    mask[:, 5:9, 5:9] = True
    result = run_quietly(mask, tmp_path, caplog, input_is_mask=True)
    assert "every object touches" in caplog.text
    assert "axes=" in caplog.text
    assert len(result.table) == 0
    kept = cs.Workflow(clear_border_axes="yx").run(mask, tmp_path / "yx", input_is_mask=True)
    assert len(kept.table) == 1


def test_sizes_that_take_every_object(tmp_path, caplog):
    mask = np.zeros((3, 20, 20), bool)
    mask[1, 5:9, 5:9] = mask[:, 12, 12] = True
    workflow = cs.Workflow(min_size=100)
    result = run_quietly(mask, tmp_path, caplog, workflow, input_is_mask=True)
    assert "every object is dropped, some or all for their size: no objects" in caplog.text
    assert "touches" not in caplog.text
    assert result.dropped["why"].tolist() == ["z low, z high", "size"]


def test_warnings_name_the_time_points(tmp_path, caplog):
    movie = np.zeros((7, 9, 9), np.uint8)
    movie[3, 4, 4] = 255
    result = run_quietly(cs.from_array(movie, "tyx"), tmp_path, caplog)
    assert "at t = 0, 1, 2, 4, 5, ... (6 of 7 time points)" in caplog.text
    assert result.summary["count"].tolist() == [0, 0, 0, 1, 0, 0, 0]
    assert list(result.counts["final"]) == [0, 0, 0, 1, 0, 0, 0]


def test_blocks_of_one_frame_and_axes_in_any_order(tmp_path):
    image = cs.from_array(np.stack([IMAGE, IMAGE[::-1]]), "tzyx")
    one = cs.Workflow(sigma=0.5).run(image, tmp_path / "tzyx", block_shape=(3, 9, 9))
    two = cs.Workflow(sigma=0.5).run(image.transpose("z", "t", "y", "x"), tmp_path / "ztyx")
    assert one.labels.dims == two.labels.dims == ("t", "z", "y", "x")
    np.testing.assert_array_equal(one.labels, two.labels)


@pytest.mark.parametrize("unit", [None, "um"])
def test_results_do_not_warn_again_of_an_image_without_spacing(tmp_path, warnings, unit):
    spacing = None if unit is None else 0.5
    image = cs.from_array(np.eye(9, dtype=np.uint8), spacing=spacing, unit=unit)
    result = cs.Workflow().run(image, tmp_path / "out", keep=["mask"])
    warnings.clear()
    assert (result.labels.x.attrs["spacing"], result.mask.dims) == (spacing or 1.0, ("y", "x"))
    assert warnings == []
