from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.findings.parts import RATE, falling, rates, readings, space_of, study
from tuner.core.trial import Reading
from tuner.findings.evidence import noise_of
from tuner.findings.noisy import find

SPACE = space_of(rate=RATE)
GIVEN = [{"rate": r} for r in rates(8)]


def jumping(deviation: float, apart: float) -> Any:
    def curve(p: Mapping[str, Any]) -> Sequence[Reading]:
        seed = round(1e6 * p["rate"])
        noise = np.random.default_rng(seed).normal(0, deviation, 40)
        return readings(falling(0.5 + apart * p["rate"], 40) + noise)

    return curve


def test_jumps_that_exceed_what_sets_the_best_apart_are_told() -> None:
    evidence = study(SPACE, GIVEN, jumping(0.1, 0.0))
    found = find(evidence)
    assert found is not None
    assert found.numbers["jumps"] == pytest.approx(0.1, rel=0.3)
    best = np.sort(evidence.frame.trials.value)[:5]
    assert found.numbers["apart"] == pytest.approx(best[-1] - best[0])


def test_calm_curves_are_not_noisy() -> None:
    assert find(study(SPACE, GIVEN, jumping(0.001, 0.0))) is None


def test_trials_that_differ_by_more_than_they_jump_are_told_apart() -> None:
    assert find(study(SPACE, GIVEN, jumping(0.04, 100.0))) is None


def test_a_slope_is_no_noise_and_noise_is_measured_on_a_slope() -> None:
    assert noise_of(np.linspace(5, 1, 50)) == pytest.approx(0, abs=1e-12)
    noise = np.random.default_rng(1).normal(0, 0.2, 4000)
    assert noise_of(np.linspace(5, 1, 4000) + noise) == pytest.approx(0.2, rel=0.1)


def test_the_spread_of_trainings_tells_more_than_the_jumps_of_curves() -> None:
    calm = replace(study(SPACE, GIVEN, jumping(0.001, 1.0)), spread=0.2)
    found = find(calm)
    assert found is not None
    assert found.numbers["spread"] == 0.2
    assert "another seed" in found.sentence
    assert find(replace(study(SPACE, GIVEN, jumping(0.1, 0.0)), spread=1e-4)) is None
