from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    json_to_distribution,
)

from tuner.core.space import Choice, Float, Int, SearchSpace
from tuner.core.trial import Reading, TrialRecord, TrialState
from tuner.store.encoding import Encoder, attributes, finite, kind_of, outcome

numbers = st.floats(-1e9, 1e9, allow_nan=False)
wholes = st.integers(-(10**9), 10**9)
scalars = st.one_of(st.booleans(), wholes, numbers, st.text(max_size=8))


def test_distributions_are_optunas_also_where_the_step_does_not_reach_the_bound() -> None:
    space = SearchSpace.compose(
        {
            "a": Float(low=0, high=1, default=0, step=0.3),
            "b": Int(low=1, high=6, default=1, step=2),
            "c": Int(low=16, high=512, default=16, log=True),
        }
    )
    written = [text for _, _, text in Encoder(space).encode({"a": 0.3, "b": 3, "c": 64, "d": True, "e": 1})]
    assert [json_to_distribution(text) for text in written] == [
        FloatDistribution(0, 0.9, step=0.3),
        IntDistribution(1, 5, step=2),
        IntDistribution(16, 512, log=True),
        CategoricalDistribution([True]),
        CategoricalDistribution([1]),
    ]
    assert "true" in written[3]
    assert "true" not in written[4]


@given(st.lists(scalars, min_size=1, max_size=6, unique_by=lambda v: (type(v), v)), st.data())
def test_each_choice_comes_back_with_its_type(choices: list[Any], data: st.DataObject) -> None:
    value = data.draw(st.sampled_from(choices))
    space = SearchSpace.compose({"choice": Choice(choices=tuple(choices), default=choices[0])})
    [(name, number, text)] = Encoder(space).encode({"choice": value})
    back = json_to_distribution(text).to_external_repr(number)
    assert (name, type(back), back) == ("choice", type(value), value)


def test_a_value_outside_the_space_is_a_choice_of_its_own() -> None:
    space = SearchSpace.compose({"depth": Int(low=1, high=4, default=1)}, {"activation": "relu"})
    encoded = list(Encoder(space).encode({"activation": "relu", "depth": 9}))
    assert [json_to_distribution(text) for _, _, text in encoded] == [
        CategoricalDistribution(["relu"]),
        CategoricalDistribution([9]),
    ]


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (0.5, (0.5, "FINITE")),
        (math.inf, (None, "INF_POS")),
        (-math.inf, (None, "INF_NEG")),
        (math.nan, (None, "NAN")),
    ],
)
def test_numbers_that_are_not_finite_have_a_name_and_no_value(
    value: float, stored: tuple[float | None, str]
) -> None:
    assert (finite(value), kind_of(value)) == stored


@pytest.mark.parametrize(
    ("state", "value", "conclusive", "theirs"),
    [
        (TrialState.FINISHED, 0.5, True, ("COMPLETE", 0.5)),
        (TrialState.STOPPED, 0.5, True, ("COMPLETE", 0.5)),
        (TrialState.STOPPED, 0.5, False, ("PRUNED", 0.5)),
        (TrialState.STOPPED, None, False, ("PRUNED", None)),
        (TrialState.STOPPED, None, True, ("FAIL", None)),
        (TrialState.FINISHED, None, True, ("FAIL", None)),
        (TrialState.FINISHED, math.nan, True, ("FAIL", None)),
        (TrialState.FAILED, 0.5, False, ("FAIL", None)),
    ],
)
def test_optunas_state_says_whether_the_value_stands_beside_others(
    state: TrialState, value: float | None, conclusive: bool, theirs: tuple[str, float | None]
) -> None:
    assert outcome(TrialRecord(0, {}, state, value=value, conclusive=conclusive)) == theirs


def test_attributes_are_json_without_what_was_not_measured() -> None:
    best = Reading(3, train_loss=0.25, val_loss=0.75, val_score=0.5)
    record = TrialRecord(0, {}, TrialState.STOPPED, value=0.75, best=best, reason='no "better" value')
    assert dict(attributes(record)) == {
        "best_epoch": "3",
        "gap": "0.5",
        "train_loss": "0.25",
        "val_loss": "0.75",
        "val_score": "0.5",
        "reason": '"no \\"better\\" value"',
    }
