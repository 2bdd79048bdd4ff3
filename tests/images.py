"""Small image files that tests of readers write: OME-Zarr by the specification, planes of TIFF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import zarr

STACK = (np.arange(6 * 20 * 24) % 251).astype(np.uint16).reshape(6, 20, 24)


def axes(names: str, unit: str | None = "micrometer") -> list[dict[str, str]]:
    kinds = {"t": "time", "c": "channel"}
    full = [{"name": n, "type": kinds.get(n, "space")} for n in names]
    return [{**a, "unit": unit} if unit and a["type"] == "space" else a for a in full]


def scale(*values: float) -> dict[str, Any]:
    return {"type": "scale", "scale": list(values)}


def translation(*values: float) -> dict[str, Any]:
    return {"type": "translation", "translation": list(values)}


def save_ome(
    store: Any,
    pixels: np.ndarray[Any, Any],
    image: dict[str, Any],
    version: str = "0.4",
    **more: Any,
) -> Any:
    """Two levels, ``full`` and ``half``, both with the transformations in ``image["steps"]``."""
    steps = image.pop("steps", [scale(*[1.0] * pixels.ndim)])
    datasets = [{"path": "full", "coordinateTransformations": steps}]
    datasets += [{"path": "half", "coordinateTransformations": steps}]
    attrs = {"multiscales": [{"datasets": datasets, "version": version, **image}], **more}
    zarr_format: Any = 2 if version == "0.4" else 3
    attrs = attrs if version == "0.4" else {"ome": {"version": version, **attrs}}
    group = zarr.open_group(store, mode="w", zarr_format=zarr_format, attributes=attrs)
    for name, level in (("full", pixels), ("half", pixels[..., ::2])):
        group.create_array(name, data=level, chunks=tuple(max(2, n // 2) for n in level.shape))
    return store


def save_planes(folder: Path, names: list[str], pixels: np.ndarray[Any, Any] = STACK) -> Path:
    folder.mkdir(exist_ok=True)
    for name, plane in zip(names, pixels, strict=False):
        tifffile.imwrite(folder / name, plane)
    return folder


def save_ome_set(folder: Path) -> Path:
    """Write the first two planes as an OME-TIFF set, each file with the metadata of the whole."""
    uuids = [f"urn:uuid:0000000{i}-0000-0000-0000-000000000000" for i in range(2)]
    planes = "".join(
        f'<TiffData FirstZ="{i}" IFD="0" PlaneCount="1">'
        f'<UUID FileName="z{i}.ome.tif">{uuid}</UUID></TiffData>'
        for i, uuid in enumerate(uuids)
    )
    for i, uuid in enumerate(uuids):
        xml = (
            '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
            f'UUID="{uuid}"><Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" '
            'Type="uint16" SizeX="24" SizeY="20" SizeZ="2" SizeC="1" SizeT="1">'
            f'<Channel ID="Channel:0"/>{planes}</Pixels></Image></OME>'
        )
        tifffile.imwrite(folder / f"z{i}.ome.tif", STACK[i], description=xml, metadata=None)
    return folder
