"""``chunkseg demo``: the lesson, its known numbers beside those obtained.

The known numbers are the published ones for ``cells3d``; where that image can't be had they are
what scikit-image computes in memory, there and then, of a synthetic image.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.api.result import Result
from chunkseg.api.workflow import Workflow
from chunkseg.cli.messages import note, progress
from chunkseg.cli.printing import aligned, say, tick
from chunkseg.cli.sample import (
    CELLS3D,
    SECONDS_TO_FETCH,
    SPACING,
    UNIT,
    Published,
    fetched_cells3d,
    made_nuclei,
)
from chunkseg.kernels.reference import Lesson, lesson_in_memory
from chunkseg.report.words import number
from chunkseg.storage.opening import from_array

SIGMA = 3
RADIUS = 10
BLOCK = (32, 128, 128)
DIFFERENT = 1
STAGES = ("objects in the mask", "objects after erosion", "objects in the end")
STATISTICS = {"mean": "volume mean", "std": "volume standard deviation", "range": "volume range"}


@dataclass(frozen=True)
class Compared:
    """One number: what is known, what was obtained, and whether they agree."""

    name: str
    known: str
    obtained: str
    same: bool

    @classmethod
    def text(cls, name: str, known: Any, obtained: Any) -> Compared:
        """Compare as printed."""
        return cls(name, str(known), str(obtained), str(known) == str(obtained))


def command(args: argparse.Namespace) -> int:
    """Run the lesson and compare."""
    note(f"looking for scikit-image's cells3d, at most {SECONDS_TO_FETCH:.0f} s")
    image = fetched_cells3d(SECONDS_TO_FETCH)
    if image is not None:
        say(["image: the nuclei of scikit-image's cells3d; known: the lesson's published numbers"])
        result = _run(image, args.output)
        compared, notes = with_published(result, CELLS3D), contradiction(CELLS3D)
    else:
        say(
            [
                "image: synthetic nuclei made by chunkseg, since scikit-image's cells3d is neither",
                "cached nor reachable; known: what scikit-image computes of them in memory",
            ]
        )
        image = made_nuclei()
        result = _run(image, args.output)
        compared = with_scikit_image(result, lesson_in_memory(image, SIGMA, RADIUS))
        notes = []
    say(lines(compared))
    say([*notes, f"written to {result.path}"])
    return 0 if all(c.same for c in compared) else DIFFERENT


def _run(image: NDArray[Any], output: str) -> Result:
    """Run the lesson in blocks, over a former demonstration if there is one."""
    opened = from_array(image, dims="zyx", spacing=SPACING, unit=UNIT)
    workflow = Workflow(sigma=SIGMA, threshold="otsu", erosion_radius=RADIUS, clear_border=True)
    with progress() as tell:
        return workflow.run(opened, output, block_shape=BLOCK, overwrite=True, progress=tell)


def with_published(result: Result, known: Published) -> list[Compared]:
    """Compare with the published numbers as rounded there; volumes with those of the sizes."""
    frame = result.run["frames"][0]
    percent = f"{100 * frame['foreground_fraction']:.2f}"
    compared = [Compared.text("foreground %", known.percent, percent)]
    compared += _counts(known.counts, frame["counts"])
    return compared + _sizes_and_volumes(list(known.sizes), result)


def contradiction(known: Published) -> list[str]:
    """Say which published numbers are not compared, and why."""
    stated = ", ".join(f"{words} {known.volumes[name]}" for name, words in STATISTICS.items())
    return [
        f"The lesson also states {stated} um3.",
        "Its own sizes do not give those, so they are not compared; known above is what they give.",
    ]


def with_scikit_image(result: Result, known: Lesson) -> list[Compared]:
    """Compare with scikit-image in memory: all bits of the threshold and of the label image."""
    frame = result.run["frames"][0]
    compared = [
        Compared.text("threshold", known.threshold, frame["threshold"]),
        Compared.text(
            "foreground %",
            f"{100 * known.foreground_fraction:.6f}",
            f"{100 * frame['foreground_fraction']:.6f}",
        ),
    ]
    compared += _counts(known.counts, frame["counts"])
    compared += _sizes_and_volumes(known.sizes, result)
    return [*compared, _labels(known.labels, result)]


def _counts(known: tuple[int, int, int], obtained: dict[str, int]) -> list[Compared]:
    counts = [obtained["mask"], obtained["eroded"], obtained["final"]]
    triples = zip(STAGES, known, counts, strict=True)
    return [Compared.text(*triple) for triple in triples]


def _sizes_and_volumes(known: list[int], result: Result) -> list[Compared]:
    """Compare the voxels of each object, and the statistics of the volumes they make."""
    compared = _sizes(known, result.table["area"].astype(int).tolist())
    volumes = np.array(known) * math.prod(SPACING.values())
    expected = {"mean": volumes.mean(), "std": volumes.std(), "range": np.ptp(volumes)}
    summary = result.summary.iloc[0]
    for name, words in STATISTICS.items():
        same = math.isclose(expected[name], summary[name], rel_tol=1e-12)
        texts = number(expected[name]), number(summary[name])
        compared.append(Compared(f"{words} ({summary['unit']})", *texts, same))
    return compared


def _sizes(known: list[int], obtained: list[int]) -> list[Compared]:
    """Return a row per object, also for those that only one side has."""
    rows = []
    for i in range(max(len(known), len(obtained))):
        pair = [str(sizes[i]) if i < len(sizes) else "-" for sizes in (known, obtained)]
        rows.append(Compared.text(f"voxels of object {i + 1}", *pair))
    return rows


def _labels(known: NDArray[Any], result: Result) -> Compared:
    """Compare every voxel of the label images."""
    obtained = result.labels.values
    differing = int(np.count_nonzero(obtained != known))
    said = f"{obtained.size - differing} equal"
    return Compared("voxels of the label image", str(known.size), said, not differing)


def lines(compared: list[Compared]) -> list[str]:
    """Lines of all comparisons with a tick each, and the verdict."""
    rows = [["", "known", "obtained", ""]]
    rows += [[c.name, c.known, c.obtained, tick(c.same)] for c in compared]
    wrong = sum(not c.same for c in compared)
    verdict = (
        f"{wrong} of {len(compared)} numbers differ"
        if wrong
        else f"all {len(compared)} numbers agree"
    )
    return [*aligned(rows), verdict]
