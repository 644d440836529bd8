from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from tests.findings.parts import RATE, SCORE, cut, falling, rates, readings, space_of, study
from tuner.core.trial import Reading, TrialRecord
from tuner.findings.no_gain import find

SPACE = space_of(rate=RATE)


def test_a_default_that_nothing_beats_is_told() -> None:
    given = [{"rate": r} for r in (1e-4, *rates(20, low=1e-3))]
    found = find(study(SPACE, given, lambda p: readings(falling(p["rate"]))))
    assert found is not None
    assert found.numbers == {"gain": 0.0, "trials": 21}
    assert "val_loss 0.0001" in found.sentence


def test_a_gain_within_the_jumps_is_no_gain() -> None:
    def curve(p: Mapping[str, Any]) -> Sequence[Reading]:
        noise = np.random.default_rng(round(1e6 * p["rate"])).normal(0, 0.05, 40)
        return readings(falling(0.5, 40) + noise)

    evidence = study(SPACE, [{"rate": r} for r in rates(20)], curve)
    found = find(evidence)
    assert found is not None
    assert found.numbers["gain"] == pytest.approx(evidence.loss[0] - evidence.loss.min())
    assert found.numbers["jumps"] == pytest.approx(np.hypot(0.05, 0.05), rel=0.5)


def test_a_clear_gain_needs_no_words() -> None:
    def curve(p: Mapping[str, Any]) -> Sequence[Reading]:
        noise = np.random.default_rng(round(1e6 * p["rate"])).normal(0, 0.01, 40)
        return readings(falling(0.1 + 5 * p["rate"], 40) + noise)

    assert find(study(SPACE, [{"rate": r} for r in (0.1, *rates(20))], curve)) is None


def test_a_higher_score_is_a_gain() -> None:
    def curve(p: Mapping[str, Any]) -> Sequence[Reading]:
        return readings(falling(0.5), score=1 - falling(p["rate"]))

    def change(record: TrialRecord) -> TrialRecord:
        assert record.best is not None
        return TrialRecord(
            record.number,
            record.params,
            record.state,
            value=record.best.val_score,
            best=record.best,
            epochs=20,
            conclusive=True,
        )

    better = [{"rate": r} for r in (0.1, *rates(20, high=0.05))]
    assert find(study(SPACE, better, curve, objective=SCORE, change=change)) is None
    worse = [{"rate": r} for r in (1e-4, *rates(20, low=1e-3))]
    assert find(study(SPACE, worse, curve, objective=SCORE, change=change)) is not None


def test_a_default_that_was_cut_short_is_no_measure() -> None:
    given = [{"rate": r} for r in (1e-4, *rates(20, low=1e-3))]
    assert (
        find(
            study(
                SPACE,
                given,
                lambda p: readings(falling(p["rate"])),
                change=lambda record: record if record.number else cut(record),
            )
        )
        is None
    )
