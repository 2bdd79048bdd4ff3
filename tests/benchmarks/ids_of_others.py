"""Components and ids of other tools that label block by block, against scikit-image's.

``python -m tests.benchmarks.ids_of_others``: two masks, cut into blocks and labelled with full
connectivity. It needs ``pip install tilewise-ccl dask-image patchworks
'connected-components-3d[stack]'``; the table of ``docs/comparison.md`` is what it prints.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import label

import chunkseg as cs

Labels = NDArray[Any]
SLAB = 12


def masks() -> dict[str, tuple[NDArray[np.bool_], int]]:
    """Two masks and the edge of the blocks they are cut into."""
    rng = np.random.default_rng(0)
    blobs = ndimage.gaussian_filter(rng.random((48, 96, 96)), 2) > 0.505
    return {"blobs": (blobs, 32), "noise": (rng.random((24, 30, 28)) < 0.08, 10)}


def by_chunkseg(mask: NDArray[np.bool_], edge: int) -> Labels:
    """chunkseg."""
    return np.asarray(cs.label(da.from_array(mask, chunks=edge)))


def by_cc3d(mask: NDArray[np.bool_], edge: int) -> Labels:
    """cc3d in memory."""
    import cc3d

    return np.asarray(cc3d.connected_components(mask))


def by_cc3d_stack(mask: NDArray[np.bool_], edge: int) -> Labels:
    """cc3d slab by slab; its last axis is z."""
    import cc3d

    turned = np.asfortranarray(mask.T)
    slabs = [turned[..., at : at + SLAB] for at in range(0, turned.shape[-1], SLAB)]
    return np.asarray(cc3d.connected_components_stack(slabs, binary_image=True).decompress().T)


def by_tilewise(mask: NDArray[np.bool_], edge: int) -> Labels:
    """tilewise-ccl."""
    from tilewise_ccl import label_array

    return np.asarray(label_array(mask, tile_shape=(edge,) * 3, connectivity=3).compute())


def by_dask_image(mask: NDArray[np.bool_], edge: int) -> Labels:
    """dask-image."""
    from dask_image.ndmeasure import label as dask_label

    found, _ = dask_label(da.from_array(mask, chunks=edge), np.ones((3, 3, 3)))
    return np.asarray(found.compute())


def by_patchworks(mask: NDArray[np.bool_], edge: int) -> Labels:
    """patchworks' merge of labels of blocks."""
    from patchworks import merge_tile_labels

    cut = da.from_array(mask, chunks=edge)
    blocks = cut.map_blocks(_labelled, dtype=np.int32, meta=np.empty((0, 0, 0), np.int32))
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "labels.zarr"
        options = {"connectivity": 3, "sequential_labels": True, "n_workers": 1}
        return np.asarray(merge_tile_labels(blocks, write_to=str(target), **options).compute())


def _labelled(block: NDArray[np.bool_]) -> Labels:
    return np.asarray(label(block)).astype(np.int32)


TOOLS: tuple[Callable[[NDArray[np.bool_], int], Labels], ...] = (
    by_chunkseg,
    by_cc3d,
    by_cc3d_stack,
    by_tilewise,
    by_dask_image,
    by_patchworks,
)


def same_components(found: Labels, known: Labels) -> bool:
    """Whether two label images are the same but for the ids."""
    pairs = np.unique(np.stack([found.ravel(), known.ravel()]), axis=1)
    return all(len(np.unique(ids)) == pairs.shape[1] for ids in pairs)


def lines() -> Iterator[str]:
    """A line for each mask and tool."""
    for name, (mask, edge) in masks().items():
        known = label(mask)
        for tool in TOOLS:
            try:
                found = tool(mask, edge)
            except ImportError as error:
                yield f"{name:6} {tool.__doc__} not tried: {error}"
                continue
            components, ids = same_components(found, known), np.array_equal(found, known)
            yield f"{name:6} {tool.__doc__} components equal: {components}, ids equal: {ids}"


if __name__ == "__main__":
    print("\n".join(lines()))
