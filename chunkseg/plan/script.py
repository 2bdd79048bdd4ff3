"""A workflow as a plain scikit-image script, for images that fit in memory.

The script runs in napari's console, on the first layer, or as a file. It is what a run of the
workflow gives block by block, said in scikit-image's and SciPy's own words.
"""

from __future__ import annotations

from chunkseg.plan.parameters import PHYSICAL, Parameters

_HEAD = '''"""{title}

Made by chunkseg's Workflow.to_script(): the same labels as the workflow's, in memory.
In napari's console it takes the first layer and adds one of labels; as a file:

    python script.py IMAGE.tif LABELS.tif
"""

import sys

import numpy as np
from scipy import ndimage as ndi
from skimage import filters, io, measure, morphology, segmentation

'''
_RUN = """

if "viewer" in globals():  # napari's console
    layer = viewer.layers[0]  # noqa: F821
    image = np.asarray(layer.data)
else:
    image = np.load(sys.argv[1]) if sys.argv[1].endswith(".npy") else io.imread(sys.argv[1])

{frames}print(labels.max(), "objects{last}")

if "viewer" in globals():
    viewer.add_labels(labels, scale=layer.scale)  # noqa: F821
elif sys.argv[2].endswith(".npy"):
    np.save(sys.argv[2], labels)
else:
    io.imsave(sys.argv[2], labels.astype(np.uint32), check_contrast=False)
"""


def script(parameters: Parameters, movie: bool = False) -> str:
    """Write the script.

    Parameters
    ----------
    parameters
        Of the workflow.
    movie
        Whether the image's first axis is time, each frame of which is an image of its own.
    """
    lines = [f"def segment(image{_threshold_argument(parameters)}):"]
    steps = [*_mask(parameters), *_seeds(parameters), *_labels(parameters), "return labels"]
    lines += [f"    {line}" for line in steps]
    head = _HEAD.format(title=_title(parameters)) + "\n".join(_constants(parameters))
    last = " in the frame with most" if movie else ""
    body = "\n\n\n" + "\n".join([*_blur(parameters), *lines])
    return head + body + "\n" + _RUN.format(frames=_frames(parameters, movie), last=last)


def _title(parameters: Parameters) -> str:
    split = ", split by erosion" if parameters.erosion_radius else ""
    return f"Blur, threshold{split}, label, clear the border, measure."


def _constants(parameters: Parameters) -> list[str]:
    sigma = parameters.sigma if isinstance(parameters.sigma, tuple) else f"{parameters.sigma!r}"
    lines = [f"SIGMA = {sigma}"]
    if parameters.threshold != "otsu":
        lines.append(f"THRESHOLD = {parameters.threshold!r}")
    if parameters.erosion_radius:
        lines.append(f"RADIUS = {parameters.erosion_radius!r}")
    if parameters.distance:
        lines.append(f"DISTANCE = {parameters.distance!r}")
    if parameters.units == PHYSICAL:
        lines.append("SPACING = (1.0, 1.0, 1.0)  # size of a voxel: z, y, x; set it")
    return lines


def _physical(parameters: Parameters) -> bool:
    return parameters.units == PHYSICAL


def _threshold_argument(parameters: Parameters) -> str:
    return ", threshold=None" if parameters.threshold_scope == "movie" else ""


def _blur(parameters: Parameters) -> list[str]:
    if not _physical(parameters):
        return ["def blur(image):", "    return filters.gaussian(image, sigma=SIGMA)", "", ""]
    return [
        "def blur(image):",
        "    sigma = np.broadcast_to(SIGMA, image.ndim) / np.array(SPACING[-image.ndim :])",
        "    return filters.gaussian(image, sigma=tuple(sigma))",
        "",
        "",
    ]


def _mask(parameters: Parameters) -> list[str]:
    lines = ["blurred = blur(image)"]
    if parameters.threshold != "otsu":
        return [*lines, "mask = blurred > THRESHOLD"]
    if parameters.threshold_scope == "movie":
        lines += ["if threshold is None:", "    threshold = filters.threshold_otsu(blurred)"]
    else:
        lines.append("threshold = filters.threshold_otsu(blurred)")
    return [*lines, "mask = blurred > threshold"]


def _seeds(parameters: Parameters) -> list[str]:
    if not parameters.erosion_radius:
        return ["labels = measure.label(mask)"]
    loop = f"for _ in range({parameters.erosion_iterations}):"
    if _physical(parameters):
        return [
            "spacing = SPACING[-image.ndim :]",
            loop,
            "    if not mask.all():  # outside of the image is foreground",
            "        mask = ndi.distance_transform_edt(mask, sampling=spacing) > RADIUS",
            "labels = measure.label(mask)",
        ]
    return [
        "ball = morphology.ball(RADIUS) if image.ndim == 3 else morphology.disk(RADIUS)",
        loop,
        "    mask = ndi.binary_erosion(mask, ball, border_value=1)",
        "labels = measure.label(mask)",
    ]


def _labels(parameters: Parameters) -> list[str]:
    lines = []
    if parameters.distance:
        spacing = ", SPACING[-image.ndim :]" if _physical(parameters) else ""
        lines += ["if labels.any():"]
        lines += [f"    labels = segmentation.expand_labels(labels, DISTANCE{spacing})"]
    return [*lines, *_border(parameters), "labels = measure.label(labels)", *_sizes(parameters)]


def _border(parameters: Parameters) -> list[str]:
    if not parameters.clear_border:
        return []
    if parameters.clear_border_axes is None:
        return ["labels = segmentation.clear_border(labels)"]
    numbers = tuple("zyx".index(axis) - 3 for axis in parameters.clear_border_axes)
    return [
        "labels = measure.label(labels)",
        f"for axis in {numbers!r}:",
        "    ends = labels.take((0, -1), axis)",
        "    labels[np.isin(labels, ends[ends != 0])] = 0",
    ]


def _sizes(parameters: Parameters) -> list[str]:
    if not parameters.limits_size:
        return []
    factor = " * np.prod(SPACING[-image.ndim :])" if _physical(parameters) else ""
    low = -1 if parameters.min_size is None else parameters.min_size
    high = '"inf"' if parameters.max_size is None else parameters.max_size
    return [
        f"sizes = np.bincount(labels.ravel()){factor}",
        f"fitting = (sizes >= {low}) & (sizes <= float({high}))",
        "labels, _, _ = segmentation.relabel_sequential(np.where(fitting[labels], labels, 0))",
    ]


def _frames(parameters: Parameters, movie: bool) -> str:
    if not movie:
        return "labels = segment(image)\n"
    if parameters.threshold_scope == "movie":
        return (
            "threshold = filters.threshold_otsu(np.stack([blur(frame) for frame in image]))\n"
            "labels = np.stack([segment(frame, threshold) for frame in image])\n"
        )
    return "labels = np.stack([segment(frame) for frame in image])\n"
