"""StudyStore: appends a study's turns, each in one transaction, to Optuna's tables and to ours.

Holds the lease while it is open. Called from the engine's thread only; what fails leaves nothing of a turn.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from shlex import quote
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, update

from tuner.artifacts import Artifacts
from tuner.core.budget import StudyState
from tuner.core.ports import Turn
from tuner.core.request import Request
from tuner.core.spec import StudySpec
from tuner.core.trial import Reading, Trial, TrialRecord, TrialState
from tuner.core.words import count
from tuner.errors import StoreError, StudyLocked
from tuner.store import foreign_trials, read, requests, retry, study_rows, trial_rows
from tuner.store.connect import display_url, store_errors, writing
from tuner.store.encoding import REASON, Encoder, driver_time, left, now, order_json, stamp, storable
from tuner.store.file import DatabaseFile
from tuner.store.lease import Lease
from tuner.store.schema import tuner_studies
from tuner.store.statements import Statements, in_one_trip

_LOG = logging.getLogger(__name__)
_RUNNING = TrialState.RUNNING.value
_LAST_PATIENCE_S = 0.5
_T = TypeVar("_T")


class StudyStore:
    """One study of a database, driven by this process; implements `core.ports.Store`."""

    def __init__(
        self,
        engine: Engine,
        connection: Connection,
        name: str,
        spec: StudySpec,
        lease: Lease,
        artifacts: Artifacts,
        notes: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.artifacts = artifacts
        self.notes = notes
        self._file = DatabaseFile(engine)
        self._is_durable = spec.durability == "full"
        self._engine = writing(engine, full=self._is_durable)
        self._patience_s = retry.PATIENCE_S
        self._where = display_url(engine.url)
        self._lease: Lease | None = lease
        self._study_id = lease.study_id
        self._spec = spec
        self._objectives = spec.objectives()
        self._encoder = Encoder(spec.search_space())
        self._do = Statements(engine.dialect)
        self._ids = trial_rows.under_way(connection, self._study_id)
        requests.outdate(connection, self._study_id)
        self._last_id = foreign_trials.last_id(connection, self._study_id)
        self._foreign = foreign_trials.ids(connection, self._study_id)
        if self._foreign:
            self.notes = [*notes, *self._met(connection)]
        lease.beat(self._engine)

    def record(self, *turns: Turn) -> None:
        """Append turns in one transaction; when it fails, nothing of them is stored.

        Named in several lists of a turn, a trial is interrupted or restarted first, then its
        readings are added, then it pauses or ends, and then it goes on. An empty turn keeps the
        lease alive.

        Raises:
            StudyLocked: another process has taken the study over.
            StoreError: the database cannot be written.
        """
        moment, last = now(), turns[-1]
        at = [moment - timedelta(seconds=last.seconds - turn.seconds) for turn in turns]
        before = self._spec, self._encoder

        def work(connection: Connection) -> tuple[dict[int, int], list[int]]:
            self._spec, self._encoder = before
            return self._store(connection, turns, at)

        ids, others = self._write(work, moment, last.seconds, last.position)
        # Only now are the turns stored, and may what is known of the trials change.
        self._last_id, self._foreign = max([self._last_id, *ids.values(), *others]), others
        for turn in turns:
            for record in turn.ended:
                del ids[record.number]
        self._ids = ids

    def _store(
        self, connection: Connection, turns: Sequence[Turn], at: Sequence[datetime]
    ) -> tuple[dict[int, int], list[int]]:
        """Write turns, each at its moment.

        Returns:
            The ids of the trials that are not over, or were not before, by number, and those of Optuna's own.
        """
        ids = dict(self._ids)
        over = {record.number for turn in turns for record in turn.ended}
        new: dict[int, tuple[Trial, datetime]] = {}
        self._change(connection, [turn.changed for turn in turns])
        for turn, then in zip(turns, at, strict=True):
            for trial in turn.started:
                if trial.number not in ids:
                    new.setdefault(trial.number, (trial, then))
        others = self._foreign
        if new:
            asked = {number: r for turn in turns for number, r in turn.taken.items()}
            claimed = {number: r.id for number, r in asked.items() if r.is_optunas}
            added, others = self._add(connection, [new[number] for number in sorted(new)], claimed)
            ids.update(added)
        readings: list[tuple[int, Reading]] = []
        ended: dict[int, tuple[TrialRecord, datetime]] = {}
        with in_one_trip(connection):
            for turn, then in zip(turns, at, strict=True):
                if turn.restarted:
                    # What was read of them before is void.
                    trial_rows.add_readings(connection, self._do, self._objectives, readings)
                    readings = []
                    self._start_again(connection, [ids[number] for number in turn.restarted], then)
                readings += [(ids[number], reading) for number, reading in turn.readings]
                # Those that end are noted together: nothing happens to them later, but that their models go.
                ended |= {record.number: (record, then) for record in turn.ended}
                for number in ended.keys() & set(turn.forgotten):
                    ended[number] = (replace(ended[number][0], model_path=None), ended[number][1])
                self._move(connection, turn, ids, new, over)
            trial_rows.add_readings(connection, self._do, self._objectives, readings)
        over_now = [(ids[number], *each) for number, each in ended.items()]
        trial_rows.end(connection, self._do, self._objectives, over_now)
        for turn in turns:
            of_trials = {r.id: f"trial {n}" for n, r in turn.taken.items() if not r.is_optunas}
            requests.answer(connection, of_trials | turn.answers)
        return ids, others

    def _change(self, connection: Connection, changed: Sequence[Mapping[str, Mapping[str, Any]]]) -> None:
        """Go on with another spec; the study's row and its history say so."""
        for sections in changed:
            for section, table in sections.items():
                self._spec = study_rows.extended(connection, self._study_id, self._spec, section, table)
                self._encoder = Encoder(self._spec.search_space())

    def finish(self, state: StudyState, reason: str, seconds: float) -> None:
        """Note why the study ended, turn running trials into waiting ones, give the lease back.

        Their readings stand, and each counts one more interruption. Paused trials stay paused.

        Raises:
            StudyLocked: another process has taken the study over.
            StoreError: the database cannot be written.
        """

        def work(connection: Connection) -> None:
            trial_rows.cut_off(connection, self._study_id)
            connection.execute(
                update(tuner_studies)
                .where(tuner_studies.c.study_id == self._study_id)
                .values(state=state.value, reason=storable(reason, REASON))
            )

        self._write(work, now(), seconds)
        self.close()

    def requests(self) -> Sequence[Request]:
        """What is asked for here, and what plain Optuna's `enqueue_trial` wants trained."""

        def look(_: bool) -> Sequence[Request]:
            with store_errors(self._where), self._engine.begin() as connection:
                ours = requests.unanswered(connection, self._study_id)
                return ours + requests.enqueued(connection, self._study_id, self._foreign, self._last_id)

        return self._repeated(look)

    def refuse(self, reasons: Sequence[tuple[Request, str]]) -> None:
        """Note why configurations that were asked for are not trained."""
        self._write(lambda connection: requests.refuse(connection, reasons))

    def _met(self, connection: Connection) -> Iterator[str]:
        """Put what Optuna has added behind our trials, and say so."""
        foreign_trials.renumber(connection, self._foreign, read.trials_of(connection, self._study_id))
        if added := foreign_trials.not_waiting(connection, self._foreign):
            yield (
                f"plain Optuna has added {count(added, 'trial')}, which tuner did not train: they "
                "stay as they are and are not counted; use enqueue_trial to have a configuration trained"
            )

    def facts(self, changes: Mapping[str, Any]) -> None:
        """Add facts about how the study runs; those of the same name are replaced."""
        self._write(lambda connection: study_rows.add_facts(connection, self._study_id, changes))

    def close(self) -> None:
        """Give the lease back; running trials stay as they are. Does nothing the second time.

        Where it cannot be given back, it is free as soon as this process drives the study no more.
        """
        if self._lease is None:
            return
        lease, self._lease = self._lease, None
        lease.drop()
        try:
            with store_errors(self._where), self._engine.begin() as connection:
                lease.release(connection)
        except StoreError as error:
            _LOG.warning("the lease of study '%s' could not be given back: %s", self.name, error)
            self._engine.dispose()

    def _write(
        self,
        work: Callable[[Connection], _T],
        moment: datetime | None = None,
        seconds: float = 0.0,
        position: Mapping[str, Any] | None = None,
    ) -> _T:
        """Do work in a transaction of the study's driver; with a moment, the study is noted to stand there.

        Where the server went away meanwhile, the work is done once more, unless it is stored by then.
        """
        lease = self._lease
        if lease is None:
            raise StoreError(f"study '{self.name}' is no longer driven from here; resume it")
        self._file.require(self._engine, self.name)
        done: list[_T] = []

        def transact(is_repeated: bool) -> _T:
            with store_errors(self._where), self._engine.begin() as connection:
                if is_repeated and lease.has_turn(connection):
                    return done[-1]
                lease.renew(connection, self.name)
                done.append(work(connection))
                if moment is not None and position:
                    place_now = (seconds, json.dumps(position), stamp(moment), self._study_id)
                    self._do.advance_to.run(connection, [place_now])
                elif moment is not None:
                    self._do.advance.run(connection, [(seconds, stamp(moment), self._study_id)])
            return done[-1]

        try:
            result = self._repeated(transact)
        except StudyLocked:
            raise
        except StoreError as error:
            # What is tried on the way out is tried once, without another long wait.
            self._engine = writing(self._engine, full=self._is_durable, patience_s=_LAST_PATIENCE_S)
            self._patience_s = 0.0
            raise StoreError(
                f"{error}; what was recorded until then is kept, go on with: tune resume {quote(self.name)}"
            ) from error
        lease.turns += 1
        return result

    def _repeated(self, call: Callable[[bool], _T]) -> _T:
        return retry.repeated(call, self._engine, self.name, self._patience_s)

    def _move(
        self,
        connection: Connection,
        turn: Turn,
        ids: Mapping[int, int],
        new: dict[int, tuple[Trial, datetime]],
        over: Collection[int],
    ) -> None:
        """Note which trials come from one state to another.

        First starts of `new` ones are noted already, and what becomes of those that will be `over` is later.
        """
        do = self._do
        do.interrupt.run(connection, [(ids[number],) for number in turn.interrupted])
        orders = {number: order for number, order in turn.orders.items() if number not in over}
        do.order.run(connection, [(storable(order_json(o)), ids[number]) for number, o in orders.items()])
        do.leave.run(connection, [(*left(r), None, ids[r.number]) for r in turn.paused])
        going_on = [t.number for t in turn.started if new.pop(t.number, None) is None]
        do.go_on.run(connection, [(_RUNNING, None, None, ids[number]) for number in going_on])
        do.forget.run(
            connection, [(number, self._study_id) for number in turn.forgotten if number not in over]
        )

    def _add(
        self, connection: Connection, new: Sequence[tuple[Trial, datetime]], claimed: Mapping[int, int]
    ) -> tuple[dict[int, int], list[int]]:
        """Insert trials, in order of number, each at its moment; `claimed` ones take over Optuna's rows.

        Returns:
            Their ids by number, and those of Optuna's own trials.
        """
        taken = {
            t.number: claimed[t.number]
            for t, then in new
            if t.number in claimed and foreign_trials.claim(connection, claimed[t.number], t.number, then)
        }
        do, study = self._do, self._study_id
        ids, added = trial_rows.add(connection, do, study, self._encoder, new, taken, self._last_id)
        others = [i for i in (*self._foreign, *added) if i not in taken.values()]
        foreign_trials.renumber(connection, others, new[-1][0].number + 1)
        return ids, others

    def _start_again(self, connection: Connection, ids: Sequence[int], moment: datetime) -> None:
        start = driver_time(connection.dialect.name, moment)
        for statement in (self._do.void_epochs, self._do.void_reports):
            statement.run(connection, [(i,) for i in ids])
        self._do.void.run(connection, [(None, None, 0, None, 0, i) for i in ids])
        self._do.start_again.run(connection, [(start, i) for i in ids])
