"""What has not run fails a run of all tests in CI, also when what failed in it is tried again and passes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

INI = """
[pytest]
markers =
    browser
    ddp
    postgres
    ray
"""
TESTS = """
import os
import pytest

@pytest.mark.browser
@pytest.mark.ddp
@pytest.mark.ray
def test_a():
    pass

@pytest.mark.postgres
@pytest.mark.skipif("postgres" in os.environ["LACKS"], reason="")
def test_b():
    pass

def test_c():
    if "interrupted" in os.environ["LACKS"]:
        raise KeyboardInterrupt
    if "killed" in os.environ["LACKS"]:
        os.kill(os.getpid(), 9)
    assert os.environ["FAILS"] == "no"
"""


def run(folder: Path, *given: str, lacks: str = "", fails: str = "no", ci: str = "1") -> tuple[int, str]:
    environment = {
        **os.environ,
        "CI": ci,
        "LACKS": lacks,
        "FAILS": fails,
        "PYTEST_ADDOPTS": "",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    command = [sys.executable, "-m", "pytest", "-q", *given]
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    return ended.returncode, ended.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    own = Path(__file__).with_name("conftest.py").read_text("utf-8")
    (tmp_path / "conftest.py").write_text(own, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text(INI)
    (tmp_path / "test_it.py").write_text(TESTS)
    return tmp_path


AGAIN = ("--last-failed", "--last-failed-no-failures=none")


def test_a_kind_of_test_that_did_not_run_is_a_failure_also_after_another_try(folder: Path) -> None:
    code, told = run(folder, lacks="postgres", fails="yes")
    assert (code, "not run: postgres" in told) == (1, True)
    code, told = run(folder, *AGAIN, lacks="postgres")
    assert (code, "1 passed" in told, "not run: postgres" in told) == (1, True, True)
    assert run(folder, lacks="postgres", ci="")[0] == 0


def test_a_run_that_was_broken_off_is_a_failure_also_after_another_try(folder: Path) -> None:
    assert "not run: all tests, to their end" in run(folder, lacks="interrupted")[1]
    code, told = run(folder, *AGAIN)
    assert (code != 0, "not run: all tests, to their end" in told) == (True, True)


def test_a_run_that_was_killed_is_a_failure_also_after_another_try(folder: Path) -> None:
    assert run(folder, fails="yes")[0] == 1
    assert run(folder, lacks="killed")[0] == -9
    code, told = run(folder, *AGAIN)
    assert (code, "1 passed" in told, "not run: all tests, to their end" in told) == (1, True, True)


def test_what_failed_once_and_passes_alone_is_no_failure_of_a_whole_run(folder: Path) -> None:
    code, told = run(folder, fails="yes")
    assert (code, "not run" in told) == (1, False)
    code, told = run(folder, *AGAIN)
    assert (code, "1 passed" in told) == (0, True)
