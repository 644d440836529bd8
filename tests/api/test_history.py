"""Configurations to try, and trials from elsewhere, that a study is given."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest

import tuner
from tests import processes
from tuner.core.budget import StudyState
from tuner.core.trial import Origin
from tuner.errors import SpecError, TrialError
from tuner.judging.sentences import sentences
from tuner.store import Database, verify
from tuner.store.columns import Reader
from tuner.web.live import Live

SPACE = {"x": tuner.Float(0, 1), "kind": tuner.Choice(["a", "b"])}
URL = "sqlite:///tuner.db"
KNOWN = [({"x": 0.1 * i, "kind": "b"}, 0.5 + 0.1 * i) for i in range(5)]


def train(params: Mapping[str, Any], context: Any) -> Iterator[dict[str, float]]:
    for epoch in range(3):
        yield {"val_loss": params["x"] + (params["kind"] == "a") + 1 / (epoch + 1)}


def started(**given: Any) -> tuner.Study:
    settings = {"search.pruner": "none", "trainer.epochs": 3}
    return tuner.start(trainer=train, space=SPACE, name="s", settings=settings, **given)


def test_known_trials_are_history_and_cost_no_budget() -> None:
    study = started(trials=4, known=KNOWN)
    assert study.trial(0).params == {"x": 0.5, "kind": "a"}
    assert [record.origin for record in study.records] == ["searched", *["imported"] * 5, *["searched"] * 3]
    assert [record.value for record in study.records[1:6]] == [value for _, value in KNOWN]
    assert study.summary.started == 4
    assert study.summary.reason == "the budget of 4 trials is used up"
    assert study.best.record.origin is Origin.SEARCHED  # though the first known one is better
    assert min(value for _, value in KNOWN) < (study.best.value or 0)
    assert list(study.trials["origin"]) == [record.origin for record in study.records]
    assert verify(URL).is_sound
    theirs = optuna.load_study(study_name="s", storage=URL)
    assert [trial.value for trial in theirs.trials] == [record.value for record in study.records]


def test_the_sampler_learns_from_known_trials() -> None:
    """Ten known ones are enough for its model, which then prefers what was good among them."""
    known = [({"x": i / 20, "kind": "b"}, i / 20) for i in range(20)]
    settings = {"search.presets": False}
    plain = tuner.start(trainer=train, space=SPACE, name="plain", trials=10, settings=settings)
    taught = tuner.start(trainer=train, space=SPACE, name="taught", trials=10, settings=settings, known=known)
    mean = {
        study.name: sum(float(r.params["x"]) for r in study.records if r.number and r.origin == "searched")
        / 9
        for study in (plain, taught)
    }
    assert mean["taught"] < 0.3 < mean["plain"]


def test_known_trials_are_neither_confirmed_nor_kept() -> None:
    study = started(trials=4, known=[({"x": 0.0, "kind": "b"}, 0.0)])
    found = tuner.confirm("s", trainer=train, top=2, repeats=3)
    again = tuner.load("s~confirm").records
    assert {record.params["x"] for record in again} <= {r.params["x"] for r in study.records if r.number != 1}
    assert found is not None
    assert study.records[1].model_path is None


def test_first_ones_are_tried_after_the_default_one_and_count() -> None:
    study = started(trials=4, first=[{"x": 0.125}, {"kind": "b"}])
    assert [record.params for record in study.records[:3]] == [
        {"x": 0.5, "kind": "a"},
        {"x": 0.125, "kind": "a"},
        {"x": 0.5, "kind": "b"},
    ]
    assert [record.origin for record in study.records] == ["searched", "given", "given", "searched"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"first": [{"x": 2.0}, {"y": 1}]}, r"first\[0\]: x: 2.0 is not in 0 to 1|first\[1\]: y: unknown"),
        ({"known": [({"x": 0.1}, float("nan"))]}, r"known\[0\]: its val_loss is nan; give a configuration"),
        ({"known": [{"x": 0.1}]}, r"known\[0\]: .*give a configuration and its value"),
    ],
)
def test_what_cannot_be_tried_or_known_is_said_at_once(given: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        started(trials=3, **given)
    assert tuner.studies().empty


def test_a_trial_that_is_asked_for_later_is_trained_when_the_study_goes_on() -> None:
    started(trials=2)
    assert tuner.enqueue("s", {"x": 0.25}) is False
    with pytest.raises(SpecError, match="x: 3 is not in 0 to 1"):
        tuner.enqueue("s", {"x": 3})
    study = tuner.resume("s", trainer=train, trials=4)
    assert study.trial(2).params == {"x": 0.25, "kind": "a"}
    assert study.trial(2).record.origin is Origin.GIVEN


def test_a_running_study_takes_up_what_is_asked_for() -> None:
    def busy(params: Mapping[str, Any], context: Any) -> Iterator[dict[str, float]]:
        if context.number == 1:
            assert tuner.enqueue("s", {"x": 0.75}) is True
        import time

        time.sleep(0.15 * (context.number < 12))
        yield from train(params, context)

    study = tuner.start(trainer=busy, space=SPACE, name="s", trials=20)
    assert [r.params["x"] for r in study.records if r.origin is Origin.GIVEN] == [0.75]


def test_requests_are_answered_in_the_transaction_that_carries_them_out() -> None:
    study = started(trials=3, first=[{"x": 0.125}])
    from sqlalchemy import create_engine, text

    with create_engine(URL).begin() as connection:
        rows = connection.execute(text("SELECT kind, answer FROM tuner_requests")).all()
    assert [tuple(row) for row in rows] == [("try", "trial 1")]
    tuner.delete(study.name)
    with create_engine(URL).begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM tuner_requests")).scalar() == 0
    with Database.open(URL) as database:
        assert database.names() == set()


KILLED = """
import os, signal, sys
import tuner

SPACE = {"x": tuner.Float(0, 1), "kind": tuner.Choice(["a", "b"])}
KNOWN = [({"x": 0.05 * i, "kind": "b"}, 0.5 + 0.1 * i) for i in range(12)]
FIRST = [{"x": 0.125}, {"kind": "b"}, {"x": 0.625}, {"x": 0.375, "kind": "b"}]

def train(params, context):
    for epoch in range(3):
        if context.number == int(sys.argv[1]) and epoch == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        yield params["x"] + (params["kind"] == "a") + 1 / (epoch + 1)

settings = {"search.pruner": "none", "trainer.epochs": 3}
tuner.start(trainer=train, space=SPACE, name="s", trials=9, settings=settings, first=FIRST, known=KNOWN,
            exists="resume", storage=sys.argv[2])
"""


def test_a_study_that_is_killed_goes_on_with_what_was_asked_for_as_if_it_never_was(tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text(KILLED)

    def run(dies_in: int, url: str) -> int:
        return processes.run("run.py", str(dies_in), url, cwd=tmp_path).returncode

    assert run(-1, "sqlite:///whole.db") == 0
    for dies_in in (0, 14, 17):
        assert run(dies_in, "sqlite:///cut.db") == -signal.SIGKILL
    assert run(-1, "sqlite:///cut.db") == 0
    whole, cut = (tuner.load("s", storage=f"sqlite:///{tmp_path}/{name}.db") for name in ("whole", "cut"))
    assert [(r.number, r.params, r.value, r.origin) for r in cut.records] == [
        (r.number, r.params, r.value, r.origin) for r in whole.records
    ]
    assert any(r.interruptions for r in cut.records)
    assert sum(r.origin is Origin.GIVEN for r in cut.records) == 4


def test_a_study_that_nothing_drives_is_neither_stopped_nor_raised() -> None:
    started(trials=2)
    with pytest.raises(SpecError, match="no process drives 's': there is nothing to stop"):
        tuner.stop("s")
    with pytest.raises(SpecError, match="no process drives 's': its trials do not train"):
        tuner.stop("s", trial=1)
    with pytest.raises(SpecError, match="raise it as it goes on: tune resume s --trials 9"):
        tuner.raise_budget("s", trials=9)


def test_a_running_study_is_raised_and_stopped_from_elsewhere() -> None:
    refused: list[str] = []

    def busy(params: Mapping[str, Any], context: Any) -> Iterator[dict[str, float]]:
        if context.number == 1:
            for limits in ({"trials": 3}, {"seconds": 60.0}, {}):
                with pytest.raises(SpecError) as error:
                    tuner.raise_budget("s", **limits)
                refused.append(str(error.value))
            with pytest.raises(SpecError, match="there is no trial 99"):
                tuner.stop("s", trial=99)
            tuner.raise_budget("s", trials=400)
        if context.number == 4:
            tuner.stop("s")
        time.sleep(0.1)
        yield from train(params, context)

    study = tuner.start(trainer=busy, space=SPACE, name="s", trials=4)
    assert (study.summary.state, study.summary.reason) == (StudyState.INTERRUPTED, "stopped on request")
    assert 4 < study.summary.started < 100
    assert study.spec.budget.trials == 400
    assert study.specs[-1].command == "raised on request"
    assert "trials: 4 -> 400" in "".join(study.specs[-1].changes)
    assert [told.partition(": ")[2] for told in refused] == [
        "trials: 3 is not above 4; to end it now: tune stop s",
        "it has no limit of seconds that could be raised",
        "which limit? Give one of trials, seconds, epochs",
    ]
    assert tuner.resume("s", trainer=train, trials=12).summary.state is StudyState.FINISHED


def test_a_stop_that_nobody_read_does_not_stop_the_next_session() -> None:
    started(trials=2)
    with sqlite3.connect("tuner.db") as connection:
        added = "INSERT INTO tuner_requests (study_id, at, kind, content) VALUES (1, '', 'stop', '{}')"
        connection.execute(added)
    assert tuner.resume("s", trainer=train, trials=4).summary.state is StudyState.FINISHED


def test_a_trial_is_trained_once_more_or_with_a_change() -> None:
    started(trials=2, first=[{"x": 0.125, "kind": "b"}])
    tuner.enqueue("s", {}, like=1)
    tuner.enqueue("s", {"x": 0.5}, like=1)
    study = tuner.resume("s", trainer=train, trials=4)
    assert [study.trial(n).params for n in (2, 3)] == [{"x": 0.125, "kind": "b"}, {"x": 0.5, "kind": "b"}]
    with pytest.raises(TrialError, match="there is no trial 44; it has 4 trials"):
        tuner.enqueue("s", {}, like=44)


def test_a_trial_that_the_studys_end_left_ahead_is_told_in_every_view() -> None:
    def slow(params: Mapping[str, Any], context: Any) -> Iterator[dict[str, float]]:
        for epoch in range(context.epochs):
            if context.number == 1 and epoch == 2:
                tuner.stop("s")
                time.sleep(1.5)  # its next reading is the study's last
            yield {"val_loss": params["x"] + 1 / (epoch + 1)}

    settings = {"search.pruner": "none", "trainer.epochs": 5}
    study = tuner.start(
        trainer=slow, space=SPACE, name="s", settings=settings, trials=9, first=[{"x": 0.0}], confirm=False
    )
    assert study.verdict.number == 0
    ahead = study.verdict.ahead
    assert ahead is not None
    assert (ahead.number, ahead.state.is_over) == (1, False)
    assert "Trial 1 was better when the study ended" in " ".join(sentences(study.verdict))
    live = Live(Reader(URL))
    assert sentences(live.snapshot("s").verdict) == sentences(study.verdict)
    live.close()
    assert "no_gain" not in [each.name for each in study.findings()]
