from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from tests.findings.parts import DROPOUT, OPTIMIZER, RATE, falling, rates, readings, space_of, study
from tuner.core.trial import Reading
from tuner.findings.overfitting import find, strongest_effect

TRAIN = 2 * np.exp(-np.arange(20) / 4)
TURNING = np.concatenate([np.linspace(2, 0.5, 8), 0.5 + 0.02 * np.arange(1, 13)])


def with_dropout(p: Mapping[str, Any]) -> Sequence[Reading]:
    """The turn is the steeper the less dropout there is, and the minimum the lower the more there is."""
    turned = TURNING + 0.1 * (0.5 - p["dropout"])
    return readings(turned, TRAIN - 0.5 * (0.5 - p["dropout"]))


def test_the_epoch_the_rise_and_the_lever_are_told() -> None:
    rng = np.random.default_rng(7)
    given = [{"rate": r, "dropout": float(rng.uniform(0, 0.5))} for r in rates(40)]
    found = find(study(space_of(rate=RATE, dropout=DROPOUT), given, with_dropout))
    assert found is not None
    assert found.numbers["epoch"] == 8
    low, end = float(np.mean(TURNING[7:10])), float(np.mean(TURNING[-3:]))
    assert found.numbers["rise"] == pytest.approx((end - low) / low, rel=0.05)
    assert (found.numbers["parameter"], found.numbers["way"]) == ("dropout", "higher")
    assert "epoch 8" in found.sentence
    assert "higher dropout" in found.advice


def test_a_choice_may_go_most_with_a_smaller_gap() -> None:
    given = [{"rate": r, "optimizer": ("adam", "sgd")[i % 2]} for i, r in enumerate(rates(40))]

    def curve(p: Mapping[str, Any]) -> Sequence[Reading]:
        return readings(TURNING, TRAIN - (0.3 if p["optimizer"] == "adam" else 0.0))

    effect = strongest_effect(study(space_of(rate=RATE, optimizer=OPTIMIZER), given, curve))
    assert effect is not None
    assert (effect.name, effect.way) == ("optimizer", "sgd")


def test_what_closes_the_gap_by_spoiling_training_is_left_out() -> None:
    given = [{"rate": r} for r in rates(40)]

    def curve(p: Mapping[str, Any]) -> Sequence[Reading]:
        spoiled = -np.log(p["rate"]) / 10
        return readings(TURNING + spoiled, TRAIN + 2 * spoiled)

    assert strongest_effect(study(space_of(rate=RATE), given, curve)) is None


def test_without_a_lever_the_advice_names_none() -> None:
    given = [{"rate": r} for r in rates(5)]
    found = find(study(space_of(rate=RATE), given, lambda p: readings(TURNING, TRAIN)))
    assert found is not None
    assert "parameter" not in found.numbers
    assert "dropout" in found.advice


@pytest.mark.parametrize(
    ("val", "train"),
    [
        (falling(0.5), TRAIN),
        (TURNING, TURNING - 0.1),
        (TURNING, np.full(20, np.nan)),
        (TURNING[:5], TRAIN[:5]),
    ],
    ids=["no turn", "training turns too", "no training loss", "too short"],
)
def test_other_curves_do_not_over_fit(val: np.ndarray[Any, Any], train: np.ndarray[Any, Any]) -> None:
    given = [{"rate": r} for r in rates(8)]
    assert find(study(space_of(rate=RATE), given, lambda p: readings(val, train))) is None
