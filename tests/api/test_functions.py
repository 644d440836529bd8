"""What a function of one's own may return and raise, and what its study makes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

import tuner

SPACE = {"x": tuner.Float(low=0, high=1, default=0.5)}


@pytest.mark.parametrize("pruner", ["asha", "asha-stop", "hyperband", "median", "percentile"])
def test_a_function_that_returns_one_number_is_never_pruned(pruner: str) -> None:
    def evaluate(params: Mapping[str, Any], context: Any) -> float:
        return float(params["x"])

    settings = {"search.pruner": pruner, "search.startup_trials": 2, "search.sampler": "random"}
    study = tuner.start(trainer=evaluate, space=SPACE, trials=20, settings=settings)
    assert [(record.state, record.epochs, record.rule) for record in study.records] == [
        (tuner.TrialState.FINISHED, 1, None)
    ] * 20
    assert all(record.conclusive for record in study.records)


@pytest.mark.parametrize("pruner", ["asha", "median"])
def test_a_function_that_yields_is_pruned(pruner: str) -> None:
    def train(params: Mapping[str, Any], context: Any) -> Iterator[float]:
        for _ in range(context.epochs):
            yield float(params["x"])

    settings = {"search.pruner": pruner, "search.startup_trials": 2, "search.sampler": "random"}
    study = tuner.start(trainer=train, space=SPACE, trials=20, settings=settings)
    assert any(record.rule == "pruner" for record in study.records)


def test_an_estimator_that_is_fitted_as_a_whole_is_never_pruned() -> None:
    study = tuner.start(
        {
            "name": "forest",
            "objective": {"metric": "val_loss", "direction": "minimize"},
            "data": {"source": "sklearn:wine"},
            "trainer": {"use": "sklearn", "model": "forest", "settings": {"n_estimators": 3}},
            "space": {"max_depth": {"type": "int", "low": 1, "high": 12, "default": 6}},
            "search": {"pruner": "median", "startup_trials": 2, "sampler": "random"},
            "budget": {"trials": 10},
        }
    )
    assert {record.state for record in study.records} == {tuner.TrialState.FINISHED}
