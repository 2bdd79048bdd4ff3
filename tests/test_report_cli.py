"""The command line around a run: report, methods, workflow files, what is said and how loud."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chunkseg.api.result import Result
from chunkseg.api.synthetic import synthetic_nuclei
from chunkseg.api.workflow import Workflow
from chunkseg.cli import main, messages
from chunkseg.cli import report as reporting
from chunkseg.cli.examples import EXAMPLES
from chunkseg.report.extra import INSTALL, missing

STACK = synthetic_nuclei((16, 50, 54), count=8, semi_axes=(3, 7), seed=1)
needs_extra = pytest.mark.skipif(
    bool(missing()), reason=f"the extra report is not installed: {INSTALL}"
)


@pytest.fixture
def args(tmp_path: Path) -> list[str]:
    """Arguments of a run without a report."""
    np.save(tmp_path / "s.npy", STACK)
    units = ["--spacing", "0.5", "--unit", "um"]
    return ["run", str(tmp_path / "s.npy"), "-o", str(tmp_path / "out"), *units, "--no-report"]


def test_a_small_memory_limit_leaves_the_report_out(
    args: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*args[:-1], "--memory-limit", "900MiB"]) == 0
    said = f"no report within this memory limit; 'chunkseg report {tmp_path}/out' writes it\n"
    assert capsys.readouterr().err.endswith(said)
    assert not (tmp_path / "out" / "report.html").exists()


@needs_extra
def test_a_run_ends_in_a_report(
    args: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(args[:-1]) == 0
    assert capsys.readouterr().out.endswith(f"report      {tmp_path}/out/report.html\n")
    (tmp_path / "out" / "report.html").unlink()
    (tmp_path / "s.npy").rename(tmp_path / "moved.npy")
    moved = ["--input", str(tmp_path / "moved.npy"), "--seams"]
    assert main(["report", str(tmp_path / "out"), *moved]) == 0
    assert "No pictures of the image" not in (tmp_path / "out" / "report.html").read_text()


def test_a_run_without_the_extra(
    args: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reporting, "missing", lambda: ["matplotlib"])
    assert main(args[:-1]) == 0
    said = f"chunkseg: no report, which needs matplotlib: {INSTALL}\n"
    assert capsys.readouterr().err.endswith(said)
    assert main(args) == 0
    assert "no report" not in capsys.readouterr().err


@needs_extra
def test_a_report_that_fails_fails_no_run(
    args: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device", "report.html")

    monkeypatch.setattr("chunkseg.report.page.write_page", full)
    assert main(args[:-1]) == 0
    assert (
        "chunkseg: warning: the run is complete, but its report could not be written: report.html: "
        f"No space left on device; try 'chunkseg report {tmp_path}/out'"
    ) in capsys.readouterr().err
    assert Result.open(tmp_path / "out").verify(regions=0).ok


def test_json_of_a_run(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*args, "--no-clear-border", "--json", "--quiet"]) == 0
    said = capsys.readouterr()
    told = json.loads(said.out)
    result = Result.open(args[3])
    assert told["objects"] == len(result.table)
    assert told["frames"][0]["counts"] == result.run["frames"][0]["counts"]
    assert told["frames"][0]["threshold"] == result.thresholds[0]
    assert told["summary"][0]["mean"] == pytest.approx(float(result.summary["mean"].iloc[0]))
    assert told["report"] is None
    assert "run.json" in told["files"]
    assert "NaN" not in said.out


def test_json_of_what_is_not_there(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*args, "--json", "--until", "mask"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["objects"], told["summary"]) == (None, [])


def test_how_loud_it_is(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*args, "--quiet"]) == 0
    assert "chunkseg: " not in capsys.readouterr().err.replace("chunkseg: warning", "")
    assert main([*args, "--overwrite", "--verbose"]) == 0
    said = capsys.readouterr()
    assert "chunkseg: seeds: 1 block in " in said.err
    assert "GB at the peak" in said.out or "MB at the peak" in said.out
    assert "\nseeds       " in said.out
    assert main([*args, "--quiet", "--verbose"]) == 2
    assert "not allowed with" in capsys.readouterr().err


def test_how_far_a_long_pass_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(messages.time, "monotonic", lambda: now[0])
    lines = messages.Lines()
    for done, time in enumerate([0, 10, 29, 40, 50, 71]):
        now[0] = float(time)
        lines("seeds", done, 100)
    assert capsys.readouterr().err.splitlines() == [
        "chunkseg: seeds: 3 of 100 blocks, about 21 min 33 s left",
        "chunkseg: seeds: 5 of 100 blocks, about 22 min 29 s left",
    ]


def test_quiet_progress(capsys: pytest.CaptureFixture[str]) -> None:
    with messages.logged(logging.WARNING), messages.progress() as tell:
        tell("seeds", 0, 1)
        tell("seeds", 1, 1)
    assert capsys.readouterr().err == ""


def test_methods_are_plain_text(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--sigma", "1,2,2", "--erosion-radius", "2", "--clear-border-axes", "y,x"]
    assert main([*args, *options]) == 0
    capsys.readouterr()
    assert main(["methods", args[3]]) == 0
    said = capsys.readouterr().out
    result = Result.open(args[3])
    for part in (
        "A 3-D image (16 x 50 x 54 voxels of 0.5 x 0.5 x 0.5 µm, uint16) was segmented",
        "(standard deviation 1 x 2 x 2 voxels)",
        f"Otsu's method [1] ({result.thresholds[0]:.6g})",
        "eroded by a ball of radius 2 voxels.",
        "border of the image along y, x were removed",
        f"{len(result.table)} object",
        f"(version {result.run['versions']['scikit-image']})",
    ):
        assert part in said


def test_methods_of_a_movie_in_physical_units(tmp_path: Path) -> None:
    import chunkseg as cs
    from chunkseg.report.methods import methods

    movie = np.stack([synthetic_nuclei((40, 44), seed=s) for s in range(3)])
    image = cs.from_array(movie, "tyx", spacing=0.5, unit="um")
    options = {"units": "physical", "erosion_iterations": 2, "erosion_radius": 0.6, "min_size": 2}
    told = methods(Workflow(**options).run(image, tmp_path / "a"))
    assert "A movie of 3 2-D images (40 x 44 pixels of 0.5 x 0.5 µm each, uint16)" in told
    assert "by a disk of radius 0.6 µm, 2 times." in told
    assert "Objects smaller than 2 µm² were removed." in told
    given = methods(Workflow(threshold=0.25).run(image, tmp_path / "b"))
    assert "voxels above 0.25 were foreground" in given
    assert "scikit-image [1] (version" in given
    assert "[2]" not in given
    assert "(standard deviation 1 pixel)" in given
    assert "were labelled. Objects" in given
    assert "their area is the number of pixels times the size of a pixel." in given
    nothing = methods(Workflow(threshold=0.99).run(image, tmp_path / "d"))
    assert "0 objects remained in 3 images.\n" in nothing
    one = np.zeros((40, 44), bool)
    one[4:9, 4:9] = True
    alone = methods(Workflow(erosion_radius=1).run(one, tmp_path / "e", input_is_mask=True))
    assert "a disk of radius 1 pixel. " in alone
    assert "expanded by up to 1 pixel and labelled again." in alone
    assert "1 object remained; its area is" in alone
    assert "Otsu" not in alone
    whole = methods(Workflow(threshold_scope="movie").run(image, tmp_path / "c"))
    assert "the threshold of the whole movie by Otsu's method" in whole


def test_a_new_workflow_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "wf.toml"
    assert main(["new-workflow", str(file), "--sigma", "2,3"]) == 0
    assert Workflow.load(file) == Workflow(sigma=(2, 3))
    assert main(["new-workflow", str(file)]) == 2
    assert "is there already; name another file" in capsys.readouterr().err
    lines = [line.removeprefix("# ") for line in file.read_text().splitlines()]
    everything = [line for line in lines if " = " in line or line.startswith("[")]
    file.write_text("\n".join(everything))
    known = Workflow.load(file)
    assert None not in vars(known).values()
    assert len(everything) == 1 + len(vars(known))
    assert main(["new-workflow"]) == 0
    assert capsys.readouterr().out == Workflow().as_toml(absent=True)


@pytest.mark.parametrize("command", EXAMPLES)
def test_help_ends_in_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    said = capsys.readouterr().out
    assert said.endswith(f"examples:\n{EXAMPLES[command]}\n") or said.endswith(EXAMPLES[command])


def test_help_tells_commands_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    assert all(f"\n    {command}" in said for command in EXAMPLES)
    assert "exit codes:" in said
    assert "130  interrupted" in said
