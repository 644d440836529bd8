"""Whole trials: those that were trained elsewhere become rows of a study, with their curves and times."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, select

from tuner.core.spec import StudySpec
from tuner.core.trial import WholeTrial
from tuner.store.curves import packed
from tuner.store.encoding import (
    Encoder,
    attributes,
    epoch_row,
    finite,
    kind_of,
    left,
    naive_utc,
    now,
    outcome,
    stamp,
)
from tuner.store.schema import trials
from tuner.store.statements import Statements, as_driver_takes

_IDS = select(trials.c.number, trials.c.trial_id).where(trials.c.study_id == bindparam("study"))


def add(connection: Connection, study_id: int, spec: StudySpec, whole: Sequence[WholeTrial]) -> None:
    """Insert trials, in the order of their numbers, which nothing else has."""
    if not whole:
        return
    do, encoder, objectives = Statements(connection.dialect), Encoder(spec.search_space()), spec.objectives()
    moment = now()

    def time(text: str | None) -> datetime:
        return moment if text is None else datetime.fromisoformat(text)

    rows = [
        (r.number, study_id, "RUNNING", as_driver_takes(connection.dialect, naive_utc(time(r.started_at))))
        for r, _ in whole
    ]
    do.add.run(connection, rows)
    ids: dict[int, int] = dict(connection.execute(_IDS, {"study": study_id}).all())
    its = [(ids[record.number], record, curve) for record, curve in whole]
    do.add_ours.run(
        connection,
        [
            (
                i, study_id, r.number, json.dumps(dict(r.params)), r.state.value, 0, False, 0.0, 0,
                stamp(time(r.started_at)), r.origin.value,
            )
            for i, r, _ in its
        ],
    )  # fmt: skip
    do.add_params.run(connection, [(i, *row) for i, r, _ in its for row in encoder.encode(r.params)])
    readings = [(i, reading) for i, _, curve in its for reading in curve]
    do.add_epochs.run(connection, [epoch_row(i, reading) for i, reading in readings])
    reports = [(i, reading.epoch, objectives.primary.of(reading)) for i, reading in readings]
    do.add_reports.run(connection, [(i, step, finite(v), kind_of(v)) for i, step, v in reports])
    over = [(i, record) for i, record, _ in its if record.state.is_over]
    ends = {i: time(record.ended_at) for i, record in over}
    outcomes = {i: outcome(record) for i, record in over}
    do.end.run(
        connection,
        [
            (state, as_driver_takes(connection.dialect, naive_utc(ends[i])), i)
            for i, (state, _) in outcomes.items()
        ],
    )
    do.leave.run(connection, [(*left(record), stamp(ends[i]), i) for i, record in over])
    values = [
        (i, place, value)
        for i, record in over
        if outcomes[i][1] is not None
        for place, value in enumerate(objectives.values(record) or ())
    ]
    do.add_values.run(connection, [(i, place, finite(v), kind_of(v)) for i, place, v in values])
    do.add_attributes.run(connection, [(i, name, text) for i, r in over for name, text in attributes(r)])
    do.add_curves.run(connection, packed(connection, [i for i, _ in over]))
