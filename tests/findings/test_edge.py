from __future__ import annotations

import math

import pytest

from tests.findings.parts import DROPOUT, LAYERS, RATE, cut, falling, rates, readings, space_of, study
from tuner.core.space import Float, Int
from tuner.core.trial import TrialRecord
from tuner.findings.edge import find


def test_best_trials_at_the_upper_end_ask_for_a_wider_range() -> None:
    given = [{"rate": r, "layers": 2} for r in [1e-2, 0.09, 0.08, 0.095, 0.06, *rates(20, high=0.02)]]
    found = find(
        study(
            space_of(rate=RATE, layers=LAYERS),
            given,
            lambda p: readings(falling(0.5 - 0.1 * math.log10(p["rate"]))),
        )
    )
    assert found is not None
    assert found.numbers == {
        "parameter": "rate",
        "end": "high",
        "bound": 0.1,
        "best": 0.095,
        "at_end": 4,
        "of_best": 5,
        "wider": pytest.approx(1.0),
    }
    assert "upper end" in found.sentence
    assert "[space.rate] high = 1" in found.advice


def test_best_in_the_middle_is_no_edge() -> None:
    given = [{"rate": r} for r in (1e-2, *rates(30))]
    space = space_of(rate=RATE)
    assert (
        find(study(space, given, lambda p: readings(falling(0.1 + abs(math.log(p["rate"] / 3e-3)))))) is None
    )


def test_one_lucky_trial_at_an_end_is_no_crowd() -> None:
    given = [{"rate": r} for r in (0.1, *rates(30, high=2e-2))]
    space = space_of(rate=RATE)
    assert (
        find(study(space, given, lambda p: readings(falling(0.05 if p["rate"] == 0.1 else p["rate"] + 0.1))))
        is None
    )


def test_trials_that_were_cut_short_make_no_crowd() -> None:
    given = [{"rate": r} for r in (3e-3, 4e-3, 2e-3, 0.09, 0.095, 0.1, 0.098, 0.097)]

    def change(record: TrialRecord) -> TrialRecord:
        return cut(record) if record.number > 2 else record

    space = space_of(rate=RATE)
    assert find(study(space, given, lambda p: readings(falling(1 - p["rate"])), change=change)) is None
    assert find(study(space, given, lambda p: readings(falling(1 - p["rate"])))) is not None


def test_natural_ends_are_no_edges() -> None:
    off = Float(low=1e-6, high=1e-2, log=True, default=1e-6)
    share = Float(low=0.5, high=1.0, default=0.8)
    space = space_of(dropout=DROPOUT, layers=LAYERS, l2=off, share=share)
    given = [
        {"dropout": i / 100, "layers": 1 + i // 5, "l2": 1e-6 * (1 + i), "share": 1 - i / 100}
        for i in range(20)
    ]
    assert find(study(space, given, lambda p: readings(falling(0.1 + p["dropout"])))) is None


def test_last_of_few_values_is_an_edge_when_all_the_best_have_it() -> None:
    space = space_of(layers=Int(low=2, high=6, default=3))
    found = find(
        study(space, [{"layers": 2 + i % 5} for i in range(40)], lambda p: readings(falling(1 / p["layers"])))
    )
    assert found is not None
    assert (found.numbers["best"], found.numbers["at_end"], found.numbers["wider"]) == (6, 5, 8)
