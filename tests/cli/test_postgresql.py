"""A study on a server, looked at and steered by other programs while it runs."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest

import tuner
from tests import processes
from tests.cli.program import Tune
from tests.servers import until
from tuner.core.budget import StudyState
from tuner.web.serve import Server

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

SLOW = """
import time

def train(params, context):
    for epoch in range(context.epochs):
        time.sleep(0.02)
        yield 1 / (1 + epoch) + abs(params["x"] - 0.3)
"""
STUDY = """
name = "far"
[trainer]
use = "./slow.py:train"
epochs = 3
workers = 1
[search]
sampler = "random"
[budget]
trials = 100000
[space.x]
type = "float"
low = 0.0
high = 1.0
default = 0.9
"""


def test_a_running_study_is_seen_and_steered_from_elsewhere(
    tune: Tune, folder: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = folder / "elsewhere"
    home.mkdir()
    (home / "slow.py").write_text(SLOW)
    (home / "study.toml").write_text(STUDY)
    monkeypatch.setenv("TUNER_STORAGE", postgres_url)
    driver = processes.start("-m", "tuner", "start", "study.toml", "--quiet", cwd=home)
    try:
        until(lambda: driver.poll() is not None or "running" in tune("list").out)
        assert driver.poll() is None, driver.communicate()
        until(lambda: len(tuner.load("far", storage=postgres_url).trials) > 2)
        assert tune("comment", "far", "seen from elsewhere").code == 0
        assert "goes on" in tune("raise", "far", "--trials", "100001").out
        assert "trains it" in tune("try", "far", "x=0.3125").out
        until(lambda: 0.3125 in tried(postgres_url))
        server = Server(postgres_url, port=0)
        snapshot = server._live.snapshot("far")
        assert snapshot.summary.is_driven
        server.close()
        assert tune("verify").code == 0
        assert tune("show", "far").code == 0
        assert "locked" in (refused := tune("delete", "far", "--yes").err) or "driven" in refused
        assert tune("stop", "far").code == 0
        assert driver.wait(120) == 0
    finally:
        driver.kill()
        driver.communicate()
    study = tuner.load("far", storage=postgres_url)
    assert study.summary.state is StudyState.INTERRUPTED
    assert study.summary.parsed.budget.trials == 100_001
    theirs = optuna.load_study(study_name="far", storage=postgres_url)
    assert [each.number for each in theirs.trials] == list(range(len(theirs.trials)))
    more = str(len(study.trials) + 2)
    assert tune("report", "far").code == 0
    # From another folder than the one in which it began, and where its files are found.
    assert tune("resume", "far", "--trials", more, "--quiet").code == 0, more
    assert tune("delete", "far", "--yes").code == 0
    assert not list((home / "tuner_models").glob("far-*"))


def tried(url: str) -> set[object]:
    """The values of `x` that were tried."""
    return {record.params["x"] for record in tuner.load("far", storage=url).records}
