"""Run as a process of its own: segment a movie in physical units under a memory limit."""

from __future__ import annotations

import json
import sys

import chunkseg as cs
from chunkseg.runner.resident import peak_memory

WORKFLOW = cs.Workflow(
    units="physical", sigma=0.5, erosion_radius=0.9, properties=("intensity_mean",)
)

if __name__ == "__main__":
    image, out, limit = sys.argv[1:]
    options = {"channel": 1, "intensity_channels": "all", "memory_limit": int(limit)}
    WORKFLOW.run(image, out, workers=1, **options)  # type: ignore[arg-type]
    print(json.dumps({"peak": peak_memory()}))
