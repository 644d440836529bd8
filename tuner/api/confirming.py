"""confirm: trains the best trials again, recommends one, and reads the locked test rows once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import numpy as np

from tuner.api.baseline_run import BaselineRun
from tuner.api.deploying import beside_teacher
from tuner.api.locked_test import LockedTest
from tuner.api.provenance import Provenance
from tuner.api.repeats import Repeats, begun, kept_models
from tuner.api.rowwise import row_noise
from tuner.api.specify import in_memory
from tuner.api.watching import Progress, watched
from tuner.artifacts import Artifacts
from tuner.content import storage_url
from tuner.core.incumbents import incumbents
from tuner.core.ports import Observer
from tuner.core.spec import StudySpec
from tuner.core.trial import TrialRecord
from tuner.errors import SpecError, StoreError, StudyLocked, TrialError
from tuner.executors import Standby
from tuner.judging.choosing import choose, smallest
from tuner.judging.compressed import NonInferiority
from tuner.judging.confirmation import Confirmation, LockedRead, TestedBaseline, contenders
from tuner.judging.intervals import over_repeats
from tuner.judging.measures import scale_of
from tuner.store import Database, StoredConfirmation, StudySummary
from tuner.trainers import load_model, scores
from tuner.trainers.averaged import AveragedModel
from tuner.trainers.model import Model

if TYPE_CHECKING:
    from tuner.data import locked


def confirm(
    name: str,
    *,
    top: int | None = None,
    repeats: int | None = None,
    reopen: bool = False,
    storage: str | None = None,
    models: str | Path | None = None,
    data: Any = None,
    trainer: Callable[..., Any] | None = None,
    progress: Progress = "auto",
    observer: Observer | None = None,
) -> Confirmation:
    """Train the best trials and the default again, recommend one, and open the locked test split.

    The test is read once: later calls return the stored result. A confirmation that was interrupted
    continues where it was.

    Args:
        name: the study.
        top: how many of the best trials; None: as the study says.
        repeats: how often each is trained; likewise.
        reopen: confirm again although it was done, e.g. because the search went on. The store counts this.
        storage: the database's URL.
        models: the folder for the models of all studies, where they were moved.
        data: the data, where the study was started with it from Python; see `start`.
        trainer: the function, where the study was started with one from Python.
        progress: see `start`.
        observer: is told of every turn of the training, instead of the display.

    Raises:
        StudyNotFound: nothing has that name.
        StudyLocked: a living process drives it.
        SpecError: an option makes no sense.
        TrialError: there is nothing to confirm, or every repeated training failed.
    """
    if top is not None and top < 1:
        raise SpecError(f"--top {top}: give at least 1")
    if repeats is not None and repeats < 3:
        raise SpecError(f"--repeats {repeats}: give at least 3, fewer cannot show how much is luck")
    url = storage_url(storage)
    with Database.open(url, models=models) as database:
        summary = database.study(name)
        if summary.confirms is not None:
            raise SpecError(f"'{name}' holds trainings of '{summary.confirms}'; confirm that one")
        done = sum(each.result is not None for each in database.confirmations(name))
        stored = database.confirmed(name)
        study = summary.parsed
        data = in_memory(data, study.data.target if study.data is not None else None)
        provenance = Provenance.of(database, name, study)
        if stored is not None and not reopen:
            provenance.require(study, data, files_only=True)
            found = Confirmation.from_table(stored)
            with suppress(StoreError):
                # The process that confirmed it may have been killed before its last step.
                _tidy(database, found)
            return found
        if summary.is_driven:
            raise StudyLocked(f"study '{name}' is running; wait until it has ended, or stop it")
        with watched(observer, progress) as watching, Standby() as standby:
            again = _ConfirmationRun(database, url, summary, done + 1, data, trainer, provenance, standby)
            return again.run(top, repeats, watching, _command(name, top, repeats, reopen))


def _tidy(database: Database, found: Confirmation) -> None:
    """Delete the models of the repeats but the recommended one, after adding the others of its mean to it."""
    kept = None if found.model_path is None else int(Path(found.model_path).name)
    if kept is not None and found.averaged:
        each = len(found.candidates)
        trainings = range(kept % each, each * found.repeats, each)
        database.artifacts(found.confirmed_by).join(kept, trainings)
    database.keep_models(found.confirmed_by, set() if kept is None else {kept})


@dataclass(frozen=True)
class _ConfirmationRun:
    """One confirmation, from its first training to its result.

    Attributes:
        number: counts the study's confirmations, from 1.
    """

    database: Database
    url: str
    summary: StudySummary
    number: int
    data: Any
    trainer: Callable[..., Any] | None
    provenance: Provenance
    standby: Standby

    def run(
        self, top: int | None, repeats: int | None, observer: Observer | None, command: str
    ) -> Confirmation:
        database, name = self.database, self.summary.name
        records = database.records(name)
        known = begun(database, self.summary, self.number)
        again = Repeats.of(
            database,
            self.summary,
            records,
            self.number,
            top=top,
            repeats=repeats,
            stored=known,
            data=self.data,
            trainer=self.trainer,
            check=self.provenance.fingerprint_check,
            standby=self.standby,
        )
        self.provenance.require_inputs(again.planned.data)
        if again.planned.data is not None and again.planned.data.fingerprint is not None:
            database.keep_fingerprint(name, again.planned.data.fingerprint)
        again = replace(again, is_tested=self._is_tested(again, records))
        from tuner.data import untold

        use = self.summary.parsed.baselines.use if again.is_tested else ()
        with BaselineRun.of(name) as baselines:
            baselines.confirm(again.planned, use, again.count if again.redrawn else 1)
            again.train(
                database,
                self.url,
                records,
                known,
                self.summary.facts,
                in_process=self.trainer is not None,
                observer=observer,
                command=command,
            )
            with untold():
                found, row, kept = self._judge(again, records, command, baselines)
        table = found.to_table() | {"model_path": kept.name if kept is not None else None}
        database.end_confirmation(name, row.number, table)
        _tidy(database, found)
        return found

    def _judge(
        self, again: Repeats, records: Sequence[TrialRecord], command: str, baselines: BaselineRun
    ) -> tuple[Confirmation, StoredConfirmation, Path | None]:
        database, name, spec = self.database, self.summary.name, again.spec
        study = self.summary.parsed
        trained = again.records(database)
        candidates = again.candidates(database, records, trained)
        objective, objectives, planned = spec.primary_objective(), study.objectives(), again.planned.data
        rivals = contenders(candidates, objectives)
        if not rivals:
            raise TrialError(f"{name}: every repeated training failed; see: tune show {quote(spec.name)}")
        score = spec.trainer.score or (scores.DEFAULT[planned.task] if planned is not None else "")
        files = database.artifacts(spec.name)
        models = {n: kept_models(files, its) for n, its in zip(again.numbers, trained, strict=True)}
        noise = row_noise(again, rivals, models)
        choice = choose(rivals, minimize=objective.minimize, overlap=again.overlap, noise=noise)
        teacher = study.trainer.teacher
        if teacher is not None:
            choice = smallest(choice, rivals, objectives)
        fingerprint = planned.fingerprint if planned is not None else None
        untested = self._untested(spec, models[choice.recommended], fingerprint)
        has_baselines = untested is None and baselines.is_ready()
        # It is noted before a single test row is read.
        row = database.begin_confirmation(name, command, opened=untested is None)
        simple: tuple[TestedBaseline, ...] = ()
        test, path = None, None
        mine = models[choice.recommended]
        best = mine.get(0) or next(iter(mine.values()), None)
        limits = {str(key): margin for key, margin in study.confirm.lose_at_most.items()}
        tests: tuple[NonInferiority, ...] = ()
        averaged = len(mine) if study.confirm.average and len(mine) > 1 else 0
        if untested is None:
            positive = planned.positive_class if planned is not None else None
            rows, by_score = self._locked(spec, fingerprint), objective.metric.endswith("_score")
            trial = LockedTest(rows, spec, positive, by_score, score.rpartition(":")[2])
            test = trial.tested(mine, models[0], choice.recommended == 0)
            judged: Sequence[Model] = [load_model(path) for path in mine.values()]
            if averaged:
                kept_model = trial.answered(AveragedModel(tuple(judged)))
                test, judged = trial.of_kept(test, kept_model), [kept_model] * averaged
            if teacher is not None and best is not None:
                tests = trial.not_worse(load_model(best), load_model(teacher), limits)
            if has_baselines:
                simple = trial.baselines(baselines, judged)
            # A path of gaps or of sizes has no counterpart on the test rows.
            is_same = objective.metric in ("val_loss", "val_score")
            kept = _path(database.artifacts(name), study, records) if is_same else []
            path = trial.along(kept, objective.minimize)
        standing = [c.searched for c in candidates if c.searched is not None]
        values = np.array(next(c.values for c in candidates if c.number == choice.recommended), np.float64)
        opened_before = [each for each in database.confirmations(name) if each.opened]
        found = Confirmation(
            study=name,
            confirmed_by=spec.name,
            metric=objective.metric,
            minimize=objective.minimize,
            score=score.rpartition(":")[2],
            score_falls=spec.trainer.score_falls,
            trials=again.trials,
            train_rows=len(planned.train) if planned is not None else 0,
            validation_rows=len(planned.validation) if planned is not None else 0,
            redrawn=again.redrawn,
            candidates=candidates,
            choice=choice,
            params=dict(records[choice.recommended].params),
            search_value=min(standing) if objective.minimize else max(standing),
            confirmed=over_repeats(
                values,
                again.overlap,
                scale_of(objective.metric, score),
                len(planned.validation) if planned is not None else 0,
                noise.of_one([each.number for each in rivals].index(choice.recommended))
                if noise is not None
                else None,
            ),
            locked_reads=tuple(LockedRead(each.at, each.command, each.host) for each in opened_before),
            test=test,
            untested=untested,
            overtuning=path,
            model_path=str(best) if best is not None else None,
            objectives=objectives,
            best=again.best,
            baselines=simple,
            averaged=averaged,
            compressed=beside_teacher(Path(teacher), best, tests) if teacher and best else None,
        )
        return found, row, best

    def _is_tested(self, again: Repeats, records: Sequence[TrialRecord]) -> bool:
        """Whether test rows will be read, as far as a model of the search tells."""
        files, data = self.database.artifacts(self.summary.name), again.planned.data
        found = next(iter(kept_models(files, records).values()), None)
        models = dict.fromkeys((0, 1), found) if found is not None else {}
        return self._untested(again.spec, models, data.fingerprint if data is not None else None) is None

    def _untested(self, spec: StudySpec, models: Mapping[int, Path], fingerprint: bytes | None) -> str | None:
        """Why there is no test, in words; None where there is one. No test row is read."""
        from tuner.data import locked

        if spec.data is None:
            return "the study has no [data], so there are no test rows"
        if len(models) < 2:
            return "its models were not kept"
        if not load_model(next(iter(models.values()))).predicts:
            return "only the training function can predict with its models"
        if not locked.has_test_rows(spec.data, Path.cwd(), self.data, fingerprint):
            return f"[data] test = {spec.data.test:g} locked no rows"
        return None

    def _locked(self, spec: StudySpec, fingerprint: bytes | None) -> locked.UnlockedRows:
        from tuner.data import locked

        if spec.data is None:
            raise SpecError(f"{spec.name}: there is no [data]")
        return locked.unlock(spec.data, Path.cwd(), self.data, fingerprint)


def _path(
    files: Artifacts, study: StudySpec, records: Sequence[TrialRecord]
) -> list[tuple[TrialRecord, Path]]:
    """The incumbents whose models were kept, the default configuration first."""
    numbers = dict.fromkeys((0, *incumbents(records, study.objectives()).numbers))
    chosen = [records[number] for number in numbers if records[number].value is not None]
    return [(chosen[place], path) for place, path in kept_models(files, chosen).items()]


def _command(name: str, top: int | None, repeats: int | None, reopen: bool) -> str:
    given = [f"--top {top}" if top else "", f"--repeats {repeats}" if repeats else ""]
    return " ".join(["confirm", name, *filter(None, given), *(["--reopen"] if reopen else [])])
