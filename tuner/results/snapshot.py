"""Snapshot: everything read of a stored study, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Self

from tuner.artifacts import Artifacts
from tuner.core import garbage
from tuner.core.baseline import Baseline
from tuner.core.frame import Frame
from tuner.core.trial import Origin, Reading, TrialRecord
from tuner.errors import SpecError, StudyNotFound
from tuner.findings import Evidence
from tuner.store import Database, SpecRevision, StudySummary


@dataclass(frozen=True)
class StudySnapshot:
    """A study as it was read at one time.

    Attributes:
        frame: its columns; None where this version does not understand the study file.
        ends: see `Evidence.ends`.
        confirmed: the table of its last confirmation.
        comments: by trial number; None: on the study.
        fingerprint: the fingerprint of its data.
        files: where its models lie.
        confirmed_files: where those lie that a confirmation trained.
    """

    summary: StudySummary
    records: list[TrialRecord]
    revisions: list[SpecRevision]
    frame: Frame | None
    ends: Mapping[int, tuple[Reading, Reading]]
    confirmed: Mapping[str, Any] | None
    comments: Mapping[int | None, str]
    fingerprint: bytes | None
    files: Artifacts
    confirmed_files: Artifacts | None

    @classmethod
    def read(cls, database: Database, name: str) -> Self:
        """Read a study.

        Raises:
            StudyNotFound: no study has that name; lists similar names.
        """
        with database.one_moment(), garbage.postponed():
            records = database.records(name)
            summary = database.study(name, records)
            frame, ends = None, {}
            with suppress(SpecError):
                records = _completed(summary, records)
                frame = _frame(database, summary, records)
                leaders = Evidence(frame, 0).leaders.tolist()
                numbers = {row: int(frame.trials.number[row]) for row in leaders}
                curves = {row: database.curves(name, number).get(number) for row, number in numbers.items()}
                ends = {row: (curve[0], curve[-1]) for row, curve in curves.items() if curve}
            confirmed, confirmed_files = database.confirmed(name), None
            if confirmed is not None:
                with suppress(StudyNotFound):
                    confirmed_files = database.artifacts(confirmed["confirmed_by"])
            return cls(
                summary,
                records,
                database.specs(name),
                frame,
                ends,
                confirmed,
                database.comments(name),
                database.fingerprint(name),
                database.artifacts(name),
                confirmed_files,
            )


def _completed(summary: StudySummary, records: list[TrialRecord]) -> list[TrialRecord]:
    """The trials with all parameters: what was learned after one had begun had its default in it."""
    spec = summary.parsed
    if not spec.space.learned:
        return records
    space = spec.search_space()
    return [
        each if each.origin is Origin.IMPORTED else replace(each, params=space.defaults(each.params))
        for each in records
    ]


def _frame(database: Database, summary: StudySummary, records: list[TrialRecord]) -> Frame:
    spec = summary.parsed
    objectives = spec.objectives()
    readings = database.readings(summary.name, objectives.names)
    return replace(
        Frame.of(records, readings, spec.search_space(), objectives, summary.name),
        score=Baseline.score_of(spec.trainer.score_name, summary.facts),
        task=str(summary.facts.get("task", "")),
        pauses=spec.search.pauses,
    )
