"""The parts of the reference that come from the program: commands, keys of a study file, shipped files.

A hook of mkdocs: a line ``<!-- generated: NAME -->`` in a page becomes what `PARTS` makes of the program, so
the pages cannot say less than the program does. Only `tuner` is needed, so the tests run without mkdocs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

from typer.main import get_command

from tuner import content
from tuner.cli import keys
from tuner.cli.app import app

MARK = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by mkdocs for every page."""
    return MARK.sub(lambda found: PARTS[found[1]](), markdown)


def commands() -> str:
    """A section for every command: what it does, its usage, its arguments and options, examples."""
    program: Any = get_command(app)
    return "\n".join(line for name, command in program.commands.items() for line in _command(name, command))


def study_keys() -> str:
    """A section with a table for every section of a study file."""
    lines: list[str] = []
    for section, group in groupby(keys.documented(), key=lambda key: key.section):
        lines += [f"## {f'`{section}`' if section else 'Above all sections'}", ""]
        lines += ["| key | default | meaning |", "| --- | --- | --- |"]
        for key in group:
            default = f"`{key.default}`" if key.default not in ("", "required") else key.default
            lines.append(f"| `{key.name}` | {default} | {_cell(key.meaning)} |")
        lines.append("")
    return "\n".join(lines)


def shipped() -> str:
    """The shipped studies and spaces, with the first line of each file."""
    lines: list[str] = []
    for kind, title in (("study", "Shipped studies"), ("space", "Shipped spaces"), ("page", "Shipped pages")):
        lines += [f"## {title}", "", "| name | what it is |", "| --- | --- |"]
        for path in sorted(content.shipped(kind).glob("*.toml")):
            first = path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("#").strip()
            lines.append(f"| `{path.stem}` | {_cell(first)} |")
        lines.append("")
    return "\n".join(lines)


PARTS: dict[str, Callable[[], str]] = {"commands": commands, "keys": study_keys, "shipped": shipped}


def _command(name: str, command: Any) -> Iterator[str]:
    context = command.make_context(name, [], resilient_parsing=True)
    context.info_name = f"tune {name}"
    yield from (f"## `tune {name}`", "", command.help or "", "", "```")
    yield from (command.get_usage(context).removeprefix("Usage: "), "```", "")
    rows = [row for parameter in command.params if (row := _parameter(parameter, context))]
    yield from ("| argument or option | meaning |", "| --- | --- |", *rows, "")
    examples = (command.epilog or "").replace("\b", "").strip().removeprefix("Examples:").strip("\n")
    if examples:
        shown = "\n".join(line.strip() for line in examples.splitlines())
        yield from ("Examples:", "", "```", shown, "```", "")


def _parameter(parameter: Any, context: Any) -> str | None:
    """A row of the table; None for what is hidden."""
    record = parameter.get_help_record(context)
    if record is None:
        return None
    named, meaning = (" ".join(part.split()) for part in record)
    bare = named.replace(" <str>", "").replace("|", "\\|")
    return f"| `{bare}` | {_cell(meaning)} |"


def _cell(text: str) -> str:
    """Plain text for a cell of a table: no end of a cell, no tag and no reference of Markdown's."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("[", "\\[")
