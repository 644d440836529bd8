"""What is wrong with single trials: their row, their curve, and what Optuna's tables have of them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, select

from tuner.core.trial import Objective, Reading, TrialState
from tuner.store.schema import trial_intermediate_values, trials

_STATES = {state.value for state in TrialState}
_OVER = {state.value for state in TrialState if state.is_over}


def faults(trial: Row[Any], curve: Sequence[Reading], objective: Objective, reports: int) -> Iterator[str]:
    """What is wrong with one trial."""
    if trial.state not in _STATES:
        yield f"its state '{trial.state}' is none"
        return
    is_over = trial.state in _OVER
    if (trial.their_number, trial.their_study) != (trial.number, trial.study_id):
        yield "Optuna's tables do not have it under its number"
    elif trial.their_state not in _their_states(trial):
        yield f"it is {trial.state}, in Optuna's tables {trial.their_state}"
    if is_over != (trial.ended_at is not None):
        yield f"it is {trial.state} and has {'no' if is_over else 'a'} time of its end"
    try:
        json.loads(trial.params)
    except json.JSONDecodeError:
        yield "its params cannot be read"
    epochs = [reading.epoch for reading in curve]
    if epochs != list(range(1, len(epochs) + 1)):
        gaps = sorted(set(range(1, max(epochs) + 1)) - set(epochs))
        yield f"epochs are missing: {', '.join(map(str, gaps[:10]))}"
    if reports != len(curve):
        yield f"it has {len(curve)} epochs, in Optuna's tables {reports}"
    if not is_over and trial.state != TrialState.PAUSED.value:
        return
    if trial.epochs != len(curve):
        yield f"it says {trial.epochs} epochs and has {len(curve)}"
    best = objective.best(curve)
    found = (None, None) if best is None else (objective.of(best), best.epoch)
    if (trial.value, trial.best_epoch) not in (found, _signed(curve, objective)):
        yield (
            f"it says that its best {objective.metric} is {trial.value} in epoch {trial.best_epoch}; "
            f"its curve has {found[0]} in epoch {found[1]}"
        )


def _signed(curve: Sequence[Reading], objective: Objective) -> tuple[float, int] | None:
    """A trial's best gap and its epoch as earlier versions had them, with its sign."""
    gaps = [(reading.gap, reading.epoch) for reading in curve if math.isfinite(reading.gap)]
    sign = 1 if objective.minimize else -1
    return min(gaps, key=lambda gap: sign * gap[0], default=None) if objective.metric == "gap" else None


def _their_states(trial: Row[Any]) -> tuple[str, ...]:
    """The states that Optuna's tables may have for a trial."""
    if trial.state not in _OVER:
        return ("RUNNING", "WAITING")
    if trial.state == TrialState.FAILED.value:
        return ("FAIL",)
    if trial.state == TrialState.STOPPED.value and not trial.conclusive:
        return ("PRUNED",)
    return ("FAIL",) if trial.value is None else ("COMPLETE",)


def reports(connection: Connection, study_id: int) -> dict[int, int]:
    """How many numbers Optuna's tables have of each trial."""
    return dict(
        connection.execute(
            select(trial_intermediate_values.c.trial_id, func.count())
            .join(trials, trials.c.trial_id == trial_intermediate_values.c.trial_id)
            .where(trials.c.study_id == study_id)
            .group_by(trial_intermediate_values.c.trial_id)
        ).all()
    )
