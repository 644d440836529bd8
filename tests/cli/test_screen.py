"""A user's text is never markup, whatever the terminal's encoding, in every command that shows one."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import tuner
from tests import processes
from tuner.cli import screen

MARKUP = "[/x] [relu] :smile: [bold]Söhne"
CONTROL = "red\x1b[31m\x9b32m\x07 \u202egnp\nsecond line"
SHOWN = "red[31m32m gnp second line"

SHOWING = (
    ("list",),
    ("show", MARKUP),
    ("show", MARKUP, "1"),
    ("best", MARKUP),
    ("compare", MARKUP, CONTROL),
    ("show", CONTROL),
    ("show", CONTROL, "1"),
    ("best", CONTROL),
    ("verify",),
)
ENCODINGS = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
    "c": {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""},
}
EACH = """
import sys
from tuner.cli import main
for arguments in {runs}:
    try:
        main(arguments)
    except SystemExit as leaving:
        print(f"rc {{leaving.code}}", *map(ascii, arguments), flush=True)
"""


def train(params: dict[str, Any], context: Any) -> Iterator[dict[str, float]]:
    for epoch in range(1, context.epochs + 1):
        loss = (params["[/x] rate"] - 0.7) ** 2 + 0.5 / epoch
        yield {"train_loss": loss, "val_loss": loss + 0.1}


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a database whose every text is full of markup and control characters."""
    folder = tmp_path_factory.mktemp("nasty")
    for name in (MARKUP, CONTROL):
        tuner.start(
            trainer=train,
            name=name if name == MARKUP else "plain",
            settings={"description": name, "trainer.epochs": 3, "confirm.auto": False},
            space={
                "[/x] rate": tuner.Float(low=0.0, high=1.0, default=0.2, doc="[/nothing] is closed"),
                "activation": tuner.Choice(choices=("[relu]", "\x1b[31mtanh"), default="[relu]"),
            },
            trials=4,
            storage=f"sqlite:///{folder}/tuner.db",
        )
    # Such a name is refused today; an earlier version, or another program, may have stored one.
    with closing(sqlite3.connect(folder / "tuner.db")) as connection, connection:
        connection.execute("UPDATE studies SET study_name = ? WHERE study_name = 'plain'", (CONTROL,))
    return folder


@pytest.fixture
def folder(nasty: Path, tmp_path: Path) -> Path:
    shutil.copy(nasty / "tuner.db", tmp_path)
    return tmp_path


def run(folder: Path, runs: Sequence[Sequence[str]], **environment: str) -> tuple[str, str]:
    """What commands print, run one after the other by a process of its own."""
    code, known = EACH.format(runs=ascii(list(runs))), os.environ | {"COLUMNS": "200"} | environment
    if "PYTHONIOENCODING" not in environment:
        told = processes.run("-c", code, cwd=folder, env=known, check=True)
        return told.stdout, told.stderr
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=known, capture_output=True, timeout=120, check=False
    )
    encoding = "cp1252" if environment.get("PYTHONIOENCODING") == "cp1252" else "utf-8"
    out, err = (text.decode(encoding) for text in (done.stdout, done.stderr))
    assert done.returncode == 0, err[-2000:]
    return out, err


def test_square_brackets_in_any_text_are_shown_as_they_are(folder: Path) -> None:
    out, err = run(folder, SHOWING)
    assert re.findall(r"^rc [1-9].*", out, re.MULTILINE) == []
    assert err == ""
    assert out.count(MARKUP) >= 5
    assert "[/x] rate" in out
    assert "[relu]" in out


def test_a_command_to_type_next_names_the_study_as_a_shell_takes_it(folder: Path) -> None:
    out, _ = run(folder, [("show", MARKUP), ("resume", MARKUP)])
    told = re.findall(r"tune (?:show|confirm|resume) .*", out)
    assert told
    assert all(MARKUP in shlex.split(line.replace("`", "")) for line in told), told


def test_control_characters_in_any_text_do_nothing(folder: Path) -> None:
    out, _ = run(folder, SHOWING, FORCE_COLOR="1")
    assert "\x1b[31mtanh" not in out
    assert SHOWN.partition(" second")[0] in out
    # What is left are the colours that Rich itself has written.
    left = re.sub(r"\x1b\[[0-9;]*m", "", out)
    assert re.findall(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", left) == []


@pytest.mark.parametrize("encoding", ["cp1252", "c"])
def test_every_command_prints_in_any_encoding(folder: Path, encoding: str) -> None:
    runs = (
        *SHOWING,
        ("check", "--keys"),
        ("export", MARKUP, "out"),
        ("report", MARKUP, "-o", "report.html"),
        ("delete", CONTROL, "--yes"),
        ("start", "digits", "--trials", "0"),
        ("show", "Ünknown"),
        ("resume", "Ünknown"),
        ("--help",),
    )
    out, err = run(folder, runs, **ENCODINGS[encoding])
    codes = [line.split()[1:3] for line in out.splitlines() if line.startswith("rc ")]
    failed = [command.strip("'") for code, command in codes if code == "2"]
    assert [code for code, _ in codes if code not in ("0", "2")] == []
    assert failed == ["export", "start", "show", "resume"]
    assert "Traceback" not in err


def test_json_is_exact_in_any_encoding(folder: Path) -> None:
    out, _ = run(folder, [("list", "--json")], **ENCODINGS["ascii"])
    names = [study["study"] for study in json.loads(out.partition("rc ")[0])["studies"]]
    assert names == [CONTROL, MARKUP]


def test_a_study_with_markup_in_its_name_runs_before_ones_eyes(folder: Path) -> None:
    code = """
def train(params, context):
    yield {"train_loss": params["[/y]"], "val_loss": params["[/y]"]}
"""
    (folder / "own.py").write_text(code)
    (folder / "own.toml").write_text(
        '[trainer]\nuse = "./own.py:train"\nepochs = 1\n[budget]\ntrials = 3\n[confirm]\nauto = false\n'
        '[space."[/y]"]\ntype = "float"\nlow = 0.0\nhigh = 1.0\ndefault = 0.5\n'
    )
    start = ("start", "own.toml", "--name", "[/b] Söhne")
    out, err = run(folder, [start], PYTHONIOENCODING="ascii", TTY_COMPATIBLE="1", TERM="xterm")
    assert "rc 0" in out
    assert "[/b] S?hne" in err
    assert "[/y]" in out


def test_errors_are_json_where_json_is_asked_for(folder: Path) -> None:
    wrong = (("show", "nothing", "--json"), ("best", "--json"), ("show", MARKUP, "99", "--json"))
    out, err = run(folder, wrong)
    told = re.split(r"^rc 2.*\n", out, flags=re.MULTILINE)[:-1]
    assert [set(json.loads(each)) for each in told] == [{"error"}] * 3
    assert "Traceback" not in err


def test_a_reference_is_seen_from_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert screen.reference(f"{tmp_path}/trainer.py:train") == "trainer.py:train"
    assert screen.reference("sklearn:digits") == "sklearn:digits"
