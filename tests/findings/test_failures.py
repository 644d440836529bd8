from __future__ import annotations

import numpy as np
import pytest

from tests.findings.parts import (
    OPTIMIZER,
    RATE,
    diverged,
    evidence,
    failed,
    falling,
    rates,
    readings,
    space_of,
    trial,
)
from tuner.core.trial import TrialRecord
from tuner.findings import Severity
from tuner.findings.failures import find

SPACE = space_of(rate=RATE, optimizer=OPTIMIZER)
CURVE = readings(falling(0.5))


def given(bad: set[int], make: object = diverged) -> list[TrialRecord]:
    drawn = rates(60)
    params = [{"rate": r, "optimizer": ("adam", "sgd")[i % 2]} for i, r in enumerate(drawn)]
    return [
        (diverged if make is diverged else failed)(i, p) if i in bad else trial(i, p, CURVE)
        for i, p in enumerate(params)
    ]


def test_trials_that_diverge_at_high_rates_ask_for_a_narrower_range() -> None:
    bad = {i for i, rate in enumerate(rates(60)) if rate > 0.03}
    found = find(evidence(given(bad), {}, SPACE))
    assert found is not None
    assert found.numbers["diverged"] == len(bad) == found.numbers["bad_there"]
    assert (found.numbers["failed"], found.numbers["good_there"], found.numbers["trials"]) == (0, 0, 60)
    assert (found.numbers["parameter"], found.numbers["side"]) == ("rate", "above")
    assert found.numbers["bound"] == pytest.approx(0.03, rel=0.2)
    assert "[space.rate] high = 0.03" in found.advice


def test_trials_that_fail_with_one_choice_name_it() -> None:
    found = find(evidence(given(set(range(1, 60, 2)), failed), {}, SPACE))
    assert found is not None
    assert (found.numbers["parameter"], found.numbers["bound"]) == ("optimizer", "sgd")
    assert (found.numbers["failed"], found.severity) == (30, Severity.WARNING)
    assert "tune show" in found.advice


def test_failures_all_over_the_space_name_no_place() -> None:
    bad = set(np.random.default_rng(0).choice(60, 12, replace=False).tolist())
    found = find(evidence(given(bad), {}, SPACE))
    assert found is not None
    assert "parameter" not in found.numbers
    assert "spread over the whole space" in found.sentence
    assert found.severity is Severity.ADVICE


@pytest.mark.parametrize("bad", [set(), {3, 17}, {3, 17, 20, 40, 50}], ids=["none", "two", "one in twelve"])
def test_few_failures_are_accidents(bad: set[int]) -> None:
    assert find(evidence(given(bad), {}, SPACE)) is None


def test_a_study_in_which_all_failed_says_so() -> None:
    found = find(evidence(given(set(range(60)), failed), {}, SPACE))
    assert found is not None
    assert found.sentence == "60 of 60 trials (100 %) failed."
