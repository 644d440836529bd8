"""Repeats: the best trials of a study trained again, as a study of their own.

So they are stored, interrupted and resumed like any other trials.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tuner.api.planning import PreparedStudy, prepare
from tuner.api.session import Session
from tuner.api.stored import free_name
from tuner.artifacts import Artifacts, root_of
from tuner.core.budget import StudyState
from tuner.core.dataset import Dataset, FingerprintCheck
from tuner.core.objectives import Objectives
from tuner.core.ports import Observer
from tuner.core.seeds import derive
from tuner.core.spec import StudySpec
from tuner.core.trial import Origin, TrialRecord, TrialState
from tuner.errors import TrialError
from tuner.executors import Standby
from tuner.judging.choosing import Candidate, worth_repeating
from tuner.search import FixedSearcher
from tuner.store import CONFIRMS, Database, StudySummary
from tuner.trainers import load_model


def begun(database: Database, summary: StudySummary, number: int) -> StudySummary | None:
    """The study of the repeats of a study's n-th confirmation; None where it was not begun."""
    for each in database.studies():
        facts = each.facts
        # Before version 5 the name alone said which one it is.
        count = facts.get("number", number if each.name == _name(summary.name, number) else 0)
        its_own = each.confirms == summary.name and facts.get("of", summary.identity) == summary.identity
        if its_own and count == number:
            return each
    return None


def _name(study: str, number: int) -> str:
    """A study's name may be 200 characters long."""
    return f"{study[:180]}~confirm{number if number > 1 else ''}"


@dataclass(frozen=True)
class Repeats:
    """Which trials are trained again, how often, and by which study.

    Attributes:
        study: the study that is confirmed.
        identity: its identity.
        number: counts its confirmations, from 1.
        spec: the spec of the study that trains them.
        numbers: the trials, the best first, the default configuration last.
        count: how often each is trained.
        planned: data and trainer of the repeats.
        redrawn: whether each repeat has a split of its own.
        trials: how many trials the study had when they were chosen.
        best: the search's best trial then.
        is_tested: whether the locked test rows are read afterwards.
    """

    study: str
    identity: str
    number: int
    spec: StudySpec
    numbers: tuple[int, ...]
    count: int
    planned: PreparedStudy
    redrawn: bool
    trials: int
    best: int
    is_tested: bool = False

    @classmethod
    def of(
        cls,
        database: Database,
        summary: StudySummary,
        records: Sequence[TrialRecord],
        number: int,
        *,
        top: int | None,
        repeats: int | None,
        stored: StudySummary | None,
        data: Any,
        trainer: Callable[..., Any] | None,
        check: FingerprintCheck | None = None,
        standby: Standby | None = None,
    ) -> Repeats:
        """Choose the trials, or take the choice of an earlier session.

        Args:
            database: where it is stored.
            summary: the study.
            records: its trials.
            number: counts its confirmations, from 1.
            top: how many of the best; None: as the study says.
            repeats: how often each; likewise.
            stored: the study of the repeats, where it was begun.
            data: as `prepare` takes it.
            trainer: likewise.
            check: likewise.
            standby: likewise.

        Raises:
            TrialError: no trial has a valid value.
        """
        spec = summary.parsed
        if stored is not None:
            facts = stored.facts
            numbers, count = tuple(facts["candidates"]), int(facts["repeats"])
            trials = int(facts["trials"])
            best = int(facts.get("best", numbers[0]))
        else:
            count = repeats or spec.confirm.repeats
            objectives, valued, trials = spec.objectives(), standing(records), len(records)
            if not valued:
                raise TrialError(
                    f"{spec.name}: no trial has a value that stands, so there is nothing to confirm"
                )
            numbers = worth_repeating(objectives, valued, top or spec.confirm.top)
            best = min(valued, key=objectives.key).number
        name = stored.name if stored is not None else free_name(_name(summary.name, number), database.names())
        own = _spec_of(spec, name, number, len(numbers) * count)
        # On rows drawn anew a teacher would have trained on those that judge.
        is_free = spec.trainer.teacher is None
        planned = prepare(own, data, trainer, own.name, resampling=is_free, check=check, standby=standby)
        planned = replace(planned, shared_split=len(numbers))
        redrawn = _is_redrawn(planned.data)
        return cls(
            summary.name, summary.identity, number, own, numbers, count, planned, redrawn, trials, best
        )

    @property
    def overlap(self) -> float:
        """Validation rows per training row; 0 where the repeats share one split."""
        data = self.planned.data
        return len(data.validation) / len(data.train) if data is not None and self.redrawn else 0.0

    def train(
        self,
        database: Database,
        url: str,
        records: Sequence[TrialRecord],
        stored: StudySummary | None,
        facts: Mapping[str, Any],
        *,
        in_process: bool,
        observer: Observer | None,
        command: str,
    ) -> None:
        """Train what is not trained yet; trial r C + c is repeat r of candidate c."""
        if stored is not None and stored.state is StudyState.FINISHED:
            return
        params = [records[number].params for number in self.numbers] * self.count
        session = Session.of(self.planned, url, in_process=in_process, stored=facts)
        session = replace(
            session, searcher=FixedSearcher(params, self.spec.search.seed), told=(self._told(),)
        )
        own = {
            CONFIRMS: self.study,
            "of": self.identity,
            "number": self.number,
            "candidates": list(self.numbers),
            "repeats": self.count,
            "trials": self.trials,
            "best": self.best,
        }
        if stored is None:
            beside = root_of(database.artifacts(self.study).place)
            driven = database.create_study(
                self.spec.name, self.spec, {**session.facts, **own}, models=beside, command=command
            )
        else:
            driven = database.resume_study(self.spec.name, facts=session.facts, command=command)
        session.drive(database, driven, observer)

    def records(self, database: Database) -> list[list[TrialRecord | None]]:
        """The trained trials, candidate by candidate; None for those that never began."""
        found: list[TrialRecord | None] = list(database.records(self.spec.name))
        found += [None] * (len(self.numbers) * self.count - len(found))
        return [found[c :: len(self.numbers)] for c in range(len(self.numbers))]

    def candidates(
        self,
        database: Database,
        records: Sequence[TrialRecord],
        trained: Sequence[Sequence[TrialRecord | None]],
    ) -> tuple[Candidate, ...]:
        """The results of each configuration."""
        found, files = [], database.artifacts(self.spec.name)
        for number, repeats in zip(self.numbers, trained, strict=True):
            epochs = [r.best.epoch for r in repeats if r is not None and r.best is not None]
            found.append(
                Candidate(
                    number,
                    records[number].value,
                    tuple(_value(record) for record in repeats),
                    _size(files, repeats),
                    float(np.mean(epochs)) if epochs else 0.0,
                    _measured(self.spec.objectives(), repeats),
                )
            )
        return tuple(found)

    def _told(self) -> str:
        best = [f"trial {number}" for number in self.numbers if number]
        names = f"{', '.join(best)} and the default" if best else "the default"
        how = f"{self.count} times" + (", each time on another split" if self.redrawn else "")
        then = "; then the locked test rows are read" if self.is_tested else ""
        return f"trains {names} again, {how}{then}"


def standing(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The trials that may be trained again: those with a value that no rule cut short."""
    own = (r for r in records if r.origin is not Origin.IMPORTED)
    return [r for r in own if r.state.is_over and r.conclusive and r.value is not None]


def _spec_of(spec: StudySpec, name: str, number: int, trials: int) -> StudySpec:
    """The study that trains again: no pruner, one training per trial, every model kept."""
    table = spec.to_table()
    objective = spec.primary_objective()
    if spec.data is not None:
        table["data"] = {k: v for k, v in table["data"].items() if k not in ("folds", "reshuffle")}
    table["trainer"] |= {"repeats": 1, "keep": trials}
    table["stop"] |= {"max_failures": trials}
    return StudySpec.parse(
        {
            **table,
            "name": name,
            "description": f"the best of {spec.name}, trained again",
            "objective": table["objective"]
            | {"metric": objective.metric, "direction": "minimize" if objective.minimize else "maximize"},
            "search": {
                "sampler": "random",
                "pruner": "none",
                "seed": derive(spec.search.seed, number, "confirm"),
            },
            "budget": {"trials": trials},
            "confirm": {"auto": False},
            # They are trained and judged beside the repeats, not as those of a search.
            "baselines": {"use": []},
            "tracking": {},
            "notify": {},
        },
        name,
    )


def _is_redrawn(data: Dataset | None) -> bool:
    if data is None or data.resampling is None:
        return False
    one, other = (data.resampling.draw(seed).validation for seed in (0, 1))
    return not (np.array_equal(one.y, other.y) and np.array_equal(one.x, other.x))


def _value(record: TrialRecord | None) -> float | None:
    """The value of a repeat; None if it diverged or was cut short."""
    if record is None or record.state is TrialState.FAILED or not record.conclusive or record.value is None:
        return None
    return record.value if math.isfinite(record.value) else None


def _measured(objectives: Objectives, repeats: Sequence[TrialRecord | None]) -> dict[str, float | None]:
    """The means of the other numbers that the objectives name; None for one that was not measured."""
    counted = {objective.metric: objective.of for objective in objectives}
    bests = [record.best for record in repeats if record is not None and record.best is not None]
    found: dict[str, float | None] = {}
    for name in objectives.names:
        values = [counted[name](best) if name in counted else best.get(name) for best in bests]
        known = [value for value in values if math.isfinite(value)]
        if name != objectives.primary.metric:
            found[name] = math.fsum(known) / len(known) if known else None
    return found


def kept_models(files: Artifacts, records: Sequence[TrialRecord | None]) -> dict[int, Path]:
    """The models of trials that were kept, by the places of these trials."""
    numbers = {i: r.number for i, r in enumerate(records) if r is not None and r.model_path is not None}
    return {place: path for place, number in numbers.items() if (path := files.get(number)) is not None}


def _size(files: Artifacts, repeats: Sequence[TrialRecord | None]) -> int | None:
    found = next(iter(kept_models(files, repeats).values()), None)
    return load_model(found).size_bytes if found is not None else None
