from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.findings.parts import DROPOUT, LAYERS, RATE, falling, rates, readings, space_of, study
from tuner.core.importances import Importances
from tuner.core.objectives import Objectives
from tuner.core.space import Float
from tuner.core.trial import Objective, Reading
from tuner.findings import Evidence
from tuner.findings.irrelevant import find

SPACE = space_of(rate=RATE, dropout=DROPOUT, noise=Float(low=0, high=1, default=0.5), layers=LAYERS)
SHARES = {"value": Importances(60, 20, {"rate": 0.98}, idle=("noise", "dropout", "layers"))}


def made(shares: Mapping[str, Importances], count: int = 60, **same: Any) -> Evidence:
    rng = np.random.default_rng(3)
    given = [
        {
            "rate": r,
            "dropout": float(rng.uniform(0, 0.5)),
            "noise": float(rng.uniform()),
            "layers": int(rng.integers(1, 5)),
            **same,
        }
        for r in rates(count)
    ]
    return study(SPACE, given, lambda p: readings(falling(p["rate"])), importances=shares)


def test_settings_that_explain_nothing_are_told() -> None:
    found = find(made(SHARES))
    assert found is not None
    assert found.numbers == {"parameters": "noise, dropout, layers", "trials": 60}
    assert found.sentence.startswith("noise, dropout and layers do not seem to matter here: the values")


def test_a_setting_of_which_one_value_was_tried_may_matter_yet() -> None:
    found = find(made(SHARES, noise=0.5))
    assert found is not None
    assert found.numbers["parameters"] == "dropout, layers"


def test_a_setting_that_matters_for_the_gap_has_its_use() -> None:
    found = find(made({**SHARES, "gap": Importances(60, 20, {"dropout": 0.6, "rate": 0.4})}))
    assert found is not None
    assert found.numbers["parameters"] == "noise, layers"


def test_a_setting_that_matters_for_another_objective_has_its_use() -> None:
    both = Objectives((Objective(), Objective("val_score", minimize=False)))
    evidence = made(SHARES)
    given = [
        {name: column[row] for name, column in evidence.frame.params.items()} for row in range(len(evidence))
    ]

    def curve(params: Mapping[str, Any]) -> list[Reading]:
        return [replace(each, val_score=params["dropout"]) for each in readings(falling(params["rate"]))]

    found = find(study(SPACE, given, curve, objective=both, importances=SHARES))
    assert found is not None
    assert found.numbers["parameters"] == "noise, layers"


def test_a_setting_that_goes_along_with_the_values_matters_whatever_its_share() -> None:
    shares = {"value": Importances(60, 20, {"dropout": 0.9}, idle=("rate",))}
    assert find(made(shares)) is None


@pytest.mark.parametrize(
    "evidence",
    [
        made({}),
        made({"value": Importances(60, 20, {"rate": 0.5, "dropout": 0.3, "noise": 0.2})}),
        made(SHARES, 30),
    ],
    ids=["unknown", "all matter", "too few trials"],
)
def test_nothing_is_called_idle_without_reason(evidence: Evidence) -> None:
    assert find(evidence) is None
