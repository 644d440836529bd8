"""Trials in a study of ours that plain Optuna has added: enqueued ones, and those that it ran itself.

Our trials are numbered 0, 1, ... without a gap, whatever Optuna adds. The others stand behind them and
make room as ours become more: Optuna tells its trials apart by their ids, and gives the next one the
number of rows as its number. One that only waits to be run may become ours, see `claim`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, or_, select, update

from tuner.core.trial import Params, Value
from tuner.store.encoding import naive_utc, now
from tuner.store.schema import (
    trial_params,
    trial_system_attributes,
    trial_user_attributes,
    trials,
    tuner_trials,
)


def ids(connection: Connection, study_id: int) -> list[int]:
    """The ids of a study's trials that are not ours, in order."""
    found = connection.scalars(
        select(trials.c.trial_id)
        .outerjoin(tuner_trials, tuner_trials.c.trial_id == trials.c.trial_id)
        .where(trials.c.study_id == study_id, tuner_trials.c.trial_id.is_(None))
        .order_by(trials.c.trial_id)
    )
    return list(found)


def last_id(connection: Connection, study_id: int) -> int:
    """The highest id of a study's trials, ours or not; 0 where there are none."""
    found = select(trials.c.trial_id).where(trials.c.study_id == study_id)
    return connection.scalar(found.order_by(trials.c.trial_id.desc()).limit(1)) or 0


def renumber(connection: Connection, ids: Sequence[int], first: int) -> None:
    """Number trials `first`, `first` + 1, ..."""
    for number, trial_id in enumerate(ids, first):
        connection.execute(update(trials).where(trials.c.trial_id == trial_id).values(number=number))


def claim(connection: Connection, trial_id: int, number: int, moment: datetime) -> bool:
    """Make a trial that waits one of ours; False where Optuna runs it by now."""
    found = connection.execute(
        update(trials)
        .where(trials.c.trial_id == trial_id, trials.c.state == "WAITING")
        .values(number=number, state="RUNNING", datetime_start=naive_utc(moment))
    )
    return found.rowcount == 1


def refuse(connection: Connection, trial_id: int, reason: str) -> None:
    """Fail a waiting trial, with the reason as a user attribute for Optuna."""
    refused = connection.execute(
        update(trials)
        .where(trials.c.trial_id == trial_id, trials.c.state == "WAITING")
        .values(state="FAIL", datetime_complete=naive_utc(now()))
    )
    known = select(trial_user_attributes.c.key).where(trial_user_attributes.c.trial_id == trial_id)
    if refused.rowcount and "reason" not in connection.scalars(known).all():
        row = {"trial_id": trial_id, "key": "reason", "value_json": json.dumps(reason)}
        connection.execute(trial_user_attributes.insert(), row)


def waiting(connection: Connection, study_id: int, among: Iterable[int], after: int) -> dict[int, Params]:
    """What is to be trained by trials that wait, by their ids: those `among`, and all above `after`."""
    found = connection.execute(
        select(trials.c.trial_id, trial_system_attributes.c.value_json)
        .outerjoin(
            trial_system_attributes,
            and_(
                trial_system_attributes.c.trial_id == trials.c.trial_id,
                trial_system_attributes.c.key == "fixed_params",
            ),
        )
        .where(
            trials.c.study_id == study_id,
            or_(trials.c.trial_id > after, trials.c.trial_id.in_(list(among))),
            trials.c.state == "WAITING",
        )
        .order_by(trials.c.trial_id)
    ).all()
    return {i: _params(connection, i) if text is None else json.loads(text) for i, text in found}


def not_waiting(connection: Connection, ids: Sequence[int]) -> int:
    """How many of the trials do not wait to be run."""
    states = (connection.scalar(select(trials.c.state).where(trials.c.trial_id == i)) for i in ids)
    return sum(state != "WAITING" for state in states)


def _params(connection: Connection, trial_id: int) -> Params:
    """The parameters that a trial has in Optuna's own tables."""
    rows = connection.execute(
        select(trial_params.c.param_name, trial_params.c.param_value, trial_params.c.distribution_json).where(
            trial_params.c.trial_id == trial_id
        )
    )
    return {name: _value(number, json.loads(text)) for name, number, text in rows}


def _value(number: float, distribution: Mapping[str, Any]) -> Value:
    if distribution["name"] == "CategoricalDistribution":
        choice: Value = distribution["attributes"]["choices"][int(number)]
        return choice
    return int(number) if distribution["name"] == "IntDistribution" else float(number)
