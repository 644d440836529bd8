"""Several objectives and constraints through the public API."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

import tuner
from tuner.api.stored import verify
from tuner.cli.summary import front_table
from tuner.core.trial import Reading, TrialState
from tuner.judging.sentences import sentences
from tuner.results import brief
from tuner.results.report import page

DIGITS = {
    "trainer.epochs": 6,
    "trainer.rows": 4,
    "trainer.threads": 1,
    "search.pruner": "none",
    "objective.also": {"parameters": "minimize"},
    "objective.at_most": {"gap": 0.15, "latency_ms": 1e6},
    "space.width": {"type": "int", "low": 8, "high": 64, "default": 32},
}


def test_a_constraint_is_honored_on_digits_and_the_front_is_told() -> None:
    study = tuner.start("digits", trials=24, settings=DIGITS)
    front = study.front
    assert len(front) > 1
    for view in front:
        assert view.reading is not None
        assert view.reading.gap <= 0.15
    sizes = [view.reading.get("parameters") for view in front if view.reading]
    assert sizes == sorted(sizes, reverse=True)
    assert study.best.number == front[0].number == study.summary.best_number
    assert all(view.model_path is not None for view in front[:5]), "their models are kept"
    table = brief(study, study.best)
    assert [each["trial"] for each in table["front"]] == [view.number for view in front]
    assert all(each["feasible"] for each in table["front"])
    assert {"gap_last", "onset_epoch", "rise", "values"} <= table.keys()
    assert front_table(study).row_count == len(front)


NETWORKS = {
    "trainer.epochs": 3,
    "trainer.rows": 4,
    "trainer.threads": 1,
    "objective.metric": "gap",
    "confirm.auto": False,
}


def trained(params: Mapping[str, Any], context: Any) -> Iterator[dict[str, float]]:
    """The larger x, the better and the dearer; from the fourth epoch on x over-fits."""
    for epoch in range(1, 11):
        over = params["x"] * max(0, epoch - 4) / 10
        yield {"train_loss": 1 / epoch, "val_loss": 2 - params["x"] + 1 / epoch + over, "cost": params["x"]}


def start(name: str, **settings: Any) -> tuner.Study:
    space = {"x": tuner.Float(low=0.0, high=1.0, default=1.0)}
    chosen = {"search.sampler": "qmc", "search.pruner": "none", "trainer.epochs": 10, **settings}
    return tuner.start(trainer=trained, space=space, trials=8, name=name, settings=chosen)


def test_the_best_the_target_and_the_words_all_go_by_the_constraint() -> None:
    free = start("free")
    assert free.best.number == 0
    bound = start("bound", **{"objective.at_most": {"cost": 0.5}, "budget.target": 1.5})
    assert float(bound.best.params["x"]) <= 0.5
    assert bound.summary.best_number == bound.best.number
    assert bound.summary.reason == "the budget of 8 trials is used up", "a target that violates is none"
    told = " ".join(sentences(bound.verdict))
    assert told.startswith("The default does not meet every constraint: cost 1, not at most 0.5.")
    assert not brief(bound, bound.default)["feasible"]
    assert told.split(".")[0] in page(bound)
    rows = [bound.best.number, 0]
    seen = bound.frame
    assert seen.feasible[rows].tolist() == [True, False]
    assert seen.best == bound.best.number


def test_where_no_trial_meets_the_constraint_the_closest_one_is_named() -> None:
    study = start("none", **{"objective.at_least": {"cost": 3}})
    assert study.best.number == 0
    assert sentences(study.verdict)[0] == (
        "No trial meets every constraint; the default comes closest: cost 1, not at least 3."
    )
    assert [view.number for view in study.front] == [0]


def test_trials_that_over_fit_end_some_epochs_later_with_their_value() -> None:
    study = start("overfit", **{"stop.overfit": 3})
    assert study.default.record.rule == "overfit"
    assert study.default.record.conclusive
    assert study.default.record.state is TrialState.STOPPED
    whole = start("whole")
    over = whole.default.overfitting
    assert over.onset_epoch == study.default.overfitting.onset_epoch
    assert study.default.record.epochs < whole.default.record.epochs
    best = whole.default.reading
    assert isinstance(best, Reading)
    assert over.gap < over.gap_last
    assert over.rise > 0


def test_a_number_that_a_function_never_reports_fails_its_trials_in_words() -> None:
    with pytest.raises(tuner.TrialError, match="needs val_loss and latency, but epoch 1 has only"):
        start("absent", **{"objective.also": {"latency": "minimize"}, "stop.max_failures": 1})
    trial = tuner.load("absent").trial(0)
    assert trial.record.state is TrialState.FAILED
    assert "latency" in str(trial.record.reason)


def test_samplers_of_one_objective_refuse_two() -> None:
    with pytest.raises(tuner.SpecError, match="the sampler 'gp' knows one objective"):
        start("gp", **{"search.sampler": "gp", "objective.also": {"cost": "minimize"}})


def gapped(params: Mapping[str, Any], context: Any) -> Iterator[dict[str, float]]:
    """Over-fits by x, learns nothing for one half of x, and diverges above it."""
    for epoch in range(1, 4):
        if params["x"] > 0.5:
            yield {"train_loss": 434.0 + params["x"], "val_loss": 420.0}
        else:
            yield {"train_loss": 1 / epoch, "val_loss": 1 / epoch + 0.1 * (params["x"] - 0.25)}


@pytest.mark.parametrize("metric", ["gap", "val_loss"])
def test_a_run_that_diverges_wins_neither_by_its_gap_nor_fills_the_front(metric: str) -> None:
    space = {"x": tuner.Float(low=0.0, high=1.0, default=1.0)}
    chosen = {"search.sampler": "qmc", "search.pruner": "none", "trainer.epochs": 3}
    chosen |= {"objective.metric": "gap"} if metric == "gap" else {"objective.also": {"gap": "minimize"}}
    study = tuner.start(trainer=gapped, space=space, trials=24, name=metric, settings=chosen)
    best = study.best
    assert best.reading is not None
    assert best.reading.val_loss < 1, "of those that do not over-fit the one with the lowest loss"
    assert best.reading.epoch == 3, "nor is the first epoch the best for having learned nothing"
    assert best.value == (0.0 if metric == "gap" else best.reading.val_loss)
    assert [view.number for view in study.front] == [best.number]
    assert study.summary.best_number == best.number
    assert study.frame.front.tolist() == [best.number]
    assert study.default.reading is not None
    assert study.default.reading.gap == pytest.approx(-15), "curves keep the sign"
    assert verify().is_sound


def test_networks_are_searched_by_their_gap_and_the_best_models_stay() -> None:
    study = tuner.start(
        "digits", trials=12, name="gap", settings={**NETWORKS, "trainer.keep": 2, "search.pruner": "none"}
    )
    assert study.best.model_path is not None
    assert study.best.value == max(0.0, study.best.reading.gap if study.best.reading else 1.0)
    assert verify().is_sound


def test_the_best_of_a_study_by_the_signed_gap_is_judged_anew() -> None:
    space = {"x": tuner.Float(low=0.0, high=1.0, default=1.0)}
    chosen = {"search.sampler": "qmc", "objective.metric": "gap", "search.pruner": "none"}
    study = tuner.start(trainer=gapped, space=space, trials=8, name="earlier", settings=chosen)
    with sqlite3.connect("tuner.db") as stored:
        stored.execute("UPDATE tuner_trials SET value = -15, best_epoch = 1 WHERE number = 0")
    stored.close()
    assert study.best.number != 0
    assert study.summary.best_number == study.best.number
    assert study.frame.best == study.best.number
    assert verify().is_sound
