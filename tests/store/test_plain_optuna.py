"""What plain Optuna sees in our file, beside what it writes itself."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from tests.fronts import front
from tuner.core.budget import StudyState
from tuner.core.ports import Turn
from tuner.core.spec import StudySpec
from tuner.core.trial import Origin, Reading, Trial, TrialRecord, TrialState
from tuner.store import Database, StudyStore

optuna.logging.set_verbosity(optuna.logging.WARNING)

INF, NAN = math.inf, math.nan
DISTRIBUTIONS: dict[str, BaseDistribution] = {
    "learning_rate": FloatDistribution(1e-5, 1.0, log=True),
    "dropout": FloatDistribution(0.0, 0.5, step=0.1),
    "l2": FloatDistribution(0.0, 1.0),
    "batch_size": IntDistribution(16, 512, log=True),
    "depth": IntDistribution(1, 7, step=2),
    "optimizer": CategoricalDistribution(["sgd", "momentum", "adam"]),
    "momentum": FloatDistribution(0.0, 0.99),
    "norm": CategoricalDistribution([True, False, 1, 0.5, "layer"]),
    "activation": CategoricalDistribution(["relu"]),
}
THEIRS = optuna.trial.TrialState


def loaded(url: str, name: str = "nets") -> optuna.Study:
    return optuna.load_study(study_name=name, storage=url)


@pytest.fixture
def trials(
    store: StudyStore,
    trial: Callable[..., Trial],
    reading: Callable[..., Reading],
    ended: Callable[..., TrialRecord],
) -> list[tuple[Trial, list[Reading]]]:
    """Seven trials, one of each kind: (trial, curve)."""
    curves = [
        [reading(1, 0.75), reading(2, 0.5), reading(3, 0.625)],
        [reading(1, 0.25)],
        [reading(1, 0.875)],
        [reading(1, INF), reading(2, NAN), reading(3, -INF)],
        [],
        [reading(1, 0.375)],
        [],
    ]
    chosen: list[dict[str, Any]] = [
        {},
        {"optimizer": "momentum", "momentum": 0.5, "norm": "layer"},
        {"learning_rate": 3e-4, "batch_size": 100, "depth": 5, "dropout": 0.3},
        {"norm": 0.5},
        {},
        {"optimizer": "adam"},
        {},
    ]
    started = [trial(number, **params) for number, params in enumerate(chosen)]
    store.record(Turn(started=started[:3]))
    store.record(Turn(started=started[3:]))
    store.record(Turn(readings=[(number, r) for number, curve in enumerate(curves) for r in curve]))
    states: list[dict[str, Any]] = [
        {"state": TrialState.FINISHED},
        {"state": TrialState.STOPPED, "conclusive": True, "rule": "patience", "reason": "no better value"},
        {"state": TrialState.STOPPED, "rule": "pruner", "reason": "too bad"},
        {"state": TrialState.STOPPED, "rule": "divergence", "reason": "val_loss is inf"},
        {"state": TrialState.FAILED, "reason": "ValueError: x", "traceback": "Traceback ..."},
    ]
    store.record(
        Turn(
            ended=[ended(started[n], curves[n], **states[n]) for n in reversed(range(len(states)))],
            seconds=3.0,
        )
    )
    return list(zip(started, curves, strict=True))


def test_every_trial_has_its_params_and_distributions(
    url: str, trials: list[tuple[Trial, list[Reading]]]
) -> None:
    for found, (trial, _) in zip(loaded(url).trials, trials, strict=True):
        assert (found.number, found.params) == (trial.number, dict(trial.params))
        assert [type(v) for v in found.params.values()] == [type(v) for v in trial.params.values()]
        assert found.distributions == {name: DISTRIBUTIONS[name] for name in trial.params}
        found._validate()


def test_every_trial_has_its_state_and_value(url: str, trials: object) -> None:
    assert [(t.state, t.values) for t in loaded(url).trials] == [
        (THEIRS.COMPLETE, [0.5]),
        (THEIRS.COMPLETE, [0.25]),
        (THEIRS.PRUNED, [0.875]),
        (THEIRS.PRUNED, None),
        (THEIRS.FAIL, None),
        (THEIRS.RUNNING, None),
        (THEIRS.RUNNING, None),
    ]


def test_every_epoch_is_an_intermediate_value_even_when_not_finite(
    url: str, trials: list[tuple[Trial, list[Reading]]]
) -> None:
    found = [t.intermediate_values for t in loaded(url).trials]
    assert repr(found) == repr([{r.epoch: r.val_loss for r in curve} for _, curve in trials])


def test_trials_over_have_attributes_and_a_duration(url: str, trials: object) -> None:
    best, patient, *_, running = loaded(url).trials
    assert best.user_attrs == {
        "best_epoch": 2, "gap": 0.25, "train_loss": 0.25, "val_loss": 0.5, "train_score": 0.9,
        "val_score": 0.8,
    }  # fmt: skip
    assert patient.user_attrs["reason"] == "no better value"
    assert best.duration is not None
    assert best.duration.total_seconds() >= 0
    assert running.datetime_start is not None
    assert running.datetime_complete is None


def test_optunas_own_views_of_a_study_work(url: str, trials: object) -> None:
    study = loaded(url)
    assert study.direction is optuna.study.StudyDirection.MINIMIZE
    assert (study.best_trial.number, study.best_value) == (1, 0.25)
    frame = study.trials_dataframe()
    assert list(frame["number"]) == list(range(7))
    assert list(frame["params_optimizer"])[:2] == ["sgd", "momentum"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # So few trials are too few, and metric names experimental.
        assert set(optuna.importance.get_param_importances(study)) >= {"learning_rate", "optimizer"}
        assert study.metric_names == ["val_loss"]


def test_a_trial_is_stored_as_optuna_stores_it(url: str, trials: object) -> None:
    ours = loaded(url).trials
    copy = optuna.create_study(study_name="copy", storage=url)
    for trial in ours:
        copy.add_trial(trial)
    for mine, theirs in zip(ours, loaded(url, "copy").trials, strict=True):
        theirs.datetime_start, theirs._trial_id = mine.datetime_start, mine._trial_id
        assert repr(mine) == repr(theirs)


def test_times_are_the_clocks(
    url: str, store: StudyStore, trial: Callable[..., Trial], ended: Callable[..., TrialRecord]
) -> None:
    import datetime

    before = datetime.datetime.now()
    store.record(Turn(started=[trial(0)]))
    store.record(Turn(ended=[ended(trial(0), [])]))
    after = datetime.datetime.now()
    [found] = loaded(url).trials
    assert found.datetime_start is not None
    assert found.datetime_complete is not None
    assert before <= found.datetime_start <= found.datetime_complete <= after


def test_what_is_not_over_is_never_taken_for_a_trial_that_waits_for_optuna(
    url: str,
    database: Database,
    store: StudyStore,
    trials: list[tuple[Trial, list[Reading]]],
    ended: Callable[..., TrialRecord],
) -> None:
    paused, curve = trials[5]
    store.record(Turn(paused=[ended(paused, curve, TrialState.PAUSED)]))
    assert [t.state for t in loaded(url).trials][5:] == [THEIRS.RUNNING, THEIRS.RUNNING]
    store.finish(StudyState.INTERRUPTED, "Ctrl-C", 5.0)
    left = loaded(url).trials
    assert [t.state for t in left][5:] == [THEIRS.RUNNING, THEIRS.RUNNING]
    assert left[5].intermediate_values == {r.epoch: r.val_loss for r in curve}
    database.resume_study("nets").close()
    assert [t.state for t in loaded(url).trials][5:] == [THEIRS.RUNNING, THEIRS.RUNNING]


def test_a_trial_that_started_again_shows_only_its_new_curve(
    url: str, store: StudyStore, trials: list[tuple[Trial, list[Reading]]], reading: Callable[..., Reading]
) -> None:
    store.record(Turn(restarted=[5]))
    assert loaded(url).trials[5].intermediate_values == {}
    store.record(Turn(readings=[(5, reading(1, 0.125))]))
    assert loaded(url).trials[5].intermediate_values == {1: 0.125}


def test_a_metric_of_ones_own_is_what_optuna_sees(database: Database, url: str, spec: StudySpec) -> None:
    table = {**spec.to_table(), "name": "own", "objective": {"metric": "auc", "direction": "maximize"}}
    store = database.create_study("own", StudySpec.parse(table), {})
    trial = Trial(0, spec.search_space().defaults(), 0)
    curve = [Reading(1, 0.1, 0.2, extras={"auc": 0.75}), Reading(2, 0.1, 0.1)]
    store.record(Turn(started=[trial], readings=[(0, r) for r in curve]))
    store.close()
    study = loaded(url, "own")
    assert study.direction is optuna.study.StudyDirection.MAXIMIZE
    assert repr(study.trials[0].intermediate_values) == "{1: 0.75, 2: nan}"


def test_a_study_deleted_through_optuna_leaves_nothing_of_ours(
    url: str, database: Database, spec: StudySpec, trials: object
) -> None:
    optuna.delete_study(study_name="nets", storage=url)
    assert database.studies() == []
    again = database.create_study("nets", spec, {})
    assert database.records("nets") == []
    assert database.curves("nets") == {}
    again.close()


def test_several_objectives_and_constraints_are_what_optuna_sees(
    database: Database, url: str, spec: StudySpec
) -> None:
    objective = {
        "metric": "val_loss",
        "also": {"size": "minimize", "auc": "maximize"},
        "at_most": {"gap": 0.25},
        "at_least": {"auc": 0.5},
    }
    whole = StudySpec.parse({**spec.to_table(), "name": "many", "objective": objective})
    store = database.create_study("many", whole, {})
    shown = [
        (0.5, 0.5, {"size": 8.0, "auc": 0.75}),
        (0.25, 0.5, {"size": 4.0, "auc": 0.625}),
        (0.0, 0.5, {"size": 1.0, "auc": 0.875}),
        (0.5, 0.5, {"size": 2.0}),
        (0.5, 0.625, {"size": 9.0, "auc": 0.5}),
    ]
    records = []
    for number, (train, val, extras) in enumerate(shown):
        params = spec.search_space().defaults({"l2": number / 8})
        best = Reading(1, train, val, extras=extras)
        records.append(TrialRecord(number, params, TrialState.FINISHED, val, best, 1, True))
        readings = [(number, best)]
        store.record(Turn(started=[Trial(number, params, 0)], readings=readings, ended=[records[-1]]))
    study = loaded(url, "many")
    minimize, maximize = optuna.study.StudyDirection.MINIMIZE, optuna.study.StudyDirection.MAXIMIZE
    assert study.directions == [minimize, minimize, maximize]
    assert study.metric_names == ["val_loss", "size", "auc"]
    assert [trial.values for trial in study.trials[:4]] == [
        [0.5, 8.0, 0.75], [0.5, 4.0, 0.625], [0.5, 1.0, 0.875], [0.5, 2.0, -INF],
    ]  # fmt: skip
    assert study.trials[1].constraints == {"at_most.gap": 0.0, "at_least.auc": -0.125}
    assert study.trials[2].constraints["at_most.gap"] == 0.25
    assert study.trials[3].constraints["at_least.auc"] > 1e300
    ours = [record.number for record in front(whole.objectives(), records)]
    assert sorted(trial.number for trial in study.best_trials) == sorted(ours) == [0, 1]
    assert study.trials[0].intermediate_values == {1: 0.5}
    assert database.study("many").best_number == 1
    assert database.records("many")[1].best == records[1].best
    store.close()


def test_the_best_of_a_constrained_study_meets_its_constraints_if_any_trial_does(
    database: Database, spec: StudySpec
) -> None:
    table = {**spec.to_table(), "name": "bound", "objective": {"at_most": {"gap": 0.25}}}
    store = database.create_study("bound", StudySpec.parse(table), {})
    for number, (train, val) in enumerate([(0.0, 0.5), (0.5, 0.75), (0.75, 1.0)]):
        params = spec.search_space().defaults({"l2": number / 8})
        best = Reading(1, train, val)
        record = TrialRecord(number, params, TrialState.FINISHED, val, best, 1, True)
        store.record(Turn(started=[Trial(number, params, 0)], readings=[(number, best)], ended=[record]))
    found = database.study("bound")
    assert (found.best_number, found.best_value) == (1, 0.75)
    store.close()


def test_trials_that_were_trained_elsewhere_have_their_constraints_for_optuna(
    database: Database, url: str, spec: StudySpec
) -> None:
    table = {**spec.to_table(), "name": "bound", "objective": {"at_most": {"gap": 0.25}}}
    whole = []
    for number, (train, val) in enumerate([(0.0, 0.5), (0.5, 0.75)]):
        params = spec.search_space().defaults({"l2": number / 8})
        best = Reading(1, train, val)
        record = TrialRecord(
            number, params, TrialState.FINISHED, val, best, 1, seconds=1.0, origin=Origin.IMPORTED
        )
        whole.append((record, [best]))
    database.create_study("bound", StudySpec.parse(table), {}, whole=whole).close()
    study = loaded(url, "bound")
    assert [trial.constraints for trial in study.trials] == [{"at_most.gap": 0.25}, {"at_most.gap": 0.0}]
    assert study.best_trial.number == 1
