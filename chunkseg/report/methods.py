"""A Methods paragraph of a result, to be pasted into a paper."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from chunkseg.api.checks import Subject
from chunkseg.api.result import Result
from chunkseg.errors import ParameterError
from chunkseg.geometry.units import PIXEL
from chunkseg.plan.parameters import PHYSICAL, Parameters
from chunkseg.report.telling import part
from chunkseg.report.words import length_unit

OTSU = (
    "Otsu N. A threshold selection method from gray-level histograms. IEEE Trans. Syst. Man "
    "Cybern. 9, 62-66 (1979)."
)
WALT = "van der Walt S. et al. scikit-image: image processing in Python. PeerJ 2, e453 (2014)."
IN_WORDS = ("numpy", "scipy", "dask", "zarr")
BY_OTSU, SKIMAGE = "Otsu's method [1]", "scikit-image"


def methods(result: Result) -> str:
    """Tell what a run did, for the Methods section of a paper.

    Parameters
    ----------
    result : Result
        Of :meth:`Workflow.run`.

    Returns
    -------
    str
        Plain text: a paragraph and the references, with parameters, units, thresholds, versions.

    Raises
    ------
    ParameterError
        If it is no result of a workflow.

    Examples
    --------
    >>> import chunkseg as cs, tempfile
    >>> image = cs.from_array(cs.synthetic_nuclei((90, 96)), spacing=0.5, unit="um")
    >>> result = cs.Workflow(sigma=2).run(image, tempfile.mkdtemp())
    >>> methods(result)[:66]
    'A 2-D image (90 x 96 pixels of 0.5 x 0.5 µm, uint16) was segmented'
    """
    subject = subject_of(result)
    sentences = [_image(subject), *_mask(subject), *_objects(subject), _measured(subject)]
    lines = [" ".join(s for s in sentences if s), "", *_references(subject)]
    return "\n".join(lines) + "\n"


def subject_of(result: Result) -> Subject:
    """Facts of a run.

    Raises
    ------
    ParameterError
        If the result is a table of ``measure``.
    """
    if "workflow" not in result.run:
        raise ParameterError(
            f"{result.path} is a table of 'chunkseg measure', not the result of a run: there is "
            "nothing to be told of a segmentation"
        )
    return Subject.of(result.path, result.run)


def _image(subject: Subject) -> str:
    told, ndim = subject.run["input"], subject.layout.ndim
    voxel = "voxels" if ndim == 3 else "pixels"
    shape = " x ".join(map(str, subject.layout.frame_shape))
    unit = told["units"].get(subject.spatial[-1], PIXEL)
    size = ""
    if unit != PIXEL:
        size = f" of {' x '.join(f'{s:g}' for s in subject.spacing)} {length_unit(unit)}"
    if subject.layout.looped:
        what = f"A movie of {subject.layout.frames} {ndim}-D images ({shape} {voxel}{size} each"
    else:
        what = f"A {ndim}-D image ({shape} {voxel}{size}"
    rest = f"; voxels {part(subject)} of a larger one" if part(subject) else ""
    versions = subject.run["versions"]
    python = f"Python {versions['python']}"
    each = ", each image by itself" if subject.layout.looped else ""
    return (
        f"{what}, {told['dtype']}{rest}) was segmented with chunkseg {versions['chunkseg']} "
        f"({python}){each}."
    )


def _mask(subject: Subject) -> list[str]:
    if subject.is_mask:
        return ["It was a binary mask already."]
    parameters = subject.parameters
    sigma = parameters.sigma if isinstance(parameters.sigma, tuple) else (parameters.sigma,)
    size = f"{' x '.join(f'{s:g}' for s in sigma)} {_length_unit(subject, *sigma)}"
    scaled = ""
    if not subject.run["input"]["dtype"].startswith("float"):
        scaled = " after scaling intensities by the range of their type"
    blurred = f"It was blurred with a Gaussian (standard deviation {size}){scaled}"
    return [f"{blurred}; voxels above {_threshold(subject)} were foreground."]


def _threshold(subject: Subject) -> str:
    parameters = subject.parameters
    if parameters.threshold != "otsu":
        return f"{parameters.threshold:g}"
    found = np.array([f["threshold"] for f in subject.frames], float)
    if len(set(found.tolist())) == 1:
        of = " of the whole movie" if subject.layout.looped else ""
        return f"the threshold{of} by {BY_OTSU} ({found[0]:.6g})"
    low, high = found.min(), found.max()
    return f"the threshold of each image by {BY_OTSU} ({low:.6g} to {high:.6g})"


def _objects(subject: Subject) -> list[str]:
    if subject.run["until"] is not None:
        return []
    parameters = subject.parameters
    ball = "ball" if subject.layout.ndim == 3 else "disk"
    split = ""
    radius = parameters.erosion_radius
    if radius:
        times = parameters.erosion_iterations
        again = f", {times} times" if times > 1 else ""
        split = (
            f"To separate touching objects the mask was eroded by a {ball} of radius "
            f"{radius:g} {_length_unit(subject, radius)}{again}."
        )
    labelled = "Connected components (neighbours by faces, edges and corners) were labelled"
    distance = parameters.distance
    if distance:
        unit = _length_unit(subject, distance)
        labelled += f", expanded by up to {distance:g} {unit} and labelled again"
    return [split, f"{labelled}.", *_dropped(parameters, subject)]


def _dropped(parameters: Parameters, subject: Subject) -> list[str]:
    told = []
    if parameters.clear_border:
        axes = parameters.clear_border_axes
        ends = "" if axes is None else f" along {', '.join(axes)}"
        told.append(f"Objects that touch the border of the image{ends} were removed.")
    volume = f"{_length_unit(subject)}{'³' if subject.layout.ndim == 3 else '²'}"
    if parameters.units != PHYSICAL:
        volume = _voxels(subject)
    for word, limit in (("smaller", parameters.min_size), ("larger", parameters.max_size)):
        if limit is not None:
            told.append(f"Objects {word} than {limit:g} {volume} were removed.")
    return told


def _measured(subject: Subject) -> str:
    if subject.run["until"] is not None:
        return ""
    objects = sum(f["counts"].get("final", 0) for f in subject.frames)
    size = "volume" if subject.layout.ndim == 3 else "area"
    left = f"{objects} object{'s' * (objects != 1)} remained"
    in_all = f" in {subject.layout.frames} images" if subject.layout.looped else ""
    if not objects:
        return f"{left}{in_all}."
    one = _voxels(subject)[:-1]
    whose = "its" if objects == 1 else "their"
    return f"{left}{in_all}; {whose} {size} is the number of {one}s times the size of a {one}."


def _references(subject: Subject) -> list[str]:
    versions: Mapping[str, Any] = subject.run["versions"]
    used = ", ".join(f"{name} {versions[name]}" for name in IN_WORDS if name in versions)
    cited = [WALT]
    if not subject.is_mask and subject.parameters.threshold == "otsu":
        cited.insert(0, OTSU)
    same = (
        f"chunkseg computes block by block what {SKIMAGE} [{len(cited)}] (version "
        f"{versions[SKIMAGE]}) gives on whole images; it used {used}."
    )
    return [same, "", *(f"[{n}] {text}" for n, text in enumerate(cited, 1))]


def _voxels(subject: Subject) -> str:
    return "voxels" if subject.layout.ndim == 3 else "pixels"


def _length_unit(subject: Subject, *lengths: float) -> str:
    """Unit of lengths in words, in the singular for one."""
    if subject.parameters.units == PHYSICAL:
        return length_unit(subject.run["input"]["units"].get(subject.spatial[-1], PIXEL))
    return _voxels(subject)[: -1 if lengths == (1,) else None]
