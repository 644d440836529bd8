"""Studies of plain Optuna, from wherever it keeps them: a database, a journal, a CSV of trials, memory.

What is read is never changed: an SQLite file is copied first, and the copy is brought to this Optuna's
tables.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import optuna
from optuna.storages import BaseStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalStorage
from optuna.trial import FrozenTrial

from tuner.core.space import Parameter, label
from tuner.core.trial import Objective, Origin, Reading, TrialRecord, TrialState, WholeTrial
from tuner.errors import SpecError, StoreError, described, near
from tuner.optuna_log import quiet
from tuner.search import optuna_space

_STATES: Mapping[str, tuple[TrialState, str | None, str | None]] = {
    "COMPLETE": (TrialState.FINISHED, None, None),
    "PRUNED": (TrialState.STOPPED, "pruned", "pruned in Optuna"),
    "FAIL": (TrialState.FAILED, None, "failed in Optuna"),
}
"""Of the states in which Optuna's trials are over: ours, the rule and the reason."""

_LOCAL_TIMES_BEFORE = 5
"""Earlier Optunas stored local times; this one reads them as UTC."""


@dataclass(frozen=True)
class OptunaHistory:
    """A study of plain Optuna.

    Attributes:
        source: where it was read, for messages.
        name: its name there.
        metrics: what its objectives are called: ``value``, or ``value_0``, ..., where they have no names.
        minimize: whether less of each is better.
        trials: its trials in the order of their numbers.
        is_directed: whether it tells what is better; a CSV does not.
        local_times: whether its times are those of the clock on the wall, taken for UTC.
    """

    source: str
    name: str
    metrics: tuple[str, ...]
    minimize: tuple[bool, ...]
    trials: Sequence[FrozenTrial]
    is_directed: bool = True
    local_times: bool = False

    def space(self) -> dict[str, Parameter]:
        """What it has searched: of each parameter the range that it had last, and when it is active."""
        return optuna_space.of_trials(self.trials, self.source)

    def whole(self, metrics: Sequence[str]) -> list[WholeTrial]:
        """Its trials that are over, with their curves, their values under these names; without numbers."""
        return [self._whole(trial, metrics) for trial in self.trials if trial.state.is_finished()]

    def _whole(self, trial: FrozenTrial, metrics: Sequence[str]) -> WholeTrial:
        """A trial that is over, with a reading for each of its intermediate values, in the order of steps.

        Its value is what the objective returned, in a reading of its own unless it is the best of the others;
        of a pruned one it is the best intermediate value, as of a trial that was stopped here.
        """
        objective = Objective(metrics[0], self.minimize[0])
        steps = sorted(trial.intermediate_values)
        curve = [
            Reading.of(epoch, {metrics[0]: trial.intermediate_values[step]})
            for epoch, step in enumerate(steps, start=1)
        ]
        best, (state, rule, reason) = objective.best(curve), _STATES[trial.state.name]
        values = trial.values if state is TrialState.FINISHED else None
        if values is not None and (best is None or len(metrics) > 1 or objective.of(best) != values[0]):
            best = Reading.of(len(curve) + 1, dict(zip(metrics, values, strict=True)))
            curve.append(best)
        record = TrialRecord(
            number=-1,
            params={name: label(value) for name, value in trial.params.items()},
            state=state,
            value=None if best is None or not math.isfinite(objective.of(best)) else objective.of(best),
            best=best,
            epochs=len(curve),
            rule=rule,
            reason=reason,
            seconds=0.0 if trial.duration is None else trial.duration.total_seconds(),
            started_at=self._time(trial.datetime_start),
            ended_at=self._time(trial.datetime_complete),
            origin=Origin.IMPORTED,
        )
        return record, curve

    def _time(self, moment: datetime | None) -> str | None:
        if moment is None:
            return None
        found = moment.astimezone(UTC)
        if self.local_times:
            found = found.replace(tzinfo=None).astimezone(UTC)
        return found.isoformat(timespec="milliseconds")


def read(source: Any, name: str | None = None) -> OptunaHistory:
    """Read a study.

    Args:
        source: a file (SQLite, a journal, a CSV of trials), an SQLAlchemy URL, or an `optuna.Study`.
        name: the study's name there; may be left out where there is one only.

    Raises:
        SpecError: there is no such file, or it holds no such study.
        StoreError: it cannot be read.
    """
    if isinstance(source, optuna.Study):
        return _of_study(source, f"the study '{source.study_name}'")
    text = str(source)
    if text.endswith(".csv"):
        from tuner.search import optuna_csv  # pandas

        trials, metrics = optuna_csv.read(Path(text))
        return OptunaHistory(
            text, name or Path(text).stem, metrics, (True,) * len(metrics), trials, is_directed=False
        )
    with quiet(), _opened(text) as (storage, version):
        try:
            known = [each.study_name for each in storage.get_all_studies()]
            if name is None and len(known) != 1:
                raise SpecError(
                    f"{text}: holds {len(known)} studies; name one of: {', '.join(known) or 'none'}"
                )
            if name is not None and name not in known:
                raise SpecError(f"{text}: no study '{name}'; {near(name, known)}")
            found = _of_study(optuna.load_study(study_name=name or known[0], storage=storage), text)
        except SpecError:
            raise
        except Exception as error:
            raise StoreError(f"{text}: cannot be read as a study of Optuna's: {described(error)}") from error
    is_older = version is not None and version < _LOCAL_TIMES_BEFORE
    return replace(found, local_times=is_older)


def _of_study(study: optuna.Study, source: str) -> OptunaHistory:
    directions = [direction.name == "MINIMIZE" for direction in study.directions]
    names = study.metric_names or (
        ["value"] if len(directions) == 1 else [f"value_{place}" for place in range(len(directions))]
    )
    trials = sorted(study.get_trials(deepcopy=False), key=lambda trial: trial.number)
    return OptunaHistory(source, study.study_name, tuple(names), tuple(directions), trials)


@contextmanager
def _opened(source: str) -> Iterator[tuple[BaseStorage, int | None]]:
    """A storage, and the major version of the Optuna that began it where it tells."""
    path = Path(source.removeprefix("sqlite:///") if source.startswith("sqlite:///") else source)
    if "://" in source and not source.startswith("sqlite:///"):
        yield _database(source, upgraded=False), None
        return
    if not path.is_file():
        raise SpecError(f"{source}: there is no such file; give Optuna's database, journal or CSV of trials")
    with path.open("rb") as file:
        is_sqlite = file.read(16) == b"SQLite format 3\0"
    if not is_sqlite:
        yield _journal(path), None
        return
    with TemporaryDirectory(prefix="tuner-", ignore_cleanup_errors=True) as folder:
        copy = Path(folder) / "optuna.db"
        try:
            with (
                closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as theirs,
                closing(sqlite3.connect(copy)) as mine,
            ):
                theirs.backup(mine)
                version = _version(mine)
        except sqlite3.Error as error:
            raise StoreError(f"{source}: cannot be read: {error}") from error
        yield _database(f"sqlite:///{copy}", upgraded=True), version


def _database(url: str, *, upgraded: bool) -> RDBStorage:
    try:
        storage = RDBStorage(url, skip_compatibility_check=upgraded, skip_table_creation=True)
        if upgraded and storage.get_current_version() != storage.get_head_version():
            storage.upgrade()
    except Exception as error:
        raise StoreError(f"{url}: cannot be read as a database of Optuna's: {described(error)}") from error
    return storage


def _journal(path: Path) -> JournalStorage:
    try:
        return JournalStorage(JournalFileBackend(str(path)))
    except Exception as error:
        raise StoreError(f"{path}: cannot be read as a journal of Optuna's: {described(error)}") from error


def _version(connection: sqlite3.Connection) -> int | None:
    try:
        found = connection.execute("SELECT library_version FROM version_info").fetchone()
        return int(str(found[0]).partition(".")[0])
    except (sqlite3.Error, TypeError, ValueError):
        return None
