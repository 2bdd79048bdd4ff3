"""Run as a process of its own: segment a movie by the command line under a memory limit."""

from __future__ import annotations

import json
import sys

from chunkseg.cli import main
from chunkseg.runner.resident import peak_memory

OPTIONS = ("--channel", "1", "--intensity-channels", "all", "--workers", "1", "--no-report")
LENGTHS = ("--units", "physical", "--sigma", "0.5", "--erosion-radius", "0.9")

if __name__ == "__main__":
    image, out, limit = sys.argv[1:]
    code = main(["run", image, "-o", out, *OPTIONS, *LENGTHS, "--memory-limit", limit, "-q"])
    print(json.dumps({"code": code, "peak": peak_memory()}))
