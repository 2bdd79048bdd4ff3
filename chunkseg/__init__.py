"""chunkseg: segment and measure microscopy stacks larger than memory, as scikit-image would.

The public names are loaded when first used, so that ``import chunkseg`` is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "binary_erosion": "api.morphology",
    "clear_border": "api.segmentation",
    "compare_masks": "api.comparing",
    "erosion": "api.morphology",
    "expand_labels": "api.segmentation",
    "foreground_fraction": "api.filters",
    "from_array": "storage.opening",
    "gaussian": "api.filters",
    "label": "api.segmentation",
    "measure": "api.measuring",
    "open_image": "storage.opening",
    "plot_distribution": "report.plots",
    "plot_histogram": "report.plots",
    "plot_over_time": "report.plots",
    "regionprops_table": "api.measurement",
    "relabel_sequential": "api.segmentation",
    "Result": "api.result",
    "save_image": "api.saving",
    "store": "api.storing",
    "summarize": "api.measurement",
    "sweep_radius": "api.radius",
    "synthetic_nuclei": "api.synthetic",
    "threshold_otsu": "api.filters",
    "verify": "api.verifying",
    "Workflow": "api.workflow",
    "write_report": "report.page",
}

__all__ = [
    "Result",
    "Workflow",
    "__version__",
    "binary_erosion",
    "clear_border",
    "compare_masks",
    "erosion",
    "expand_labels",
    "foreground_fraction",
    "from_array",
    "gaussian",
    "label",
    "measure",
    "open_image",
    "plot_distribution",
    "plot_histogram",
    "plot_over_time",
    "regionprops_table",
    "relabel_sequential",
    "save_image",
    "store",
    "summarize",
    "sweep_radius",
    "synthetic_nuclei",
    "threshold_otsu",
    "verify",
    "write_report",
]

if TYPE_CHECKING:
    from chunkseg.api.comparing import compare_masks
    from chunkseg.api.filters import foreground_fraction, gaussian, threshold_otsu
    from chunkseg.api.measurement import regionprops_table, summarize
    from chunkseg.api.measuring import measure
    from chunkseg.api.morphology import binary_erosion, erosion
    from chunkseg.api.radius import sweep_radius
    from chunkseg.api.result import Result
    from chunkseg.api.saving import save_image
    from chunkseg.api.segmentation import clear_border, expand_labels, label, relabel_sequential
    from chunkseg.api.storing import store
    from chunkseg.api.synthetic import synthetic_nuclei
    from chunkseg.api.verifying import verify
    from chunkseg.api.workflow import Workflow
    from chunkseg.report.page import write_report
    from chunkseg.report.plots import plot_distribution, plot_histogram, plot_over_time
    from chunkseg.storage.opening import from_array, open_image


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'chunkseg' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"chunkseg.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
