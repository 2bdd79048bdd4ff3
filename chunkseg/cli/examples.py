"""What ``--help`` says at its end: examples of each command, and the exit codes."""

from __future__ import annotations

EXIT_CODES = """\
exit codes:
  0    done
  1    a comparison found differences (demo, verify, convert --verify), or a plan does not fit
  2    an error, said in one line; --debug shows where it came from
  3    not complete: some blocks could not be done (the same command goes on once the cause is
       mended), or status found a run that is not complete
  130  interrupted; the same command goes on
"""

EXAMPLES = {
    "run": """\
  chunkseg run stack.ome.zarr -o out --channel nuclei --sigma 3 --erosion-radius 10
  chunkseg run movie.tif -o out --dims tyx --spacing 0.65 --unit um --workflow wf.toml
  chunkseg run stack.ome.zarr -o trial --region z=0:64,y=512:1024,x=512:1024 --erosion-radius 10
  chunkseg run thin.tif -o out --erosion-radius 5 --clear-border-axes y,x --quiet --json
""",
    "plan": """\
  chunkseg plan stack.ome.zarr --sigma 3 --erosion-radius 10
""",
    "sweep": """\
  chunkseg sweep stack.ome.zarr -o radii --sigma 3 --erosion-radius 1,5,10
""",
    "measure": """\
  chunkseg measure cellpose_labels.zarr stack.ome.zarr -o tables --properties size,shape,intensity
""",
    "verify": """\
  chunkseg verify out
  chunkseg verify out --input /elsewhere/stack.ome.zarr --regions 20
""",
    "status": """\
  chunkseg status out
""",
    "report": """\
  chunkseg report out
  chunkseg report out --seams --input /elsewhere/stack.ome.zarr
""",
    "view": """\
  chunkseg view out
""",
    "methods": """\
  chunkseg methods out > methods.txt
""",
    "new-workflow": """\
  chunkseg new-workflow wf.toml --sigma 3 --erosion-radius 10
  chunkseg run stack.ome.zarr -o out --workflow wf.toml
""",
    "info": """\
  chunkseg info stack.ome.zarr
  chunkseg info stack.h5:/volumes/raw
""",
    "convert": """\
  chunkseg convert stack.tif stack.ome.zarr --verify
""",
    "demo": """\
  chunkseg demo
""",
}


def epilog(command: str) -> str | None:
    """Examples of a command; None if there are none.

    Examples
    --------
    >>> print(epilog("demo"))
    examples:
      chunkseg demo
    <BLANKLINE>
    """
    return f"examples:\n{EXAMPLES[command]}" if command in EXAMPLES else None
