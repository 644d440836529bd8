"""studies, verify, delete: the public functions that look after stored studies."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner import store
from tuner.content import storage_url
from tuner.core import words
from tuner.core.request import RequestKind
from tuner.core.spec import IMPORTED, StudySpec
from tuner.errors import StudyNotFound, TrialError
from tuner.store import Database, StudySummary, Verification

if TYPE_CHECKING:
    import pandas as pd


def studies(*, storage: str | None = None) -> pd.DataFrame:
    """A row for every stored study but what `confirm` trained, the newest first; no row without a database.

    Columns are ``name``, ``description``, ``state``, ``reason``, ``metric``, ``best_value``, ``best_trial``,
    ``trials`` and how many of them are ``finished``, ``stopped`` and ``failed``, ``seconds`` of wall time,
    ``created_at`` and ``updated_at``.

    Args:
        storage: the database's URL.
    """
    from tuner.results import tables

    return tables.studies(summaries(storage=storage))


def summaries(*, storage: str | None = None) -> list[StudySummary]:
    """The same as values."""
    with suppress(StudyNotFound), Database.open(storage_url(storage)) as database:
        return [each for each in database.studies() if each.confirms is None]
    return []


def names(*, storage: str | None = None) -> set[str]:
    """The names that are taken in a database, by plain Optuna too."""
    with suppress(StudyNotFound), Database.open(storage_url(storage)) as database:
        return database.names()
    return set()


def free_name(wanted: str, taken: Collection[str]) -> str:
    """A name that is free: the wanted one, or with the first number behind it that is."""
    tries = (wanted, *(f"{wanted}-{number}" for number in range(2, len(taken) + 3)))
    return next(name for name in tries if name not in taken)


def verify(*, storage: str | None = None) -> Verification:
    """Check a whole database for faults; changes nothing.

    Raises:
        StudyNotFound: there is no such file.
    """
    return store.verify(storage_url(storage))


def enqueue(
    name: str, params: Mapping[str, Any], *, like: int | None = None, storage: str | None = None
) -> bool:
    """Ask for a trial of a configuration, in a study that runs or that is resumed later.

    Args:
        name: the study.
        params: the configuration; what it leaves out has its default, or is as in trial `like`.
        like: a trial of the study; without `params` it is trained once more, with other random numbers.
        storage: the database's URL.

    Returns:
        Whether a process drives the study now, which trains it as soon as a row is free.

    Raises:
        StudyNotFound: nothing has that name.
        SpecError: it is no configuration of the study's space; every fault is named.
        TrialError: there is no trial `like`.
    """
    if like is not None:
        params = {**_params_of(name, like, storage), **params}
    return _ask(name, RequestKind.TRY, params, storage).is_driven


def stop(name: str, *, trial: int | None = None, storage: str | None = None) -> None:
    """Ask the process that drives a study, on this machine or another, to stop, or to end one of its trials.

    A study that is stopped ends as by Ctrl-C: its trials leave checkpoints, and `resume` goes on with it.
    Where the study itself is over and its confirmation trains, that is stopped.

    Args:
        name: the study.
        trial: only this trial ends; it keeps its curve and counts as stopped.
        storage: the database's URL.

    Raises:
        StudyNotFound: nothing has that name.
        SpecError: no process drives it, or the trial is over.
    """
    if trial is None:
        _ask(name, RequestKind.STOP, {}, storage)
    else:
        _ask(name, RequestKind.END, {"trial": trial}, storage)


def raise_budget(
    name: str,
    *,
    trials: int | None = None,
    seconds: float | None = None,
    epochs: int | None = None,
    storage: str | None = None,
) -> None:
    """Ask the process that drives a study to go on for longer; the study's spec and its history say so.

    Args:
        name: the study.
        trials: how many trials in all.
        seconds: wall time in all.
        epochs: trial-epochs in all.
        storage: the database's URL.

    Raises:
        StudyNotFound: nothing has that name.
        SpecError: no process drives it, or a limit is not above the one that it has.
    """
    _ask(name, RequestKind.RAISE, {"trials": trials, "seconds": seconds, "epochs": epochs}, storage)


def _params_of(name: str, number: int, storage: str | None) -> Mapping[str, Any]:
    with Database.open(storage_url(storage)) as database:
        records = database.records(name, is_brief=True)
    for record in records:
        if record.number == number:
            return record.params
    raise TrialError(f"{name}: there is no trial {number}; it has {words.count(len(records), 'trial')}")


def _ask(name: str, kind: RequestKind, content: Mapping[str, Any], storage: str | None) -> StudySummary:
    with Database.open(storage_url(storage)) as database:
        return database.ask(name, kind, content)


def comment(name: str, text: str, *, trial: int | None = None, storage: str | None = None) -> None:
    """Write a comment on a study or one of its trials, in the place of the one that is there.

    Tables, pages and exports show it; words with ``#`` are easy to find. Optuna has all of a study's as its
    user attribute ``comments``.

    Args:
        name: the study.
        text: at most 2,000 characters; empty: none any more.
        trial: its number; None: the study.
        storage: the database's URL.

    Raises:
        StudyNotFound: nothing has that name.
        SpecError: it is too long, or there is no such trial.
    """
    with Database.open(storage_url(storage)) as database:
        database.comment(name, text, trial)


def rename(name: str, new: str, *, storage: str | None = None, command: str | None = None) -> None:
    """Give a study another name; its confirmations follow, and its files stay where they are.

    Args:
        name: the study.
        new: its new name, of at most 200 characters.
        storage: the database's URL.
        command: the command, for the history of the study's spec.

    Raises:
        StudyNotFound: nothing has that name.
        StudyExists: another study has the new one.
        StudyLocked: a living process drives it, or a confirmation of it.
        SpecError: the new one is no name.
    """
    with Database.open(storage_url(storage)) as database:
        database.rename_study(name, new, command or f"tuner.rename({name!r}, {new!r})")


def delete(name: str, *, storage: str | None = None, models: str | Path | None = None) -> None:
    """Remove a study, its trials and its kept models.

    Args:
        name: the study.
        storage: the database's URL.
        models: the folder for the models of all studies, where they were moved.

    Raises:
        StudyNotFound: nothing has that name.
        StudyLocked: a living process drives it.
    """
    with Database.open(storage_url(storage), models=models) as database:
        database.delete_study(name)


def make_room(database: Database, name: str) -> tuple[str, ...]:
    """Delete the study that a new one takes the place of.

    Returns:
        A sentence on what was deleted; none where there was nothing.

    Raises:
        StudyLocked: a living process drives it.
    """
    old = next((each for each in database.studies() if each.name == name), None)
    if old is None:
        return ()
    database.delete_study(name)
    begun = words.moment(old.created_at)
    return (
        f"This study replaces one of {old.trials_told} that was started on {begun}; that one is deleted.",
    )


def to_go_on_with(spec: StudySpec, url: str) -> StudySpec | None:
    """A spec with what a stored study of its name keeps: the budget and where it runs; None without such.

    What was learned of the space stays, too; a study that was imported keeps its objective only.
    """
    try:
        with Database.open(url) as database:
            old = database.study(spec.name).parsed
    except StudyNotFound:
        return None
    changed: dict[str, Any] = {"space": old.space} if spec.space.learned else {}
    if old.trainer.use == IMPORTED:
        return spec.model_copy(update=changed | {"objective": old.objective})
    kept = {key: getattr(old.trainer, key) for key in ("workers", "device")}
    changed |= {"budget": old.budget, "trainer": spec.trainer.model_copy(update=kept)}
    return spec.model_copy(update=changed)


def is_imported(name: str, url: str) -> bool:
    """Whether a study was imported, and has nothing yet that trains further trials."""
    with Database.open(url) as database:
        return database.study(name).parsed.trainer.use == IMPORTED
