"""studies, verify, delete: the public functions that look after stored studies."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tuner import store
from tuner.content import storage_url
from tuner.core import words
from tuner.core.spec import StudySpec
from tuner.errors import StudyNotFound
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


def verify(*, storage: str | None = None) -> Verification:
    """Check a whole database for faults; changes nothing.

    Raises:
        StudyNotFound: there is no such file.
    """
    return store.verify(storage_url(storage))


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
        database.study(name)
        _delete(database, name)


def _delete(database: Database, name: str) -> None:
    """Remove a study after what confirmed it."""
    confirming = [each.name for each in database.studies() if each.confirms == name]
    for each in (*reversed(confirming), name):
        database.delete_study(each)


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
    _delete(database, name)
    trials, begun = words.count(sum(old.counts.values()), "trial"), words.moment(old.created_at)
    return (f"This study replaces one of {trials} that was started on {begun}; that one is deleted.",)


def to_go_on_with(spec: StudySpec, url: str) -> StudySpec | None:
    """A spec with what a stored study of its name keeps: the budget and where it runs; None without such."""
    try:
        with Database.open(url) as database:
            old = database.study(spec.name).parsed
    except StudyNotFound:
        return None
    kept = {key: getattr(old.trainer, key) for key in ("workers", "device")}
    trainer = spec.trainer.model_copy(update=kept)
    return spec.model_copy(update={"budget": old.budget, "trainer": trainer})
