"""Verifying a result: files, checksums, invariants of the label image, regions computed again."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from chunkseg.api.checking_arrays import array_checks
from chunkseg.api.checking_files import fact_checks, file_checks, input_check, threshold_checks
from chunkseg.api.checking_regions import region_checks
from chunkseg.api.checks import Check, Subject, Verification, not_checked
from chunkseg.errors import ParameterError
from chunkseg.runner.execution import Execution
from chunkseg.runner.progress import Progress, silent
from chunkseg.storage.output import read_run
from chunkseg.storage.places import place_of

REGIONS = 8


def verify(
    out: str | os.PathLike[str],
    image: Any = None,
    *,
    regions: int = REGIONS,
    seed: int | None = None,
    workers: int | None = None,
    progress: Progress = silent,
) -> Verification:
    """Verify the result of a run, out of core, without writing to its folder.

    These are compared, each a check with a name:

    - ``files``, ``digests``: every file is there; SHA-256 of tables, summary and workflow.
    - ``facts``: ``run.json``, ``summary.json`` and ``workflow.toml`` agree.
    - ``input``: the input is what it was, by the sample that the run took of each frame. One that
      is gone or changed is no failure; regions are not checked then.
    - ``chunks``, ``checksums``: every chunk of every array can be decoded; CRC32C of each block of
      the label image.
    - ``levels``, where there are any: each coarser one is what the one below gives.
    - ``labels``, ``connected``, ``ranking``: labels of each frame are 1 to n, each one connected
      component (seams between blocks included), numbered by first voxel.
    - ``counts``, ``border``, ``table``: as many labels as rows and as ``run.json`` says; no object
      at the border that was cleared; ``area``, ``bbox``, ``centroid`` are those of the label image,
      bit for bit.
    - ``mask``, ``seeds``, ``expanded``, where kept: components and foreground as in ``run.json``.
    - ``threshold``: it is the number that was given. Otsu's follows from a whole frame, and is
      taken as it was recorded.
    - ``region ...``: random boxes, every second one around an object, computed again by
      scikit-image from the recorded threshold: see :mod:`chunkseg.passes.recomputing` for what a
      box decides.

    Parameters
    ----------
    out : path
        Folder or address of a complete run.
    image : path, DataArray, dask, zarr or NumPy array, optional
        The input, where it is not to be found where it was, or was an array in memory. A path is
        opened with the options of the run.
    regions : int
        Number of regions.
    seed : int, optional
        What they are drawn with; a new one each time by default.
    workers : int, optional
        Number of threads; as many as there are cores by default.
    progress : callable, optional
        Called as ``progress(name of the sweep, done, in all)``.

    Returns
    -------
    Verification
        ``ok``, ``checks`` and, as a DataFrame, ``table``. A check that fails raises nothing.

    Raises
    ------
    PathError, IncompleteError
        If there is no complete result.
    FormatError
        If its ``run.json`` is not what a run writes.
    ParameterError
        If an argument can't be used.

    Examples
    --------
    >>> import chunkseg as cs, numpy as np, tempfile
    >>> image = np.zeros((20, 20), np.uint8)
    >>> image[5:9, 5:9] = 200
    >>> out = tempfile.mkdtemp()
    >>> _ = cs.Workflow(sigma=0).run(image, out)
    >>> found = verify(out, image, regions=1, seed=1)
    >>> found.ok, found.checks[0].name
    (True, 'files')
    """
    _check_numbers(regions=(regions, 0), seed=(seed, 0), workers=(workers, 1))
    path = place_of(out)
    run = read_run(path)
    drawn = int(np.random.default_rng().integers(2**32)) if seed is None else int(seed)
    if run.get("identity", {}).get("facts", {}).get("command") == "measure":
        why = "this is a table of 'chunkseg measure': only its files can be verified"
        return Verification((*file_checks(path, run), *not_checked(["arrays"], why)), drawn)
    subject = Subject.of(path, run)
    checks: list[Check] = [*file_checks(path, run), *fact_checks(subject)]
    checks += threshold_checks(subject)
    told, source = input_check(subject, image)
    checks.append(told)
    execution = Execution(workers, client=None, attempts=1)
    with tempfile.TemporaryDirectory(prefix="chunkseg-verify-") as folder:
        found, readable = array_checks(subject, execution, progress, Path(folder))
    checks += found
    checks += region_checks(subject, source, readable, regions, drawn, execution, progress)
    return Verification(tuple(checks), drawn)


def _check_numbers(**given: tuple[Any, int]) -> None:
    for name, (value, least) in given.items():
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        if value is not None and not (whole and value >= least):
            raise ParameterError(f"{name} must be a whole number, {least} or more; got {value!r}")
