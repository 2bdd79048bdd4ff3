"""Contributions of small neighbourhoods, for which blocks are read with a halo: see the kernels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from chunkseg.kernels.neighbourhood import (
    PERIMETER_HALO,
    crofton_sums,
    euler_sums,
    perimeter_sums,
)
from chunkseg.kernels.surface import surface_sums
from chunkseg.kernels.windows import HALO
from chunkseg.passes.measure.contributions import Array, Contribution, View, reducing


def _local(name: str, block: Callable[[View], Array], halo: int) -> Contribution:
    return Contribution(name, lambda view: {name: block(view)}, {name: reducing(np.add)}, halo)


LOCAL = (
    _local("perimeter", lambda v: perimeter_sums(v.grown, v.inner, v.count), PERIMETER_HALO),
    _local("crofton", lambda v: crofton_sums(v.grown, v.inner, v.count), HALO),
    _local("euler", lambda v: euler_sums(v.grown, v.inner, v.count), HALO),
    _local("surface", lambda v: surface_sums(v.grown, v.inner, v.count, v.spacing), HALO),
)
