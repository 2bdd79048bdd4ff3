"""The site's pages: their snippets run, and the reference is whole.

Of the pages for users (``docs/index.md``, ``docs/howto``) every fenced block of ``python`` or
``bash`` is run, page by page in a folder with small files of the names that the pages use:
``chunkseg`` lines through the command line's ``main``, Python in one namespace per page. A comment
``<!-- not run: reason -->`` before a block, or at the head of a page, takes it out; the reasons are
listed here.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
import shlex
import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import tifffile
import yaml

import chunkseg as cs
from chunkseg.cli import main
from chunkseg.cli.examples import EXIT_CODES
from chunkseg.errors import ChunksegError
from chunkseg.plan.parameters import Parameters
from chunkseg.report.extra import missing

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = [DOCS / "index.md", *sorted((DOCS / "howto").glob("*.md"))]
NOT_RUN = {
    ("howto/file-formats.md", "needs a CZI file and its reader"),
    ("howto/slurm.md", "needs a SLURM cluster"),
    ("howto/too-large.md", "needs a stack of terabytes"),
}
SPACING = {"z": 0.29, "y": 0.26, "x": 0.26}
BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^\n]+) -->\n+)?"
    r"^```(?P<language>python|bash)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
WHOLE_PAGE = re.compile(r"\A# [^\n]+\n\n<!-- not run: (?P<reason>[^\n]+) -->\n")
CODE = re.compile(r"# exit code (\d+)")


@dataclass(frozen=True)
class Snippet:
    """One fenced block of a page; ``reason`` says why it is not run."""

    page: str
    language: str
    code: str
    reason: str | None


def snippets(page: Path) -> list[Snippet]:
    """All blocks of a page that a reader may want to run."""
    text = page.read_text(encoding="utf-8")
    name = page.relative_to(DOCS).as_posix()
    whole = WHOLE_PAGE.search(text)
    return [
        Snippet(name, b["language"], b["code"], whole["reason"] if whole else b["reason"])
        for b in BLOCK.finditer(text)
    ]


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small files of the names that the pages use."""
    folder = tmp_path_factory.mktemp("docs")
    nuclei = cs.synthetic_nuclei((24, 80, 80), count=6, semi_axes=(6, 11), seed=3)
    both = np.stack([nuclei, nuclei[::-1]])
    stack = cs.from_array(
        both, dims="czyx", spacing=SPACING, unit="um", channels=["nuclei", "actin"]
    )
    cs.save_image(stack, folder / "stack.ome.zarr")
    micrometres = {"axes": "ZYX", "spacing": 0.29, "unit": "um"}
    resolution = (1 / 0.26, 1 / 0.26)
    tifffile.imwrite(
        folder / "stack.tif", nuclei, imagej=True, resolution=resolution, metadata=micrometres
    )
    tifffile.imwrite(folder / "uncalibrated.tif", nuclei, imagej=True, metadata={"axes": "ZYX"})
    tifffile.imwrite(
        folder / "thin.tif", nuclei[9:15], imagej=True, resolution=resolution, metadata=micrometres
    )
    tifffile.imwrite(folder / "stack_cp_masks.tif", touching(nuclei), compression="zlib")
    planes = folder / "planes"
    planes.mkdir()
    for z, plane in enumerate(nuclei[:6]):
        tifffile.imwrite(planes / f"z{z:02}.tif", plane)
    return folder


def touching(image: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Labels as of another tool: touching objects, ids with gaps."""
    labels = np.zeros(image.shape, np.uint16)
    labels[4:16, 10:30, 10:30] = 3
    labels[4:16, 30:50, 10:30] = 7
    labels[0:5, 60:80, 60:80] = 12
    return labels


def commands(code: str) -> list[tuple[list[str], int]]:
    """The commands of a block in bash, each with the exit code that its comment tells."""
    lines = code.replace("\\\n", " ").splitlines()
    told = [(shlex.split(line, comments=True), CODE.search(line)) for line in lines]
    return [(words, int(found[1]) if found else 0) for words, found in told if words]


def run_command(words: list[str], expected: int) -> None:
    """Run one command of the page: chunkseg, or an installation, whose extra must exist."""
    if words[:2] == ["pip", "install"]:
        assert re.findall(r"chunkseg\[(\w+)\]", words[2])[0] in extras()
        return
    assert words[0] == "chunkseg", f"only chunkseg and pip are run here, not {words[0]}"
    said = io.StringIO()
    target = words.index(">") if ">" in words else len(words)
    with contextlib.redirect_stdout(said):
        assert main(words[1:target]) == expected, words
    for name in words[target + 1 :]:
        Path(name).write_text(said.getvalue())


def extras() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return set(project["optional-dependencies"])


RUN = [page for page in PAGES if any(s.reason is None for s in snippets(page))]


@pytest.mark.parametrize("page", RUN, ids=lambda p: p.stem)
def test_the_snippets_of_a_page_run(
    page: Path, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "page"}
    for snippet in snippets(page):
        if snippet.reason is not None:
            continue
        if snippet.language == "bash":
            for words, expected in commands(snippet.code):
                run_command(words, expected)
        elif not ("plot_" in snippet.code and missing()):
            exec(compile(snippet.code, str(page), "exec"), namespace)


def test_what_is_not_run_is_known_and_every_task_has_a_page() -> None:
    found = [snippet for page in PAGES for snippet in snippets(page)]
    assert {(s.page, s.reason) for s in found if s.reason} == NOT_RUN
    silent = {p.relative_to(DOCS).as_posix() for p in PAGES} - {s.page for s in found}
    assert silent == {"howto/index.md"}
    assert len(found) > 30


def test_a_failing_snippet_is_seen() -> None:
    with pytest.raises(AssertionError):
        run_command(["chunkseg", "info", "no-such-file.tif"], 0)
    with pytest.raises(AssertionError):
        run_command(["rm", "-r", "out"], 0)
    assert commands("chunkseg info a \\\n  --dims zyx\n# words\nchunkseg x  # exit code 2\n") == [
        (["chunkseg", "info", "a", "--dims", "zyx"], 0),
        (["chunkseg", "x"], 2),
    ]


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    """The functions that the site's generated parts are made by."""
    spec = importlib.util.spec_from_file_location("docs_hooks", DOCS / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def references() -> str:
    return "\n".join(p.read_text(encoding="utf-8") for p in (DOCS / "reference").glob("*.md"))


def test_every_public_name_is_in_the_reference() -> None:
    shown = set(re.findall(r"^::: chunkseg\.(\w+)$", references(), re.MULTILINE))
    assert shown >= set(cs.__all__) - {"__version__"}
    index = (DOCS / "reference" / "index.md").read_text(encoding="utf-8")
    assert all(name in index for name in cs.__all__)


def test_every_command_and_option_is_in_the_reference(hooks: ModuleType) -> None:
    text = hooks.on_page_markdown(references())
    assert "<!-- insert" not in text
    parts = re.split(r"^## chunkseg (\S+)$", text, flags=re.MULTILINE)[1:]
    sections = dict(zip(parts[::2], parts[1::2], strict=True))
    for name, parser in hooks.commands().items():
        common = hooks._common_flags()
        for action in parser._actions:
            flags = action.option_strings or [action.metavar or action.dest]
            where = text if hooks._key(action) in common else sections[name]
            assert all(f"`{flag}`" in where for flag in flags), (name, flags)


def test_every_parameter_error_and_exit_code_is_in_the_reference(hooks: ModuleType) -> None:
    text = hooks.on_page_markdown(references())
    assert all(f"| `{name}` | `{value}` |" in text for name, value, _ in Parameters().explained())
    codes = re.findall(r"^  (\d+) +(\S+)", EXIT_CODES, re.MULTILINE)
    assert [code for code, _ in codes] == ["0", "1", "2", "3", "130"]
    assert all(f"| {code} | {word}" in text for code, word in codes)
    assert "::: chunkseg.errors" in text
    assert all(error.__doc__ for error in ChunksegError.__subclasses__())


def configuration() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8")))


def leaves(nav: Any) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    return [leaf for part in parts for leaf in leaves(part)]


def test_every_page_is_in_the_navigation() -> None:
    pages = {p.relative_to(DOCS).as_posix() for p in DOCS.rglob("*.md")}
    assert set(leaves(configuration()["nav"])) == pages


def test_the_site_asks_no_network() -> None:
    configured = configuration()
    assert configured["theme"]["font"] is False
    assert not {"repo_url", "extra_javascript"} & configured.keys()


def test_the_citation_names_this_version() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["version"] == cs.__version__
    assert cited["license"] == "BSD-3-Clause"
