from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from tests.findings.parts import RATE, SCORE, cut, falling, rates, readings, space_of, study
from tuner.core.trial import Reading
from tuner.findings.still_improving import find

SPACE = space_of(rate=RATE)
GIVEN = [{"rate": r} for r in rates(8)]


def test_curves_that_fall_to_the_end_ask_for_more_epochs() -> None:
    found = find(study(SPACE, GIVEN, lambda p: readings(np.linspace(1 + p["rate"], 0.5 + p["rate"], 20))))
    assert found is not None
    assert (found.numbers["trials"], found.numbers["of_best"], found.numbers["epochs"]) == (5, 5, 20)
    assert found.numbers["share_of_gain"] == pytest.approx(4 / 19)
    assert found.advice == "Train longer: [trainer] epochs = 40."


def test_a_score_that_rises_to_the_end_counts_likewise() -> None:
    def curve(p: Mapping[str, Any]) -> Sequence[Reading]:
        return readings(np.full(20, 0.5), score=np.linspace(0.5, 0.9, 20))

    assert find(study(SPACE, GIVEN, curve, objective=SCORE)) is not None


def test_flat_ends_are_long_enough() -> None:
    assert find(study(SPACE, GIVEN, lambda p: readings(falling(p["rate"])))) is None


def test_lucky_last_epochs_of_noisy_curves_are_no_progress() -> None:
    spoke = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)

        def curve(p: Mapping[str, Any], rng: np.random.Generator = rng) -> Sequence[Reading]:
            noise = rng.normal(0, 0.05, 30)
            noise[-1] = noise.min() - 0.01
            return readings(falling(0.5, 30) + noise)

        spoke += find(study(SPACE, GIVEN, curve)) is not None
    # Every trial is made to be at its best in its last epoch, which chance does once in 30.
    assert spoke <= 2


def test_trials_that_were_cut_short_say_nothing_about_the_end() -> None:
    fell = study(SPACE, GIVEN, lambda p: readings(np.linspace(1, 0.5, 9)), change=cut)
    assert find(fell) is None
