"""The input is never written to, nor removed: outputs at, within or around it are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import tifffile

import chunkseg as cs
from chunkseg.errors import PathError
from chunkseg.storage.apart import refuse_input
from chunkseg.storage.places import place_of

IMAGE = cs.synthetic_nuclei((48, 56), seed=1)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    path = tmp_path / "in.ome.zarr"
    cs.save_image(IMAGE, path)
    return path


@pytest.mark.parametrize("inside", ["", "out", "0/out"])
def test_nothing_is_written_into_the_zarr_that_is_read(stack: Path, inside: str) -> None:
    before = contents(stack)
    with pytest.raises(PathError, match="would change or remove the input"):
        cs.Workflow().run(str(stack), stack / inside, overwrite=True)
    with pytest.raises(PathError, match="would change or remove the input"):
        cs.save_image(cs.open_image(stack), stack / inside)
    assert contents(stack) == before


def test_labels_are_not_removed_by_what_measures_or_segments_them(tmp_path: Path) -> None:
    result = cs.Workflow().run(IMAGE, tmp_path / "out")
    labels, before = tmp_path / "out" / "labels.ome.zarr", contents(tmp_path)
    assert len(result.table)
    with pytest.raises(PathError, match="would change or remove the input"):
        cs.measure(labels, tmp_path / "out", overwrite=True)
    with pytest.raises(PathError, match="would change or remove the input"):
        cs.measure(IMAGE.astype(int), tmp_path / "out", cs.open_image(labels), overwrite=True)
    with pytest.raises(PathError, match="would change or remove the input"):
        cs.Workflow().run(labels, tmp_path / "out", input_is_mask=True, overwrite=True)
    assert contents(tmp_path) == before


def test_results_may_lie_beside_the_input_and_below_a_folder_of_planes(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "plane.tif", IMAGE)
    assert len(cs.Workflow().run(tmp_path / "plane.tif", tmp_path).table)
    assert len(cs.Workflow().run(tmp_path / "plane.tif", tmp_path / "out").table)
    refuse_input(tmp_path / "out", [str(tmp_path), None])


@pytest.mark.parametrize(
    ("output", "source", "refused"),
    [
        ("s3://b/run", "s3://b/run", True),
        ("s3://b/in.zarr/run", "s3://b/in.zarr", True),
        ("s3://b/run", "s3://b/run/labels.ome.zarr", True),
        ("s3://b/run", "s3://b/run2", False),
        ("s3://b", "s3://b/in.zarr", False),
        ("run", "s3://b/run", False),
    ],
)
def test_addresses_are_compared_as_they_stand(output: str, source: str, refused: bool) -> None:
    if not refused:
        refuse_input(place_of(output), [source])
        return
    with pytest.raises(PathError, match="give an output outside it"):
        refuse_input(place_of(output), [source])


def test_a_link_to_the_input_is_the_input(stack: Path) -> None:
    link = stack.with_name("link")
    link.symlink_to(stack)
    with pytest.raises(PathError, match="would change or remove the input"):
        cs.Workflow().run(stack, link)
