"""Rules that recall ended trials as columns decide as those that judged every reading of them."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tuner import callbacks
from tuner.core.ports import Callback, Recalling, Scheduler
from tuner.core.reading_columns import ReadingColumns
from tuner.core.spec import StudySpec
from tuner.core.trial import NUMBERS, Reading, Trial

SEED = 3
KINDS: dict[str, dict[str, Any]] = {
    "asha": {"search": {"pruner": "asha", "min_epochs": 1, "reduction": 2}},
    "asha-stop": {"search": {"pruner": "asha-stop", "min_epochs": 1, "reduction": 2}},
    "hyperband": {"search": {"pruner": "hyperband", "min_epochs": 1, "reduction": 2}},
    "median": {"search": {"pruner": "median", "startup_trials": 3}},
    "percentile, a gap": {
        "search": {"pruner": "percentile", "percentile": 30, "startup_trials": 1},
        "objective": {"metric": "gap"},
    },
    "own metric, more is better": {
        "search": {"pruner": "median", "startup_trials": 1},
        "objective": {"metric": "mine", "direction": "maximize"},
    },
    "every rule": {
        "search": {"pruner": "median"},
        "stop": {"patience": 3, "gap": 5.0, "overfit": 2, "seconds": 90.0},
    },
}


def curve(chance: random.Random, epochs: int) -> list[Reading]:
    def number() -> float:
        return chance.choice([math.nan, math.inf, 1.0, chance.uniform(0, 2), chance.uniform(0, 2)])

    return [
        Reading(e, number(), number(), seconds=chance.uniform(0, 20), extras={"mine": number()})
        for e in range(1, epochs + 1)
    ]


def readings(curves: dict[int, list[Reading]]) -> ReadingColumns:
    flat = [(number, reading) for number, its in curves.items() for reading in its]
    names = [name for name in (*NUMBERS, "mine") if name != "gap"]
    return ReadingColumns(
        np.array([number for number, _ in flat], np.int64),
        np.array([reading.epoch for _, reading in flat], np.int64),
        {name: np.array([reading.get(name) for _, reading in flat]) for name in names},
    )


def decided(rules: Sequence[Callback], curves: dict[int, list[Reading]]) -> list[Any]:
    return [
        rule.decide(Trial(number, {}, SEED), its[:epoch])
        for number, its in curves.items()
        for epoch in range(1, len(its) + 1)
        for rule in rules
    ]


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("seed", range(4))
def test_what_is_recalled_counts_as_what_was_judged(kind: str, seed: int) -> None:
    chance = random.Random(seed)
    table = {"name": "s", "trainer": {"use": "x:y", "epochs": 9}, "space": {"use": []}, **KINDS[kind]}
    table["space"] = {"x": {"type": "float", "low": 0, "high": 1, "default": 0.5}}
    spec = StudySpec.parse(table)
    numbers = chance.sample(range(90), 60)
    ended = {number: curve(chance, chance.randint(1, 9)) for number in numbers}
    others = {number: curve(chance, chance.randint(1, 9)) for number in range(90, 110)}
    judged, recalled = callbacks.build(spec), callbacks.build(spec)
    decided(judged, ended)
    assert all(isinstance(rule, Recalling) for rule in recalled)
    halves = [dict(list(ended.items())[:25]), {}, dict(list(ended.items())[25:])]
    for half in halves:
        for rule in recalled:
            if isinstance(rule, Recalling):
                rule.recall(readings(half), SEED)
    # Some of the others begin again.
    for more in (others, dict(list(others.items())[:7])):
        assert decided(recalled, more) == decided(judged, more)
    for one, other in zip(judged, recalled, strict=True):
        if isinstance(one, Scheduler) and isinstance(other, Scheduler):
            for last in (False, True):
                assert other.promote(set(others), 9, last=last) == one.promote(set(others), 9, last=last)
                assert other.dismiss(set(others), last=last) == one.dismiss(set(others), last=last)
