"""start, resume: the public functions that run studies."""

from __future__ import annotations

import logging
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from tuner.api.baseline_run import BaselineRun, complete
from tuner.api.command import command_line, options
from tuner.api.history import beginning, from_values, is_optunas, needs_trainer, to_try
from tuner.api.notifying import notified
from tuner.api.planning import plan, prepare
from tuner.api.provenance import Provenance
from tuner.api.revision import SpecSource, is_used_up, raised, revised
from tuner.api.session import Session
from tuner.api.specify import compose, in_memory, name_of, passed
from tuner.api.stored import is_imported, make_room, to_go_on_with
from tuner.api.watching import Progress, watched
from tuner.content import storage_url
from tuner.core.budget import StudyState
from tuner.core.changes import changes
from tuner.core.dataset import FingerprintCheck
from tuner.core.ports import Observer
from tuner.core.spec import IMPORTED, StudySpec
from tuner.core.trial import TrialRecord
from tuner.errors import SpecError, StoreError, StudyLocked, TrialError, TunerError
from tuner.executors import Standby
from tuner.results import Study
from tuner.store import Database, StudySummary

_LOG = logging.getLogger(__name__)

_SOON_S = 60.0
"""A confirmation that trains no longer than this, or than the search did, follows automatically."""

_TO_CONFIRM = "to_confirm"
"""The stored fact that the study's process was to confirm it at the end."""


def start(
    study: str | Path | Mapping[str, Any] | StudySpec | None = None,
    *,
    name: str | None = None,
    data: Any = None,
    target: str | Sequence[str] | None = None,
    trainer: str | Callable[..., Any] | None = None,
    space: Any = None,
    metric: str | None = None,
    exists: Literal["error", "resume", "replace"] = "error",
    trials: int | None = None,
    seconds: float | None = None,
    workers: int | None = None,
    device: str | None = None,
    cluster: str | None = None,
    storage: str | None = None,
    models: str | Path | None = None,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
    first: Sequence[Mapping[str, Any]] = (),
    known: Sequence[tuple[Mapping[str, Any], Any]] | Any = (),
    confirm: bool = False,
    progress: Progress = "auto",
    observer: Observer | None = None,
) -> Study:
    """Run a new study to the end of its budget.

    A study that has data and no space gets a space, a network and a budget that suit the data, from
    Python as on the command line.

    Args:
        study: a shipped study (``"digits"``), one of ``./studies/``, a path to a TOML file, a data
            file (with `target`), a table, a `StudySpec`; None when the other arguments say it all.
        name: the study's name in the store; the file's or function's name where it is left out.
        data: a source as in `[data]`; or data in memory, which is not stored: a data frame (pandas, polars,
            pyarrow, ``datasets.Dataset``) with `target`, a tuple (X, y), a dictionary with X and y (and
            X_validation, X_test, ...), a Bunch of scikit-learn, or a torch Dataset of pairs (x, y).
        target: the column to predict, or several.
        trainer: as in `[trainer] use`, or a function ``train(params, context)`` of one's own.
        space: names of spaces, or parameters by name.
        metric: the objective, ``"val_loss"`` where it is left out.
        exists: what to do where a study of that name is stored: ``"error"`` raises; ``"resume"`` goes on with
            it, as `resume` does, and gives it back where it has finished; ``"replace"`` deletes it with its
            trials, its models and its confirmations, once the new study has been checked, and says so
            in `Study.notes`. A study that is running is never replaced; what `export` wrote stays.
        trials: how many trials in all.
        seconds: how much wall time in all.
        workers: how many trials train at the same time, in processes of their own.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``.
        cluster: a Ray cluster to train on: ``"auto"``, ``"host:6379"``, ``"local:3"``.
        storage: the database's URL.
        models: the folder for the models of all studies; None: `[trainer] models`, else ``TUNER_MODELS``,
            else ``tuner_models`` beside the database.
        seed: the seed of all randomness.
        settings: further keys of a study file by dotted name, e.g. ``{"trainer.epochs": 9}``.
        first: configurations to try right after the default one; what they leave out has its default.
        known: configurations whose value is known from elsewhere, each with that value, or with its numbers
            by name. The sampler learns from them; they cost no budget and are never confirmed. Or a study of
            Optuna's: its file, its URL, or an `optuna.Study`; see `import_trials`.
        confirm: confirm the study when it has finished, if ``[confirm] auto`` allows it.
        progress: whether progress and the notes on the data are shown: True, False, or ``"auto"``: live in a
            terminal and in a notebook, and not elsewhere.
        observer: is notified of every turn, instead of the display.

    Returns:
        The stored study.

    Raises:
        TrialError: no trial has a value, as all failed; the study is stored.
        SpecError: the study has faults; all of them are named.
        DataError: the data cannot be used.
        PluginError: a reference leads nowhere.
        StudyExists: a study of that name is stored already.
        StoreError: the database cannot be used.
    """
    if exists not in ("error", "resume", "replace"):
        raise SpecError(f'exists: found {exists!r}; give "error", "resume" or "replace"')
    data, url = in_memory(data, target), storage_url(storage)
    asked = options(trials, seconds, workers, device, cluster)
    asked |= {"search.seed": seed, **(settings or {})}
    if is_optunas(known):
        from tuner.api import importing  # Optuna's storages

        history = importing.read_history(known, name)
        if space is None and study is None:
            asked = {**importing.told_by(history, trainer), **asked}
    given = {
        "name": name, "data": data, "target": target, "trainer": trainer, "space": space, "metric": metric,
        "settings": asked,
    }  # fmt: skip
    if exists == "resume" and (stored := to_go_on_with(compose(study, **given)[0], url)) is not None:
        return resume(
            stored.name, study=stored, storage=storage, models=models, trials=trials, seconds=seconds,
            workers=workers, device=device, cluster=cluster, trainer=trainer if callable(trainer) else None,
            data=passed(data), confirm=confirm, progress=progress,
            observer=observer, allow_changes=is_imported(stored.name, url) or None,
        )  # fmt: skip
    with BaselineRun(ahead=not callable(trainer)) as baselines, Standby() as standby:
        planned = plan(study, **given, check=FingerprintCheck(), standby=standby)
        spec = planned.spec
        if is_optunas(known):
            found = importing.whole_of(history, spec.objectives())
        else:
            found = from_values(spec, known)
        tried, whole = to_try(spec, first), beginning(spec, found)
        session = Session.of(planned, url, in_process=callable(trainer))
        origin_facts: dict[str, Any] = {_TO_CONFIRM: confirm}
        if data is None and trainer is None and space is None:
            origin = SpecSource.of(study, target, metric, asked)
            origin_facts |= origin.fact({}) if origin is not None else {}
        command = command_line(
            "start",
            study,
            {"name": name, "target": target, "objective.metric": metric, "models": models, **asked},
        )
        with (
            watched(observer, progress) as watching,
            Database.open(session.url, create=True, models=models) as database,
        ):
            if exists == "replace":
                session = replace(session, told=make_room(database, planned.spec.name))
            driven = database.create_study(
                planned.spec.name,
                planned.spec,
                session.facts | origin_facts,
                command=command,
                fingerprint=session.fingerprint,
                whole=whole,
                first=tried,
            )
            baselines.search(planned, {})
            ended = Study(planned.spec.name, session.url, models)
            with notified(planned.spec, ended, watching) as told:
                session.drive(database, driven, told)
                baselines.keep(database, waits=False)
                _end(ended, data, trainer, told, confirm=confirm)
            baselines.keep(database)
            return ended.refresh()


def resume(
    name: str | None = None,
    *,
    study: str | Path | Mapping[str, Any] | StudySpec | None = None,
    allow_changes: bool | None = None,
    storage: str | None = None,
    models: str | Path | None = None,
    trials: int | None = None,
    seconds: float | None = None,
    workers: int | None = None,
    device: str | None = None,
    cluster: str | None = None,
    trainer: Callable[..., Any] | None = None,
    data: Any = None,
    confirm: bool = False,
    progress: Progress = "auto",
    observer: Observer | None = None,
) -> Study:
    """Go on with a stored study; trials that were running go on under their own numbers.

    Args:
        name: the study's name in the store; None: that of `study`, else the study that was last
            at work and is not finished.
        study: the study as it is now, where it may have changed: a file, a table, a `StudySpec`;
            None: the file it was started from, where that has changed since.
        allow_changes: take over what has changed: the space may be widened, narrowed or gain
            parameters; the data may have changed, and locked rows stay locked. False: go on as
            the study is stored. None: changes are refused.
        storage: the database's URL.
        models: the folder for the models of all studies, where they were moved; see `start`.
        trials: a new limit of trials in all, those already run included.
        seconds: a new limit of wall time in all, likewise.
        workers: another number of workers.
        device: another device.
        cluster: a Ray cluster to go on with; see `start`.
        trainer: the function, where the study was started with one from Python.
        data: the same data as before, where the study was started with data in memory: that is not stored.
        confirm: see `start`.
        progress: see `start`.
        observer: see `start`.

    A confirmation that was cut off goes on too. A study that has finished, and has nothing left of its
    budget, is given back as it is.

    Raises:
        TrialError: see `start`.
        StudyNotFound: no such study, or none to go on with.
        StudyLocked: another process drives it.
        SpecError: the new limit lies below what is used up. Or the study has changed, and that was not
            allowed or never can be; names every change.
    """
    url = storage_url(storage)
    asked = options(trials, seconds, workers, device, cluster)
    if name is None and study is not None:
        name = name_of(study, trainer)
    with (
        BaselineRun() as baselines,
        Standby() as standby,
        watched(observer, progress) as watching,
        Database.open(url, models=models) as database,
    ):
        summary = database.study(name) if name is not None else _unfinished(database)
        ended = Study(summary.name, url, models)
        stored = summary.parsed.data
        data = in_memory(data, stored.target if stored is not None else None)
        parent = _half_confirmed(database, summary) if trials is seconds is None else None
        if parent is not None and not allow_changes:
            _confirmed(parent, url, models, data, trainer, watching)
            complete(database, parent, database.study(parent).facts, database.study(parent).parsed, data)
            return Study(parent, url, models)
        spec, origin = revised(summary, study, allow=allow_changes, trainer=trainer, data=data)
        spec = raised(summary, spec, asked)
        provenance = Provenance.of(database, summary.name, spec, allow=allow_changes)
        if spec.trainer.use == IMPORTED:
            raise needs_trainer(summary.name)
        if is_used_up(summary, spec) and allow_changes is not True:
            provenance.require(spec, data)
            complete(database, summary.name, summary.facts, spec, data)
            _end(ended, data, trainer, watching, confirm=confirm)
            return ended.refresh()
        check = provenance.fingerprint_check
        planned = prepare(spec, data, trainer, summary.name, check=check, standby=standby)
        provenance.require_inputs(planned.data)
        session = Session.of(planned, url, in_process=trainer is not None, stored=summary.facts)
        session = replace(session, told=provenance.notes(planned.data))
        found = changes(summary.parsed, spec)
        command = command_line(
            "resume", study or name, {**asked, "models": models, "allow_changes": allow_changes}
        )
        facts = session.facts | {_TO_CONFIRM: confirm}
        facts |= origin.fact(asked) if origin is not None else {}
        driven = database.resume_study(
            summary.name, spec, facts=facts, command=command,
            changes=[*map(str, found), *provenance.changes], fingerprint=session.fingerprint,
        )  # fmt: skip
        if provenance.changes:
            session.forget_checkpoints(database.artifacts(summary.name), database.records(summary.name))
        baselines.search(planned, summary.facts)
        with notified(spec, ended, watching) as told:
            session.drive(database, driven, told)
            baselines.keep(database, waits=False)
            _end(ended, data, trainer, told, confirm=confirm)
        baselines.keep(database)
        return ended.refresh()


def _end(study: Study, data: Any, trainer: Any, observer: Observer | None, *, confirm: bool) -> None:
    """See how a study ended, and confirm it if that was asked for.

    Raises:
        TrialError: no trial has a value, as all failed.
    """
    summary = study.summary
    if summary.best_value is None and summary.counts["failed"]:
        raise TrialError(f"{study.name}: no trial has a value; {study.why_failed}")
    if summary.state is StudyState.FAILED and observer is None:
        _LOG.warning("%s: ended early: %s", study.name, summary.reason)
    if confirm:
        _confirm(study, data, trainer, observer)


def _confirm(study: Study, data: Any, trainer: Any, observer: Observer | None) -> None:
    """Confirm a finished study if that is quick; its failure does not fail the search."""
    spec = study.spec
    if study.summary.state is not StudyState.FINISHED or not _confirms_itself(spec):
        return
    if takes_long(spec, study.records):
        return
    function = trainer if callable(trainer) else None
    try:
        _confirmed(study.name, study.url, study.models, passed(data), function, observer)
    except TunerError as error:
        _LOG.warning("%s was not confirmed: %s", study.name, error)


def _confirmed(
    name: str, url: str, models: str | Path | None, data: Any, trainer: Any, observer: Observer | None
) -> None:
    # Not imported before, as the first epoch would wait for it.
    from tuner.api.confirming import confirm

    confirm(name, storage=url, models=models, data=data, trainer=trainer, progress=False, observer=observer)


def takes_long(spec: StudySpec, records: Sequence[TrialRecord]) -> bool:
    """Whether confirming would train for longer than the search has, and longer than a minute.

    A training is expected to have as many epochs as the longest of the trials to be trained again, and an
    epoch to take as long as most did: in the first ones kernels may have been compiled.
    """
    from tuner.api.repeats import standing
    from tuner.judging.choosing import worth_repeating

    seconds = math.fsum(record.seconds for record in records)
    epoch = statistics.median([r.seconds / r.epochs for r in records if r.epochs] or [0.0])
    again = worth_repeating(spec.objectives(), standing(records), spec.confirm.top)
    longest = max((record.epochs for record in records if record.number in again), default=0)
    members = (spec.data.folds if spec.data is not None and spec.data.folds else 1) * spec.trainer.repeats
    expected = len(again) * spec.confirm.repeats * longest * epoch / members
    return expected > max(seconds, _SOON_S)


def _half_confirmed(database: Database, summary: StudySummary) -> str | None:
    """The study whose confirmation was cut off: this one, or the one that this one confirms."""
    if summary.confirms is not None:
        return summary.confirms
    if summary.state is not StudyState.FINISHED:
        return None
    begun = [each for each in database.studies() if each.confirms == summary.name]
    is_cut = any(each.state is not StudyState.FINISHED and not each.is_driven for each in begun)
    return summary.name if is_cut else None


def _unfinished(database: Database) -> StudySummary:
    """The most recent study without a process and with work left."""
    found = database.studies()
    left = [s for s in found if not s.is_driven and _is_left(database, s)]
    if left:
        return max(left, key=lambda s: s.updated_at)
    driven = [s.name for s in found if s.is_driven]
    if driven:
        raise StudyLocked(f"every unfinished study here is running already: {', '.join(driven)}; wait for it")
    raise StoreError(
        "no unfinished study here; `tune list` shows all, "
        "`tune resume NAME --trials N` goes on with a finished one"
    )


def _is_left(database: Database, summary: StudySummary) -> bool:
    """Whether a study is not finished, or its process died before the confirmation that was to follow."""
    if summary.state is not StudyState.FINISHED:
        return True
    if not summary.facts.get(_TO_CONFIRM) or summary.best_value is None:
        return False
    spec = summary.parsed
    return (
        _confirms_itself(spec)
        and not any(each.result is not None for each in database.confirmations(summary.name))
        and not takes_long(spec, database.records(summary.name))
    )


def _confirms_itself(spec: StudySpec) -> bool:
    return spec.confirm.auto and spec.budget.seconds is None
