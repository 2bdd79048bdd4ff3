"""A right result passes, and each kind of tampering is noticed by the checks that it concerns."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import zarr

import chunkseg as cs
from chunkseg.cli import main
from chunkseg.errors import FormatError, IncompleteError, ParameterError
from chunkseg.runner import verifying
from chunkseg.storage.site import KEPT

CENTRES = [(9, 9, 9), (9, 9, 17), (10, 22, 21), (8, 33, 12), (11, 30, 36), (9, 14, 35), (0, 40, 45)]


def balls(shape: tuple[int, ...], radius: int = 5) -> Any:
    """Draw bright balls on noise: two that touch, one across every seam, one at the border."""
    grid = np.moveaxis(np.indices(shape), 0, -1)
    near = [((grid - centre) ** 2).sum(axis=-1) <= radius**2 for centre in CENTRES]
    noise = np.random.default_rng(0).integers(0, 9000, shape)
    return (np.any(near, axis=0) * 40000 + noise).astype(np.uint16)


STACK = balls((20, 44, 46))
REGIONS = {f"region {step}" for step in ("mask", "seeds", "expanded", "labels", "table")}


def made(folder: Path, image: Any = STACK, keep=(), block=(10, 22, 46), **options: Any) -> Path:
    """Run on a file, in a folder that holds both."""
    np.save(folder / "image.npy", image)
    workflow = cs.Workflow(**{"sigma": 1, "erosion_radius": 2, **options})
    dims = {4: "tzyx", 3: "zyx", 2: "yx"}[image.ndim]
    opened = cs.open_image(folder / "image.npy", dims=dims, spacing=0.5, unit="um")
    workflow.run(opened, folder / "out", keep=keep, block_shape=block)
    return folder / "out"


@pytest.fixture(scope="module")
def right(tmp_path_factory) -> Path:
    return made(tmp_path_factory.mktemp("right"))


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Path:
    return made(tmp_path_factory.mktemp("kept"), keep=KEPT)


@pytest.fixture
def out(right, tmp_path) -> Path:
    """A copy to be tampered with; the input stays where it is."""
    return shutil.copytree(right, tmp_path / "out")


def stored(out: Path, name: str = "labels") -> zarr.Array[Any]:
    array = zarr.open_array(out / f"{name}.ome.zarr" / "0", mode="r+")
    return array.with_config({"write_empty_chunks": True})


def verified(out: Path, image: Any = None, **options: Any) -> dict[str, str]:
    """Details of the checks that failed, by name."""
    found = cs.verify(out, image, **{"regions": 4, "seed": 1, **options})
    assert found.ok == (not found.failed)
    assert len(found.table) == len(found.checks)
    return {check.name: check.detail for check in found.failed}


def outcomes(out: Path, image: Any = None, **options: Any) -> dict[str, str]:
    found = cs.verify(out, image, **{"regions": 4, "seed": 1, **options})
    return {check.name: check.outcome for check in found.checks}


def rewritten(out: Path, change: Any, name: str = "labels") -> None:
    """Change an array through zarr, its chunks' checksums with it."""
    array = stored(out, name)
    values = array[...]
    new = change(values)
    array[...] = values if new is None else new


def test_a_right_result_passes(right):
    told = outcomes(right)
    assert {name for name, outcome in told.items() if outcome == "not checked"} == {
        "threshold",
        "region mask",
        "region seeds",
        "region expanded",
    }
    assert set(told.values()) == {"ok", "not checked"}


def test_a_right_result_with_all_that_can_be_kept_passes(kept):
    told = outcomes(kept)
    assert [name for name, outcome in told.items() if outcome != "ok"] == ["threshold"]
    assert set(told) >= REGIONS | {"mask", "seeds", "expanded"}


def test_objects_dropped_for_their_size_were_left_within_the_border(tmp_path):
    out = made(tmp_path, keep=("expanded",), max_size=500)
    (facts,) = cs.Result.open(out).run["frames"]
    assert (facts["counts"]["final"], facts["dropped"]["size"]) == (4, 1)
    assert not verified(out)


def test_regions_that_decide_little_pass_too(kept, monkeypatch):
    """Small ones, cut from objects on all sides."""
    monkeypatch.setattr(verifying, "REGION_VOXELS", 24**3)
    found = cs.verify(kept, regions=20, seed=3)
    assert found.ok
    assert "20 regions of 10 x 10 x 10 voxels, seed 3" in found.checks[-1].detail


def swapped(labels):
    one, other = labels == 1, labels == 2
    labels[one], labels[other] = 2, 1


def merged(labels):
    labels[labels == 3] = 2


def voxel(labels):
    labels[tuple(np.argwhere(labels == 2)[20])] = 0


def rolled(labels):
    return np.roll(labels, 8, axis=2)


def border_object(labels):
    labels[0:3, 0:3, 0:3] = labels.max() + 1


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (voxel, {"table", "region labels"}),
        (swapped, {"ranking", "table", "region table"}),
        (merged, {"labels", "connected", "counts", "table", "region labels", "region table"}),
        (rolled, {"border", "connected", "table", "region labels"}),
        (border_object, {"border", "ranking", "counts", "table", "region labels"}),
    ],
)
def test_a_label_image_changed_through_zarr(out, change, names):
    rewritten(out, change)
    told = verified(out)
    assert set(told) == {"checksums"} | names
    assert "voxels [" in told["checksums"]
    assert "digests" not in told


def test_the_changed_block_is_named(out):
    rewritten(out, lambda labels: labels.__setitem__((12, 25, 43), 7))
    assert (
        verified(out)["checksums"]
        == "block 3, voxels [10:20, 22:44, 0:46], is not what was written"
    )


def chunk(out: Path, name: str = "labels") -> Path:
    return out / f"{name}.ome.zarr" / "0" / "c" / "1" / "0" / "0"


def deleted(file: Path) -> None:
    file.unlink()


def truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-3])


def flipped(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    file.write_bytes(content)


@pytest.mark.parametrize("damage", [deleted, truncated, flipped])
def test_a_damaged_chunk_of_the_label_image(out, damage):
    damage(chunk(out))
    told = verified(out)
    assert set(told) == {"chunks"}
    assert "c/1/0/0" in told["chunks"]
    assert "voxels [10:20, 0:22, 0:46]" in told["chunks"]
    assert outcomes(out)["table"] == "not checked"


@pytest.mark.parametrize("name", KEPT)
def test_a_damaged_chunk_of_what_was_kept(kept, tmp_path, name):
    out = shutil.copytree(kept, tmp_path / "out")
    flipped(chunk(out, name))
    assert set(verified(out)) == {"chunks"}


@pytest.mark.parametrize("name", KEPT)
def test_a_changed_voxel_of_what_was_kept(kept, tmp_path, name):
    out = shutil.copytree(kept, tmp_path / "out")
    rewritten(
        out, lambda values: values.__setitem__((0, 0, 45), 1 - min(values[0, 0, 45], 1)), name
    )
    assert {name, f"region {name}"} <= set(verified(out))


def test_a_missing_or_odd_array(out):
    shutil.rmtree(out / "labels.ome.zarr" / "0")
    assert "can't be opened" in verified(out)["chunks"]
    zarr.create_array(out / "labels.ome.zarr" / "0", shape=(3, 3), dtype="u4", chunks=(3, 3))
    assert "of shape (3, 3)" in verified(out)["chunks"]


def edit_row(table):
    return table.assign(area=table["area"] + (table["label"] == 2))


@pytest.mark.parametrize(
    ("edit", "name", "text"),
    [
        (edit_row, "table", "area of label 2 is "),
        (lambda t: t.assign(volume_um3=t.volume_um3 + 1), "table", "volume_um3 of label 1 is "),
        (lambda t: t.assign(intensity_mean=9.0), "region table", "intensity_mean of label "),
        (lambda t: t.drop(index=2), "counts", "the table has "),
        (lambda t: t.drop(columns="bbox-0"), "table", "no column bbox-0"),
    ],
)
def test_an_edited_table(out, edit, name, text):
    table = pd.read_parquet(out / "objects.parquet")
    edit(table).to_parquet(out / "objects.parquet", index=False)
    told = verified(out)
    assert text in told[name]
    assert told["digests"] == "changed: objects.parquet"


def test_a_table_that_is_none(out):
    (out / "objects.parquet").write_bytes(b"PAR1")
    assert "can't be read" in verified(out)["table"]


@pytest.mark.parametrize("name", ["objects.csv", "summary.json", "workflow.toml"])
def test_edited_text_files(out, name):
    with (out / name).open("a") as file:
        file.write("\n")
    assert verified(out, regions=0) == {"digests": f"changed: {name}"}


def test_a_missing_file(out):
    (out / "objects.csv").unlink()
    assert verified(out, regions=0) == {"files": "missing: objects.csv"}


def run_edited(out: Path, change: Any) -> None:
    run = json.loads((out / "run.json").read_text())
    change(run)
    (out / "run.json").write_text(json.dumps(run))


def test_another_threshold_in_run_json(out):
    run_edited(out, lambda run: run["frames"][0].update(threshold=0.5))
    told = verified(out)
    assert set(told) == {"facts", "region labels", "region table"}
    assert "threshold is 0.5 in run.json and 0." in told["facts"]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda run: run["workflow"].update(sigma=2.0), "not the one of its identity"),
        (
            lambda run: (
                run["identity"]["facts"].update(sigma=2.0) or run["workflow"].update(sigma=2.0)
            ),
            "workflow.toml tell of different",
        ),
        (lambda run: run["frames"][0]["counts"].update(mask=3), "counts is {'mask': 3"),
    ],
)
def test_run_json_that_contradicts_the_others(out, change, text):
    run_edited(out, change)
    assert text in verified(out, regions=0)["facts"]


def test_summary_and_workflow_that_can_not_be_read(out):
    (out / "summary.json").write_text("{")
    assert "summary.json can't be read" in verified(out, regions=0)["facts"]
    (out / "summary.json").write_text('{"frames": []}')
    assert "tells of 0 frames" in verified(out, regions=0)["facts"]
    (out / "workflow.toml").unlink()
    assert "can't be read" in verified(out, regions=0)["facts"]


def test_a_given_threshold_is_compared(tmp_path):
    out = made(tmp_path, STACK, threshold=0.2)
    assert outcomes(out)["threshold"] == "ok"
    run_edited(out, lambda run: run["frames"][0].update(threshold=0.21))
    assert verified(out)["threshold"] == "the threshold is 0.21 and 0.2 was given"


def test_checksums_that_were_not_recorded(out):
    run_edited(out, lambda run: run["frames"][0].pop("checksums"))
    assert outcomes(out)["checksums"] == "not checked"


def test_run_json_that_no_run_wrote(out):
    run_edited(out, lambda run: run.pop("block_shape"))
    with pytest.raises(FormatError, match="not what a run writes"):
        cs.verify(out)
    run_edited(out, lambda run: run.update(block_shape=[1, 1, 1], frames=[]))
    with pytest.raises(FormatError, match="0 frames instead of 1"):
        cs.verify(out)


def test_no_complete_result(tmp_path):
    with pytest.raises(IncompleteError):
        cs.verify(tmp_path)


@pytest.mark.parametrize("wrong", [{"regions": -1}, {"seed": 1.5}, {"workers": 0}])
def test_arguments_that_can_not_be_used(right, wrong):
    with pytest.raises(ParameterError, match="must be a whole number"):
        cs.verify(right, **wrong)


def test_a_changed_or_lost_input_is_said(tmp_path):
    out = made(tmp_path)
    np.save(tmp_path / "image.npy", STACK[:, ::-1])
    found = {check.name: check for check in cs.verify(out).checks}
    assert found["input"].outcome == found["region labels"].outcome == "not checked"
    assert "the voxels are not what they were" in found["input"].detail
    (tmp_path / "image.npy").unlink()
    assert "there is nothing at" in {c.name: c for c in cs.verify(out).checks}["input"].detail
    assert cs.verify(out).ok
    np.save(tmp_path / "elsewhere.npy", STACK)
    assert outcomes(out, tmp_path / "elsewhere.npy")["region labels"] == "ok"


def test_an_input_that_can_not_be_read_in_a_region(tmp_path, monkeypatch):
    """Its sample is what it was, but a chunk beside it is damaged."""
    monkeypatch.setattr("chunkseg.storage.identity.SAMPLE_VOXELS", 1)
    folder = tmp_path / "in.zarr"
    array = zarr.create_array(folder, shape=STACK.shape, dtype="u2", chunks=(20, 44, 42))
    array[...] = STACK
    image = cs.open_image(folder, dims="zyx")
    cs.Workflow(erosion_radius=2).run(image, tmp_path / "out")
    assert outcomes(tmp_path / "out")["region labels"] == "ok"
    truncated(folder / "c" / "0" / "0" / "1")
    found = {check.name: check for check in cs.verify(tmp_path / "out", regions=1).checks}
    assert found["input"].outcome == "ok"
    assert found["region labels"].outcome == "not checked"
    assert "the chunk c/0/0/1 of" in found["region labels"].detail


def test_an_array_in_memory_has_to_be_given(tmp_path):
    result = cs.Workflow(erosion_radius=2).run(STACK, tmp_path / "out")
    found = result.verify(regions=1)
    assert found.ok
    assert "in memory" in {c.name: c for c in found.checks}["input"].detail
    assert outcomes(tmp_path / "out", STACK)["region labels"] == "ok"


def test_the_channel_of_the_run_is_taken(tmp_path):
    both = np.stack([STACK // 2, STACK])
    np.save(tmp_path / "both.npy", both)
    image = cs.open_image(tmp_path / "both.npy", dims="czyx")
    cs.Workflow(erosion_radius=2).run(image, tmp_path / "out", channel=1)
    assert outcomes(tmp_path / "out")["region labels"] == "ok"
    assert outcomes(tmp_path / "out", image)["region labels"] == "ok"
    assert outcomes(tmp_path / "out", image[:1])["input"] == "not checked"


@pytest.mark.parametrize(
    ("border", "block"),
    [
        ({}, (20, 23, 19)),
        ({"clear_border": False}, (3, 26, 44)),
        ({"clear_border_axes": ("y", "x")}, (4, 20, 31)),
    ],
)
def test_thin_stacks_and_borders(tmp_path, border, block):
    out = made(tmp_path, STACK[4:10], block=block, expand_distance=3.5, **border)
    told = outcomes(out, regions=6)
    assert "failed" not in told.values()
    assert told["region labels"] == "ok"
    assert ("border" in told) == (border != {"clear_border": False})


def test_movies(tmp_path):
    out = made(tmp_path, np.stack([STACK, STACK[::-1], np.zeros_like(STACK)]), keep=KEPT)
    assert "failed" not in outcomes(out).values()
    rewritten(out, lambda labels: labels[1].__setitem__((0, 0, 0), 9))
    told = verified(out)
    assert told["checksums"].startswith("frame 1: block 0, ")
    assert told["border"].startswith("frame 1: label 9 touches")


def test_a_row_of_no_frame(tmp_path):
    out = made(tmp_path, np.stack([STACK, STACK]))
    table = pd.read_parquet(out / "objects.parquet")
    pd.concat([table, table[-1:].assign(t=7)]).to_parquet(out / "objects.parquet", index=False)
    assert "rows of frames that there are not" in verified(out)["table"]


def test_planes_masks_and_the_mask_alone(tmp_path):
    plane = STACK[9]
    (tmp_path / "plane").mkdir()
    out = made(tmp_path / "plane", plane, keep=KEPT, block=(20, 15))
    assert "failed" not in outcomes(out).values()
    mask = STACK > 20000
    result = cs.Workflow(erosion_radius=1).run(
        mask, tmp_path / "mask", input_is_mask=True, keep=KEPT
    )
    assert set(outcomes(result.path, mask).values()) == {"ok"}
    assert "threshold" not in outcomes(result.path, mask)
    stopped = cs.Workflow(erosion_radius=1).run(STACK, tmp_path / "until", until="mask")
    told = outcomes(stopped.path, STACK)
    assert told["region mask"] == told["mask"] == "ok"
    assert told["region labels"] == "not checked"
    rewritten(
        stopped.path, lambda values: values.__setitem__((5, 5, 5), 1 - values[5, 5, 5]), "mask"
    )
    assert set(verified(stopped.path, STACK)) == {"mask", "region mask"}


def test_a_halo_too_large_for_a_region(right, monkeypatch):
    monkeypatch.setattr(verifying, "REGION_VOXELS", 100)
    assert outcomes(right)["region labels"] == "not checked"


def test_tables_of_measure(tmp_path):
    result = cs.measure(cs.from_array(np.eye(5, dtype="u1")), tmp_path / "out")
    assert outcomes(result.path) == {"files": "ok", "digests": "ok", "arrays": "not checked"}


def test_nothing_is_written_to_the_result(right):
    def state():
        return sorted((p.as_posix(), p.stat().st_mtime_ns) for p in right.rglob("*"))

    before = state()
    cs.verify(right, regions=1)
    assert state() == before


def test_command_line(out, capsys):
    assert main(["verify", str(out), "--regions", "1", "--seed", "5"]) == 0
    said = capsys.readouterr().out
    assert "\nchecksums        ok           CRC32C of every block\n" in said
    assert said.endswith("failed, 4 not made; seed 5\n")
    rewritten(out, merged)
    assert main(["verify", str(out), "--regions", "0", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert not told["ok"]
    assert {"connected", "counts"} <= {
        c["name"] for c in told["checks"] if c["outcome"] == "failed"
    }
    assert main(["verify", str(out / "nowhere")]) == 2
