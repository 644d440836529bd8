"""What is wrong with single trials: their row, their curve, and what Optuna's tables have of them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, select

from tuner.core.trial import Objective, Reading, TrialRecord, TrialState
from tuner.store.curves import packed
from tuner.store.encoding import outcome
from tuner.store.records import each_curve
from tuner.store.schema import OVER, trial_intermediate_values, trials, tuner_curves, tuner_trials

_STATES = {state.value for state in TrialState}


def rows(connection: Connection, study_id: int) -> Sequence[Row[Any]]:
    """A study's trials by number, each beside what Optuna's tables have of it."""
    reported = (
        select(func.count())
        .where(trial_intermediate_values.c.trial_id == tuner_trials.c.trial_id)
        .scalar_subquery()
    )
    return connection.execute(
        select(
            tuner_trials,
            trials.c.number.label("their_number"),
            trials.c.state.label("their_state"),
            trials.c.study_id.label("their_study"),
            reported.label("their_reports"),
            tuner_curves.c.trial_id.label("packed"),
        )
        .outerjoin(trials, trials.c.trial_id == tuner_trials.c.trial_id)
        .outerjoin(tuner_curves, tuner_curves.c.trial_id == tuner_trials.c.trial_id)
        .where(tuner_trials.c.study_id == study_id)
        .order_by(tuner_trials.c.number)
    ).all()


def with_curves(
    connection: Connection, study_id: int, rows: Sequence[Row[Any]]
) -> Iterator[tuple[Row[Any], list[Reading]]]:
    """Each trial with its readings, which are read one trial at a time."""
    curves = iter(each_curve(connection, study_id))
    number, curve = next(curves, (-1, []))
    for trial in rows:
        if number == trial.number:
            yield trial, curve
            number, curve = next(curves, (-1, []))
        else:
            yield trial, []


def faults(
    connection: Connection, trial: Row[Any], curve: Sequence[Reading], objective: Objective
) -> Iterator[str]:
    """What is wrong with one trial."""
    yield from _faults(trial, curve, objective)
    mine = tuner_curves.c.trial_id == trial.trial_id
    stored = connection.scalar(select(tuner_curves.c.readings).where(mine)) if trial.packed else None
    if stored is not None and stored != packed(connection, [trial.trial_id])[0][1]:
        yield "its packed curve differs from its epochs"


def _faults(trial: Row[Any], curve: Sequence[Reading], objective: Objective) -> Iterator[str]:
    if trial.state not in _STATES:
        yield f"its state '{trial.state}' is unknown"
        return
    is_over = trial.state in OVER
    if (trial.their_number, trial.their_study) != (trial.number, trial.study_id):
        yield "Optuna's tables do not have it under its number"
    elif trial.their_state not in _their_states(trial):
        yield f"it is {trial.state}, in Optuna's tables {trial.their_state}"
    if is_over != (trial.ended_at is not None):
        yield f"it is {trial.state} and has {'no' if is_over else 'an'} end time"
    try:
        json.loads(trial.params)
    except json.JSONDecodeError:
        yield "its params cannot be read"
    epochs = [reading.epoch for reading in curve]
    if epochs != list(range(1, len(epochs) + 1)):
        gaps = sorted(set(range(1, max(epochs) + 1)) - set(epochs))
        yield f"epochs are missing: {', '.join(map(str, gaps[:10]))}"
    if trial.their_reports != len(curve):
        yield f"it has {len(curve)} epochs, in Optuna's tables {trial.their_reports}"
    if not is_over and trial.state != TrialState.PAUSED.value:
        return
    if trial.epochs != len(curve):
        yield f"its count of epochs is {trial.epochs}, and it has {len(curve)}"
    best = objective.best(curve)
    found = (None, None) if best is None else (objective.of(best), best.epoch)
    # What a function returned at last counts, whatever it had reported before.
    last = (objective.of(curve[-1]), curve[-1].epoch) if curve else found
    if (trial.value, trial.best_epoch) not in (found, last, _signed(curve, objective)):
        yield (
            f"its best {objective.metric} is stored as {trial.value} in epoch {trial.best_epoch}; "
            f"its curve has {found[0]} in epoch {found[1]}"
        )


def _signed(curve: Sequence[Reading], objective: Objective) -> tuple[float, int] | None:
    """A trial's best gap and its epoch as earlier versions had them, with its sign."""
    gaps = [(reading.gap, reading.epoch) for reading in curve if math.isfinite(reading.gap)]
    sign = 1 if objective.minimize else -1
    return min(gaps, key=lambda gap: sign * gap[0], default=None) if objective.metric == "gap" else None


def _their_states(trial: Row[Any]) -> tuple[str, ...]:
    """The states that Optuna's tables may have for a trial."""
    if trial.state not in OVER:
        return ("RUNNING", "WAITING")
    state, is_conclusive = TrialState(trial.state), trial.conclusive
    record = TrialRecord(trial.number, {}, state, trial.value, conclusive=is_conclusive)
    return (outcome(record)[0],)
