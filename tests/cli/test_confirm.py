from __future__ import annotations

from pathlib import Path

import pytest

from tests import processes
from tests.cli.program import Tune

DIES = """
import os, signal
from tuner.api import confirming
from tuner.cli import main

confirming.confirm = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
main(["start", "study.toml", "--quiet", "--set", "confirm.auto=true", "--set", "confirm.repeats=3"])
"""


def test_confirm_says_what_to_take_and_prints_the_same_as_json(tune: Tune) -> None:
    tune("start", "study.toml", "--quiet", "--set", "search.pruner=none")
    told = tune("confirm", "study", "--top", "2", "--repeats", "3", "--quiet")
    assert told.code == 0
    assert "Take " in told.out
    assert "not tested" in " ".join(told.out.split())
    table = tune("confirm", "study", "--json").json
    assert table["choice"]["recommended"] in (0, *(each["number"] for each in table["candidates"]))
    assert [len(each["values"]) for each in table["candidates"]] == [3, 3, 3]
    best, verdict = tune("best", "study", "--json").json, table.pop("verdict")
    assert best["confirmed"] == table
    assert best["verdict"] == verdict
    assert best["trial"] == verdict["take"] == table["choice"]["recommended"]
    assert tune("show", "study", "--json").json["verdict"] == verdict
    assert "~confirm" not in tune("list").out


def test_start_confirms_unless_the_study_says_otherwise(tune: Tune) -> None:
    told = tune("start", "study.toml", "--quiet", "--set", "confirm.auto=true", "--set", "confirm.repeats=3")
    assert "trained again" in told.out
    assert "Not confirmed" not in told.out
    assert "Not confirmed" in tune("start", "study.toml", "--name", "other", "--quiet").out


def test_too_few_repeats_are_refused(stored: Tune) -> None:
    assert stored("confirm", "study", "--repeats", "2").code == 2


@pytest.mark.parametrize("name", [(), ("study",)])
def test_a_study_that_was_killed_before_it_was_confirmed_is_confirmed_by_resume(
    tune: Tune, folder: Path, name: tuple[str, ...]
) -> None:
    killed = processes.run("-c", DIES, cwd=folder)
    assert killed.returncode == -9
    assert tune("show", "study", "--json").json["state"] == "finished"
    resumed = tune("resume", *name, "--quiet")
    assert resumed.code == 0, resumed.err
    assert "trained again" in resumed.out
    assert len(tune("show", "study", "--json").json["trials"]) == 6
    again = tune("resume", "study", "--quiet")
    assert (again.code, again.out) == (0, resumed.out)
    assert tune("resume").code == 2
