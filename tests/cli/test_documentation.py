"""README and the pages of docs/ say what works: their files are written, their scripts and commands run.

A block of Python or TOML that begins with ``# path`` is a file; other Python is a script; a line
``$ tune ...`` of a console block is a command. They run in order in one folder, with fewer trials and epochs
than they say.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from tests.cli.program import Tune
from tests.processes import run
from tuner import content
from tuner.cli.app import app
from tuner.core.space.section import parse_space
from tuner.core.spec import StudySpec

ROOT = Path(__file__).parent.parent.parent
PAGES = {
    str(path.relative_to(ROOT)): path for path in [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
}
README = PAGES["README.md"].read_text(encoding="utf-8")
RUN = [
    "README.md",
    *(name for name in PAGES if "tutorial/" in name),
    "docs/howto/commands.md",
    "docs/howto/python.md",
    "docs/howto/sklearn.md",
    "docs/plugins.md",
]
SMALL = shlex.split(
    "--trials 3 --workers 1 --set trainer.epochs=2 --set trainer.rows=1 --set confirm.auto=false --quiet"
)


def blocks(name: str) -> list[tuple[str, str]]:
    """Language and text of each block of a page."""
    text = PAGES[name].read_text(encoding="utf-8")
    return re.findall(r"^```(\w+)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def of(language: str) -> list[tuple[str, str]]:
    """Page and text of each block in a language."""
    return [(name, text) for name in PAGES for spoken, text in blocks(name) if spoken == language]


@pytest.mark.parametrize(("page", "text"), of("toml"))
def test_studies_are_valid(page: str, text: str) -> None:
    def find(name: str) -> dict[str, object]:
        path = content.find("space", name)
        return parse_space(content.read(path), str(path))

    table = tomllib.loads(text)
    if "project" not in table:  # a study without a space gets one that suits its data
        StudySpec.parse({"space": {"use": ["optimization"]}, **table}, find_space=find)


@pytest.mark.parametrize(("page", "text"), of("python"))
def test_python_examples_compile(page: str, text: str) -> None:
    compile(text, page, "exec")


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN)
def test_code_and_commands_of_a_page_run(page: str, tune: Tune, folder: Path) -> None:
    scripts: list[str] = []
    for language, text in [*blocks(page), ("", "")]:
        named = re.match(r"# ([\w/]+\.(?:py|toml))\n", text)
        if scripts and (named or language in ("console", "")):
            # What lies between commands runs in one process: to start Python takes the longest.
            (folder / "script.py").write_text("\n".join(scripts))
            run("script.py", check=True)
            scripts.clear()
        if named:
            path = folder / named[1]
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        elif language == "python":
            scripts.append(re.sub(r"\btrials=\d+", "trials=4", text))
        elif language == "console":
            for command in re.findall(r"^\$ (.*)$", text, re.MULTILINE):
                typed(command, tune)


def typed(command: str, tune: Tune) -> None:
    program, *arguments = shlex.split(command)
    if program == "python":
        run(*arguments, check=True)
        return
    assert program == "tune"
    if arguments[0] == "resume":
        arguments += ["--trials", "4", "--quiet"]
    ended = tune(*arguments, *(SMALL if arguments[0] == "start" else ()))
    assert ended.code == 0, (command, ended.err)


def test_readme_is_short_and_names_every_command_and_shipped_study_and_space() -> None:
    assert len(README.splitlines()) <= 250
    commands = [command.name for command in app.registered_commands]
    assert all(f"tune {name} " in README for name in commands)
    shipped = [path.stem for kind in ("study", "space") for path in content.shipped(kind).glob("*.toml")]
    assert all(f"`{name}`" in README for name in shipped)


def test_files_that_readme_points_to_are_there() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", README):
        assert (ROOT / target).is_file(), target
