"""The same bits on a cluster of two worker processes."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest

import chunkseg as cs
from tests.lesson import lesson
from tests.test_timelapse import assert_movie, real_movie
from tests.test_workflow import assert_lesson

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def image():
    rng = np.random.default_rng(3)
    return rng.integers(0, 60, (12, 40, 36)).astype(np.uint16)


def test_workflow_on_a_file(client, image, tmp_path):
    path = tmp_path / "stack.npy"
    np.save(path, image)
    result = cs.Workflow(sigma=1, erosion_radius=1).run(
        path, tmp_path / "out", block_shape=(6, 16, 16)
    )
    assert_lesson(result, lesson(image, 1, 1), image)
    assert result.run["workers"] == 2


def test_workflow_on_an_array_in_memory_is_staged(client, image, tmp_path):
    result = cs.Workflow(sigma=1, erosion_radius=1).run(
        image, tmp_path / "out", block_shape=(6, 16, 16)
    )
    assert_lesson(result, lesson(image, 1, 1), image)
    assert "stage" in result.run["seconds"]


def test_steps(client, image, tmp_path):
    expected = lesson(image, 1, 1)
    blurred = cs.gaussian(da.from_array(image, chunks=(6, 16, 16)), 1)
    threshold = cs.threshold_otsu(blurred)
    assert threshold == expected.threshold
    seeds = cs.label(cs.erosion(blurred > threshold, radius=1), scratch=tmp_path / "seeds.zarr")
    labels = cs.label(cs.clear_border(cs.expand_labels(seeds, 1)))
    np.testing.assert_array_equal(labels.compute(), expected.labels)
    table = cs.regionprops_table(labels, image)
    assert len(table) == expected.counts[2]


def test_real_stack(client, shared_data, tmp_path):
    path = shared_data / "nuclei-zyx" / "xyz_8bit__nuclei_autothresh.tif"
    result = cs.Workflow(sigma=2, erosion_radius=2).run(
        path, tmp_path / "out", block_shape=(16, 50, 64)
    )
    image = cs.open_image(path).values
    assert_lesson(result, lesson(image, 2, 2), image)
    assert result.run["frames"][0]["counts"]["final"] == 29


@pytest.mark.parametrize("scope", ["frame", "movie"])
@pytest.mark.parametrize(("name", "t"), [("mitosis", None), ("mitosis", 3), ("golgi", 5)])
def test_real_movies(name, t, scope, client, shared_data, tmp_path):
    """Five frames, in memory and of an array that dask has in chunks of several frames."""
    image, pixels = (movie[:5] for movie in real_movie(name, shared_data))
    if t is not None:
        image = image.chunk({"t": t})
    workflow = cs.Workflow(sigma=1, erosion_radius=2, threshold_scope=scope)
    result = workflow.run(image, tmp_path / "out", block_shape=(100, 110))
    assert_movie(result, pixels, scope, 1, 2)
    assert result.run["workers"] == 2
