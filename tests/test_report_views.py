"""Views of a result: what is read of images of any size, and that it is what is there."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chunkseg as cs
from chunkseg.api.checks import Subject
from chunkseg.geometry.boxes import Box
from chunkseg.geometry.layout import Layout
from chunkseg.report.extra import INSTALL, missing
from chunkseg.report.views import BUDGET, Budget, Level, Masked, Pyramid, View, affordable
from chunkseg.storage.leaves import Region

pytestmark = pytest.mark.skipif(
    bool(missing()), reason=f"the extra report is not installed: {INSTALL}"
)


@dataclass
class Counting(Region):
    """A made-up array of any size that counts what is read of it."""

    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: Any = np.uint16
    read: list[int] = field(default_factory=list)

    def _read(self, spans: Any) -> Any:
        lengths = [s.stop - s.start for s in spans]
        self.read.append(int(np.prod(lengths)))
        assert self.read[-1] < BUDGET
        return np.ones(lengths, self.dtype)


def level(shape: tuple[int, ...], chunk: int, factor: int = 1) -> Level:
    own = tuple(-(-n // factor) for n in shape)
    source = Counting(own, (min(chunk, own[0]), chunk, chunk))
    return Level(source, Layout.of(own), (factor,) * len(shape))


def subject_of(shape: tuple[int, ...]) -> Subject:
    facts = {"threshold": 0.5, "counts": {}, "foreground_fraction": 0.1}
    run = {
        "input": {
            "dims": list("zyx"),
            "shape": shape,
            "source": None,
            "spacing": dict.fromkeys("zyx", 1.0),
            "units": dict.fromkeys("zyx", "micrometer"),
        },
        "frames": [facts],
        "workflow": {"sigma": 3},
        "block_shape": [256] * 3,
        "input_is_mask": False,
        "until": None,
        "files": [],
    }
    return Subject.of(Path("nowhere"), run)


@pytest.mark.parametrize("pyramid", [True, False], ids=["levels", "one level"])
@pytest.mark.parametrize("shape", [(5000, 10_000, 10_000), (40, 200, 100_000), (5, 60, 70)])
def test_an_image_of_any_size_costs_no_more(shape: tuple[int, int, int], pyramid: bool) -> None:
    from chunkseg.report.scenes import Stage

    factors = (1, 2, 4, 8, 16, 32) if pyramid else (1,)
    image, labels = (Pyramid(tuple(level(shape, 128, f) for f in factors)) for _ in range(2))
    subject = subject_of(shape)
    chain = cs.Workflow(sigma=3).blur((1.0,) * 3)
    mask = Masked(image.levels[0], {0: (chain,)})
    stage = Stage(subject, image, mask, labels, "", Budget())
    scenes = stage.scenes(None)
    assert len(scenes) - min(3, shape[0]) in (1, 2)
    assert "mask" in {p.title for scene in scenes for p in scene.pictures}
    read = sum(sum(each.data.read) for each in (*image.levels, *labels.levels))
    assert 0 < read <= stage.budget.read <= BUDGET
    widths = [p.width for scene in scenes for p in scene.pictures]
    assert min(widths) >= 3
    if pyramid and shape[0] == 5000:
        assert [scene.note for scene in scenes[:3]] == [""] * 3


def test_without_levels_a_part_is_shown_and_said() -> None:
    from chunkseg.report.scenes import Stage

    shape = (5000, 10_000, 10_000)
    image = Pyramid((level(shape, 128),))
    stage = Stage(subject_of(shape), image, None, None, "", Budget(2_000_000))
    for scene in stage.scenes(None):
        assert re.match(r"a part of it, to be read in seconds: .*y \d+ to \d+", scene.note)


def test_nothing_is_shown_where_not_even_a_voxel_is_affordable() -> None:
    from chunkseg.report.scenes import Stage

    shape = (64, 64, 64)
    image = Pyramid((level(shape, 64),))
    stage = Stage(subject_of(shape), image, None, None, "", Budget(100))
    assert stage.scenes(None) == []
    assert sum(image.levels[0].data.read) == 0


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 60)), min_size=2, max_size=3))
@settings(max_examples=60)
def test_a_smaller_view_lies_within_and_ends_at_a_voxel(edges: list[tuple[int, int]]) -> None:
    view = View(0, Box(tuple(a for a, _ in edges), tuple(a + n for a, n in edges)))
    while max(view.box.shape) > 1:
        smaller = view.smaller()
        assert smaller.box.size < view.box.size
        assert smaller.box.size > 0
        assert smaller.box.intersect(view.box) == smaller.box
        view = smaller


def test_the_coarsest_level_that_is_fine_enough() -> None:
    pyramid = Pyramid(tuple(level((64, 4000, 4000), 64, f) for f in (1, 2, 4, 8)))
    whole = Box((0, 0, 0), (1, 4000, 4000))
    assert pyramid.fitting(View(0, whole)).factor == (4, 4, 4)
    assert pyramid.fitting(View(0, Box((0, 0, 0), (1, 300, 300)))).factor == (1, 1, 1)
    assert affordable(View(0, whole), [pyramid], 10**9) == View(0, whole)


@pytest.mark.parametrize("physical", [False, True])
def test_the_mask_is_the_one_that_the_run_had(tmp_path: Path, physical: bool) -> None:
    from chunkseg.report.scenes import Stage

    stack = cs.synthetic_nuclei((20, 50, 54), count=8, semi_axes=(4, 8))
    image = cs.from_array(stack, spacing=(0.5, 0.25, 0.25), unit="um")
    units = {"units": "physical", "sigma": (1.0, 0.5, 0.5)} if physical else {"sigma": 1.5}
    workflow, options = cs.Workflow(**units), {"keep": ("mask",), "block_shape": (8, 20, 30)}
    result = workflow.run(image, tmp_path / "a", **options)
    subject = Subject.of(result.path, result.run)
    views = [View(0, box) for box in (Box((3, 0, 0), (4, 50, 54)), Box((0, 5, 9), (20, 30, 40)))]
    kept = Stage.of(subject, image).mask
    assert isinstance(kept, Pyramid)
    known = [kept.read(view, Budget()) != 0 for view in views]
    (tmp_path / "a" / "mask.ome.zarr").rename(tmp_path / "mask")
    computed = Stage.of(subject, image).mask
    assert isinstance(computed, Masked)
    for view, mask in zip(views, known, strict=True):
        assert mask.any()
        np.testing.assert_array_equal(computed.read(view, Budget()), mask)


def test_coarser_levels_of_input_and_labels_are_found(tmp_path: Path) -> None:
    from chunkseg.report.scenes import Stage

    stack = np.tile(cs.synthetic_nuclei((8, 300, 310), count=30, semi_axes=(4, 9)), (1, 2, 2))
    cs.save_image(cs.from_array(stack, spacing=0.5, unit="um"), tmp_path / "i.ome.zarr")
    result = cs.Workflow().run(tmp_path / "i.ome.zarr", tmp_path / "o")
    stage = Stage.of(Subject.of(result.path, result.run))
    assert stage.image is not None
    assert stage.labels is not None
    assert len(stage.image.levels) > 1
    assert len(stage.labels.levels) > 1
    for pyramid in (stage.image, stage.labels):
        coarse = pyramid.levels[1]
        assert coarse.factor[1:] == (2, 2)
        box = Box((2, 100, 200), (3, 300, 400))
        assert coarse.read(0, coarse.box(box)).shape[1:] == (100, 100)
    fine = stage.labels.levels[0].read(0, box)
    np.testing.assert_array_equal(coarse.read(0, coarse.box(box))[0], fine[0, ::2, ::2])
