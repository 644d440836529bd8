from __future__ import annotations

import numpy as np

from tests.findings.parts import RATE, falling, rates, readings, space_of, study
from tuner.findings.saturated import find

SPACE = space_of(rate=RATE)
GIVEN = [{"rate": r} for r in rates(8)]


def test_curves_that_lie_flat_from_a_third_on_ask_for_fewer_epochs() -> None:
    flat = np.concatenate([np.linspace(2, 0.5, 8), np.full(16, 0.5)])
    found = find(study(SPACE, GIVEN, lambda p: readings(flat + p["rate"])))
    assert found is not None
    # Three epochs are down together when the middle one is the ninth.
    assert found.numbers == {"done": 9, "epochs": 24, "trials": 5}
    assert "[trainer] epochs = 12" in found.advice


def test_curves_that_fall_on_are_not_saturated() -> None:
    assert find(study(SPACE, GIVEN, lambda p: readings(falling(0.1, 24, done=2.0)))) is None


def test_curves_that_rise_again_are_not_saturated() -> None:
    turned = np.concatenate([np.linspace(2, 0.5, 8), np.linspace(0.5, 1.5, 16)])
    assert find(study(SPACE, GIVEN, lambda p: readings(turned))) is None


def test_two_trials_are_too_few_to_say() -> None:
    flat = np.concatenate([np.linspace(2, 0.5, 8), np.full(16, 0.5)])
    assert find(study(SPACE, GIVEN[:2], lambda p: readings(flat))) is None
