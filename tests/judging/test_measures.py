from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from tuner.judging.measures import measured

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("name", ["accuracy", "precision", "recall", "f1"])
def test_scores_of_classes_are_scikit_learns(name: str) -> None:
    truth = RNG.choice(["a", "b", "c"], 60)
    predicted = [np.where(RNG.random(60) < 0.7, truth, "b"), RNG.choice(["a", "b", "c"], 60)]
    theirs = {
        "accuracy": metrics.accuracy_score,
        "precision": lambda t, p: metrics.precision_score(t, p, average="macro", zero_division=0),
        "recall": lambda t, p: metrics.recall_score(t, p, average="macro", zero_division=0),
        "f1": lambda t, p: metrics.f1_score(t, p, average="macro", zero_division=0),
    }[name]
    found = measured(name, truth, predicted)
    assert found.values == pytest.approx([theirs(truth, p) for p in predicted])
    assert found.interval().low < found.values.mean() < found.interval().high


@pytest.mark.parametrize("shape", [(50,), (50, 3)])
@pytest.mark.parametrize("name", ["r2", "rmse"])
def test_scores_of_numbers_are_scikit_learns(name: str, shape: tuple[int, ...]) -> None:
    truth = RNG.normal(1000, 2, shape)
    predicted = [truth + RNG.normal(0, 1, shape) for _ in range(3)]
    theirs = {"r2": metrics.r2_score, "rmse": metrics.root_mean_squared_error}[name]
    assert measured(name, truth, predicted).values == pytest.approx([theirs(truth, p) for p in predicted])


def test_the_gain_over_oneself_is_nothing() -> None:
    truth = RNG.choice(["a", "b"], 40)
    mine = measured("accuracy", truth, [RNG.choice(["a", "b"], 40) for _ in range(3)])
    found = mine.gain(mine, falling=False)
    assert found.low < found.estimate == 0 < found.high


def test_less_of_a_falling_score_is_a_gain() -> None:
    truth = RNG.normal(size=80)
    good = measured("rmse", truth, [truth + RNG.normal(0, 0.1, 80) for _ in range(4)])
    bad = measured("rmse", truth, [truth + RNG.normal(0, 1.0, 80) for _ in range(4)])
    assert good.gain(bad, falling=True).low > 0
