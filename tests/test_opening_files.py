"""TIFF series and compressions, HDF5, Imaris, bioio, and files that patterns put together."""

from __future__ import annotations

import itertools
import json
import pickle
import sys
import types
from pathlib import Path
from typing import Any, ClassVar

import dask.array as da
import h5py
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from chunkseg.errors import FormatError, ParameterError, PathError
from chunkseg.geometry.calibration import spacing_of, unit_of
from chunkseg.storage.opening import open_image
from chunkseg.storage.sources import source_of
from tests.images import STACK, save_ome_set, save_planes

# --- TIFF


@pytest.mark.parametrize("compression", ["lzw", "zlib", "zstd", "packbits", None])
@pytest.mark.parametrize("options", [{}, {"tile": (16, 16)}, {"bigtiff": True, "byteorder": ">"}])
def test_compressions(tmp_path: Path, compression: str | None, options: dict[str, Any]) -> None:
    path = tmp_path / "a.tif"
    kind: dict[str, Any] = {"photometric": "minisblack", "metadata": {"axes": "ZYX"}}
    tifffile.imwrite(path, STACK, compression=compression, ome=True, **kind, **options)
    opened = open_image(path)
    assert opened.dims == ("z", "y", "x")
    np.testing.assert_array_equal(opened.values, STACK)


@pytest.fixture
def two_series(tmp_path: Path) -> Path:
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as tif:
        for i, name in enumerate(["overview", "detail"]):
            sizes = {"PhysicalSizeX": i + 1.0, "PhysicalSizeY": i + 1.0}
            told = {"axes": "ZYX", "Name": name, **sizes, "Channel": {"Name": [f"c{i}"]}}
            tif.write(STACK + i, metadata=told, photometric="minisblack")
    return tmp_path / "a.ome.tif"


def test_series_of_ome_tiff_have_their_own_metadata(two_series: Path, warnings: list[str]) -> None:
    for wanted in (1, "1", "detail"):
        opened = open_image(two_series, series=wanted, spacing={"z": 1})
        np.testing.assert_array_equal(opened.values, STACK + 1)
        assert spacing_of(opened, "yx") == (2, 2)
    assert not warnings
    np.testing.assert_array_equal(open_image(two_series, channel="c0").values, STACK)
    assert "(overview, detail)" in warnings[0]
    for wrong in (2, "none"):
        with pytest.raises(ParameterError, match="0: overview, 1: detail"):
            open_image(two_series, series=wrong)


def test_one_series_is_number_0(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", STACK)
    assert open_image(tmp_path / "a.npy", series=0).shape == STACK.shape
    with pytest.raises(ParameterError, match="series=1 does not name one of series 0: a"):
        open_image(tmp_path / "a.npy", series=1)


# --- HDF5


def test_the_only_data_set_and_one_by_its_path(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("volumes/raw", data=STACK.astype(">u2"), chunks=(2, 10, 12))
        file.create_dataset("table", data=np.arange(5))
    for place in ("a.h5", "a.h5:/volumes/raw", "a.h5/volumes/raw", "a.h5:/volumes"):
        opened = open_image(tmp_path / place, spacing=1, unit="um")
        np.testing.assert_array_equal(opened.values, STACK)
        assert source_of(opened.data).chunks == (2, 10, 12)  # type: ignore[union-attr]
    assert open_image(tmp_path / "a.h5:/volumes/raw").name == "raw"
    again = pickle.loads(pickle.dumps(source_of(opened.data)))
    np.testing.assert_array_equal(again[1:3, ::2], STACK[1:3, ::2])
    with pytest.raises(PathError, match=r"no volumes/none in .*its images are volumes/raw"):
        open_image(tmp_path / "a.h5:/volumes/none")
    with pytest.raises(ParameterError, match="level=1"):
        open_image(tmp_path / "a.h5", level=1)


def test_several_data_sets_ask(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for i in range(12):
            file[f"s{i:02}"] = STACK[:, :4, :4] + i
    with pytest.raises(
        FormatError, match=r"12 images \(s00, .*s09, \.\.\.\).*series=.*a\.h5:/NAME"
    ):
        open_image(tmp_path / "a.h5")
    np.testing.assert_array_equal(
        open_image(tmp_path / "a.h5", series="s11"), STACK[:, :4, :4] + 11
    )
    with pytest.raises(ParameterError, match="series='t'"):
        open_image(tmp_path / "a.h5", series="t")


def test_element_size_um(tmp_path: Path, warnings: list[str]) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["raw"] = STACK
        file["raw"].attrs["element_size_um"] = [2.0, 0.5, 0.25]
        file["planes"] = STACK[0]
        file["planes"].attrs["element_size_um"] = [2.0, 0.5, 0.25]
    opened = open_image(tmp_path / "a.h5:/raw")
    assert spacing_of(opened, "zyx") == (2.0, 0.5, 0.25)
    assert unit_of(opened, "zyx") == "micrometer"
    assert not warnings
    assert unit_of(open_image(tmp_path / "a.h5:/planes"), "yx") == "pixel"
    assert "element_size_um [2.0, 0.5, 0.25] can't be told apart" in warnings[0]


def test_axes_of_ilastik_and_of_hdf5(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a"] = STACK
        axes = [{"key": k, "typeFlags": 2, "resolution": 0, "description": ""} for k in "tyx"]
        file["a"].attrs["axistags"] = json.dumps({"axes": axes})
        file["b"] = STACK
        file["c"] = STACK[None, None]
        for i, name in enumerate(["x", "Y", "Z"]):
            file["b"].dims[i].label = name
    assert open_image(tmp_path / "a.h5:/a").dims == ("t", "y", "x")
    assert open_image(tmp_path / "a.h5:/b").dims == ("x", "y", "z")
    with pytest.raises(FormatError, match=r"without names for its axes.*dims="):
        open_image(tmp_path / "a.h5:/c")


def test_hdf5_that_is_damaged_or_without_its_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("raw", data=STACK, chunks=(6, 20, 24), compression="gzip")
        place = file["raw"].id.get_chunk_info(0).byte_offset
    whole = path.read_bytes()
    path.write_bytes(whole[: place + 10] + b"\xff" * 20 + whole[place + 30 :])
    with pytest.raises(FormatError, match=r"data set /raw of .*a\.h5 is damaged.*\[0:6, "):
        open_image(path).compute(scheduler="synchronous")
    path.write_bytes(whole[:100])
    with pytest.raises((FormatError, PathError), match=r"a\.h5 can't be read"):
        open_image(path)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ParameterError, match=r"chunkseg\[hdf5\]"):
        open_image(path)


def letters(text: str) -> np.ndarray[Any, Any]:
    return np.array(list(text), dtype="S1")


@pytest.fixture
def imaris(tmp_path: Path) -> Path:
    """Two levels, two time points, two channels, padded to chunks of 8."""
    with h5py.File(tmp_path / "a.ims", "w") as file:
        for level, time, channel in itertools.product(range(2), range(2), range(2)):
            step = 2**level
            name = f"DataSet/ResolutionLevel {level}/TimePoint {time}/Channel {channel}"
            pixels = STACK[:, ::step, ::step] + 10 * time + channel
            padding = [(0, -n % 8) for n in pixels.shape]
            group = file.create_group(name)
            group.create_dataset("Data", data=np.pad(pixels, padding), chunks=(8, 8, 8))
            for axis, n in zip("ZYX", pixels.shape, strict=True):
                group.attrs[f"ImageSize{axis}"] = letters(str(n))
        info = file.create_group("DataSetInfo/Image")
        for i, extent in enumerate((12.0, 10.0, 3.0)):
            info.attrs[f"ExtMin{i}"] = letters("0")
            info.attrs[f"ExtMax{i}"] = letters(str(extent))
        info.attrs["Unit"] = letters("um")
        for i, name in enumerate(["DAPI", "GFP"]):
            file.create_group(f"DataSetInfo/Channel {i}").attrs["Name"] = letters(name)
    return tmp_path / "a.ims"


def test_imaris(imaris: Path) -> None:
    opened = open_image(imaris, channel="GFP")
    assert (opened.dims, opened.shape) == (("t", "z", "y", "x"), (2, 6, 20, 24))
    np.testing.assert_array_equal(opened.values, np.stack([STACK + 1, STACK + 11]))
    assert spacing_of(opened, "zyx") == (0.5, 0.5, 0.5)
    coarse = open_image(imaris, level=1)
    assert (coarse.shape, spacing_of(coarse, "zyx")) == ((2, 2, 6, 10, 12), (0.5, 1, 1))
    assert coarse.c.values.tolist() == ["DAPI", "GFP"]
    with pytest.raises(ParameterError, match="2 resolution level"):
        open_image(imaris, level=2)


def test_imaris_whose_time_points_differ(imaris: Path) -> None:
    with h5py.File(imaris, "a") as file:
        del file["DataSet/ResolutionLevel 0/TimePoint 1/Channel 1"]
    with pytest.raises(FormatError, match="differ in shape or channels"):
        open_image(imaris)


# --- bioio


class Unit:
    def __str__(self) -> str:
        return "micrometer"


class FakeBioImage:
    """What bioio's BioImage shows of a file with two scenes of two levels."""

    scenes = ("first", "second")
    resolution_levels = (0, 1)
    channel_names: ClassVar = ["DAPI", "GFP"]
    unit: Any = Unit()

    def __init__(self, path: str) -> None:
        if not Path(path).read_bytes().startswith(b"FAKE"):
            raise type("UnsupportedFileFormatError", (Exception,), {})(path)
        self.scene, self.level = 0, 0
        self.dims = types.SimpleNamespace(order="TCZYX")
        self.scale = types.SimpleNamespace(T=None, C=None, Z=2.0, Y=0.5, X=0.25)
        properties = {
            d: types.SimpleNamespace(unit=self.unit if d in "ZYX" else None) for d in "TCZYX"
        }
        self.dimension_properties = types.SimpleNamespace(**properties)

    def set_scene(self, scene: int) -> None:
        self.scene = scene

    def set_resolution_level(self, level: int) -> None:
        self.level = level

    @property
    def dask_data(self) -> da.Array:
        step = 2**self.level
        pixels = np.stack([STACK, STACK + 1])[None, ..., ::step, ::step] + 10 * self.scene
        return da.from_array(pixels, chunks=(1, 1, 1, -1, -1))


@pytest.fixture
def czi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    fake = types.ModuleType("bioio")
    fake.BioImage = FakeBioImage  # type: ignore[attr-defined]
    fake.__spec__ = types.SimpleNamespace(name="bioio")  # type: ignore[assignment]
    monkeypatch.setitem(sys.modules, "bioio", fake)
    (tmp_path / "a.czi").write_bytes(b"FAKE and what follows")
    return tmp_path / "a.czi"


def test_what_bioio_opens(czi: Path) -> None:
    opened = open_image(czi, channel="GFP", series="second")
    assert opened.dims == ("z", "y", "x")
    np.testing.assert_array_equal(opened.values, STACK + 11)
    assert spacing_of(opened, "zyx") == (2, 0.5, 0.25)
    assert unit_of(opened, "zyx") == "micrometer"
    again = pickle.loads(pickle.dumps(source_of(opened.data)))
    np.testing.assert_array_equal(again[1:3], STACK[1:3] + 11)
    assert open_image(czi, level=1, channel=0).shape == (6, 10, 12)
    with pytest.raises(ParameterError, match="0: first, 1: second"):
        open_image(czi, series="third")
    with pytest.raises(ParameterError, match="level=2"):
        open_image(czi, level=2)


def test_sizes_without_a_unit_do_not_count(
    czi: Path, warnings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeBioImage, "unit", None)
    assert unit_of(open_image(czi), "zyx") == "pixel"
    assert "without a unit: pass unit=" in warnings[0]
    assert spacing_of(open_image(czi, unit="um"), "zyx") == (2, 0.5, 0.25)


def test_what_bioio_does_not_open(czi: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    czi.write_bytes(b"something else")
    with pytest.raises(FormatError, match=r"not an image in a known format.*bioio-czi"):
        open_image(czi)
    monkeypatch.setattr(FakeBioImage, "__init__", lambda self, path: 1 / 0)
    with pytest.raises(FormatError, match="division by zero"):
        open_image(czi)
    monkeypatch.setitem(sys.modules, "bioio", None)
    with pytest.raises(ParameterError, match=r"chunkseg\[bioio\]"):
        open_image(czi)


# --- patterns


@settings(max_examples=25)
@given(
    st.permutations("tcz"),
    st.integers(1, 3),
    st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 3)),
    st.sampled_from(["named", "recognised"]),
)
def test_planes_in_a_grid(
    tmp_path_factory: pytest.TempPathFactory,
    order: list[str],
    count: int,
    shape: tuple[int, int, int],
    how: str,
) -> None:
    """Whatever the order in the names, the axes come as t, c, z."""
    folder = tmp_path_factory.mktemp("grid")
    fields = order[:count]
    axes = [a for a in "tcz" if a in fields]
    lengths = [n for a, n in zip("tcz", shape, strict=True) if a in axes]
    pixels = np.arange(np.prod(lengths) * 6, dtype=np.uint8).reshape(*lengths, 2, 3)
    for index in np.ndindex(*lengths):
        at = dict(zip(axes, index, strict=True))
        name = "img" + "".join(f"_{a}{at[a] + 9}" for a in fields)
        tifffile.imwrite(folder / f"{name}.tif", pixels[index])
    if how == "named":
        pattern = "img" + "".join(f"_{a}{{{a}}}" for a in fields) + ".tif"
        opened = open_image(folder / pattern)
    else:
        opened = open_image(folder)
    left = [d for d, n in zip(axes, lengths, strict=True) if n > 1 or (d == "z" and how == "named")]
    if np.prod(lengths) > 1:
        assert [d for d in opened.dims if d not in "yx"] == left
    np.testing.assert_array_equal(opened.values.squeeze(), pixels.squeeze())


def test_channels_by_word(tmp_path: Path) -> None:
    names = [f"{c}-t{t}.tif" for t in (1, 2) for c in ("DAPI", "GFP")]
    save_planes(tmp_path, names)
    opened = open_image(tmp_path / "{c}-t{t}.tif")
    assert (opened.dims, opened.c.values.tolist()) == (("t", "c", "y", "x"), ["DAPI", "GFP"])
    np.testing.assert_array_equal(
        open_image(tmp_path / "{c}-t{t}.tif", channel="GFP"), STACK[1:4:2]
    )
    chosen = open_image(tmp_path / "D*-t{t}.[t]i?")
    np.testing.assert_array_equal(chosen, STACK[:3:2])


def test_patterns_that_do_not_fit(tmp_path: Path) -> None:
    save_planes(tmp_path, ["t1_z1.tif", "t1_z2.tif", "t2_z1.tif"])
    for place in (tmp_path / "t{t}_z{z}.tif", tmp_path):
        with pytest.raises(FormatError, match=r"1 of 4 are missing, first t 2, z 2.*dims="):
            open_image(place)
    assert open_image(tmp_path, dims="tyx").shape == (3, 20, 24)
    with pytest.raises(PathError, match="no file matches"):
        open_image(tmp_path / "c{c}_q{z}.tif")
    with pytest.raises(FormatError, match="names an axis twice"):
        open_image(tmp_path / "t{t}_z{t}.tif")
    save_planes(tmp_path, ["t01_z1.tif"])
    with pytest.raises(FormatError, match="some come twice"):
        open_image(tmp_path / "t{t}_z{z}.tif")
    (tmp_path / "z{z}.tif").write_bytes((tmp_path / "t1_z1.tif").read_bytes())
    assert open_image(tmp_path / "z{z}.tif").shape == (20, 24)


def test_a_folder_that_is_one_set_of_ome_tiff(tmp_path: Path) -> None:
    """Each file tells the whole: not as many copies of it."""
    opened = open_image(save_ome_set(tmp_path))
    assert opened.dims == ("z", "y", "x")
    np.testing.assert_array_equal(opened.values, STACK[:2])
