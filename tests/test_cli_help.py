"""``--help`` of every command, examples that can be given as they stand, and a pipe that closes."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

import pytest

from chunkseg.cli.examples import EXAMPLES, USAGE
from chunkseg.cli.parser import build_parser

LINES = [line.strip() for text in EXAMPLES.values() for line in text.splitlines()]


def test_every_command_has_usage_and_examples():
    commands = set(build_parser()._subparsers._group_actions[0].choices)
    assert commands == set(USAGE) == set(EXAMPLES)


@pytest.mark.parametrize("command", USAGE)
def test_the_usage_is_one_line_that_names_what_is_required(command, capsys):
    with pytest.raises(SystemExit) as left:
        build_parser().parse_args([command, "--help"])
    assert left.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: chunkseg {command} {USAGE[command]}\n\n")
    assert f"examples:\n{EXAMPLES[command]}" in said
    parser = build_parser()._subparsers._group_actions[0].choices[command]
    for action in parser._actions:
        if action.required or not action.option_strings:
            names = action.option_strings or [action.metavar]
            assert any(name in USAGE[command] for name in names)


@pytest.mark.parametrize("line", LINES)
def test_examples_can_be_given(line):
    command = shlex.split(line.partition(" > ")[0])
    assert command[0] == "chunkseg"
    assert callable(build_parser().parse_args(command[1:]).command)


def test_a_pipe_that_nobody_reads_is_no_error():
    read, write = os.pipe()
    os.close(read)
    code = "import sys; from chunkseg.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "new-workflow"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, timeout=120)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")
