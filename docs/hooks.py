"""What the site takes from the code itself, so that it can't be out of date.

A line ``<!-- insert: NAME -->`` in a page stands for the text that the function of that name makes:
the options of the command line from its parser, the keys of a workflow file from the parameters,
the exit codes, and the change log. Docstrings name other functions as Sphinx does; these become
links. MkDocs calls the functions ``on_...`` for every page.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from chunkseg.cli.examples import EXAMPLES, EXIT_CODES
from chunkseg.cli.parser import build_parser
from chunkseg.plan.parameters import PHYSICAL, Parameters

ROOT = Path(__file__).resolve().parent.parent
INSERT = re.compile(r"^<!-- insert: ([\w-]+) -->$", re.MULTILINE)
ROLE = re.compile(r":(?:class|func|meth|mod):<code>(~?)([\w.]+)</code>")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the lines of a page that stand for text made of the code."""
    return INSERT.sub(lambda found: INSERTS[found[1]](), markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Make links of the names that docstrings mark by a role of Sphinx."""
    return ROLE.sub(lambda found: _link(found[2], short=bool(found[1])), html)


def _link(name: str, short: bool) -> str:
    shown = name.rpartition(".")[2] if short else name
    return f'<autoref optional identifier="{name}"><code>{shown}</code></autoref>'


def commands() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each command, by name."""
    (found,) = (a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction))
    return dict(found.choices)


def command_line() -> str:
    """Tell each command: what it does, examples, its arguments and options."""
    common = _common_flags()
    everywhere = [a for a in commands()["info"]._actions if a.option_strings and _key(a) in common]
    parts = ["## For every command", _table(everywhere)]
    for name, parser in commands().items():
        parts += [f"## chunkseg {name}", str(parser.description), _examples(name)]
        parts += _groups(parser, common)
    return "\n\n".join(parts)


def _common_flags() -> set[tuple[str, ...]]:
    """Options that all commands have."""
    return set.intersection(*({_key(a) for a in p._actions} for p in commands().values()))


def _key(action: argparse.Action) -> tuple[str, ...]:
    return tuple(action.option_strings) or (action.dest,)


def _examples(name: str) -> str:
    lines = [line.strip() for line in EXAMPLES.get(name, "").splitlines()]
    return "\n".join(["```sh", *lines, "```"]) if lines else ""


def _groups(parser: argparse.ArgumentParser, common: set[tuple[str, ...]]) -> Iterator[str]:
    """Yield a table for what has no group of its own, and one for each group."""
    plain, titled = parser._action_groups[:2], parser._action_groups[2:]
    for title, groups in [("argument", plain), *((g.title, [g]) for g in titled)]:
        actions = [a for group in groups for a in group._group_actions if _key(a) not in common]
        if actions:
            yield _table(actions, str(title))


def _table(actions: list[argparse.Action], title: str = "option") -> str:
    rows = [f"| {_name(a)} | {_meaning(a)} |" for a in actions]
    return "\n".join([f"| {title} | |", "| --- | --- |", *rows])


def _name(action: argparse.Action) -> str:
    if not action.option_strings:
        return f"`{action.metavar or action.dest}`"
    takes = action.nargs != 0
    value = action.metavar or "|".join(map(str, action.choices or [])) or action.dest.upper()
    flags = ", ".join(f"`{flag}`" for flag in action.option_strings)
    return f"{flags} `{value}`".replace("|", "\\|") if takes else flags


def _meaning(action: argparse.Action) -> str:
    said = (action.help or "").replace("|", "\\|")
    return f"{said} (required)" if action.required and action.option_strings else said


def workflow_keys() -> str:
    """Tell each key of a workflow file: its value if it is not there, and its meaning."""
    rows = [
        f"| `{name}` | `{value}` | {meaning} |" for name, value, meaning in Parameters().explained()
    ]
    return "\n".join(["| key | without it | meaning |", "| --- | --- | --- |", *rows])


def workflow_file() -> str:
    """Show a workflow file with all keys."""
    return f"```toml\n{Parameters(sigma=3, erosion_radius=10).as_toml(absent=True)}```"


def physical_keys() -> str:
    """Tell the keys whose meaning is another with physical units."""
    usual = {name: meaning for name, _, meaning in Parameters().explained()}
    physical = Parameters(units=PHYSICAL).explained()
    rows = [f"| `{name}` | {said} |" for name, _, said in physical if said != usual[name]]
    return "\n".join(["| key | meaning |", "| --- | --- |", *rows])


def exit_codes() -> str:
    """Tell the exit codes as ``--help`` does."""
    _, *told = re.split(r"^  (\d+) +", EXIT_CODES, flags=re.MULTILINE)
    pairs = zip(told[::2], told[1::2], strict=True)
    rows = [f"| {code} | {' '.join(meaning.split())} |" for code, meaning in pairs]
    return "\n".join(["| code | meaning |", "| --- | --- |", *rows])


def changes() -> str:
    """Return the change log without its title."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    return text.split("\n", 1)[1].replace("](docs/", "](")


INSERTS: dict[str, Callable[[], str]] = {
    "command-line": command_line,
    "workflow-keys": workflow_keys,
    "workflow-file": workflow_file,
    "physical-keys": physical_keys,
    "exit-codes": exit_codes,
    "changes": changes,
}
