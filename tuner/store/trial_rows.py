"""Rows of trials, ours and Optuna's: how they begin, what they read, how they end.

A study's driver writes them turn by turn, an import all at once. Each function runs within the caller's
transaction.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, select, update

from tuner.core.objectives import Objectives
from tuner.core.spec import StudySpec
from tuner.core.trial import Reading, Trial, TrialRecord, TrialState, WholeTrial
from tuner.store.curves import packed
from tuner.store.encoding import (
    Encoder,
    attributes,
    constraints,
    driver_time,
    epoch_row,
    finite,
    kind_of,
    left,
    now,
    outcome,
    stamp,
)
from tuner.store.schema import OVER, trials, tuner_trials
from tuner.store.statements import Statements, in_one_trip

_IDS = (
    select(trials.c.number, trials.c.trial_id)
    .where(trials.c.study_id == bindparam("study"), trials.c.trial_id > bindparam("after"))
    .order_by(trials.c.trial_id)
)


def add(
    connection: Connection,
    do: Statements,
    study_id: int,
    encoder: Encoder,
    new: Sequence[tuple[Trial | TrialRecord, datetime]],
    taken: Mapping[int, int] | None = None,
    after: int = 0,
) -> tuple[dict[int, int], list[int]]:
    """Insert trials, in order of number, each at its moment: records in their states, others as running.

    Args:
        connection: in a transaction that writes.
        do: the statements.
        study_id: the study.
        encoder: of its space.
        new: the trials.
        taken: ids of Optuna's trials that become ours, by number; those have rows in its tables already.
        after: an id that those of the new ones are above.

    Returns:
        Their ids by number, and the ids above `after` of trials that are not among them.
    """
    taken = taken or {}
    starts = [
        (t.number, study_id, "RUNNING", driver_time(connection.dialect.name, moment))
        for t, moment in new
        if t.number not in taken
    ]
    with in_one_trip(connection):
        if connection.dialect.name != "sqlite":  # SQLite has a single writer
            do.lock.run(connection, [(study_id,)])
        do.add.run(connection, starts)
    # Until the end of the transaction nobody can add one: what is behind all others is ours.
    found = connection.execute(_IDS, {"study": study_id, "after": after}).all()
    first = len(found) - len(starts)
    others = [row.trial_id for row in found[:first] if row.trial_id not in taken.values()]
    ids = {row.number: row.trial_id for row in found[first:]} | dict(taken)
    states = [t.state if isinstance(t, TrialRecord) else TrialState.RUNNING for t, _ in new]
    rows = [
        (
            ids[t.number], study_id, t.number, json.dumps(dict(t.params)), state.value, 0, False, 0.0, 0,
            stamp(moment), t.origin.value,
        )
        for (t, moment), state in zip(new, states, strict=True)
    ]  # fmt: skip
    with in_one_trip(connection):
        do.add_ours.run(connection, rows)
        for is_taken, statement in ((False, do.add_params), (True, do.complete_params)):
            some = [t for t, _ in new if (t.number in taken) == is_taken]
            statement.run(
                connection, [(ids[t.number], *row) for t in some for row in encoder.encode(t.params)]
            )
    return ids, others


def add_readings(
    connection: Connection, do: Statements, objectives: Objectives, readings: Sequence[tuple[int, Reading]]
) -> None:
    """Add readings, each behind the id of its trial."""
    do.add_epochs.run(connection, [epoch_row(i, reading) for i, reading in readings])
    values = [(i, reading.epoch, objectives.primary.of(reading)) for i, reading in readings]
    do.add_reports.run(connection, [(i, step, finite(v), kind_of(v)) for i, step, v in values])


def end(
    connection: Connection,
    do: Statements,
    objectives: Objectives,
    ended: Sequence[tuple[int, TrialRecord, datetime]],
) -> None:
    """Note how trials end, by their ids, each at its moment; their readings are there."""
    ends = [driver_time(connection.dialect.name, moment) for _, _, moment in ended]
    outcomes = [(i, *outcome(record)) for i, record, _ in ended]
    curves = packed(connection, [i for i, _, _ in ended])
    with in_one_trip(connection):
        do.end.run(connection, [(state, at, i) for (i, state, _), at in zip(outcomes, ends, strict=True)])
        do.leave.run(connection, [(*left(record), stamp(moment), i) for i, record, moment in ended])
        values = [
            (i, place, value)
            for (i, record, _), (_, _, told) in zip(ended, outcomes, strict=True)
            if told is not None
            for place, value in enumerate(objectives.values(record) or ())
        ]
        do.add_values.run(connection, [(i, place, finite(v), kind_of(v)) for i, place, v in values])
        do.add_system_attributes.run(
            connection, [(i, *row) for i, record, _ in ended for row in constraints(record, objectives)]
        )
        do.add_attributes.run(connection, [(i, *row) for i, record, _ in ended for row in attributes(record)])
        do.add_curves.run(connection, curves)


def add_whole(connection: Connection, study_id: int, spec: StudySpec, whole: Sequence[WholeTrial]) -> None:
    """Insert trials that were trained elsewhere, in the order of their numbers, which nothing else has."""
    if not whole:
        return
    do, objectives, moment = Statements(connection.dialect), spec.objectives(), now()

    def time(text: str | None) -> datetime:
        return moment if text is None else datetime.fromisoformat(text)

    begun = [(record, time(record.started_at)) for record, _ in whole]
    ids, _ = add(connection, do, study_id, Encoder(spec.search_space()), begun)
    add_readings(connection, do, objectives, [(ids[r.number], each) for r, curve in whole for each in curve])
    over = [(ids[r.number], r, time(r.ended_at)) for r, _ in whole if r.state.is_over]
    end(connection, do, objectives, over)


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
    ids = select(tuner_trials.c.trial_id).where(
        tuner_trials.c.study_id == study_id, tuner_trials.c.state.not_in(OVER)
    )
    connection.execute(update(trials).where(trials.c.trial_id.in_(ids)).values(state="RUNNING"))


def under_way(connection: Connection, study_id: int) -> dict[int, int]:
    """The ids of the trials that are not over, by number."""
    found = select(tuner_trials.c.number, tuner_trials.c.trial_id).where(
        tuner_trials.c.study_id == study_id, tuner_trials.c.state.not_in(OVER)
    )
    return dict(connection.execute(found).all())
