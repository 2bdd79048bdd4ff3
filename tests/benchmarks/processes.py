"""Run one side of a comparison as a process of its own and measure it whole."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

_WRAPPER = """
import json, re, resource, runpy, sys
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__")
used = resource.getrusage(resource.RUSAGE_SELF)
peak = re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())
print(json.dumps({"cpu": used.ru_utime + used.ru_stime, "peak": int(peak.group(1)) * 1024}))
"""


@dataclass
class Measured:
    """Wall and CPU seconds, peak resident bytes, and the last line that was printed."""

    wall: float
    cpu: float
    peak: int
    answer: str


def measure(module: str, *arguments: str) -> Measured:
    """Run ``python -m module arguments`` and measure the process, start-up included."""
    begin = time.perf_counter()
    command = [sys.executable, "-c", _WRAPPER, module, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    wall = time.perf_counter() - begin
    if done.returncode:
        raise RuntimeError(f"{module} {arguments} failed:\n{done.stderr}")
    *printed, last = done.stdout.strip().splitlines()
    used = json.loads(last)
    return Measured(wall, used["cpu"], used["peak"], printed[-1] if printed else "")


def row(name: str, m: Measured) -> str:
    """Return a line of a table."""
    return f"{name:<34} {m.wall:8.1f} s {m.cpu:8.1f} s CPU {m.peak / 2**20:8.0f} MiB"
