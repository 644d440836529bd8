"""README says what the program does: its table of keys, its files and its commands."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tuner import content
from tuner.cli import keys
from tuner.cli.app import app
from tuner.core.spec import StudySpec, parse_space

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_table_of_keys_is_what_the_program_documents() -> None:
    assert keys.markdown(keys.documented()).strip() in README


@pytest.mark.parametrize("text", blocks("toml"))
def test_studies_are_valid(text: str) -> None:
    def find(name: str) -> dict[str, object]:
        path = content.find("space", name)
        return parse_space(content.read(path), str(path))

    StudySpec.parse(tomllib.loads(text), find_space=find)


@pytest.mark.parametrize("text", blocks("python"))
def test_python_examples_compile(text: str) -> None:
    compile(text, "README.md", "exec")


def test_every_command_and_shipped_study_and_space_is_named() -> None:
    commands = [command.name for command in app.registered_commands]
    assert all(f"tune {name} " in README for name in commands)
    shipped = [path.stem for kind in ("study", "space") for path in content.shipped(kind).glob("*.toml")]
    assert all(f"`{name}`" in README for name in shipped)
