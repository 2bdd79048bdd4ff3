"""The arguments of the command line.

Whatever is wrong with them becomes a :class:`~chunkseg.errors.ParameterError` of one line. The
parameters of the workflow have no defaults here: those not given are taken from the workflow file,
or are the workflow's own.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from typing import Any, NoReturn

from chunkseg import __version__
from chunkseg.cli.examples import EXIT_CODES, USAGE, epilog
from chunkseg.cli.values import lengths, names, number, numbers, region, several, threshold
from chunkseg.errors import ParameterError

Command = Callable[[argparse.Namespace], int]

WORKFLOW_OPTIONS = (
    "units",
    "sigma",
    "threshold",
    "threshold_scope",
    "erosion_radius",
    "erosion_iterations",
    "expand_distance",
    "clear_border",
    "clear_border_axes",
    "min_size",
    "max_size",
    "properties",
)
DEMO_OUTPUT = "chunkseg-demo"
TO_BE_MADE = "folder to be made, or address"


class Parser(argparse.ArgumentParser):
    """A parser whose errors are chunkseg's."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage and leaving."""
        raise ParameterError(f"{message}; see '{self.prog} --help'")


def build_parser() -> Parser:
    """Build the parser; the namespace it makes holds the function to be called as ``command``."""
    parser = Parser(
        prog="chunkseg",
        description="Segment and measure microscopy stacks larger than memory, "
        "bit for bit as scikit-image would in memory.",
        epilog=f"'chunkseg COMMAND --help' tells the options, with examples.\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"chunkseg {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_run(_command(commands, "run", "segment and measure an image", "run"))
    _add_plan(_command(commands, "plan", "tell what a run would do and need", "plan"))
    _add_sweep(_command(commands, "sweep", "try several radii of erosion", "sweep"))
    _add_measure(_command(commands, "measure", "measure a label image", "measure"))
    _add_verify(_command(commands, "verify", "check a result, and parts of it again", "verify"))
    _add_status(_command(commands, "status", "tell how far a run is", "status"))
    _add_report(_command(commands, "report", "write a page about a result", "report"))
    _add_folder(_command(commands, "view", "show a result in napari", "view"))
    _add_folder(_command(commands, "methods", "print a Methods paragraph of a result", "methods"))
    _add_new_workflow(
        _command(commands, "new-workflow", "write a commented workflow file", "new_workflow")
    )
    _add_info(_command(commands, "info", "tell what an image file holds", "info"))
    _add_convert(_command(commands, "convert", "write an image as OME-Zarr", "convert"))
    _add_demo(_command(commands, "demo", "run the lesson and compare its numbers", "demo"))
    return parser


def _command(commands: Any, name: str, about: str, module: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        usage=f"%(prog)s {USAGE[name]}",
        help=about,
        description=f"{about[0].upper()}{about[1:]}.",
        epilog=epilog(name),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=_later(module))
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    loud = parser.add_mutually_exclusive_group()
    loud.add_argument(
        "-q", "--quiet", action="store_true", help="only warnings and errors on stderr"
    )
    loud.add_argument("-v", "--verbose", action="store_true", help="tell every pass as it ends")
    return parser


def _later(module: str) -> Command:
    """Return the command of a module, imported when it is called."""

    def command(args: argparse.Namespace) -> int:
        return int(importlib.import_module(f"chunkseg.cli.{module}").command(args))

    return command


def _add_run(parser: argparse.ArgumentParser) -> None:
    _add_region(_add_input(parser))
    parser.add_argument("-o", "--output", metavar="OUT", required=True, help=TO_BE_MADE)
    _add_workflow(parser.add_argument_group("workflow"))
    _add_extent(parser.add_argument_group("what is done"))
    _add_machine(parser.add_argument_group("how it is done"))
    parser.add_argument("--no-report", action="store_true", help="write no report.html")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _add_plan(parser: argparse.ArgumentParser) -> None:
    _add_region(_add_input(parser))
    _add_workflow(parser.add_argument_group("workflow"))
    _add_extent(parser.add_argument_group("what is done"))
    group = parser.add_argument_group("how it is done")
    _add_blocks(group)
    group.add_argument("--workers", metavar="N", type=int, help="number of threads")
    group.add_argument(
        "--estimate", action="store_true", help="run a block or two to estimate the time"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def _add_sweep(parser: argparse.ArgumentParser) -> None:
    _add_region(_add_input(parser))
    parser.add_argument("-o", "--output", metavar="OUT", required=True, help="folder to be made")
    parser.conflict_handler = "resolve"
    group = parser.add_argument_group("workflow")
    _add_workflow(group)
    group.add_argument(
        "--erosion-radius",
        dest="radii",
        metavar="R,R,...",
        type=several,
        required=True,
        help="the radii to be tried",
    )
    parser.add_argument("--input-is-mask", action="store_true", help="the image is a mask already")
    parser.add_argument("--workers", metavar="N", type=int, help="number of threads")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace an earlier output of chunkseg"
    )


def _add_extent(extent: argparse._ArgumentGroup) -> None:
    extent.add_argument(
        "--input-is-mask", action="store_true", help="the image is a mask already: no threshold"
    )
    extent.add_argument(
        "--intensity-channels",
        metavar="NAMES",
        type=names,
        help="channels whose intensities are measured: all, or names and numbers",
    )
    extent.add_argument("--until", metavar="STEP", help="stop there: mask")
    extent.add_argument(
        "--keep",
        metavar="STEPS",
        type=names,
        default=(),
        help="also write: mask,seeds,expanded",
    )
    _add_version(extent)


def _add_version(group: Any) -> None:
    group.add_argument(
        "--ome-zarr",
        metavar="VERSION",
        default="0.5",
        help="version of the OME-Zarr that is written: 0.5 (default) or 0.4",
    )


def _add_input(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    parser.add_argument(
        "input",
        metavar="INPUT",
        help="zarr, OME-Zarr (or its address), TIFF, HDF5 (FILE.h5:/PATH), .npy, a folder, or a "
        "pattern such as 'img_t{t}_z{z}.tif'",
    )
    group = parser.add_argument_group("input", "instead of what the file says")
    group.add_argument("--channel", metavar="NAME_OR_INDEX", help="the channel to be taken")
    group.add_argument(
        "--level", metavar="N", type=int, default=0, help="resolution level, 0 the finest"
    )
    group.add_argument("--series", metavar="NAME_OR_INDEX", help="the image, of several in a file")
    group.add_argument("--dims", metavar="DIMS", help="names of the axes, such as tzyx")
    group.add_argument(
        "--spacing",
        metavar="Z,Y,X",
        type=numbers,
        help="size of a voxel, or one number for all",
    )
    group.add_argument("--unit", metavar="UNIT", help="unit of the spacing, such as micrometer")
    return group


def _add_region(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--region",
        metavar="SPANS",
        type=region,
        help="a part of the image, in voxels: z=0:64,y=512:1024 (first, and one after the last; "
        "either may be left out)",
    )


def _add_workflow(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--workflow", metavar="FILE", help="workflow file (TOML) to start from")

    def add(flag: str, **options: Any) -> None:
        group.add_argument(flag, default=argparse.SUPPRESS, **options)

    add("--units", metavar="UNITS", help="of lengths: pixels, or physical (the image's own unit)")
    add(
        "--sigma",
        metavar="S",
        type=numbers,
        help="blur in voxels, one number or one per axis",
    )
    add(
        "--threshold",
        metavar="otsu|NUMBER",
        type=threshold,
        help="in the blurred image's scale",
    )
    add("--threshold-scope", metavar="SCOPE", help="one threshold per frame, or of the movie")
    add("--erosion-radius", metavar="R", type=number, help="in voxels; 0 for no splitting")
    add("--erosion-iterations", metavar="N", type=number, help="how many times to erode")
    add(
        "--expand-distance",
        metavar="D",
        type=number,
        help="in voxels; default is the radius",
    )
    add(
        "--clear-border",
        action=argparse.BooleanOptionalAction,
        help="drop objects that touch the border",
    )
    add("--clear-border-axes", metavar="AXES", type=names, help="the axes that count, as y,x")
    add("--min-size", metavar="V", type=number, help="drop smaller objects (voxels)")
    add("--max-size", metavar="V", type=number, help="drop larger objects (voxels)")
    add(
        "--properties",
        metavar="NAMES",
        type=names,
        help="what to measure, as intensity,shape",
    )


def _add_blocks(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--block-shape", metavar="Z,Y,X", type=lengths, help="block in voxels")
    group.add_argument(
        "--memory-limit",
        metavar="BYTES",
        help="memory of the process in all, as 2GiB; half of the machine's by default",
    )


def _add_machine(group: argparse._ArgumentGroup) -> None:
    _add_blocks(group)
    add_cluster(group)
    group.add_argument("--scratch", metavar="DIR", help="folder for what lies between the passes")
    group.add_argument(
        "--keep-scratch", action="store_true", help="leave there what lies between the passes"
    )
    group.add_argument(
        "--overwrite", action="store_true", help="replace an earlier output of chunkseg"
    )


def add_cluster(group: Any) -> None:
    """Add the options that say on which machines a command runs."""
    group.add_argument(
        "--workers", metavar="N", type=int, help="number of threads, or of --cluster's processes"
    )
    group.add_argument(
        "--cluster",
        choices=("local",),
        help="local: run on --workers processes of this machine instead of threads",
    )
    group.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="run on the dask cluster whose scheduler this is, as tcp://host:8786",
    )


def _add_measure(parser: argparse.ArgumentParser) -> None:
    _add_input(parser)
    parser.add_argument("image", metavar="IMAGE", nargs="?", help="intensities to be measured")
    parser.add_argument("-o", "--output", metavar="OUT", required=True, help=TO_BE_MADE)
    parser.add_argument(
        "--properties",
        metavar="NAMES",
        type=names,
        help="properties and groups, as size,shape (size, intensity, perimeter, shape, position, "
        "moments, all)",
    )
    parser.add_argument(
        "--memory-limit",
        metavar="BYTES",
        help="memory for measuring whole objects, as 2GiB; a quarter of the machine's by default",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace an earlier output of chunkseg"
    )


def _add_verify(parser: argparse.ArgumentParser) -> None:
    _add_output(parser)
    parser.add_argument("--input", metavar="INPUT", help="the input, if it is elsewhere by now")
    parser.add_argument(
        "--regions", metavar="N", type=int, default=8, help="regions computed again, 8 by default"
    )
    parser.add_argument("--seed", metavar="S", type=int, help="draw the same regions as before")
    parser.add_argument("--workers", metavar="N", type=int, help="number of threads")


def _add_report(parser: argparse.ArgumentParser) -> None:
    _add_folder(parser)
    parser.add_argument("--input", metavar="INPUT", help="the input, if it is elsewhere by now")
    parser.add_argument("--seams", action="store_true", help="draw where blocks meet")


def _add_new_workflow(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", metavar="FILE.toml", nargs="?", help="file to be made; without it, print"
    )
    _add_workflow(parser.add_argument_group("workflow"))


def _add_status(parser: argparse.ArgumentParser) -> None:
    _add_output(parser)


def _add_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("output", metavar="OUT", help="folder or address of a run")


def _add_output(parser: argparse.ArgumentParser) -> None:
    _add_folder(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def _add_info(parser: argparse.ArgumentParser) -> None:
    _add_input(parser)


def _add_convert(parser: argparse.ArgumentParser) -> None:
    _add_region(_add_input(parser))
    parser.add_argument("output", metavar="OUT", help=f"{TO_BE_MADE}, as cells.ome.zarr")
    parser.add_argument(
        "--chunks",
        metavar="Z,Y,X",
        type=lengths,
        help="chunk in voxels, along the spatial axes",
    )
    parser.add_argument(
        "--shards",
        metavar="Z,Y,X",
        type=lengths,
        help="shard in voxels; by default no shards",
    )
    parser.add_argument("--levels", metavar="N", type=int, help="number of resolution levels")
    _add_version(parser)
    parser.add_argument(
        "--verify", action="store_true", help="read every level back and compare every voxel"
    )
    add_cluster(parser)


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "output",
        metavar="OUT",
        nargs="?",
        default=DEMO_OUTPUT,
        help=f"folder to be made, {DEMO_OUTPUT} by default",
    )
