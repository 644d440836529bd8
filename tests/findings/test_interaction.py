from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tests.findings.parts import DROPOUT, OPTIMIZER, RATE, cut, falling, rates, readings, space_of, study
from tuner.core.space import Choice
from tuner.core.trial import Reading
from tuner.findings.interaction import find

SPACE = space_of(rate=RATE, optimizer=OPTIMIZER, dropout=DROPOUT)


def given(count: int = 120) -> list[dict[str, Any]]:
    rng = np.random.default_rng(1)
    return [
        {"rate": r, "optimizer": ("adam", "sgd")[int(rng.integers(2))], "dropout": float(rng.uniform(0, 0.5))}
        for r in rates(count)
    ]


def crossed(p: Mapping[str, Any]) -> Sequence[Reading]:
    """Adam wants low rates, SGD high ones."""
    best = 1e-3 if p["optimizer"] == "adam" else 3e-2
    return readings(falling(0.2 + 0.1 * abs(math.log(p["rate"] / best)) + 0.1 * p["dropout"]))


def alike(p: Mapping[str, Any]) -> Sequence[Reading]:
    """Both want the same rates, and one of them is better anyway."""
    better = 0.0 if p["optimizer"] == "adam" else 0.2
    return readings(falling(0.2 + 0.1 * abs(math.log(p["rate"] / 1e-3)) + better + 0.1 * p["dropout"]))


def test_two_settings_whose_best_values_depend_on_each_other_are_told() -> None:
    found = find(study(SPACE, given(), crossed))
    assert found is not None
    assert {found.numbers["one"], found.numbers["other"]} == {"rate", "optimizer"}
    assert found.sentence.startswith(
        "Which rate is better depends on optimizer: with optimizer adam it is rate up to"
    )
    assert "with another optimizer it is rate above" in found.sentence


def test_a_setting_that_is_on_or_off_interacts_too() -> None:
    space = space_of(rate=RATE, norm=Choice(choices=(True, False)), dropout=DROPOUT)
    params = [{**p, "norm": p.pop("optimizer") == "adam"} for p in given()]

    def on_or_off(p: Mapping[str, Any]) -> Sequence[Reading]:
        return crossed({**p, "optimizer": "adam" if p["norm"] else "sgd"})

    found = find(study(space, params, on_or_off))
    assert found is not None
    assert "with norm true it is rate up to" in found.sentence


def test_settings_that_add_up_do_not_interact() -> None:
    assert find(study(SPACE, given(), alike)) is None


def test_trials_that_were_cut_short_do_not_count() -> None:
    evidence = study(SPACE, given(), crossed, change=lambda r: cut(r) if r.number % 4 else r)
    assert evidence.standing.sum() == 30
    assert find(evidence) is None
