"""The reference in docs/ says all that the program does, and the generator finds it by itself."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

from typer.main import get_command

import tuner
from docs import generated
from tuner import content
from tuner.cli import keys
from tuner.cli.app import app

PAGES = Path(__file__).parent.parent / "docs"


def page(name: str) -> str:
    """A page as mkdocs is given it."""
    return generated.on_page_markdown((PAGES / name).read_text(encoding="utf-8"))


def sections(text: str) -> dict[str, str]:
    """What stands under each heading of the second level."""
    parts = re.split(r"^## (.*)$", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_every_command_is_told_with_its_arguments_its_options_and_its_examples() -> None:
    told = sections(page("reference/commands.md"))
    program: Any = get_command(app)
    for name, command in program.commands.items():
        section = told[f"`tune {name}`"]
        assert command.help in section
        for parameter in command.params:
            option = parameter.opts[0].startswith("--")
            assert (parameter.opts[0] if option else parameter.metavar or parameter.name) in section
        for example in re.findall(r"^ +(tune .*)$", command.epilog, re.MULTILINE):
            assert example in section, (name, example)
    assert len(told) == len(program.commands)


def test_every_key_of_a_study_is_told_in_its_section_with_default_and_meaning() -> None:
    told = sections(page("reference/keys.md"))
    for key in keys.documented():
        section = told[f"`{key.section}`" if key.section else "Above all sections"]
        row = next(line for line in section.splitlines() if line.startswith(f"| `{key.name}` |"))
        assert key.default in row
        assert html.unescape(row).replace("\\|", "|").replace("\\[", "[").endswith(f" {key.meaning} |")


def test_every_shipped_study_space_and_page_is_told() -> None:
    text = page("reference/keys.md")
    for kind in ("study", "space", "page"):
        for path in content.shipped(kind).glob("*.toml"):
            assert f"| `{path.stem}` |" in text


def test_every_public_name_is_told() -> None:
    told = re.findall(r"^::: tuner\.(\w+)$", page("reference/python.md"), re.MULTILINE)
    assert sorted(told) == sorted(set(tuner.__all__) - {"__version__"})


def test_no_mark_of_the_generator_is_left() -> None:
    for path in PAGES.rglob("*.md"):
        assert "<!-- generated" not in page(str(path.relative_to(PAGES)))
