"""Each kernel on one block and one thread, against its twin in SciPy or scikit-image.

``python -m tests.benchmarks.kernels [--edge 160] [--repeat 3] [--json FILE]``: medians of CPU
nanoseconds per voxel, and how many copies of a block of doubles could have been made meanwhile,
which is what memory alone would allow. Both must answer the same.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import skimage as ski
from scipy import ndimage as ndi

from chunkseg.api.synthetic import synthetic_nuclei
from chunkseg.kernels import blur, components, erosion, expansion, histogram
from chunkseg.kernels.sketch import Sketcher

SIGMA, RADIUS = 3, 10
Side = Callable[[], Any]


def sketched(values: Any) -> int:
    """Sketch and count what is in it."""
    sketcher = Sketcher()
    sketcher.add(values)
    return int(sketcher.sketch().counts.sum())


def pairs(edge: int) -> dict[str, tuple[Side, Side]]:
    """Each kernel, and what it must equal."""
    image = synthetic_nuclei((edge,) * 3, count=max(2, edge**3 // 55_000), semi_axes=(10, 23))
    blurred = np.asarray(ski.filters.gaussian(image, SIGMA))
    mask = blurred > ski.filters.threshold_otsu(blurred)
    eroded = ndi.distance_transform_edt(np.pad(mask, RADIUS + 1, mode="edge")) > RADIUS
    eroded = np.ascontiguousarray(eroded[(slice(RADIUS + 1, -RADIUS - 1),) * 3])
    seeds = ski.measure.label(eroded).astype(np.uint32)
    ends = blurred.min(), blurred.max()
    ball = ski.morphology.ball(RADIUS)
    return {
        "blur": (
            lambda: blur.gaussian(image, (SIGMA,) * 3),
            lambda: ski.filters.gaussian(image, SIGMA),
        ),
        "histogram": (
            lambda: histogram.float_histogram(blurred, *ends),
            lambda: np.histogram(blurred, 256)[0],
        ),
        "sketch": (lambda: sketched(blurred), lambda: int(np.histogram(blurred, 4096)[0].sum())),
        "erosion": (
            lambda: erosion.erode_ball(mask, RADIUS),
            lambda: ndi.binary_erosion(mask, ball, border_value=1),
        ),
        "components": (
            lambda: components.components(mask, 3, 0)[0].filled(),
            lambda: ski.measure.label(mask).astype(np.uint32),
        ),
        "expansion": (
            lambda: expansion.expand_labels(seeds, RADIUS, (1.0,) * 3),
            lambda: ski.segmentation.expand_labels(seeds, RADIUS),
        ),
    }


def seconds(side: Side, repeat: int) -> float:
    """Median of CPU seconds; the first call, which may compile, does not count."""
    side()
    taken = []
    for _ in range(repeat):
        begin = time.thread_time()
        side()
        taken.append(time.thread_time() - begin)
    return statistics.median(taken)


def main(argv: list[str]) -> None:
    """Compare."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.kernels")
    parser.add_argument("--edge", type=int, default=160)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    size = options.edge**3
    source, target = np.zeros(size), np.zeros(size)
    copy = seconds(lambda: np.copyto(target, source), options.repeat) * 1e9 / size
    print(f"{options.edge}^3, one thread; copying doubles takes {copy:.2f} ns per voxel")
    found = {}
    for name, (ours, twin) in pairs(options.edge).items():
        equal = bool(np.array_equal(ours(), twin()))
        mine, theirs = (seconds(side, options.repeat) * 1e9 / size for side in (ours, twin))
        found[name] = {"ours": mine, "twin": theirs, "copies": mine / copy, "equal": equal}
        print(
            f"{name:11} {mine:7.2f} ns, {theirs:8.2f} its twin: {theirs / mine:6.1f} times; "
            f"{mine / copy:5.1f} copies" + ("" if equal else "  ANSWERS DIFFER")
        )
    if options.json is not None:
        options.json.write_text(json.dumps({"edge": options.edge, "copy": copy, "kernels": found}))


if __name__ == "__main__":
    main(sys.argv[1:])
