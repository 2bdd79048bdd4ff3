"""Sums per label of one block, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings

from chunkseg.kernels.runs import id_runs
from chunkseg.kernels.sums import region_sums
from tests.strategies import label_images

Array = np.ndarray[Any, Any]
some = settings(deadline=None, max_examples=120)


@some
@given(label_images([np.uint32]))
def test_region_sums(local: Array) -> None:
    count = int(local.max()) + 2
    found = region_sums(id_runs(local), count)
    for i in range(1, count + 1):
        where = np.argwhere(local == i)
        assert found.num_pixels[i - 1] == len(where)
        if len(where):
            assert found.bbox_start[i - 1].tolist() == where.min(0).tolist()
            assert found.bbox_stop[i - 1].tolist() == (where.max(0) + 1).tolist()
        assert found.coordinates[i - 1].tolist() == where.sum(0).tolist()
    for column in (found.num_pixels, found.bbox_start, found.bbox_stop, found.coordinates):
        assert column.dtype == np.int64
