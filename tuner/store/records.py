"""Records and readings of trials as objects, for callers that need a whole study.

`curves` gives readings as columns, which is a hundred times quicker where there are very many.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from math import nan
from operator import itemgetter
from pathlib import Path
from typing import Any

from pydantic_core import from_json
from sqlalchemy import ColumnElement, Connection, and_, or_, select

from tuner.artifacts import Artifacts
from tuner.core.trial import Objective, Origin, Reading, TrialRecord, TrialState
from tuner.store import artifact_folders
from tuner.store.encoding import order_of
from tuner.store.schema import OVER, tuner_epochs, tuner_studies, tuner_trials

_RECORD = tuple(
    tuner_trials.c[name]
    for name in (
        "number", "params", "state", "value", "epochs", "conclusive", "rule", "reason", "traceback",
        "seconds", "interruptions", "model_path", "paused_at", "ordered", "started_at", "ended_at", "origin",
    )
)  # fmt: skip
_READING = tuple(tuner_epochs.c)[1:]
"""All columns but the trial's: the fields of a `Reading`, in their order."""

_UNDER_WAY = (TrialState.WAITING, TrialState.RUNNING)
"""The states in which a trial's value is not stored yet, but follows from its curve."""

_ORIGINS = {origin.value: origin for origin in Origin}
_STATES = {state.value: state for state in TrialState}
_NO_EXTRAS: Mapping[str, float] = {}


def records(
    connection: Connection, study_id: int, root: Path | str | None, *, is_brief: bool = False
) -> list[TrialRecord]:
    """Every trial of a study in the order of numbers; of those not over, as far as they are.

    Args:
        connection: to the database.
        study_id: the study.
        root: the folder for the models of all studies, where it was said.
        is_brief: of trials that are over, read the best epoch of the default and of the best one by
            value alone; the attributes of all take as long as everything else.
    """
    metric, minimize = connection.execute(
        select(tuner_studies.c.metric, tuner_studies.c.minimize).where(tuner_studies.c.study_id == study_id)
    ).one()
    is_its = tuner_trials.c.study_id == study_id
    rows = connection.execute(select(*_RECORD).where(is_its).order_by(tuner_trials.c.number)).all()
    # After the rows: on a server, a trial that ends in between has its best epoch then.
    is_read = is_its
    if is_brief:
        best = best_by_value(connection, study_id, minimize=minimize, is_over=True)
        numbers = (0, best[0] if best is not None else 0)
        is_read &= or_(tuner_trials.c.number.in_(numbers), tuner_trials.c.state.not_in(OVER))
    bests = _best_epochs(connection, is_read)
    files = artifact_folders.artifacts(connection, study_id, root)
    found = [_record(row, bests, files) for row in rows]
    if not any(record.state in _UNDER_WAY for record in found):
        return found
    under_way = dict(_each_curve(connection, is_its, tuner_trials.c.state.in_(map(str, _UNDER_WAY))))
    objective = Objective(metric, minimize)
    return [
        _so_far(record, under_way.get(record.number, []), objective) if record.state in _UNDER_WAY else record
        for record in found
    ]


def _best_epochs(connection: Connection, are_chosen: ColumnElement[bool]) -> dict[int, Reading]:
    """The best epochs of the chosen trials, by number."""
    is_best = and_(
        tuner_epochs.c.trial_id == tuner_trials.c.trial_id, tuner_epochs.c.epoch == tuner_trials.c.best_epoch
    )
    rows = connection.execute(
        select(tuner_trials.c.number, *_READING).join(tuner_epochs, is_best).where(are_chosen)
    )
    return {number: _reading(columns) for number, *columns in rows}


def best_by_value(
    connection: Connection, study_id: int, *, minimize: bool, is_over: bool = False
) -> tuple[int, float] | None:
    """Number and value of the best trial that was trained here, by its value alone; None where none has one.

    Args:
        connection: to the database.
        study_id: the study.
        minimize: whether less is better.
        is_over: of the trials that are over; else paused ones count, too.
    """
    state, value = tuner_trials.c.state, tuner_trials.c.value
    best = connection.execute(
        select(tuner_trials.c.number, value)
        .where(
            tuner_trials.c.study_id == study_id,
            value.is_not(None),
            state != TrialState.FAILED.value,
            tuner_trials.c.origin != Origin.IMPORTED.value,
            *([state.in_(OVER)] if is_over else ()),
        )
        .order_by(
            tuner_trials.c.conclusive.desc(), value if minimize else value.desc(), tuner_trials.c.number
        )
        .limit(1)
    ).one_or_none()
    return None if best is None else (best.number, best.value)


def _record(row: Sequence[Any], bests: Mapping[int, Reading], files: Artifacts) -> TrialRecord:
    """A trial from a row of the columns `_RECORD`: by place, for there may be very many."""
    (
        number, params, state, value, epochs, conclusive, rule, reason, traceback, seconds, interruptions,
        model_path, paused_at, ordered, started_at, ended_at, origin,
    ) = row  # fmt: skip
    return TrialRecord(
        number,
        from_json(params, cache_strings="all"),
        _STATES[state],
        value,
        bests.get(number),
        epochs,
        conclusive,
        rule,
        reason,
        traceback,
        seconds,
        interruptions,
        # Where it lies follows from its number; what else may be stored there leads nowhere.
        str(files.path(number)) if model_path is not None else None,
        paused_at,
        order_of(ordered) if ordered is not None else None,
        started_at,
        ended_at,
        _ORIGINS[origin],
    )


def _so_far(record: TrialRecord, curve: Sequence[Reading], objective: Objective) -> TrialRecord:
    best = objective.best(curve)
    return replace(
        record,
        value=objective.of(best) if best is not None else None,
        best=best,
        epochs=len(curve),
        seconds=sum((reading.seconds for reading in curve), 0.0),
    )


def each_curve(
    connection: Connection, study_id: int, number: int | None = None, *, is_over: bool | None = None
) -> Iterator[tuple[int, list[Reading]]]:
    """Number and curve of each trial that has readings, in the order of numbers, one at a time.

    Args:
        connection: in a transaction.
        study_id: the study.
        number: of this trial only.
        is_over: of trials that are over only, or of those that are not.
    """
    conditions = [tuner_trials.c.study_id == study_id]
    if number is not None:
        conditions.append(tuner_trials.c.number == number)
    if is_over is not None:
        state = tuner_trials.c.state
        conditions.append(state.in_(OVER) if is_over else state.not_in(OVER))
    return _each_curve(connection, *conditions)


def _each_curve(connection: Connection, *conditions: Any) -> Iterator[tuple[int, list[Reading]]]:
    rows = connection.execute(
        select(tuner_trials.c.number, *_READING)
        .join(tuner_epochs, tuner_epochs.c.trial_id == tuner_trials.c.trial_id)
        .where(*conditions)
        .order_by(tuner_trials.c.number, tuner_epochs.c.epoch),
        execution_options={"yield_per": 10_000},
    )
    for number, its_rows in groupby(rows, key=itemgetter(0)):
        yield number, [_reading(columns) for _, *columns in its_rows]


def _reading(columns: Sequence[Any]) -> Reading:
    found: list[Any] = [nan if each is None else each for each in columns]
    found[-1] = _NO_EXTRAS if columns[-1] is None else json.loads(columns[-1])
    return Reading(*found)
