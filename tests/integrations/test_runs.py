"""W&B and Trackio, where they are installed; they are no part of what the tests need."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import tuner

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def test_wandb_takes_a_run_for_each_trial(
    tracked: Callable[..., tuner.Study], caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed: its runs are not tested")
    study = tracked("wandb", mode="offline", dir=".")
    assert "tracking" not in caplog.text
    folders = {path.name.rpartition("-")[2] for path in Path("wandb").glob("offline-run-*")}
    assert {int(name) for name in folders} == {record.number for record in study.records}


def test_trackio_takes_a_run_for_each_trial(
    tracked: Callable[..., tuner.Study],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    pytest.importorskip("trackio", reason="trackio is not installed: its runs are not tested")
    study = tracked("trackio")
    assert "tracking" not in caplog.text
    from trackio import Api

    runs = {run.name: run for run in Api().runs("copied")}
    assert len(runs) == len(study.records)
