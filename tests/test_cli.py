"""The command line: what it prints, its exit codes, and its errors of one line."""

from __future__ import annotations

import errno
import io
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from rich.console import Console
from rich.progress import Progress

import chunkseg
from chunkseg.api.result import Result
from chunkseg.api.synthetic import synthetic_nuclei
from chunkseg.api.workflow import Workflow
from chunkseg.cli import main, messages, printing
from chunkseg.kernels.reference import lesson_in_memory

STACK = synthetic_nuclei((32, 70, 72), count=16, semi_axes=(4, 9), seed=1)
MICROMETRES = ["--spacing", "1", "--unit", "um"]
ENTRY = [sys.executable, "-c", "import sys; from chunkseg.cli import main; sys.exit(main())"]


@pytest.fixture
def stack(tmp_path: Path) -> str:
    """A calibrated ImageJ stack."""
    path = tmp_path / "nuclei.tif"
    tifffile.imwrite(
        path,
        STACK,
        imagej=True,
        resolution=(1 / 0.25, 1 / 0.25),
        metadata={"axes": "ZYX", "spacing": 0.5, "unit": "micron"},
    )
    return str(path)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def saved(tmp_path: Path, array: np.ndarray[Any, Any], name: str = "image.npy") -> str:
    np.save(tmp_path / name, array)
    return str(tmp_path / name)


def error_of(said: str) -> str:
    """The one line of the error, at the end of stderr."""
    lines = [line for line in said.splitlines() if "error" in line]
    assert len(lines) == 1
    assert said.endswith(f"{lines[0]}\n")
    assert lines[0].startswith("chunkseg: error: ")
    assert "Traceback" not in said
    return lines[0]


def test_run_prints_what_scikit_image_finds(
    stack: str, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--sigma", "1", "--erosion-radius", "4", "--block-shape", "11,40,36"]
    assert main(["run", stack, "-o", str(out), *options]) == 0
    known = lesson_in_memory(STACK, sigma=1, radius=4)
    said = capsys.readouterr()
    mask, eroded, final = known.counts
    volumes = np.array(known.sizes) * 0.5 * 0.25 * 0.25
    assert f"threshold   {known.threshold!r}\n" in said.out
    assert f"foreground  {100 * known.foreground_fraction:.2f} %\n" in said.out
    assert f"{mask} in the mask, {eroded} after erosion, {final} in the end\n" in said.out
    assert f"volume_um3  mean {volumes.mean():.2f}, std {volumes.std():.2f}, " in said.out
    assert f"written to  {out}\n" in said.out
    assert "labels.ome.zarr, objects.parquet, objects.csv, summary.json, workflow" in said.out
    assert "chunkseg: seeds: 12 blocks in " in said.err
    result = Result.open(out)
    np.testing.assert_array_equal(result.labels.values, known.labels)
    assert final > 2
    assert eroded > mask


def test_options_override_those_of_the_workflow_file(stack: str, tmp_path: Path) -> None:
    file, out = tmp_path / "wf.toml", tmp_path / "out"
    Workflow(sigma=2, erosion_radius=2, clear_border=False).save(file)
    options = ["--sigma", "1,2,2", "--clear-border", "--clear-border-axes", "y,x"]
    assert main(["run", stack, "-o", str(out), "--workflow", str(file), *options]) == 0
    assert Workflow.load(out / "workflow.toml") == Workflow(
        sigma=(1, 2, 2), erosion_radius=2, clear_border_axes=("y", "x")
    )


def test_every_workflow_option_reaches_the_workflow(stack: str, out: Path) -> None:
    options = {"--threshold": "0.25", "--erosion-radius": "1", "--expand-distance": "1.5"}
    flat = [text for pair in options.items() for text in pair]
    assert main(["run", stack, "-o", str(out), *flat, "--no-clear-border"]) == 0
    expected = Workflow(threshold=0.25, erosion_radius=1, expand_distance=1.5, clear_border=False)
    assert Workflow.load(out / "workflow.toml") == expected


def test_keep_scratch_and_workers(stack: str, out: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    options = ["--keep", "mask,expanded", "--scratch", str(scratch), "--workers", "1"]
    assert main(["run", stack, "-o", str(out), *options]) == 0
    assert {p.name for p in out.glob("*.zarr")} == {
        "labels.ome.zarr",
        "mask.ome.zarr",
        "expanded.ome.zarr",
    }
    assert scratch.is_dir()
    assert not any(scratch.iterdir())
    assert Result.open(out).run["workers"] == 1


def test_until_mask_tells_what_is_known_by_then(
    stack: str, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", stack, "-o", str(out), "--until", "mask"]) == 0
    known = lesson_in_memory(STACK, sigma=1, radius=0)
    said = capsys.readouterr().out
    assert f"threshold   {known.threshold!r}\n" in said
    assert f"objects     {known.counts[0]} in the mask\n" in said
    assert "mask.ome.zarr" in said
    assert "volume" not in said


def test_mask_as_input_has_no_threshold(
    tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mask = saved(tmp_path, STACK > 20_000)
    assert main(["run", mask, "-o", str(out), *MICROMETRES, "--input-is-mask"]) == 0
    assert "threshold   -\n" in capsys.readouterr().out


def test_channel_and_axes_of_the_input(
    tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = saved(tmp_path, np.stack([np.zeros_like(STACK), STACK], axis=1))
    options = [image, "--dims", "zcyx", *MICROMETRES]
    assert main(["run", *options, "--channel", "1", "-o", str(out)]) == 0
    known = lesson_in_memory(STACK, sigma=1, radius=0)
    assert f"threshold   {known.threshold!r}\n" in capsys.readouterr().out


def test_movie_is_a_table_of_twelve_rows(
    tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = np.stack([synthetic_nuclei((90, 96), seed=s) for s in range(14)])
    frames[1] = 9
    image = saved(tmp_path, frames)
    options = ["--dims", "tyx", "--spacing", "0.5", "--unit", "um"]
    assert main(["run", image, "-o", str(out), *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["t", "threshold", "foreground"]
    assert "mean area_um2" in lines[0]
    for t in (0, 11):
        known = lesson_in_memory(frames[t], sigma=1, radius=0)
        assert known.counts[2] > 0
        cells = lines[t + 1].split()
        assert cells[:2] == [str(t), repr(known.threshold)]
        assert cells[3:6] == [str(n) for n in known.counts]
        assert cells[6] == f"{0.25 * np.mean(known.sizes):.2f}"
    assert lines[2].split()[3:] == ["0", "0", "0", "-", "-", "-", "-", "-"]
    assert lines[13] == "... and 2 more, in run.json"
    assert lines[14].startswith("written to")


def test_an_output_is_overwritten_only_when_asked(
    stack: str, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = ["run", stack, "-o", str(out), "--sigma", "1"]
    assert main(first) == 0
    (out / "notes.txt").write_text("mine")
    before = (out / "run.json").read_bytes()
    other = ["run", stack, "-o", str(out), "--sigma", "2"]
    capsys.readouterr()
    assert main(other) == 2
    assert "overwrite" in error_of(capsys.readouterr().err)
    assert (out / "run.json").read_bytes() == before
    assert main([*other, "--overwrite"]) == 0
    assert (out / "notes.txt").read_text() == "mine"


def test_overwrite_spares_what_chunkseg_did_not_write(
    stack: str, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out.mkdir()
    (out / "objects.csv").write_text("mine")
    assert main(["run", stack, "-o", str(out), "--overwrite"]) == 2
    assert "did not write" in error_of(capsys.readouterr().err)
    assert [(p.name, p.read_text()) for p in out.iterdir()] == [("objects.csv", "mine")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--sigma", "-1"], "sigma must not be negative; got -1.0"),
        (["--sigma", "1,2"], "sigma must be one number or one per spatial axis"),
        (["--sigma", "big"], "argument --sigma: needs a number, not 'big'; see"),
        (["--erosion-radius", "-2"], "erosion_radius must be a whole number"),
        (["--erosion-radius", "1.5"], "erosion_radius must be a whole number"),
        (["--expand-distance", "-1"], "expand_distance must not be negative"),
        (["--threshold", "300"], "300 is above 1, but uint16 images are scaled to 0..1"),
        (["--threshold", "li"], "argument --threshold: needs 'otsu' or a number, not 'li'"),
        (["--clear-border-axes", "t"], "clear_border_axes must be some of z, y, x"),
        (["--keep", "mask,blur"], "keep must be some of mask, seeds, expanded"),
        (["--until", "labels"], 'until must be "mask"'),
        (["--block-shape", "8,8"], "block_shape needs one positive length for each of 3 axes"),
        (["--block-shape", "8,8,a"], "needs whole numbers of voxels such as 64,128,128"),
        (["--workers", "0"], "workers must be at least 1"),
        (["--channel", "DAPI"], "DAPI"),
        (["--dims", "yx"], "names 2 axes, but the array has 3"),
        (["--workflow", "none.toml"], "workflow file none.toml can't be read"),
        (["--colour"], "unrecognized arguments: --colour; see"),
    ],
)
def test_wrong_options(
    stack: str, out: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", stack, "-o", str(out), *options]) == 2
    assert message in error_of(capsys.readouterr().err)
    assert not out.exists()


NOT_FINITE = np.ones((6, 20, 20), np.float32)
NOT_FINITE[3, 4, 5], NOT_FINITE[4, 0, 0] = np.nan, np.inf


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((2, 3, 4, 5), np.uint8), "pass --dims"),
        (np.zeros(5, np.uint8), "has 1 axes"),
        (np.zeros((0, 4, 5), np.uint8), "no voxels"),
        (np.zeros((4, 4, 5), complex), "whole or real numbers"),
        (NOT_FINITE, "2 of 2400 voxels are NaN or infinite, the first at index (3, 4, 5)"),
    ],
)
@pytest.mark.parametrize("threshold", ["otsu", "0.5"])
def test_wrong_images(
    tmp_path: Path,
    out: Path,
    pixels: np.ndarray[Any, Any],
    message: str,
    threshold: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    image = saved(tmp_path, pixels)
    assert main(["run", image, "-o", str(out), "--threshold", threshold]) == 2
    assert message in error_of(capsys.readouterr().err)
    assert not out.exists()


def test_unreadable_paths(tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.tif").write_text("no image")
    for name, message in [("none.tif", "there is nothing at"), ("text.tif", "text.tif")]:
        assert main(["run", str(tmp_path / name), "-o", str(out)]) == 2
        assert message in error_of(capsys.readouterr().err)
        assert not out.exists()


@pytest.mark.parametrize("arguments", [[], ["run"], ["run", "a.tif"], ["walk"], ["info"]])
def test_wrong_commands(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "--help'" in error_of(capsys.readouterr().err)


THIN = np.zeros((6, 20, 20), np.uint8)
THIN[:, 5:9, 5:9] = 200


@pytest.mark.parametrize(
    ("pixels", "options", "message"),
    [
        (np.full((6, 20, 20), 7, np.uint8), [], "the image is constant"),
        (THIN, ["--threshold", "0.99"], "no voxel is above the threshold"),
        (THIN, [], "every object touches the image's border"),
    ],
)
def test_no_objects_are_a_warning(
    tmp_path: Path,
    out: Path,
    pixels: np.ndarray[Any, Any],
    options: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    image = saved(tmp_path, pixels)
    assert main(["run", image, "-o", str(out), *MICROMETRES, *options]) == 0
    said = capsys.readouterr()
    assert said.err.count(f"chunkseg: warning: {message}") == 1
    assert "volume_um3  no objects\n" in said.out
    assert len(Result.open(out).table) == 0


def test_border_hint_works_as_printed(
    tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = saved(tmp_path, THIN)
    assert main(["run", image, "-o", str(out), *MICROMETRES, "--clear-border-axes", "y,x"]) == 0
    said = capsys.readouterr()
    assert "1 in the end" in said.out
    assert "warning" not in said.err


@pytest.mark.parametrize(
    ("problem", "code", "line"),
    [
        (KeyboardInterrupt(), 130, "chunkseg: interrupted; the same command goes on from here"),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            2,
            "chunkseg: error: No space left on device",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "/out"),
            2,
            "chunkseg: error: /out: Permission denied",
        ),
        (OSError(), 2, "chunkseg: error: OSError"),
        (chunkseg.errors.PixelError("two\n  lines"), 2, "chunkseg: error: two lines"),
    ],
)
def test_what_stops_a_run_is_one_line(
    stack: str,
    out: Path,
    problem: BaseException,
    code: int,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stop(*args: Any, **options: Any) -> None:
        raise problem

    monkeypatch.setattr(Workflow, "run", stop)
    assert main(["run", stack, "-o", str(out)]) == code
    assert capsys.readouterr().err == f"{line}\n"


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "none.tif", "--debug"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("Traceback")
    assert said.splitlines()[-1].startswith("chunkseg: error: there is nothing at")


@pytest.mark.parametrize("debug", [False, True])
def test_warnings_of_libraries_do_not_leak(
    stack: str, out: Path, debug: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Workflow.run

    def noisy(self: Workflow, *args: Any, **options: Any) -> Any:
        warnings.warn("overflow in a library", RuntimeWarning, stacklevel=1)
        return real(self, *args, **options)

    monkeypatch.setattr(Workflow, "run", noisy)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        assert main(["run", stack, "-o", str(out), *(["--debug"] if debug else [])]) == 0
    assert any("overflow" in str(w.message) for w in seen) == debug


def test_the_logger_is_left_as_it_was(stack: str) -> None:
    logger = messages.logging.getLogger("chunkseg")
    before = list(logger.handlers)
    assert main(["info", stack]) == 0
    assert main(["info", "none.tif"]) == 2
    assert logger.handlers == before


def test_info_of_a_calibrated_stack(stack: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", stack]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.splitlines() == [
        f"image      {stack}",
        "axes       z 32, y 70, x 72",
        "pixels     uint16, 0.32 MB in memory",
        "stored as  uncompressed file",
        "chunks     none, any voxel can be read alone",
        "spacing    z 0.5 micrometer, y 0.25 micrometer, x 0.25 micrometer",
        "reading    block by block from the file",
    ]


def test_info_of_compressed_channels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "two.ome.tif"
    metadata = {"axes": "CZYX", "Channel": {"Name": ["actin", "DAPI"]}}
    pixels = np.stack([STACK, STACK])
    tifffile.imwrite(path, pixels, compression="zlib", metadata=metadata)
    assert main(["info", str(path)]) == 0
    said = capsys.readouterr()
    assert "chunkseg: warning: " in said.err
    assert "no physical spacing" in said.err
    lines = said.out.splitlines()
    assert "axes       c 2, z 32, y 70, x 72" in lines
    assert "stored as  64 x compressed TIFF" in lines
    assert "chunks     c 1, z 1, y 70, x 72" in lines
    assert "spacing    z 1 pixel, y 1 pixel, x 1 pixel" in lines
    assert "channels   0: actin, 1: DAPI" in lines
    assert lines[-1] == "to run it, choose a channel: --channel NAME_OR_INDEX"
    assert main(["info", str(path), "--channel", "DAPI"]) == 0
    said = capsys.readouterr()
    assert "channels" not in said.out
    assert "to run it" not in said.out


def test_info_of_a_movie_and_of_axes_that_make_no_frame(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = saved(tmp_path, np.zeros((3, 5, 6), np.float32))
    assert main(["info", image, "--dims", "tyx", *MICROMETRES]) == 0
    said = capsys.readouterr().out
    assert "t not calibrated, y 1 micrometer, x 1 micrometer" in said
    assert main(["info", image, "--dims", "tcx"]) == 0
    assert "name its axes: --dims" in capsys.readouterr().out


def test_info_tells_what_would_be_staged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "page.tif"
    tifffile.imwrite(path, STACK[0], compression="zlib")
    monkeypatch.setattr("chunkseg.plan.blocks.BLOCK_VOXELS", 64)
    monkeypatch.setattr("chunkseg.plan.blocks._ROUND", 1)
    assert main(["info", str(path)]) == 0
    assert "reading    staged: copied once into scratch" in capsys.readouterr().out


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out == f"chunkseg {chunkseg.__version__}\n"
    with pytest.raises(SystemExit) as left:
        main(["run", "--help"])
    assert left.value.code == 0
    said = capsys.readouterr().out
    for option in ("--workflow", "--clear-border-axes", "--input-is-mask", "--block-shape"):
        assert option in said


def test_the_command_line_is_light_to_import() -> None:
    code = """if True:
        import sys
        from chunkseg.cli.parser import build_parser
        build_parser()
        heavy = {"numpy", "zarr", "dask", "xarray", "pandas", "skimage", "rich"}
        sys.exit(", ".join(heavy & set(sys.modules)) or 0)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == ""
    assert done.returncode == 0


def test_a_real_process(
    stack: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the same command again, and with another parameter."""
    line = ["run", stack, "-o", "out", "--erosion-radius", "2", "--no-report"]
    done = subprocess.run([*ENTRY, *line], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.splitlines()[3].startswith("volume_um3  mean ")
    assert "\x1b" not in done.stdout + done.stderr
    for told in done.stderr.splitlines():
        assert told.startswith("chunkseg: ")
    assert (tmp_path / "out" / "objects.csv").is_file()
    monkeypatch.chdir(tmp_path)
    assert main(line) == 0
    again = capsys.readouterr()
    assert again.out == done.stdout
    assert again.err == "chunkseg: out is complete already: nothing to do\n"
    assert main([*line, "--sigma", "2"]) == 2
    other = capsys.readouterr()
    assert other.out == ""
    assert len(other.err.splitlines()) == 1
    assert "sigma was" in other.err


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_bars_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with messages.progress() as tell, messages.logged():
        tell("range", 0, 4)
        tell("range", 4, 4)
        messages.logging.getLogger("chunkseg").warning("mind the gap")
    assert "range" in terminal.getvalue()
    assert "4/4" in terminal.getvalue()
    assert "chunkseg: warning: mind the gap" in terminal.getvalue()


def test_a_bar_starts_again_with_its_pass() -> None:
    with Progress(console=Console(file=io.StringIO())) as shown:
        bars = messages.Bars(shown)
        for name, done, total in [("a", 0, 4), ("a", 4, 4), ("b", 0, 2), ("a", 0, 3), ("a", 1, 3)]:
            bars(name, done, total)
        state = [(t.description, t.completed, t.total) for t in shown.tasks]
    assert state == [("a", 1, 3), ("b", 0, 2)]


def test_lines_of_a_movie_are_few(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = iter(np.arange(0, 100, 1.5))
    monkeypatch.setattr(messages.time, "monotonic", lambda: float(next(now)))
    lines = messages.Lines()
    for _ in range(10):
        lines("seeds", 0, 1)
        lines("seeds", 1, 1)
    said = capsys.readouterr().err.splitlines()
    assert said == ["chunkseg: seeds: 1 block in 1.5 s"] * 3


def test_a_warning_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    logger = messages.logging.getLogger("chunkseg")
    with messages.logged():
        for _ in range(3):
            logger.warning("of %s", "one\nkind")
        logger.info("nothing to do")
        logger.debug("nothing to see")
    said = "chunkseg: warning: of one kind\nchunkseg: nothing to do\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize(
    ("encoding", "marks"), [("utf-8", ("✓", "✗")), ("ascii", ("same", "DIFFERS"))]
)
def test_ticks_that_the_output_can_show(
    encoding: str, marks: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    assert (printing.tick(True), printing.tick(False)) == marks


@pytest.mark.parametrize(
    ("radius", "counts"), [(1, "67 in the mask, 63 after erosion, 38"), (2, "67 in the mask, 49")]
)
def test_nuclei_of_the_shared_stacks(
    radius: int, counts: str, shared_data: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = str(next((shared_data / "nuclei-zyx").glob("*.tif")))
    options = ["--sigma", "1", "--erosion-radius", str(radius), "--block-shape", "16,50,64"]
    assert main(["run", image, "-o", str(out), *options]) == 0
    said = capsys.readouterr().out
    assert "threshold   0.24026382145494898\nforeground  5.29 %\n" in said
    assert f"objects     {counts}" in said
