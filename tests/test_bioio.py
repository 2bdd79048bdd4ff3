"""Files of microscopes through bioio's own readers, where these are installed.

The CZI is written by Zeiss's library, which comes with bioio-czi; the LIF is put together here, as
Leica's format is told by liffile, which comes with bioio-lif.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

import chunkseg as cs
from chunkseg.errors import ParameterError
from chunkseg.geometry.calibration import spacing_of
from chunkseg.storage.formats.asked import ask
from chunkseg.storage.formats.bioio import claims, read

WHY = "needs bioio and {}: pip install 'chunkseg[bioio]' {}"
DATA = np.random.default_rng(1).integers(0, 60000, (2, 2, 3, 40, 50)).astype(np.uint16)


def needs(reader: str) -> None:
    name = reader.replace("_", "-")
    for module in ("bioio", reader):
        pytest.importorskip(module, reason=WHY.format(name, name))


def written_czi(path: Path) -> Path:
    library = pytest.importorskip("pylibCZIrw.czi", reason=WHY.format("pylibCZIrw", "bioio-czi"))
    with library.create_czi(str(path)) as document:
        for t, c, z in np.ndindex(DATA.shape[:3]):
            document.write(DATA[t, c, z][..., None], plane={"T": t, "C": c, "Z": z})
        names = {0: "DAPI", 1: "GFP"}
        document.write_metadata("a", names, scale_x=0.26e-6, scale_y=0.26e-6, scale_z=0.7e-6)
    return path


def test_czi(tmp_path: Path, warnings: list[str]) -> None:
    needs("bioio_czi")
    path = written_czi(tmp_path / "a.czi")
    opened = cs.open_image(path, unit="um")
    assert opened.dims == ("t", "c", "z", "y", "x")
    assert list(opened.c.values) == ["DAPI", "GFP"]
    assert spacing_of(opened, "zyx") == pytest.approx((0.7, 0.26, 0.26))
    np.testing.assert_array_equal(opened, DATA)
    np.testing.assert_array_equal(cs.open_image(path, channel="GFP", unit="um"), DATA[:, 1])
    assert not warnings
    cs.open_image(path)
    assert any("without a unit: pass unit=" in told for told in warnings)


def test_a_czi_is_converted_and_run(tmp_path: Path) -> None:
    needs("bioio_czi")
    path = written_czi(tmp_path / "a.czi")
    stack = cs.open_image(path, channel="DAPI", unit="um")
    saved = cs.save_image(stack, tmp_path / "a.ome.zarr")
    np.testing.assert_array_equal(saved, DATA[:, 0])
    assert spacing_of(saved, "zyx") == pytest.approx((0.7, 0.26, 0.26))
    result = cs.Workflow(sigma=1).run(stack, tmp_path / "out", workers=1)
    assert result.labels.shape == DATA[:, 0].shape


def lif(stack: NDArray[np.uint8], lengths: tuple[float, ...]) -> bytes:
    """Return a LIF of one stack (z, y, x), its extent along the axes in meters."""
    steps = [1, stack.shape[2], stack.shape[1] * stack.shape[2]]
    axes = "".join(
        f'<DimensionDescription DimID="{n + 1}" NumberOfElements="{count}" Origin="0" '
        f'Length="{length}" Unit="m" BitInc="0" BytesInc="{step}"/>'
        for n, (count, length, step) in enumerate(
            zip(stack.shape[::-1], lengths[::-1], steps, strict=True)
        )
    )
    text = (
        '<LMSDataContainerHeader Version="2"><Element Name="all" Visibility="1" CopyOption="1">'
        '<Memory Size="0" MemoryBlockID="MemBlock_0"/><Children>'
        '<Element Name="cells" Visibility="1" CopyOption="1"><Data><Image TextDescription="">'
        '<ImageDescription><Channels><ChannelDescription DataType="0" ChannelTag="0" '
        'Resolution="8" NameOfMeasuredQuantity="" Min="0" Max="255" Unit="" LUTName="Gray" '
        'IsLUTInverted="0" BytesInc="0" BitInc="0"/></Channels>'
        f"<Dimensions>{axes}</Dimensions></ImageDescription></Image></Data>"
        f'<Memory Size="{stack.size}" MemoryBlockID="MemBlock_1"/></Element>'
        "</Children></Element></LMSDataContainerHeader>"
    )

    def told(words: str) -> bytes:
        return b"\x2a" + struct.pack("<i", len(words)) + words.encode("utf-16-le")

    header = told(text)
    parts = struct.pack("<ii", 0x70, len(header)) + header
    for name, content in (("MemBlock_0", b""), ("MemBlock_1", stack.tobytes())):
        block = b"\x2a" + struct.pack("<Q", len(content)) + told(name)
        parts += struct.pack("<ii", 0x70, len(block)) + block + content
    return parts


def test_lif(tmp_path: Path) -> None:
    needs("bioio_lif")
    stack = np.ascontiguousarray((DATA[0, 0] >> 8).astype(np.uint8))
    path = tmp_path / "a.lif"
    path.write_bytes(lif(stack, (2 * 0.7e-6, 39 * 0.25e-6, 49 * 0.25e-6)))
    opened = cs.open_image(path, unit="um")
    assert opened.dims == ("z", "y", "x")
    assert spacing_of(opened, "zyx") == pytest.approx((0.7, 0.25, 0.25))
    np.testing.assert_array_equal(opened, stack)
    with pytest.raises(ParameterError, match="series"):
        cs.open_image(path, series=3)


@pytest.mark.parametrize("reader", ["bioio_tifffile", "bioio_ome_tiff"])
def test_a_reader_of_bioio_sees_what_we_see(reader: str, tmp_path: Path) -> None:
    """A TIFF that chunkseg reads itself, read through bioio instead."""
    needs(reader)
    path = tmp_path / "a.ome.tiff"
    sizes = {f"PhysicalSize{a}{u}": v for a in "XYZ" for u, v in (("", 0.3), ("Unit", "µm"))}
    tifffile.imwrite(path, DATA[0], metadata={"axes": "CZYX", **sizes}, ome=True)
    asked = ask(str(path), 0, None)
    assert claims(asked)
    found, ours = read(asked), cs.open_image(path)
    whole: Any = found.source[tuple(slice(0, n) for n in found.source.shape)]
    np.testing.assert_array_equal(np.squeeze(whole), ours)
