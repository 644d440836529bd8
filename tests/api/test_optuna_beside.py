"""Plain Optuna writes into a study of ours: nobody's trials are lost, and no number stands there twice."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import optuna
import pytest

import tuner
from tuner.store import verify

optuna.logging.set_verbosity(optuna.logging.WARNING)

SPACE = {
    "x": tuner.Float(low=0, high=1, default=0.5),
    "depth": tuner.Int(low=1, high=4, default=2),
}
URL = "sqlite:///tuner.db"


def train(params: Mapping[str, Any], context: Any) -> Iterator[float]:
    yield params["x"]


def started(trials: int) -> tuner.Study:
    settings = {"search.pruner": "none"}
    return tuner.start(trainer=train, space=SPACE, name="s", trials=trials, settings=settings)


def resumed(trials: int) -> tuner.Study:
    return tuner.resume("s", trainer=train, trials=trials)


def theirs() -> optuna.Study:
    return optuna.load_study(study_name="s", storage=URL)


def objective(trial: optuna.Trial) -> float:
    return trial.suggest_float("x", 0, 1) + 10


def assert_whole(study: tuner.Study, ours: int, others: int) -> None:
    """Every trial has its own number: ours without a gap, Optuna's behind them."""
    assert [record.number for record in study.refresh().records] == list(range(ours))
    with closing(sqlite3.connect("tuner.db")) as connection:
        numbers = connection.execute("SELECT number FROM trials ORDER BY number").fetchall()
    assert [number for (number,) in numbers] == list(range(ours + others))
    assert [trial.number for trial in theirs().trials] == list(range(ours + others))
    assert verify(URL).is_sound


def test_an_enqueued_trial_is_trained_under_its_own_number() -> None:
    started(4)
    theirs().enqueue_trial({"x": 0.25, "depth": 3}, user_attrs={"why": "a hunch"})
    study = resumed(6)
    assert_whole(study, 6, 0)
    assert study.trial(4).params == {"x": 0.25, "depth": 3}
    assert study.trial(4).value == 0.25
    assert [record.origin for record in study.records[3:]] == ["searched", "given", "searched"]
    found = theirs().trials[4]
    assert (found.state, found.value) == (optuna.trial.TrialState.COMPLETE, 0.25)
    assert found.user_attrs["why"] == "a hunch"


def test_what_an_enqueued_trial_does_not_say_has_its_default() -> None:
    started(2)
    theirs().enqueue_trial({"x": 1})
    study = resumed(3)
    assert study.trial(2).params == {"x": 1.0, "depth": 2}
    assert isinstance(study.trial(2).params["x"], float)


def test_an_enqueued_trial_that_is_none_of_the_space_is_refused_in_words_and_stays_optunas(
    caplog: pytest.LogCaptureFixture,
) -> None:
    started(2)
    theirs().enqueue_trial({"x": 7.0, "rate": 1})
    with caplog.at_level(logging.WARNING):
        study = resumed(4)
    words = "it is not trained: x: 7.0 is not in 0 to 1; rate: unknown parameter; known: depth, x"
    assert words in caplog.text
    assert_whole(study, 4, 1)
    refused = theirs().trials[-1]
    assert (refused.state, refused.user_attrs["reason"]) == (optuna.trial.TrialState.FAIL, words)
    assert refused.system_attrs["fixed_params"] == {"x": 7.0, "rate": 1}
    assert_whole(resumed(5), 5, 1)


def test_trials_that_optuna_ran_itself_stay_as_they_are_behind_ours() -> None:
    started(4)
    study = theirs()
    study.optimize(objective, n_trials=3)
    study.add_trial(
        optuna.trial.create_trial(
            value=-5.0, params={"x": 0.1}, distributions={"x": optuna.distributions.FloatDistribution(0, 1)}
        )
    )
    before = [(trial.params, trial.values, trial.state) for trial in study.trials[4:]]
    mine = resumed(8)
    assert_whole(mine, 8, 4)
    assert [(trial.params, trial.values, trial.state) for trial in theirs().trials[8:]] == before
    assert mine.best.value != -5.0
    assert_whole(resumed(9), 9, 4)
    theirs().optimize(objective, n_trials=1)
    assert_whole(mine, 9, 5)


def test_optuna_takes_no_trial_of_ours_that_was_interrupted() -> None:
    def interrupted(params: Mapping[str, Any], context: Any) -> Iterator[float]:
        if context.number == 2:
            raise KeyboardInterrupt
        yield from train(params, context)

    with pytest.raises(KeyboardInterrupt):
        tuner.start(trainer=interrupted, space=SPACE, name="s", trials=4)
    theirs().optimize(objective, n_trials=2)
    study = resumed(4)
    assert_whole(study, 4, 2)
    assert study.trial(2).value == study.trial(2).params["x"]


def test_optuna_may_write_while_the_study_is_driven() -> None:
    def busy(params: Mapping[str, Any], context: Any) -> Iterator[float]:
        if context.number == 1:
            theirs().optimize(objective, n_trials=1)
        if context.number in (1, 3):
            theirs().enqueue_trial({"x": 0.25 * context.number})
        for reading in train(params, context):
            if context.number == 2:
                trial = optuna.Trial(theirs(), theirs().trials[2]._trial_id)
                trial.set_user_attr("gap", "a word of somebody else's")
                trial.report(0.5, 1)
            yield reading

    study = tuner.start(trainer=busy, space=SPACE, name="s", trials=6)
    enqueued = sum(record.params["x"] in (0.25, 0.75) for record in study.records)
    assert_whole(study, 6, 3 - enqueued)
    study = tuner.resume("s", trainer=train, trials=10)
    assert_whole(study, 10, 1)
    assert {0.25, 0.75} <= {record.params["x"] for record in study.records}
    # Which trial was the third one then depends on when ours were recorded.
    assert "a word of somebody else's" in [trial.user_attrs.get("gap") for trial in theirs().trials]


def test_numbers_that_stand_there_twice_are_told_and_mended() -> None:
    started(4)
    theirs().optimize(objective, n_trials=2)
    with closing(sqlite3.connect("tuner.db")) as connection, connection:
        connection.execute("UPDATE trials SET number = 1 WHERE number = 5")
    assert [finding.what for finding in verify(URL).findings if finding.is_fault] == [
        "trials share a number, so Optuna shows only one of them"
    ]
    assert_whole(resumed(5), 5, 2)


def test_a_trial_that_is_enqueued_and_not_trained_yet_is_told_and_no_fault() -> None:
    started(3)
    theirs().enqueue_trial({"x": 0.75})
    verdict = verify(URL)
    assert verdict.is_sound
    assert [finding.what for finding in verdict.findings] == ["1 trial that plain Optuna has enqueued"]
