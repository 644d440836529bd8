"""import_trials: the way in for a study that plain Optuna has run until now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from tuner.api.history import beginning, numbered
from tuner.content import storage_url
from tuner.core import words
from tuner.core.budget import StudyState
from tuner.core.objectives import Objectives
from tuner.core.spec import IMPORTED, StudySpec
from tuner.core.trial import Origin, TrialRecord, WholeTrial
from tuner.errors import SpecError, StudyExists
from tuner.results import Study
from tuner.search.optuna_history import OptunaHistory, read
from tuner.store import Database


def import_trials(
    source: Any,
    study: str | None = None,
    *,
    name: str | None = None,
    direction: Literal["minimize", "maximize"] | None = None,
    storage: str | None = None,
    models: str | Path | None = None,
) -> Study:
    """Take over the trials of a study of plain Optuna, as history that costs no budget.

    Into a study that is stored, or into a new one, which goes on when it is given a trainer. Trials that are
    there already are not added again. The source stays as it is.

    Args:
        source: Optuna's SQLite file, a journal, an SQLAlchemy URL, a CSV of trials, or an `optuna.Study`.
        study: the study's name there; may be left out where there is one only.
        name: the study's name here; the same where it is left out.
        direction: of a CSV into a new study, which does not tell; ``"minimize"`` where it is left out.
        storage: our database's URL.
        models: the folder for the models of all studies; see `start`.

    Raises:
        SpecError: there is no such study, or its values cannot be compared with those of the study here.
        StoreError: it cannot be read.
        StudyLocked: the study here runs.
        StudyExists: the study here is one of plain Optuna's.
    """
    history = read(source, study)
    if not history.is_directed and direction is not None:
        history = replace(history, minimize=(direction == "minimize",) * len(history.metrics))
    name, url = name or history.name, storage_url(storage)
    with Database.open(url, create=True, models=models) as database:
        stored = next((each for each in database.studies() if each.name == name), None)
        if stored is not None:
            records, spec = database.records(name), stored.parsed
            found = _new(whole_of(history, spec.objectives()), records)
            change = _told(history, found)
            if found:
                database.import_trials(
                    name, spec, numbered(found, len(records)), f"import {history.source}", [change]
                )
        elif name in database.names():
            raise StudyExists(
                f"{url}: '{name}' is a study of plain Optuna there; store it under another name: --as NEW"
            )
        else:
            sections = {"name": name, "trainer": {"use": IMPORTED}, **sections_of(history)}
            spec = StudySpec.parse(sections, history.source)
            found = whole_of(history, spec.objectives())
            begun = database.create_study(
                name, spec, {"notes": [_told(history, found)]}, command=f"import {history.source}",
                whole=beginning(spec, found),
            )  # fmt: skip
            begun.finish(StudyState.INTERRUPTED, "imported; it goes on when it is given a trainer", 0.0)
    return Study(name, url, models)


def read_history(known: Any, name: str | None) -> OptunaHistory:
    """The study of Optuna's in a file, the only one or that of a name, or a study in memory."""
    try:
        return read(known)
    except SpecError:
        if name is None or not isinstance(known, str | Path):
            raise
        return read(known, name)


def told_by(history: OptunaHistory, trainer: Any) -> dict[str, Any]:
    """Settings of a study that goes on with Optuna's: its space, and its objective unless that is said."""
    found = sections_of(history)
    if getattr(trainer, "direction", None) is not None:
        del found["objective"]["direction"]
    settings = {f"space.{name}": table for name, table in found["space"].items()}
    return settings | {f"objective.{key}": value for key, value in found["objective"].items() if value}


def sections_of(history: OptunaHistory) -> dict[str, Any]:
    """What an Optuna study says of one here: the sections `objective` and `space`."""
    if len(history.metrics) > 3:
        raise SpecError(f"{history.source}: has {len(history.metrics)} objectives; a study has three at most")
    ways = ["minimize" if each else "maximize" for each in history.minimize]
    (metric, way), *others = zip(history.metrics, ways, strict=True)
    space = {n: p.model_dump(mode="json", exclude_none=True) for n, p in history.space().items()}
    return {
        "objective": {"metric": metric, "direction": way, "also": dict(others)},
        "space": {"learned": True, **space},
    }


def whole_of(history: OptunaHistory, objectives: Objectives) -> list[WholeTrial]:
    """Optuna's trials, their values called as here.

    Raises:
        SpecError: there are more or fewer objectives, or one has another direction.
    """
    ways = tuple(objective.minimize for objective in objectives)
    if len(ways) != len(history.minimize):
        raise SpecError(
            f"{history.source}: '{history.name}' has {words.count(len(history.minimize), 'objective')} and "
            f"this study {len(ways)}; their values cannot be compared"
        )
    if not history.is_directed:
        history = replace(history, minimize=ways)
    for objective, theirs in zip(objectives, history.minimize, strict=True):
        if objective.minimize != theirs:
            told = ("maximizes", "minimizes")
            raise SpecError(
                f"{history.source}: '{history.name}' {told[theirs]} its value, and this study "
                f"{told[objective.minimize]} {objective.metric}; say so: [objective] direction"
            )
    return history.whole([objective.metric for objective in objectives])


def _new(found: Sequence[WholeTrial], records: Sequence[TrialRecord]) -> list[WholeTrial]:
    """The trials that were not imported before."""

    def key(record: TrialRecord) -> tuple[str, str, float | None, str | None]:
        return repr(sorted(record.params.items())), record.state, record.value, record.ended_at

    before = Counter(key(record) for record in records if record.origin is Origin.IMPORTED)
    new = []
    for record, curve in found:
        if before[key(record)]:
            before[key(record)] -= 1
        else:
            new.append((record, curve))
    return new


def _told(history: OptunaHistory, found: Sequence[WholeTrial]) -> str:
    """How many trials were taken over, in a sentence."""
    states = Counter(str(record.state) for record, _ in found)
    of = ", ".join(f"{number} {state}" for state, number in states.items())
    left = sum(not trial.state.is_finished() for trial in history.trials)
    rest = f"; {words.count(left, 'trial')} that waited or ran there are left out" if left else ""
    amount = words.count(len(found), "trial")
    return f"{amount} of '{history.name}' in {history.source} imported{f' ({of})' if of else ''}{rest}"
