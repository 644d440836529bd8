"""Live: the studies of a database as frames; only new rows are read.

Reads only when asked. Methods are called from many request threads.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.core.baseline import Baseline
from tuner.core.columns import of_rows, param_columns
from tuner.core.frame import Frame
from tuner.core.reading_columns import ReadingColumns
from tuner.core.spec import StudySpec
from tuner.errors import SpecError, StoreError
from tuner.findings import Evidence, Finding
from tuner.judging.confirmation import Confirmation
from tuner.judging.verdict import Verdict
from tuner.store.columns import Cursor, Delta, Reader, TrialRow
from tuner.store.values import StudySummary
from tuner.web.insights import Insights

KEPT = 4
"""How many studies are kept in memory; the least recently used goes first."""

SUMMARY_S = 5.0
"""How often to check that a study's process lives while it writes nothing."""


@dataclass(frozen=True)
class LiveSnapshot:
    """A study as it was read at one time.

    Attributes:
        frame: its columns.
        summary: how it stands as a whole.
        spec: its study file.
        changed: (N,) the count of the read at which each trial last changed, from 1.
        version: changes with every read that found something new.
        findings: the study's findings; older ones while new ones are computed.
        confirmation: its last one; None where there was none.
        comments: by trial number; None: on the study.
        confirming: the confirmation of it that is driven now.
    """

    frame: Frame
    summary: StudySummary
    spec: StudySpec
    changed: NDArray[np.int64]
    version: str
    findings: tuple[Finding, ...] = ()
    confirmation: Confirmation | None = None
    comments: Mapping[int | None, str] = field(default_factory=dict)
    confirming: StudySummary | None = None

    @cached_property
    def verdict(self) -> Verdict:
        """Which configuration to take, and why."""
        return Verdict.of(
            self.frame,
            self.frame.record,
            self.confirmation,
            score_falls=self.spec.trainer.score_falls,
            is_running=self.summary.is_driven,
        )


class Live:
    """Every study of a database, as it stands now."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self._studies: OrderedDict[str, LiveStudy] = OrderedDict()
        self._index: tuple[str, float, list[StudySummary]] | None = None
        self._lock = RLock()

    def studies(self) -> tuple[str, list[StudySummary]]:
        """A version, and every study, the newest first.

        Raises:
            StoreError: the database is missing or cannot be read.
        """
        with self._lock:
            stamp, now = self.reader.stamp(), time.monotonic()
            if self._index is None or self._index[0] != stamp or now - self._index[1] > SUMMARY_S:
                self._index = (stamp, now, self.reader.studies())
            found = self._index[2]
        return str(hash(tuple((s.name, s.updated_at, s.state, s.reason) for s in found))), found

    def snapshot(self, name: str) -> LiveSnapshot:
        """A study as it stands now.

        Raises:
            StoreError: the database is missing or cannot be read, or has no such study.
        """
        with self._lock:
            return self.study(name).snapshot(self.reader)

    def study(self, name: str) -> LiveStudy:
        """The state kept of a study; made empty if it was never read."""
        with self._lock:
            study = self._studies.pop(name, None) or LiveStudy(name)
            self._studies[name] = study
            while len(self._studies) > KEPT:
                self._studies.popitem(last=False)
            return study

    def settle(self, name: str, at_most_s: float | None = None) -> None:
        """Wait until the running computation of importances and findings has ended."""
        with self._lock:
            study = self._studies.get(name)
        if study is not None:
            study.insights.settle(at_most_s)

    def close(self) -> None:
        """End what is computed in the background, and close the database."""
        with self._lock:
            for study in self._studies.values():
                study.insights.close()
        self.reader.close()


class LiveStudy:
    """The state kept of a study: its last snapshot, and what the next one is built from.

    Attributes:
        insights: its importances and findings.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.insights = Insights()
        self._stamp = ""
        self._looked = 0.0
        self._count = 0
        self._cursor: Cursor | None = None
        self._rows: dict[int, TrialRow] = {}
        self._changed: dict[int, int] = {}
        self._params: dict[str, NDArray[Any]] = {}
        self._confirmed: Mapping[str, Any] | None = None
        self._comments: Mapping[int | None, str] = {}
        self._snapshot: LiveSnapshot | None = None

    def snapshot(self, reader: Reader) -> LiveSnapshot:
        """The study as it stands now, with the newest insight."""
        return self._with_insight(self.read(reader), reader)

    def read(self, reader: Reader) -> LiveSnapshot:
        """The study as it stands now; reads only what is new."""
        stamp, now = reader.stamp(), time.monotonic()
        if self._snapshot is None or stamp != self._stamp or now - self._looked > SUMMARY_S:
            with reader.one_moment():
                summary = reader.study(self.name)
                known = self._snapshot
                is_same = known is not None and known.summary.digest == summary.digest
                spec = known.spec if known is not None and is_same else _specified(summary)
                # With another space every column of parameters is another one.
                self._cursor = self._cursor if is_same else None
                delta = reader.delta(self.name, self._cursor, spec.objectives().names)
                confirmed, comments = reader.confirmed(self.name), reader.comments(self.name)
                confirming = reader.confirming(self.name)
            self._stamp, self._looked = stamp, now
            is_told = known is not None and _told(known.summary, known.confirming) == _told(
                summary, confirming
            )
            is_said = confirmed == self._confirmed and comments == self._comments
            if known is None or delta or not is_told or not is_said:
                self._confirmed = confirmed
                self._snapshot = self._next(delta, summary, spec, comments, confirming)
            elif known.summary.machine != summary.machine:
                self._snapshot = replace(known, summary=summary)  # nothing of it is drawn again
        if self._snapshot is None:
            raise StoreError(f"study '{self.name}' cannot be read")
        return self._snapshot

    def _next(
        self,
        delta: Delta,
        summary: StudySummary,
        spec: StudySpec,
        comments: Mapping[int | None, str],
        confirming: StudySummary | None,
    ) -> LiveSnapshot:
        self._count += 1
        frame = self._frame(delta, spec)
        before, self._comments = self._comments, comments
        for number in {**before, **comments}:
            if number in self._changed and before.get(number) != comments.get(number):
                self._changed[number] = self._count
        score = Baseline.score_of(spec.trainer.score_name, summary.facts)
        task = str(summary.facts.get("task", ""))
        if (frame.score, frame.task, frame.pauses) != (score, task, spec.search.pauses):
            frame = replace(frame, score=score, task=task, pauses=spec.search.pauses)
        numbers = frame.trials.number.tolist()
        changed = np.array([self._changed[number] for number in numbers], np.int64)
        study = self._cursor.study if self._cursor is not None else ()
        version = f"{hash(study) & 0xFFFFFF:x}.{self._count}"
        findings = self._snapshot.findings if self._snapshot is not None else ()
        confirmation = None if self._confirmed is None else Confirmation.from_table(self._confirmed)
        return LiveSnapshot(
            frame, summary, spec, changed, version, findings, confirmation, comments, confirming
        )

    def _with_insight(self, snapshot: LiveSnapshot, reader: Reader) -> LiveSnapshot:
        """The snapshot with the newest importances and findings."""
        confirmation, facts = snapshot.confirmation, snapshot.summary.facts
        spread = None if confirmation is None else confirmation.spread
        planned = snapshot.spec.trainer.epochs
        evidence = Evidence(
            snapshot.frame,
            planned,
            spread,
            confirmation is not None,
            Baseline.of(facts),
            baselines=Baseline.all_of(facts),
            contests=() if confirmation is None else confirmation.contests,
        )
        curve = partial(reader.curve, self.name)
        found = self.insights.of(evidence, curve, is_driven=snapshot.summary.is_driven)
        if found.importances is snapshot.frame.importances and found.findings is snapshot.findings:
            return snapshot
        self._count += 1
        self._snapshot = replace(
            snapshot,
            frame=replace(snapshot.frame, importances=found.importances),
            findings=found.findings,
            version=f"{snapshot.version.partition('.')[0]}.{self._count}",
        )
        return self._snapshot

    def _frame(self, delta: Delta, spec: StudySpec) -> Frame:
        old = None if delta.is_whole or self._snapshot is None else self._snapshot.frame
        space = spec.search_space() if old is None else old.space
        if old is None:
            self._rows, self._changed = {}, {}
            self._params = param_columns(space, [])
        self._cursor = delta.cursor
        if old is not None and not len(delta.readings.number) and not delta.void and not delta.trials:
            return old
        new = [row for row in delta.trials if row.number not in self._rows]
        for row in delta.trials:
            self._rows[row.number] = row
        read = delta.readings.number[np.flatnonzero(np.diff(delta.readings.number, prepend=-1))].tolist()
        for number in (*(row.number for row in delta.trials), *read, *delta.void):
            self._changed[number] = self._count
        numbers = sorted(self._rows)
        if new:
            # New trials have the highest numbers, so that their columns come behind.
            columns = param_columns(space, [row.params for row in new])
            self._params = {
                name: np.concatenate([self._params[name], column]) for name, column in columns.items()
            }
        rows = [self._rows[number] for number in numbers]
        readings = delta.readings if old is None else _together(old, delta)
        trials = of_rows(rows) | {"best_epoch": [row.best_epoch or 0 for row in rows]}
        frame = Frame.of_columns(trials, readings, self._params, space, spec.objectives(), self.name)
        return replace(frame, importances=old.importances if old is not None else {})


def _specified(summary: StudySummary) -> StudySpec:
    try:
        return summary.parsed
    except SpecError as error:
        raise StoreError(f"the study's stored file cannot be read by this tuner: {error}") from error


def _told(summary: StudySummary, confirming: StudySummary | None) -> tuple[Any, ...]:
    """The parts of a summary, and of its running confirmation's, that pages show and no trial changes."""
    simple = Baseline.all_of(summary.facts)
    own = summary.state, summary.reason, summary.is_driven, summary.digest, dict(summary.counts), simple
    return *own, None if confirming is None else (confirming.name, dict(confirming.counts))


def _together(old: Frame, delta: Delta) -> ReadingColumns:
    """All readings: the still valid ones of the last read, and the new ones."""
    number, new = old.trials.number[old.epochs.row], delta.readings
    kept = ~np.isin(number, list(delta.void)) if delta.void else slice(None)
    return ReadingColumns(
        np.concatenate([number[kept], new.number]),
        np.concatenate([old.epochs.epoch[kept], new.epoch]),
        {name: np.concatenate([old.reading(name)[kept], column]) for name, column in new.numbers.items()},
    )
