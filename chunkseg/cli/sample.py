"""The image of the demonstration: scikit-image's ``cells3d`` where it can be had, or a made one.

scikit-image downloads ``cells3d`` when it is first used. That is done in a process of its own, so
that nothing of it is printed and it can be given up on.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.api.synthetic import synthetic_nuclei

SPACING = {"z": 0.29, "y": 0.26, "x": 0.26}
UNIT = "micrometer"
SECONDS_TO_FETCH = 20.0
SCRIPT = """
import sys
import numpy
from skimage.data import cells3d
numpy.save(sys.argv[1], cells3d()[:, 1])
"""


@dataclass(frozen=True)
class Published:
    """What the lesson's text says of ``cells3d``, rounded as there.

    Attributes
    ----------
    percent
        Foreground, to two decimals.
    counts
        Objects before splitting, after erosion, and in the end.
    sizes
        Voxels of each object in the end.
    volumes
        Mean, standard deviation and range in cubic micrometres, to two decimals. They do not follow
        from the sizes at the published voxel size, so no label image can have both.
    """

    percent: str
    counts: tuple[int, int, int]
    sizes: tuple[int, ...]
    volumes: dict[str, str]


CELLS3D = Published(
    percent="19.47",
    counts=(18, 19, 11),
    sizes=(40960, 26847, 60268, 46545, 51409, 46866, 53108, 37869, 36523, 40809, 14548),
    volumes={"mean": "855.98", "std": "170.19", "range": "579.10"},
)


def fetched_cells3d(seconds: float) -> NDArray[Any] | None:
    """Return the nuclei of ``cells3d``, cached or downloaded; None if not within the time.

    Parameters
    ----------
    seconds : float
        How long to wait.

    Returns
    -------
    ndarray of uint16, shape (60, 256, 256), or None
    """
    with tempfile.TemporaryDirectory(prefix="chunkseg-") as folder:
        file = Path(folder) / "cells3d.npy"
        if not _finished([sys.executable, "-c", SCRIPT, str(file)], seconds):
            return None
        return np.asarray(np.load(file))


def _finished(command: list[str], seconds: float) -> bool:
    """Whether a command succeeds within the time; after that it is interrupted, then killed."""
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet) as process:
        try:
            return process.wait(seconds) == 0
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            return _stopped(process)
        except BaseException:
            process.kill()
            raise


def _stopped(process: subprocess.Popen[bytes]) -> bool:
    """Stop a process that was asked to; it has not finished, so that is False."""
    try:
        process.wait(2)
    except subprocess.TimeoutExpired:
        process.kill()
    return False


def made_nuclei() -> NDArray[Any]:
    """Return the synthetic stack of the demonstration, of the shape of ``cells3d``."""
    return synthetic_nuclei((60, 256, 256), seed=0)
