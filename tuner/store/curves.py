"""Curves: the readings of many trials as columns, those of ended trials from one packed value each.

A trial's curve is packed when it ends; its rows in `tuner_epochs` stay the truth, and what is not
packed is read from them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Select, bindparam, select

from tuner.core.reading_columns import ReadingColumns
from tuner.core.trial import Reading
from tuner.store.schema import OVER, tuner_curves, tuner_epochs, tuner_trials

NUMBERS = ("train_loss", "val_loss", "train_score", "val_score", "learning_rate", "grad_norm", "seconds")
"""The numbers of a reading that have a column of their own; packed curves are stored in this order."""

Last = tuple[int, float | None, float | None]
"""A trial's last reading: epoch, training and validation loss."""

_AT_ONCE = 2_000
_TRIALS_AT_ONCE = 2_000
_PACKED = np.dtype("<f8")
_WIDTH = 1 + len(NUMBERS)
_THEIR_READINGS = (
    select(tuner_epochs.c.trial_id, tuner_epochs.c.epoch, *(tuner_epochs.c[name] for name in NUMBERS))
    .where(tuner_epochs.c.trial_id.in_(bindparam("trials", expanding=True)))
    .order_by(tuner_epochs.c.trial_id, tuner_epochs.c.epoch)
)
# A range is compiled once; of other studies' trials none lie within it but those that began meanwhile.
_PACKED_BETWEEN = (
    select(tuner_curves.c.trial_id, tuner_curves.c.readings)
    .where(tuner_curves.c.trial_id.between(bindparam("first"), bindparam("last")))
    .order_by(tuner_curves.c.trial_id)
)


class Curves(NamedTuple):
    """Readings, sorted by trial and epoch.

    Attributes:
        trial_id: (E,) whose.
        epoch: (E,) 1 for the first.
        numbers: (E,) a column for each of `NUMBERS` and of the further ones asked for; `nan` for none.
    """

    trial_id: NDArray[np.int64]
    epoch: NDArray[np.int64]
    numbers: Mapping[str, NDArray[np.float64]]

    def last(self, trial_id: int) -> Last | None:
        """A trial's last reading; None where it has none here."""
        row = int(np.searchsorted(self.trial_id, trial_id, side="right")) - 1
        if row < 0 or self.trial_id[row] != trial_id:
            return None
        losses = (float(self.numbers[name][row]) for name in ("train_loss", "val_loss"))
        train, val = (None if loss != loss else loss for loss in losses)
        return int(self.epoch[row]), train, val

    def numbered(self, number_of: Mapping[int, int]) -> ReadingColumns:
        """The same, by the trials' numbers; `number_of` knows every trial's."""
        ids = np.array(sorted(number_of), np.int64)
        numbers = np.array([number_of[i] for i in ids.tolist()], np.int64)
        # Both are sorted.
        lengths = np.diff(np.searchsorted(self.trial_id, ids, "right"), prepend=0)
        return ReadingColumns(np.repeat(numbers, lengths), self.epoch, self.numbers)


def packed(connection: Connection, trial_ids: Sequence[int]) -> list[tuple[int, bytes]]:
    """Trials' curves as they stand, each in one value: of each reading the epoch and `NUMBERS`."""
    curves: dict[int, list[tuple[Any, ...]]] = {trial_id: [] for trial_id in trial_ids}
    for start in range(0, len(trial_ids), _TRIALS_AT_ONCE):
        some = list(trial_ids[start : start + _TRIALS_AT_ONCE])
        for trial_id, *numbers in _all(connection, _THEIR_READINGS, {"trials": some}):
            curves[trial_id].append(tuple(numbers))
    return [(trial_id, np.array(curve, _PACKED).tobytes()) for trial_id, curve in curves.items()]


def unpacked(value: bytes) -> NDArray[np.float64]:
    """(E, 8) what `packed` gave of one trial, or of several, one behind the other.

    Raises:
        ValueError: it gave something else.
    """
    return np.frombuffer(value, _PACKED).reshape(-1, _WIDTH)


def further(connection: Connection, study_id: int, names: Sequence[str]) -> tuple[str, ...]:
    """The numbers to be read beside `NUMBERS`: of these names, and of the trainer's own.

    The trainer's own are those of the first and of the newest trials.
    """
    ids = select(tuner_trials.c.trial_id).where(tuner_trials.c.study_id == study_id)
    ends = (
        ids.order_by(order).limit(4) for order in (tuner_trials.c.trial_id, tuner_trials.c.trial_id.desc())
    )
    looked = [trial_id for end in ends for (trial_id,) in connection.execute(end)]
    texts = connection.scalars(
        select(tuner_epochs.c.extras)
        .where(tuner_epochs.c.trial_id.in_(looked), tuner_epochs.c.extras.is_not(None))
        .limit(200)
    )
    readings = (Reading(1, 0.0, 0.0, extras=of_text(text)) for text in texts)
    wanted = dict.fromkeys((*names, *(name for reading in readings for name in reading.own)))
    return tuple(name for name in wanted if name not in (*NUMBERS, "gap"))


def of_study(connection: Connection, study_id: int, extras: Sequence[str]) -> Curves:
    """Every reading of a study.

    Args:
        connection: in a transaction.
        study_id: the study.
        extras: numbers to be read beside `NUMBERS`; those are not packed.

    Raises:
        ValueError: a packed curve is damaged.
    """
    its_trials = select(tuner_trials.c.trial_id).where(tuner_trials.c.study_id == study_id)
    if extras:
        return _of_rows(_rows(connection, _readings(its_trials, extras)), extras)
    whole = (
        select(tuner_curves.c.trial_id, tuner_curves.c.readings)
        .where(tuner_curves.c.trial_id.in_(its_trials))
        .order_by(tuner_curves.c.trial_id)
    )
    others = its_trials.where(tuner_trials.c.trial_id.not_in(select(tuner_curves.c.trial_id)))
    found = map(_of_packed, _parts(connection, whole, {}))
    return _joined([*found, _of_rows(_rows(connection, _readings(others, ())), ())])


def _of_packed(values: Sequence[Any]) -> Curves:
    """Packed curves, (trial id, value) each."""
    table = unpacked(b"".join(readings for _, readings in values))
    lengths = [len(readings) // (_WIDTH * _PACKED.itemsize) for _, readings in values]
    ids = np.repeat(np.array([trial_id for trial_id, _ in values], np.int64), lengths)
    numbers = {name: table[:, 1 + i].copy() for i, name in enumerate(NUMBERS)}
    return Curves(ids, table[:, 0].astype(np.int64), numbers)


def _joined(parts: Sequence[Curves]) -> Curves:
    """Several curves as one, each of whose numbers lies in one piece."""
    parts = [part for part in parts if len(part.trial_id)] or list(parts[:1])
    ids = np.concatenate([part.trial_id for part in parts])
    # Each is sorted; what is stable keeps the epochs of a trial in their order.
    order = np.argsort(ids, kind="stable") if (np.diff(ids) < 0).any() else slice(None)
    epochs = np.concatenate([part.epoch for part in parts])
    numbers = {n: np.concatenate([part.numbers[n] for part in parts])[order] for n in parts[0].numbers}
    return Curves(ids[order], epochs[order], numbers)


def of_all(connection: Connection, study_id: int, extras: Sequence[str]) -> ReadingColumns:
    """Every reading of a study by the trials' numbers; see `of_study`."""
    numbers = select(tuner_trials.c.trial_id, tuner_trials.c.number).where(
        tuner_trials.c.study_id == study_id
    )
    number_of = dict(map(tuple, connection.execute(numbers)))
    return of_study(connection, study_id, extras).numbered(number_of)


def ended(connection: Connection, study_id: int, extras: Sequence[str]) -> Iterator[ReadingColumns]:
    """The curves of a study's trials that are over, many at a time.

    Args:
        connection: in a transaction.
        study_id: the study.
        extras: numbers to be read beside `NUMBERS`; those are not packed, and take longer.

    Raises:
        ValueError: a packed curve is damaged.
    """
    columns = tuner_trials.c
    its_trials = columns.study_id == study_id, columns.state.in_(OVER)
    found = sorted(_all(connection, select(columns.trial_id, columns.number).where(*its_trials)))
    for start in range(0, len(found), _TRIALS_AT_ONCE):
        number_of = dict(found[start : start + _TRIALS_AT_ONCE])
        yield _of_trials(connection, list(number_of), extras).numbered(number_of)


def _of_trials(connection: Connection, trial_ids: list[int], extras: Sequence[str]) -> Curves:
    if extras:
        return _of_rows(_rows(connection, _readings(trial_ids, extras)), extras)
    values, others = _all(connection, _PACKED_BETWEEN, {"first": trial_ids[0], "last": trial_ids[-1]}), []
    if [trial_id for trial_id, _ in values] != trial_ids:
        its = set(trial_ids)
        values = [row for row in values if row[0] in its]
        others = sorted(its.difference(trial_id for trial_id, _ in values))
    packed = [_of_packed(values)] if values else []
    if others:
        packed.append(_of_rows(_rows(connection, _readings(others, ())), ()))
    return _joined(packed)


def behind(
    connection: Connection, lasts: Mapping[int, Last | None], extras: Sequence[str]
) -> tuple[Curves, list[int]]:
    """The readings of these trials after the last known ones, and the trials whose last one has changed."""
    parts: list[list[tuple[Any, ...]]] = []
    void: list[int] = []
    for trial_id, last in sorted(lasts.items()):
        statement = _readings([trial_id], extras)
        found = list(_rows(connection, statement, last[0] if last is not None else 0))
        if last is not None:
            if found and tuple(found[0][0][1:4]) == last:
                del found[0][0]
            else:
                void.append(trial_id)
                found = list(_rows(connection, statement))
        parts += [rows for rows in found if rows]
    return _of_rows(iter(parts), extras), void


def of_text(text: str | None) -> Mapping[str, Any]:
    """A reading's extras as they are stored; none where they make no sense."""
    if text is not None:
        with suppress(ValueError):
            read = json.loads(text)
            return read if isinstance(read, Mapping) else {}
    return {}


def number(value: Any) -> float:
    """A number from a trainer; `nan` where it is not a number."""
    with suppress(TypeError, ValueError):
        return float(value)
    return float("nan")


def _readings(trial_ids: Any, extras: Sequence[str]) -> Select[Any]:
    """The readings of these trials from an epoch on, sorted."""
    names = ("trial_id", "epoch", *NUMBERS, *(("extras",) if extras else ()))
    columns = tuner_epochs.c
    return (
        select(*(columns[name] for name in names))
        .where(columns.trial_id.in_(trial_ids), columns.epoch >= bindparam("epoch"))
        .order_by(columns.trial_id, columns.epoch)
    )


def _rows(connection: Connection, statement: Select[Any], epoch: int = 0) -> Iterator[list[tuple[Any, ...]]]:
    """Readings as the driver gives them, from an epoch on, many at once."""
    return _parts(connection, statement, {"epoch": epoch})


def _parts(
    connection: Connection, statement: Select[Any], parameters: Mapping[str, Any]
) -> Iterator[list[tuple[Any, ...]]]:
    cursor = connection.execute(statement, parameters).cursor
    while cursor is not None and (rows := cursor.fetchmany(_AT_ONCE)):
        yield list(rows)


def _all(
    connection: Connection, statement: Select[Any], parameters: Mapping[str, Any] | None = None
) -> list[tuple[Any, ...]]:
    """All rows as the driver gives them; SQLAlchemy's own cost several times as much."""
    cursor = connection.execute(statement, parameters).cursor
    return list(cursor.fetchall()) if cursor is not None else []


def _of_rows(parts: Iterator[list[tuple[Any, ...]]], extras: Sequence[str]) -> Curves:
    names = (*NUMBERS, *extras)
    blocks = [np.empty((0, 2 + len(names)))]
    for rows in parts:
        plain = rows
        if extras:
            known = ((row, of_text(row[-1])) for row in rows)
            plain = [(*row[:-1], *(number(its.get(name)) for name in extras)) for row, its in known]
        blocks.append(np.array(plain, dtype=float))

    def column(i: int) -> NDArray[np.float64]:
        return np.concatenate([block[:, i] for block in blocks])

    numbers = {name: column(2 + i) for i, name in enumerate(names)}
    return Curves(column(0).astype(np.int64), column(1).astype(np.int64), numbers)
