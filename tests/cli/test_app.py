from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.program import Tune
from tuner.cli import app, main
from tuner.errors import SpecError, StoreError, TunerError

COMMANDS = ("start", "resume", "list", "show", "best", "export", "check", "init", "copy", "verify", "delete")


def test_help_names_every_command_and_an_example(tune: Tune) -> None:
    ended = tune("--help")
    assert ended.code == 0
    for command in COMMANDS:
        assert f"\n  {command} " in ended.out
    assert "tune start house.csv --target price" in ended.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(tune: Tune, command: str) -> None:
    ended = tune(command, "--help")
    assert ended.code == 0
    assert f"tune {command}" in ended.out.partition("Examples:")[2]


@pytest.mark.parametrize("command", ["start", "resume", "list", "show", "best", "export", "verify", "delete"])
def test_commands_that_need_a_database_say_how_to_name_one(tune: Tune, command: str) -> None:
    assert "TUNER_STORAGE" in tune(command, "--help").out


def test_help_imports_nothing_heavy() -> None:
    heavy = {"numpy", "pandas", "torch", "sklearn", "optuna", "sqlalchemy", "pydantic", "rich", "tuner.api"}
    code = (
        "import sys\nfrom tuner.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not heavy & {*done.stderr.split()}


def test_the_module_is_the_same_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tuner", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("tune ")


def test_a_wrong_option_is_a_usage_error(tune: Tune) -> None:
    ended = tune("start", "--trails", "5")
    assert ended.code == 2
    assert "--trials" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("error", "lines"),
    [
        (StoreError("a file\nof two lines"), ["error: a file of two lines"]),
        (SpecError(["one fault", "another\nfault"]), ["error: one fault", "error: another fault"]),
    ],
)
def test_what_the_user_can_mend_is_a_line_for_each_fault(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: TunerError, lines: list[str]
) -> None:
    monkeypatch.setattr(app, "_run", raiser(error))
    with pytest.raises(SystemExit) as leaving:
        main([])
    assert leaving.value.code == 2
    assert capsys.readouterr().err.splitlines() == lines


def test_anything_else_is_a_bug_with_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "_run", raiser(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        main([])


def test_ctrl_c_anywhere_exits_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(app, "_run", raiser(KeyboardInterrupt()))
    with pytest.raises(SystemExit) as leaving:
        main([])
    assert leaving.value.code == 130
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.parametrize(
    ("redirected", "code", "told"),
    [
        ("| true", 141, ""),
        (">&-", 0, ""),
        ("2>&- >/dev/null", 0, ""),
        (">/dev/full", 2, "error: the output: No space left on device\n"),
    ],
)
def test_output_that_goes_nowhere_is_no_bug(folder: Path, redirected: str, code: int, told: str) -> None:
    command = f"{sys.executable} -m tuner check --keys --markdown {redirected}; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, check=False)
    assert ended.stderr == told
    assert ended.returncode == code


def test_an_error_that_nobody_can_read_has_its_code_still(folder: Path) -> None:
    command = f"{sys.executable} -m tuner show nothing 2>/dev/full"
    assert subprocess.run(["bash", "-c", command], cwd=folder, check=False).returncode == 2


def raiser(error: BaseException) -> object:
    def raises(_arguments: object) -> None:
        raise error

    return raises
