"""OME-XML: sizes of voxels, names of images and channels, as OME-TIFF and bioformats2raw have it.

A physical size without a unit is in micrometers and a time increment without one in seconds: so
says the standard. A size that is no number is as good as none.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass

from chunkseg.geometry.calibration import Calibration

_SIZES = (
    ("x", "PhysicalSizeX", "µm"),
    ("y", "PhysicalSizeY", "µm"),
    ("z", "PhysicalSizeZ", "µm"),
    ("t", "TimeIncrement", "s"),
)


@dataclass(frozen=True, slots=True)
class OmeImage:
    """What OME-XML tells about one image: its name, calibration and channels."""

    name: str
    calibration: Calibration
    channels: tuple[str, ...] | None


def images(xml: str) -> list[OmeImage]:
    """Read all images of an OME-XML document, in its order.

    Raises
    ------
    xml.etree.ElementTree.ParseError
        If it is no XML.

    Examples
    --------
    >>> images('<OME><Image Name="a"><Pixels PhysicalSizeX="0.5"/></Image></OME>')[0].calibration
    Calibration(spacing={'x': 0.5}, units={'x': 'µm'}, origin={})
    """
    return [_image(element) for element in ElementTree.fromstring(xml).findall("{*}Image")]


def _image(element: ElementTree.Element) -> OmeImage:
    name = element.attrib.get("Name", "")
    pixels = element.find("{*}Pixels")
    if pixels is None:
        return OmeImage(name, Calibration(), None)
    spacing, units = {}, {}
    for dim, key, default in _SIZES:
        size = _number(pixels.attrib.get(key))
        if size is not None:
            spacing[dim] = size
            units[dim] = pixels.attrib.get(f"{key}Unit", default)
    channels = [c.attrib.get("Name", "") for c in pixels.findall("{*}Channel")]
    named = tuple(channels) if channels and all(channels) else None
    return OmeImage(name, Calibration(spacing, units), named)


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
