"""Tables of objects as Parquet, with the unit of every column and where the numbers come from.

The metadata of the file hold, under ``chunkseg``, JSON of the version, the input, the workflow or
the properties, and the units by column; each column has its ``unit`` too. Nothing there depends on
when, how fast or where a run was made, so that a run that was interrupted writes the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from chunkseg.passes.tables import column_units
from chunkseg.storage.identity import canonical

KEY = "chunkseg"
TOLD = ("input", "workflow", "input_is_mask", "properties")


def write_table(path: Path, table: pd.DataFrame, run: Mapping[str, Any]) -> None:
    """Write a table.

    Parameters
    ----------
    path
        Of the file.
    table
        The objects.
    run
        Content of ``run.json``.

    Examples
    --------
    >>> import json, tempfile
    >>> file = Path(tempfile.mkdtemp()) / "objects.parquet"
    >>> write_table(file, pd.DataFrame({"volume_um3": [2.5]}), {"versions": {"chunkseg": "1.0"}})
    >>> json.loads(pq.read_schema(file).metadata[b"chunkseg"])
    {'units': {'volume_um3': 'um3'}, 'version': '1.0'}
    """
    units = column_units(table)
    told = {name: run[name] for name in TOLD if name in run}
    content = {"version": run["versions"]["chunkseg"], "units": units, **told}
    plain = pa.Table.from_pandas(table, preserve_index=False)
    fields = [
        f.with_metadata({"unit": units[f.name]} if units[f.name] else {}) for f in plain.schema
    ]
    known = {**(plain.schema.metadata or {}), KEY: canonical(content)}
    pq.write_table(plain.cast(pa.schema(fields, metadata=known)), path)
