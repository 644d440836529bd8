"""Trials that are not over: as they are when a driver takes a study up, or leaves it."""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from tuner.core.trial import TrialState
from tuner.store.schema import trials, tuner_trials

_OPEN = [state.value for state in TrialState if not state.is_over]


def cut_off(connection: Connection, study_id: int) -> None:
    """Turn the running trials into waiting ones, each with one more interruption; their readings stand."""
    connection.execute(
        update(tuner_trials)
        .where(tuner_trials.c.study_id == study_id, tuner_trials.c.state == TrialState.RUNNING.value)
        .values(state=TrialState.WAITING.value, interruptions=tuner_trials.c.interruptions + 1)
    )


def show_open(connection: Connection, study_id: int) -> None:
    """Let plain Optuna see the trials that are not over as RUNNING, also while no process drives them.

    Else `optimize` would take them for trials that wait for it, and run them.
    """
    open_ = select(tuner_trials.c.trial_id).where(
        tuner_trials.c.study_id == study_id, tuner_trials.c.state.in_(_OPEN)
    )
    connection.execute(update(trials).where(trials.c.trial_id.in_(open_)).values(state="RUNNING"))


def under_way(connection: Connection, study_id: int) -> dict[int, int]:
    """The ids of the trials that are not over, by number."""
    found = connection.execute(
        select(tuner_trials.c.number, tuner_trials.c.trial_id).where(
            tuner_trials.c.study_id == study_id,
            tuner_trials.c.state.in_(_OPEN),
        )
    )
    return dict(found.all())
