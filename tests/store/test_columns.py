"""The dashboard's reader; what it reads of curves is tested in test_curves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest

import tuner
from tuner.core.ports import Turn
from tuner.core.trial import Trial
from tuner.store import StudyStore
from tuner.store.columns import Reader

optuna.logging.set_verbosity(optuna.logging.WARNING)


def train(params: Mapping[str, Any], context: Any) -> Iterator[dict[str, float]]:
    print("hello from", context.number)  # noqa: T201
    yield {"val_loss": params["x"]}


def test_files_are_found_from_any_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    home.mkdir()
    elsewhere.mkdir()
    monkeypatch.chdir(home)
    tuner.start(trainer=train, space={"x": tuner.Float(0, 1)}, name="s", trials=2)
    monkeypatch.chdir(elsewhere)
    reader = Reader("sqlite:///../home/tuner.db")
    assert reader.log("s", 1) == "hello from 1"
    assert reader.log("s", 7) == ""
    reader.close()


def test_a_trial_that_optuna_has_enqueued_is_seen_though_its_id_is_lower_than_that_of_one_before(
    url: str, store: StudyStore, trial: Callable[..., Trial]
) -> None:
    store.record(Turn(started=[trial(0)]))
    optuna.load_study(study_name="nets", storage=url).enqueue_trial({"l2": 0.5})
    store.record(Turn(started=[trial(1)]))
    reader = Reader(url)
    before = reader.delta("nets")
    (asked,) = store.requests()
    store.record(Turn(started=[trial(2, l2=0.5)], taken={2: asked}))
    after = reader.delta("nets", before.cursor)
    assert [row.number for row in before.trials] == [0, 1]
    assert [row.number for row in after.trials] == [2]
    assert after.trials[0].trial_id < before.trials[1].trial_id
    reader.close()
