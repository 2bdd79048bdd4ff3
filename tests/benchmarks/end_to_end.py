"""The lesson on a synthetic stack: chunkseg out of core, the lesson in memory, an expert's chain.

Whole processes from a zarr array on disk to labels and table on disk, start-up included; all sides
in one run, their labels compared. The expert's chain is what one assembles in memory from SciPy,
edt and connected-components-3d; it is left out, and said to be, where these are not installed.

``python -m tests.benchmarks.end_to_end [--edge 512] [--repeat 3] [--json FILE]
[--sides lesson,expert,chunkseg,reporting]``
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from tests.benchmarks.processes import Measured, measure, row

MODULE = "tests.benchmarks.end_to_end"
SIGMA, RADIUS = 3, 10
NAMES = {
    "lesson": "scikit-image, whole in memory",
    "expert": "SciPy + edt + cc3d, in memory",
    "chunkseg": "chunkseg, out of core, 2 threads",
    "reporting": "chunkseg, with its report",
}
NEEDED = {"expert": ("cc3d", "edt")}


def make(path: Path, edge: int) -> None:
    """Write the stack: one nucleus per 55,000 voxels, semi-axes 10 to 23."""
    import chunkseg as cs

    count = max(2, edge**3 // 55_000)
    pixels = cs.synthetic_nuclei((edge,) * 3, count=count, semi_axes=(10, 23), seed=1)
    array = zarr.create_array(path, shape=pixels.shape, chunks=(64,) * 3, dtype=pixels.dtype)
    array[:] = pixels


def write(labels: Any, table: Any, out: Path) -> None:
    """Write what a side in memory has found."""
    zarr.create_array(out / "labels.zarr", data=labels.astype(np.uint32), chunks=(64,) * 3)
    table.to_parquet(out / "objects.parquet")
    print(len(table))


def lesson(path: Path, out: Path) -> None:
    """Do it with scikit-image on the whole array."""
    import pandas as pd
    import skimage as ski

    from tests.lesson import lesson as in_memory

    image = np.asarray(zarr.open_array(path, mode="r")[:])
    labels = in_memory(image, SIGMA, RADIUS).labels
    names = ("label", "area", "bbox", "centroid")
    intensities = ("intensity_mean", "intensity_min", "intensity_max")
    table = ski.measure.regionprops_table(labels, image, names + intensities)
    write(labels, pd.DataFrame(table), out)


def expert(path: Path, out: Path) -> None:
    """Do it with the fastest well-known function for each step, on the whole array."""
    import cc3d
    import edt
    import pandas as pd
    from scipy import ndimage as ndi
    from skimage.filters import threshold_otsu
    from skimage.segmentation import expand_labels

    image = np.asarray(zarr.open_array(path, mode="r")[:])
    blurred = ndi.gaussian_filter(image / np.float64(65535), SIGMA, mode="nearest")
    mask = blurred > threshold_otsu(blurred)
    del blurred
    eroded = edt.edt(mask, black_border=False, parallel=2) > RADIUS
    seeds = cc3d.connected_components(eroded.view(np.uint8), out_dtype=np.uint32)
    grown = cc3d.connected_components(expand_labels(seeds, RADIUS), out_dtype=np.uint32)
    faces = [np.take(grown, side, axis) for axis in range(3) for side in (0, -1)]
    inside = np.setdiff1d(np.arange(1, grown.max() + 1), np.concatenate([f.ravel() for f in faces]))
    table = np.zeros(int(grown.max()) + 1, np.uint32)
    table[inside] = np.arange(1, len(inside) + 1)
    labels = table[grown]
    numbers = np.arange(1, len(inside) + 1)
    sizes = cc3d.statistics(labels)
    columns = {"label": numbers, "area": sizes["voxel_counts"][1:]}
    columns |= {f"centroid-{i}": sizes["centroids"][1:, i] for i in range(3)}
    columns |= {
        f"intensity_{f.__name__}": f(image, labels, numbers)
        for f in (ndi.mean, ndi.minimum, ndi.maximum)
    }
    write(labels, pd.DataFrame(columns), out)


def chunkseg(path: Path, out: Path) -> None:
    """Do it with chunkseg, by its command line: labels and table, as the others."""
    command(path, out, "--no-report")


def command(path: Path, out: Path, *more: str) -> None:
    """Run the command line."""
    import pyarrow.parquet as pq

    from chunkseg.cli import main as command_line

    options = f"--sigma {SIGMA} --erosion-radius {RADIUS} --workers 2".split()
    sys.argv = ["chunkseg", "run", str(path), "-o", str(out / "out"), *options, *more]
    assert command_line() == 0
    print(pq.read_metadata(out / "out/objects.parquet").num_rows)


SIDES = {"lesson": lesson, "expert": expert, "chunkseg": chunkseg, "reporting": command}


def labels_of(folder: Path, side: str) -> Any:
    """Labels that a side wrote in its first turn."""
    ours = side in ("chunkseg", "reporting")
    inside = "out/labels.ome.zarr/0" if ours else "labels.zarr"
    return zarr.open_array(folder / f"{side}-0" / inside, mode="r")[:]


def compare(edge: int, repeat: int, names: Sequence[str]) -> dict[str, Any]:
    """Run and print all sides."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder / "stack.zarr", edge)
        sides: dict[str, list[Measured]] = {name: [] for name in names}
        for turn in range(repeat):
            for side, runs in sides.items():
                out = folder / f"{side}-{turn}"
                out.mkdir()
                runs.append(measure(MODULE, side, str(folder / "stack.zarr"), str(out)))
        ours = labels_of(folder, "chunkseg")
        equal = {s: bool(np.array_equal(ours, labels_of(folder, s))) for s in names}
    median = {s: sorted(runs, key=lambda m: m.wall)[len(runs) // 2] for s, runs in sides.items()}
    print(
        f"{edge}^3 uint16, sigma {SIGMA}, radius {RADIUS}; "
        f"{median['chunkseg'].answer} objects; medians of {repeat}"
    )
    for side, m in median.items():
        print(row(NAMES[side], m) + ("" if equal[side] else "  LABELS DIFFER"))
    ratios = {s: ratio(sides[s], sides["chunkseg"]) for s in names if s != "chunkseg"}
    for side, (wall, cpu) in ratios.items():
        print(f"{NAMES[side]} / chunkseg: wall {wall:.1f}, CPU {cpu:.1f}")
    measured = {s: [asdict(m) for m in runs] for s, runs in sides.items()}
    return {"edge": edge, "sides": measured, "ratios": ratios, "labels equal": equal}


def ratio(theirs: Sequence[Measured], ours: Sequence[Measured]) -> tuple[float, float]:
    """Medians over the turns of the ratios in wall time and in CPU time."""
    walls = [a.wall / b.wall for a, b in zip(theirs, ours, strict=True)]
    cpus = [a.cpu / b.cpu for a, b in zip(theirs, ours, strict=True)]
    return statistics.median(walls), statistics.median(cpus)


def chosen(text: str) -> list[str]:
    """Sides to be run; those that lack a library are said and left out."""
    names = []
    for name in text.split(","):
        missing = [m for m in NEEDED.get(name, ()) if importlib.util.find_spec(m) is None]
        if missing:
            print(f"{name}: left out, since {', '.join(missing)} is not installed")
        else:
            names.append(name)
    return names


def main(argv: list[str]) -> None:
    """Compare, or be one side of it."""
    if argv and argv[0] in SIDES:
        SIDES[argv[0]](Path(argv[1]), Path(argv[2]))
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("--edge", type=int, default=512)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--sides", type=chosen, default=None)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    found = compare(options.edge, options.repeat, options.sides or chosen(",".join(SIDES)))
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])
