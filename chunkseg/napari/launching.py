"""A full run beside napari: a process of its own, which goes on when napari is closed.

An image in memory is saved to the folder of the result first. The run's progress is read from that
folder, as ``chunkseg status`` does. The same folder and parameters take up an interrupted run.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chunkseg.api.saving import save_image
from chunkseg.errors import ChunksegError, ParameterError
from chunkseg.napari.described import Shown
from chunkseg.plan.parameters import Parameters
from chunkseg.runner.progress import Progress
from chunkseg.storage.opening import REGION
from chunkseg.storage.status import status

FLAGS = ("channel", "level", "series", "dims", "spacing", "unit", REGION)
LAST = 2000
IMAGE = "image.ome.zarr"


@dataclass(frozen=True)
class Progressed:
    """How far a run is: the name of the pass, and the blocks done and in all (0: not known)."""

    name: str
    done: int
    total: int


@dataclass
class FullRun:
    """A run in a process of its own.

    Attributes
    ----------
    out
        The folder of the result.
    process
        The process.
    log
        Where its output goes.
    """

    out: Path
    process: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(cls, shown: Shown, workflow: Parameters, out: Path) -> FullRun:
        """Start a run.

        Parameters
        ----------
        shown
            An image of a file: :func:`on_disk`.
        workflow
            The parameters.
        out
            Folder of the result.

        Raises
        ------
        ParameterError
            If the command line can't say what the file was opened with.
        """
        assert shown.file is not None
        folder = Path(tempfile.mkdtemp(prefix="chunkseg-run-"))
        workflow.save(folder / "workflow.toml")
        command = command_of(shown.file, shown.options, out, folder / "workflow.toml")
        log = folder / "log.txt"
        with log.open("wb") as said:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                start_new_session=True,
            )
        return cls(out, process, log)

    @property
    def code(self) -> int | None:
        """Exit code; None as long as it runs."""
        return self.process.poll()

    def progressed(self) -> Progressed:
        """How far it is, from what it has left in its folder."""
        try:
            passes = status(self.out).passes
        except (ChunksegError, OSError):
            return Progressed("starting", 0, 0)
        if not passes:
            return Progressed("starting", 0, 0)
        return Progressed(passes[-1].name, passes[-1].done, passes[-1].total or 0)

    def interrupt(self) -> None:
        """End it as Ctrl-C does: what is done stays, and the same run goes on from there."""
        if self.code is None:
            self.process.send_signal(signal.SIGINT)

    def said(self) -> str:
        """Last line that it said."""
        lines = self.log.read_text(encoding="utf-8", errors="replace")[-LAST:].splitlines()
        return lines[-1].removeprefix("chunkseg: ") if lines else "it said nothing"

    def tidy(self) -> None:
        """Remove what it said; the result stays."""
        shutil.rmtree(self.log.parent, ignore_errors=True)


def on_disk(shown: Shown, out: Path, progress: Progress) -> Shown:
    """An image as another process can open it: its own file, else one saved with the result.

    Parameters
    ----------
    shown
        The image.
    out
        Folder of the result.
    progress
        Who is told while it is saved; what it raises ends that.

    Raises
    ------
    OutputExistsError
        If another image was saved there.
    """
    if shown.file is not None:
        return shown
    saved = save_image(shown.image, out / IMAGE, progress=progress)
    return Shown.of_file(saved)


def command_of(file: str, options: Mapping[str, Any], out: Path, workflow: Path) -> list[str]:
    """Command of a run of a file that was opened with some options.

    Examples
    --------
    >>> command_of("a.tif", {"dims": "zyx", "spacing": [2, 1, 1]}, Path("out"), Path("w.toml"))[1:]
    ... # doctest: +NORMALIZE_WHITESPACE
    ['-m', 'chunkseg.cli', 'run', 'a.tif', '-o', 'out', '--workflow', 'w.toml', '--json',
     '--dims=zyx', '--spacing=2,1,1']
    """
    command = [sys.executable, "-m", "chunkseg.cli", "run", file, "-o", str(out)]
    command += ["--workflow", str(workflow), "--json"]
    return command + [f"--{k}={_flag(k, options[k])}" for k in FLAGS if options.get(k) is not None]


def _flag(name: str, value: Any) -> str:
    if name == REGION:
        return ",".join(f"{dim}={first}:{last}" for dim, (first, last) in value.items())
    if isinstance(value, Mapping):
        raise ParameterError(
            f"the image was opened with {name}= by axis ({dict(value)}), which the command line "
            "can't say; open it with one number per spatial axis"
        )
    several = isinstance(value, Sequence) and not isinstance(value, str)
    return ",".join(str(v) for v in value) if several else str(value)
