"""What ``--help`` says: how each command is called, with examples, and the exit codes."""

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

USAGE = {
    "run": "INPUT -o OUT [options]",
    "plan": "INPUT [options]",
    "sweep": "INPUT -o OUT --erosion-radius R,R,... [options]",
    "measure": "INPUT [IMAGE] -o OUT [options]",
    "verify": "OUT [options]",
    "status": "OUT [--json]",
    "report": "OUT [options]",
    "view": "OUT",
    "methods": "OUT",
    "new-workflow": "[FILE.toml] [options]",
    "info": "INPUT [options]",
    "convert": "INPUT OUT [options]",
    "demo": "[OUT]",
}

EXAMPLES = {
    "run": """\
  chunkseg run stack.ome.zarr -o out --channel nuclei --sigma 3 --erosion-radius 10
  chunkseg run movie.tif -o out --dims tyx --spacing 0.65 --unit um --workflow wf.toml
  chunkseg run stack.ome.zarr -o trial --region z=0:64,y=512:1024,x=512:1024 --erosion-radius 10
  chunkseg run thin.tif -o out --erosion-radius 5 --clear-border-axes y,x --quiet --json
""",
    "plan": """\
  chunkseg plan stack.ome.zarr --sigma 3 --erosion-radius 10
  chunkseg plan stack.ome.zarr --workflow wf.toml --memory-limit 4GiB --estimate
""",
    "sweep": """\
  chunkseg sweep stack.ome.zarr -o radii --sigma 3 --erosion-radius 1,5,10
  chunkseg sweep stack.ome.zarr -o radii --region y=0:512,x=0:512 --erosion-radius 4,7,10
""",
    "measure": """\
  chunkseg measure cellpose_labels.zarr stack.ome.zarr -o tables --properties size,shape,intensity
  chunkseg measure stack_cp_masks.tif -o tables --dims zyx --spacing 0.4,0.25,0.25 --unit um
""",
    "verify": """\
  chunkseg verify out
  chunkseg verify out --input /elsewhere/stack.ome.zarr --regions 20
""",
    "status": """\
  chunkseg status out
  chunkseg status out --json
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
  chunkseg convert stack.ome.zarr corner.ome.zarr --region y=0:512,x=0:512
""",
    "demo": """\
  chunkseg demo
  chunkseg demo my-demo
""",
}


def epilog(command: str) -> str | None:
    """Examples of a command; None if there are none.

    Examples
    --------
    >>> print(epilog("demo"))
    examples:
      chunkseg demo
      chunkseg demo my-demo
    <BLANKLINE>
    """
    return f"examples:\n{EXAMPLES[command]}" if command in EXAMPLES else None
