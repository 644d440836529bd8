from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import create_engine, inspect
from sqlalchemy.pool import NullPool

from tests.store.asking import asked
from tuner.core.budget import StudyState
from tuner.core.ports import Turn
from tuner.core.spec import StudySpec
from tuner.core.trial import Reading, Trial, TrialRecord, TrialState
from tuner.errors import StudyExists, StudyNotFound
from tuner.store import Database, StudyStore
from tuner.store.connect import parse


def counts(url: str) -> dict[str, int]:
    """Rows by table, over all tables."""
    engine = create_engine(parse(url), poolclass=NullPool)
    return {n: asked(url, f"SELECT count(*) FROM {n}")[0][0] for n in inspect(engine).get_table_names()}


def test_a_new_study_is_listed_with_all_that_is_known(
    database: Database, store: StudyStore, spec: StudySpec
) -> None:
    [summary] = database.studies()
    # Meanwhile the driver may have told what the machine does.
    assert replace(summary, machine=None) == replace(database.study("nets"), machine=None)
    assert (summary.name, summary.description, summary.state) == ("nets", "a line", StudyState.RUNNING)
    assert StudySpec.parse(summary.spec) == spec
    assert (summary.digest, summary.metric, summary.minimize) == (spec.digest, "val_loss", True)
    assert (summary.facts, summary.seconds) == ({"device": "cpu"}, 0.0)
    assert re.fullmatch("[0-9a-f]{32}", summary.identity)
    assert summary.counts == {state.value: 0 for state in TrialState}
    assert (summary.best_value, summary.best_number, summary.reason) == (None, None, None)
    assert summary.is_driven
    assert summary.created_at == summary.updated_at
    assert summary.created_at.endswith("+00:00")


def test_studies_are_listed_newest_first(database: Database, spec: StudySpec) -> None:
    for name in ("first", "second", "third"):
        database.create_study(name, spec, {}).close()
    assert [s.name for s in database.studies()] == ["third", "second", "first"]


@pytest.mark.parametrize(("metric", "best"), [("val_loss", (2, 0.25)), ("val_score", (1, 0.5))])
def test_the_best_trial_is_the_first_with_the_best_value_that_stands(
    database: Database,
    spec: StudySpec,
    trial: Callable[..., Trial],
    ended: Callable[..., TrialRecord],
    metric: str,
    best: tuple[int, float],
) -> None:
    table = {**spec.to_table(), "objective": {"metric": metric}}
    store = database.create_study("best", StudySpec.parse(table), {})
    store.record(Turn(started=[trial(n) for n in range(7)]))
    stopped, failed = TrialState.STOPPED, TrialState.FAILED
    store.record(
        Turn(
            ended=[
                ended(trial(0), [], value=None),
                ended(trial(1), [], value=0.5),
                ended(trial(2), [], stopped, value=0.25, conclusive=True),
                ended(trial(3), [], stopped, value=0.125),
                ended(trial(4), [], failed, value=0.75),
                ended(trial(5), [], value=0.25),
            ]
        )
    )
    store.close()
    summary = database.study("best")
    assert (summary.best_number, summary.best_value) == best
    assert (summary.counts["finished"], summary.counts["running"]) == (3, 1)


def test_where_no_value_stands_the_best_of_those_cut_short_is_the_best(
    database: Database, store: StudyStore, trial: Callable[..., Trial], ended: Callable[..., TrialRecord]
) -> None:
    store.record(Turn(started=[trial(n) for n in range(3)]))
    states = [TrialState.STOPPED, TrialState.STOPPED, TrialState.FAILED]
    values = [0.5, 0.25, 0.125]
    store.record(Turn(ended=[ended(trial(n), [], states[n], value=values[n]) for n in range(3)]))
    summary = database.study("nets")
    assert (summary.best_number, summary.best_value) == (1, 0.25)


def test_a_name_is_given_once(database: Database, url: str, store: StudyStore, spec: StudySpec) -> None:
    before = counts(url)
    with pytest.raises(StudyExists, match=r"tune resume nets$"):
        database.create_study("nets", spec, {})
    assert counts(url) == before


def test_a_name_that_plain_optuna_has_is_not_ours_to_resume(
    database: Database, url: str, spec: StudySpec
) -> None:
    import optuna

    optuna.create_study(study_name="theirs", storage=url)
    with pytest.raises(StudyExists, match=r"plain Optuna.*another name"):
        database.create_study("theirs", spec, {})
    for ask in (
        database.study,
        database.records,
        database.curves,
        database.resume_study,
        database.delete_study,
    ):
        with pytest.raises(StudyNotFound):
            ask("theirs")


def test_an_unknown_name_is_answered_with_near_ones(database: Database, store: StudyStore) -> None:
    with pytest.raises(StudyNotFound, match="no study 'net'; known: nets; did you mean 'nets'"):
        database.study("net")


def test_a_raised_budget_replaces_the_stored_spec(
    database: Database, store: StudyStore, spec: StudySpec
) -> None:
    store.finish(StudyState.FINISHED, "all 100 trials", 5.0)
    raised = StudySpec.parse({**spec.to_table(), "budget": {"trials": 200}})
    database.resume_study("nets", raised).close()
    summary = database.study("nets")
    assert StudySpec.parse(summary.spec) == raised
    assert summary.digest == raised.digest
    assert summary.seconds == 5.0


def test_a_study_that_cannot_be_stored_is_not_half_stored(
    database: Database, url: str, spec: StudySpec
) -> None:
    before = counts(url)
    with pytest.raises(TypeError):
        database.create_study("nets", spec, {"device": object()})
    assert counts(url) == before


def test_a_deleted_study_leaves_no_row_and_takes_no_other_ones(
    database: Database,
    url: str,
    spec: StudySpec,
    trial: Callable[..., Trial],
    reading: Callable[..., Reading],
    ended: Callable[..., TrialRecord],
) -> None:
    import optuna

    empty = counts(url)

    def fill(name: str) -> None:
        store = database.create_study(name, spec, {})
        store.record(Turn(started=[trial(0), trial(1)], readings=[(0, reading(1)), (1, reading(1))]))
        store.record(Turn(ended=[ended(trial(0), [reading(1)])]))
        theirs = optuna.load_study(study_name=name, storage=url)
        theirs.set_user_attr("note", "by hand")
        theirs._storage.set_trial_system_attr(theirs.trials[1]._trial_id, "by", "hand")
        store.close()

    fill("kept")
    kept, records = counts(url), database.records("kept")
    fill("gone")
    assert all(rows > kept[table] for table, rows in counts(url).items() if kept[table] > empty[table])
    database.delete_study("gone")
    assert counts(url) == kept
    assert database.records("kept") == records
    database.delete_study("kept")
    assert counts(url) == empty


def test_optuna_is_not_imported_to_read_and_its_storage_not_to_write(url: str) -> None:
    program = """
import sys
from tuner.core.ports import Turn
from tuner.core.spec import StudySpec
from tuner.core.trial import Trial
from tuner.store import Database
spec = StudySpec.parse({"space": {"x": {"type": "float", "low": 0, "high": 1, "default": 0.5}}})
with Database.open(sys.argv[1], create=True) as database:
    database.studies()
    assert "optuna" not in sys.modules
    store = database.create_study("s", spec, {})
    store.record(Turn(started=[Trial(0, {"x": 0.5}, 0)]))
    store.close()
    database.records("s"), database.curves("s")
    database.delete_study("s")
assert "sqlalchemy.orm" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program, url], check=True)
