"""Studies that are unlike the shipped one, a few trials each: what a page may meet.

Each is written by the store's own writers, as a driver would.
"""

from __future__ import annotations

from math import nan
from pathlib import Path
from typing import Any

import numpy as np

from tuner.core.budget import StudyState
from tuner.core.ports import Turn
from tuner.core.spec import StudySpec
from tuner.core.trial import Reading, Trial, TrialRecord, TrialState
from tuner.store import Database

LONG = "a_study_of_" + "very_long_and_unbroken_" * 2 + "words"
SPACE: dict[str, Any] = {
    "rate": {"type": "float", "low": 1e-4, "high": 1.0, "default": 0.01, "log": True},
    "width": {"type": "int", "low": 8, "high": 256, "default": 64},
    "norm": {"type": "choice", "choices": [True, False], "default": False},
}
LONG_SPACE: dict[str, Any] = {
    f"the_{name}_of_the_second_hidden_layer_of_the_network": parameter for name, parameter in SPACE.items()
} | {
    "scheduler": {
        "type": "choice",
        "choices": ["cosine_annealing_with_warm_restarts_and_a_long_tail", "none"],
        "default": "none",
    }
}
OBJECTIVES: dict[str, dict[str, Any]] = {
    "own": {"metric": "val_f1", "direction": "maximize"},
    "three": {"metric": "val_loss", "also": {"gap": "minimize", "bytes": "minimize"}},
    LONG: {"metric": "val_the_mean_absolute_percentage_error_of_quarter", "direction": "minimize"},
}
"""What studies search for, where it is not the validation loss."""

AMOUNTS = {"own": 12, "three": 24, "failed": 6, "one": 1, "none": 0, "over-fitted": 24, LONG: 24}
"""How many trials each study has, by name."""


def make_odd(path: Path) -> str:
    """Write all of them into a new SQLite file; gives its URL."""
    url = f"sqlite:///{path}"
    with Database.open(url, create=True) as database:
        for name, amount in AMOUNTS.items():
            _write(database, name, amount)
    return url


def _write(database: Database, name: str, amount: int) -> None:
    spec = StudySpec.parse(
        {
            "name": name,
            "trainer": {"epochs": 8, "use": "./own.py:train"} if name == "own" else {"epochs": 8},
            "budget": {"trials": max(1, amount)},
            "space": LONG_SPACE if name == LONG else SPACE,
            **({"objective": OBJECTIVES[name]} if name in OBJECTIVES else {}),
        }
    )
    space, random = spec.search_space(), np.random.default_rng(len(name))
    store = database.create_study(name, spec, {})
    for number in range(amount):
        chosen = {} if number == 0 else {
            parameter: random.choice(each["choices"]).item() if each["type"] == "choice"
            else int(random.integers(8, 256)) if each["type"] == "int" else float(10 ** random.uniform(-4, 0))
            for parameter, each in (LONG_SPACE if name == LONG else SPACE).items()
        }  # fmt: skip
        trial = Trial(number, space.defaults(chosen), 0)
        started = Turn(started=[trial], seconds=float(number))
        if name == "failed":
            over = TrialRecord(
                number, trial.params, TrialState.FAILED, traceback="Traceback ...\nValueError: no such file",
                reason="ValueError: " + "no such file, whose path is long: " * 4,
            )  # fmt: skip
            store.record(started, Turn(ended=[over], seconds=number + 0.5))
            continue
        curve = [_reading(name, epoch, float(random.normal()), number) for epoch in range(1, 9)]
        metric, sign = spec.primary_objective().metric, 1 if spec.primary_objective().minimize else -1
        best = min(curve, key=lambda each: sign * each.get(metric))
        over = TrialRecord(
            number, trial.params, TrialState.FINISHED, best.get(metric), best, len(curve), conclusive=True,
            seconds=4.0,
        )  # fmt: skip
        readings = [(number, each) for each in curve]
        store.record(started, Turn(readings=readings, ended=[over], seconds=number + 0.5))
    store.finish(StudyState.FINISHED, f"the budget of {amount} trials is used up", float(amount))


def _reading(name: str, epoch: int, noise: float, number: int) -> Reading:
    fall = 2.0 * np.exp(-0.6 * epoch) + 0.3 + 0.02 * noise + 0.01 * (number % 7)
    if name == "own":
        return Reading(epoch, nan, nan, extras={"val_f1": 1 - fall / 3, "train_f1": 1 - fall / 4, "cpu": 7.0})
    risen = 0.15 * max(0, epoch - 3) if name == "over-fitted" else 0.01 * epoch
    extras = {"bytes": 1e5 * (1 + number % 5)} if name == "three" else {}
    if name == LONG:
        extras = {OBJECTIVES[LONG]["metric"]: 100 * fall, "val_the_weighted_mean_of_all_of_them": fall}
    return Reading(epoch, fall - 0.02 * epoch, fall + risen, 0.9, 0.85, 0.01, 1.0, 0.5, extras=extras)
