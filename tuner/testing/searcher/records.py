"""How trials may have ended, for searchers to be told."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace

from tuner.core.trial import Params, Trial, TrialRecord, TrialState


def worth(params: Params) -> float:
    """A loss that depends on every kind of parameter."""
    total = 0.0
    for name, value in params.items():
        if isinstance(value, str):
            total += (len(name) * 7 + len(value)) % 5
        else:
            total += abs(math.log(abs(float(value)) + 0.1) + 0.7)
    return total


def ended(trials: Sequence[Trial], seed: int = 0) -> list[TrialRecord]:
    """Records of trials that ended in every possible way, each by its own number."""
    records = []
    for trial in trials:
        rng = random.Random(f"{seed}/{trial.number}")
        record = TrialRecord(
            trial.number, trial.params, TrialState.FINISHED, worth(trial.params), epochs=9, conclusive=True
        )
        cut = replace(record, state=TrialState.STOPPED, epochs=rng.randint(1, 8), conclusive=False)
        ways = [
            record,
            record,
            record,
            replace(cut, conclusive=True),
            cut,
            cut,
            replace(cut, value=None),
            replace(cut, rule="divergence"),
            replace(cut, state=TrialState.FAILED, value=None),
        ]
        records.append(rng.choice(ways))
    return records


def paused(trials: Sequence[Trial]) -> list[TrialRecord]:
    """Records of trials that wait after a third of their epochs, one of them without a value."""
    return [
        TrialRecord(
            t.number,
            t.params,
            TrialState.PAUSED,
            None if t.number % 9 == 8 else 2 * worth(t.params),
            epochs=3,
        )
        for t in trials
    ]


def exactly(params: Params) -> str:
    """Configurations are equal when these texts are: True is not 1 here."""
    return repr(sorted((name, value) for name, value in params.items()))
