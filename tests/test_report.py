"""The report: one file, escaped, in bounds, beside a result that it leaves alone."""

from __future__ import annotations

import html
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.segmentation import find_boundaries

import chunkseg as cs
from chunkseg.errors import FormatError, IncompleteError, OutputExistsError, ParameterError
from chunkseg.report import extra, telling, words
from chunkseg.report.extra import INSTALL, missing
from chunkseg.report.methods import methods
from chunkseg.storage.reports import REPORT
from chunkseg.storage.site import RUN

pytestmark = pytest.mark.skipif(
    bool(missing()), reason=f"the extra report is not installed: {INSTALL}"
)

STACK = cs.synthetic_nuclei((24, 80, 84), count=14, semi_axes=(4, 8), seed=2)
WORKFLOW = cs.Workflow(sigma=1, erosion_radius=3, clear_border_axes=("y", "x"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a file whose name is to be escaped; the mask was kept."""
    folder = tmp_path_factory.mktemp("report") / "a <b> & c"
    folder.mkdir()
    np.save(folder / "<i>stack & co.npy", STACK)
    image = cs.open_image(folder / "<i>stack & co.npy", spacing=(0.5, 0.25, 0.25), unit="um")
    WORKFLOW.run(image, folder / "out", block_shape=(12, 40, 50), keep=("mask",))
    return folder / "out"


@pytest.fixture(autouse=True)
def _coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plots of few dots, to be quick."""
    monkeypatch.setattr("chunkseg.report.page.DOTS", 20)


@pytest.fixture
def own(run: Path, tmp_path: Path) -> Path:
    """A copy of the result, to be changed."""
    return Path(shutil.copytree(run, tmp_path / "out"))


def sizes(out: Path) -> dict[str, bytes]:
    """Every file of a result but its report."""
    files = [path for path in out.rglob("*") if path.is_file() and path.name != REPORT]
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


def test_one_file_that_needs_nothing(own: Path) -> None:
    before = sizes(own)
    page = cs.write_report(own).read_text()
    assert sizes(own) == before
    assert cs.verify(own).ok
    assert not re.findall(r"<script|<link|@import|url\(|https?://", page)
    assert set(re.findall(r'src="(.{5})', page)) == {"data:"}
    assert "&lt;i&gt;stack &amp; co.npy" in page
    assert "<i>" not in page


def test_it_tells_what_the_run_tells(run: Path) -> None:
    result = cs.Result.open(run)
    page = result.report(seams=True).read_text()
    frame = result.run["frames"][0]
    assert f"<dd>{frame['threshold']:.4g}</dd>" in page
    assert f"<dd>{len(result.table)}</dd>" in page
    for stage, words_ in telling.STAGES.items():
        assert f'<td>{words_}</td><td class="n">{frame["counts"][stage]}</td>' in page
    assert page.count('alt="image"') == page.count('alt="mask"') == page.count('alt="labels"') == 4
    assert "Yellow lines" in page
    largest = int(result.table.nlargest(1, "area")["label"].iloc[0])
    assert f"<strong>label {largest}</strong>" in page
    assert methods(result) in html.unescape(page)
    for name, count in frame["dropped"].items():
        assert not count or f"{name}: {count}" in page


def test_an_input_that_is_gone(own: Path, run: Path) -> None:
    (own / RUN).write_text((own / RUN).read_text().replace("co.npy", "gone.npy"))
    page = cs.write_report(own).read_text()
    assert "No pictures of the image: there is nothing at" in page
    assert 'alt="image"' not in page
    assert page.count('alt="labels"') == 4
    again = cs.write_report(own, cs.from_array(STACK, spacing=(0.5, 0.25, 0.25), unit="um"))
    assert 'alt="image"' in again.read_text()


@pytest.mark.parametrize("workflow", [cs.Workflow(sigma=1, threshold=0.3), cs.Workflow(sigma=1)])
def test_movies(tmp_path: Path, workflow: cs.Workflow) -> None:
    movie = np.stack([cs.synthetic_nuclei((60, 64), seed=s) for s in range(4)])
    movie[1] = 7
    image = cs.from_array(movie, "tyx", spacing={"t": 2, "y": 0.5, "x": 0.5}, unit="um")
    result = workflow.run(image, tmp_path)
    page = result.report(image).read_text()
    assert {"t = 0", "t = 2", "t = 3"} <= set(re.findall(r"t = \d", page))
    assert page.count('alt="mask"') == 3
    assert 'alt="threshold"' in page
    assert 'alt="count"' in page
    assert ("256 bins" in page) == (workflow.threshold == "otsu")
    np.testing.assert_array_equal(
        cs.plot_over_time(result, "count", _axes()).lines[0].get_ydata(), result.summary["count"]
    )


def test_results_with_little_in_them(tmp_path: Path) -> None:
    flat = np.zeros((9, 12), np.uint8)
    assert "constant" in cs.Workflow().run(flat, tmp_path / "a").report(flat).read_text()
    result = WORKFLOW.run(STACK, tmp_path / "b", until="mask")
    page = result.report().read_text()
    assert 'alt="mask"' in page
    assert 'alt="labels"' not in page
    assert "remained" not in methods(result)
    mask = STACK > 20_000
    masked = WORKFLOW.run(mask, tmp_path / "c", input_is_mask=True)
    assert 'alt="image"' in masked.report(mask).read_text()
    assert "It was a binary mask already." in methods(masked)


def test_no_report_where_there_is_no_run(tmp_path: Path) -> None:
    labels = cs.from_array(np.eye(4, dtype=np.uint8))
    result = cs.measure(labels, tmp_path / "m", properties="area")
    with pytest.raises(ParameterError, match="a table of 'chunkseg measure'"):
        result.report()
    with pytest.raises(IncompleteError, match="complete result"):
        cs.write_report(tmp_path)


def test_somebody_elses_file_stays(own: Path) -> None:
    (own / REPORT).write_text("mine")
    with pytest.raises(OutputExistsError, match="was not made by chunkseg"):
        cs.write_report(own)
    assert (own / REPORT).read_text() == "mine"


def test_a_crash_while_writing_leaves_the_run_complete(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sizes(own)

    def crash(self: Path, *args: Any, **options: Any) -> None:
        with self.open("w") as file:
            file.write("<!doc")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", crash)
        with pytest.raises(KeyboardInterrupt):
            cs.write_report(own)
    assert sizes(own) == before
    (own / f".{REPORT}.123.partial").write_text("killed")
    assert cs.verify(own).ok
    cs.write_report(own)
    assert {p.name for p in own.iterdir()} - {*before, REPORT} == {
        "labels.ome.zarr",
        "mask.ome.zarr",
    } | ({".chunkseg"} & {p.name for p in own.iterdir()})


def test_the_report_goes_with_its_result(tmp_path: Path) -> None:
    movie = np.stack([cs.synthetic_nuclei((40, 44), seed=s) for s in range(3)])
    np.save(tmp_path / "m.npy", movie[:2])

    def result(sigma: float = 1, **options: Any) -> cs.Result:
        image = cs.open_image(tmp_path / "m.npy", dims="tyx")
        return cs.Workflow(sigma=sigma).run(image, tmp_path / "o", **options)

    first = result().report()
    result()
    assert first.exists()
    np.save(tmp_path / "m.npy", movie)
    assert len(result().run["frames"]) == 3
    assert not first.exists()
    pd.testing.assert_series_equal(
        result().histograms.groupby("frame")["count"].sum(),
        pd.Series([40 * 44] * 3, index=pd.RangeIndex(3, name="frame"), name="count"),
        check_index_type=False,
    )
    first = result().report()
    result(sigma=2, overwrite=True)
    assert not first.exists()


def test_damaged_facts(own: Path) -> None:
    (own / RUN).write_text((own / RUN).read_text().replace('"dims"', '"dim"'))
    with pytest.raises(FormatError, match="not what a run writes"):
        cs.write_report(own)


def test_the_extra_is_named(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extra, "find_spec", lambda name: None)
    with pytest.raises(ParameterError, match=re.escape("pip install 'chunkseg[report]'")):
        cs.write_report(own)
    assert missing() == ["matplotlib", "jinja2", "pillow"]
    assert "<img" not in cs.Result.open(own)._repr_html_()


def _axes() -> Any:
    from matplotlib.figure import Figure

    return Figure().subplots()


def test_plots_draw_where_they_are_told(run: Path) -> None:
    result = cs.Result.open(run)
    ax = _axes()
    assert cs.plot_histogram(result, ax=ax) is ax
    assert ax.get_yscale() == "log"
    assert cs.plot_distribution(result, ax=ax).get_yscale() == "linear"
    assert result.run["frames"][0]["threshold"] in [line.get_xdata()[0] for line in ax.lines]
    steps = ax.lines[0].get_ydata()
    np.testing.assert_array_equal(steps, np.maximum(result.histograms["count"], 0.5))
    ax = cs.plot_distribution(result, "intensity_mean", _axes())
    assert sum(bar.get_height() for bar in ax.patches) == len(result.table)
    empty = cs.plot_distribution(result.table[:0], ax=_axes())
    assert empty.get_xlabel() == "volume (µm³)"
    import matplotlib.pyplot as plt

    assert cs.plot_distribution(result) is plt.gca()
    plt.close("all")


def test_plots_of_what_is_not_there(run: Path) -> None:
    result = cs.Result.open(run)
    with pytest.raises(IncompleteError, match="no histogram of frame 3"):
        cs.plot_histogram(result, 3, _axes())
    with pytest.raises(ParameterError, match="'colour' is not one of numbers"):
        cs.plot_distribution(result, "colour", _axes())
    with pytest.raises(ParameterError, match="no axis t"):
        cs.plot_over_time(result, ax=_axes())


def test_values_over_time_are_named(tmp_path: Path) -> None:
    movie = np.stack([cs.synthetic_nuclei((40, 44), seed=s) for s in range(2)])
    image = cs.from_array(movie, "tyx", spacing={"t": 3, "y": 1, "x": 1}, unit="um")
    result = cs.Workflow().run(image, tmp_path)
    ax = cs.plot_over_time(result, "percent_foreground", _axes())
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time (s)", "foreground (%)")
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), [0, 3])
    assert cs.plot_over_time(result, "std", _axes()).get_ylabel() == "std area (µm²)"
    with pytest.raises(ParameterError, match="value must be one of count, mean"):
        cs.plot_over_time(result, "colour", _axes())


def test_who_is_suspect_and_who_is_at_the_ends() -> None:
    sizes_ = [100.0, 101, 99, 102, 98, 100, 103, 97, 2000, 3]
    table = pd.DataFrame({"label": range(1, 11), "area": sizes_, "solidity": [0.9] * 9 + [0.5]})
    found = {chosen.title: chosen.rows["label"].tolist() for chosen in telling.suspects(table)}
    assert list(found.values()) == [[9], [10], [10]]
    assert telling.suspects(table[:7]) == []
    ends = {chosen.title: chosen.rows["label"].tolist() for chosen in telling.extremes(table)}
    assert ends == {"largest": [9, 7, 4], "smallest": [10, 8, 5]}
    table["axis_major_length"], table["axis_minor_length"] = 4.0, [2.0] * 9 + [1.0]
    assert telling.extremes(table)[2].rows["label"].tolist()[0] == 10
    assert ("elongation", "4.00") in telling.object_facts(table.iloc[9], ["area"])
    assert telling.object_facts(pd.Series({"area": 1200.0}), ["area"])[0][1] == "1\u202f200"
    assert telling.object_facts(pd.Series({"area": 1.5}), ["area"])[0][1] == "1.50"
    (only,) = telling.extremes(table[:1])
    assert (only.title, len(only.rows)) == ("the only one", 1)


def test_where_an_object_is() -> None:
    row = pd.Series({"label": 1, "centroid_local-0": 1.0, "centroid_weighted-0": 2.0})
    assert telling.object_facts(row, []) == []
    row["centroid-0"] = 3.0
    assert telling.object_facts(row, []) == [("centre (voxels)", "3.00")]
    row["centroid_um-0"] = 1.5
    assert telling.object_facts(row, []) == [("centre (µm)", "1.50")]


def test_what_has_no_distribution_is_not_drawn(tmp_path: Path) -> None:
    one = np.zeros((30, 30), np.uint8)
    one[10:20, 10:20] = 200
    page = cs.Workflow().run(one, tmp_path / "one").report().read_text()
    assert 'alt="histogram"' in page
    assert "Distributions" not in page
    assert page.count("The only one") + page.count("the only one") == 1
    page = cs.Workflow().run(one * 0, tmp_path / "none").report().read_text()
    assert 'alt="histogram"' not in page


@given(
    hnp.arrays(
        np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=8), elements=st.integers(0, 3)
    )
)
@settings(max_examples=60)
def test_outlines_are_scikit_images(labels: np.ndarray[Any, Any]) -> None:
    from chunkseg.report.pictures import outlines

    expected = find_boundaries(labels, connectivity=1, mode="inner", background=0)
    np.testing.assert_array_equal(outlines(labels), expected)


def test_a_notebook_shows_picture_and_table(run: Path) -> None:
    result = cs.Result.open(run)
    shown = result._repr_html_()
    assert shown.count("<img") == 3
    assert shown.count("<tr") == 1 + min(5, len(result.table))
    assert "a &lt;b&gt; &amp; c" in shown
    assert "<td>erosion_radius</td><td>3</td>" in WORKFLOW._repr_html_()


def test_words() -> None:
    assert words.column_title("centroid_um-0") == "centroid, 0 (µm)"
    assert words.length_unit("furlong") == "furlong"
    assert words.pretty_unit("(custom)") == "(custom)"
