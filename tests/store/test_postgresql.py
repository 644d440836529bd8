"""What only a server does: it restarts, loses connections, and tells whose connection is gone."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from tests import processes, servers
from tests.servers import PostgresServer, until
from tests.store.asking import asked
from tests.store.test_lease import driver
from tuner.core.budget import StudyState
from tuner.core.ports import Turn
from tuner.core.spec import StudySpec
from tuner.core.trial import Reading, Trial
from tuner.errors import StoreError, StudyLocked
from tuner.store import Database, StudyStore, retry
from tuner.store.columns import Reader
from tuner.store.connect import connect, parse, reading, writing
from tuner.store.schema import VERSION

pytestmark = pytest.mark.postgres
Trials = Callable[..., Trial]
Readings = Callable[..., Reading]


@pytest.fixture
def kind() -> str:
    return "postgresql"


@pytest.fixture
def server(postgres: PostgresServer) -> Iterator[PostgresServer]:
    """One that may be stopped: another one than the other tests have."""
    with servers.running() as stoppable:
        yield stoppable


def test_a_restarted_server_costs_no_turn_and_gives_none_twice(
    server: PostgresServer, spec: StudySpec, trial: Trials, reading: Readings
) -> None:
    url = server.create()
    with Database.open(url) as database:
        store = database.create_study("nets", spec, {})
        store.record(Turn(started=[trial(0)], readings=[(0, reading(1))]))
        reader = Reader(url)
        before = reader.stamp()
        server.stop()
        with pytest.raises(StoreError, match="the server does not answer"):
            reader.stamp()
        starting = threading.Thread(target=server.start)
        starting.start()
        store.record(Turn(readings=[(0, reading(2))], started=[trial(1)]))
        starting.join()
        assert reader.stamp() != before
        assert [each.name for each in reader.studies()] == ["nets"]
        reader.close()
        assert store.requests() == []
        assert database.curves("nets") == {0: [reading(1), reading(2)]}
        assert [each.number for each in database.records("nets")] == [0, 1]
        store.finish(StudyState.FINISHED, "done", 1.0)


def test_a_turn_of_many_trials_waits_for_the_server_no_more_often_than_that_of_two(
    store: StudyStore,
    trial: Trials,
    reading: Readings,
    ended: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[int] = []
    execute, leave = psycopg.Cursor.execute, psycopg.Pipeline.__exit__

    def executed(cursor: Any, *given: Any, **options: Any) -> Any:
        if not cursor.connection.pgconn.pipeline_status:
            waits.append(cursor.connection.pgconn.backend_pid)
        return execute(cursor, *given, **options)

    def left(pipeline: Any, *error: Any) -> None:
        waits.append(pipeline.pgconn.backend_pid)
        leave(pipeline, *error)

    monkeypatch.setattr(psycopg.Cursor, "execute", executed)
    monkeypatch.setattr(psycopg.Pipeline, "__exit__", left)

    def trips(*numbers: int) -> int:
        waits.clear()
        readings = [(number, reading(1)) for number in numbers]
        store.record(
            Turn(
                started=[trial(number) for number in numbers],
                readings=readings,
                ended=[ended(trial(number), [reading(1)]) for number in numbers],
            )
        )
        return len(waits)

    few = trips(0, 1)
    assert trips(*range(2, 40)) == few <= 10
    assert len(set(waits)) == 1, "another connection, which had to prepare its statements"


@pytest.mark.parametrize("is_stored", [True, False])
def test_a_turn_whose_end_was_not_heard_is_stored_once(
    database: Database,
    store: StudyStore,
    trial: Trials,
    reading: Readings,
    monkeypatch: pytest.MonkeyPatch,
    is_stored: bool,
) -> None:
    dialect, calls = store._engine.dialect, [0]
    commit = dialect.do_commit

    def cut(connection: Any) -> None:
        calls[0] += 1
        if calls[0] == 1:
            if is_stored:
                commit(connection)
            raise psycopg.OperationalError("the connection is closed")
        commit(connection)

    monkeypatch.setattr(dialect, "do_commit", cut)
    store.record(Turn(started=[trial(0)], readings=[(0, reading(1))]))
    assert calls[0] >= 2 - is_stored
    store.record(Turn(readings=[(0, reading(2))]))
    assert database.curves("nets") == {0: [reading(1), reading(2)]}


def test_what_a_server_had_confirmed_and_lost_ends_the_study_in_words(
    url: str, store: StudyStore, trial: Trials, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.record(Turn(started=[trial(0)]))
    store.record(Turn(started=[trial(1)]))
    asked(url, "UPDATE tuner_lease SET turn = 1")
    cut_off(url)
    store._engine.pool.dispose()
    dialect = store._engine.dialect
    commit, calls = dialect.do_commit, [0]

    def once(connection: Any) -> None:
        calls[0] += 1
        if calls[0] == 1:
            raise psycopg.OperationalError("the connection is closed")
        commit(connection)

    monkeypatch.setattr(dialect, "do_commit", once)
    with pytest.raises(StoreError, match=r"has lost the last 1 transaction .*tune resume nets"):
        store.record(Turn(started=[trial(2)]))


def cut_off(url: str) -> None:
    """End every connection to a database but this one."""
    asked(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )


def test_connections_that_are_cut_are_made_again_with_the_lock(
    url: str, database: Database, store: StudyStore, trial: Trials
) -> None:
    store.record(Turn(started=[trial(0)]))
    asked(url, "UPDATE tuner_lease SET host = 'elsewhere'")
    assert database.study("nets").is_driven
    cut_off(url)
    assert not database.study("nets").is_driven
    store.record(Turn(started=[trial(1)]))
    assert store._lease is not None
    assert store._lease._lock is not None
    store._lease._lock.keep()
    assert database.study("nets").is_driven
    assert len(database.records("nets")) == 2


def test_a_server_that_stays_away_ends_the_study_in_words(
    server: PostgresServer, spec: StudySpec, trial: Trials, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "PATIENCE_S", 0.0)
    with Database.open(server.create()) as database:
        store = database.create_study("nets", spec, {})
        server.stop()
        with pytest.raises(StoreError, match=r"does not answer or refuses .*go on with: tune resume nets"):
            store.record(Turn(started=[trial(0)]))
        server.start()
        store.record(Turn(started=[trial(0)]))
        store.close()


def test_a_driver_that_was_killed_on_another_host_is_replaced_at_once(url: str, database: Database) -> None:
    with driver(url) as process:
        asked(url, "UPDATE tuner_lease SET host = 'elsewhere'")
        assert database.study("driven").is_driven
        with pytest.raises(StudyLocked, match="on elsewhere"):
            database.resume_study("driven")
        os.kill(process.pid, signal.SIGKILL)
        # Its heartbeat is new: without the lock it would be waited for.
        until(lambda: not database.study("driven").is_driven)
        database.resume_study("driven").close()


def test_a_stopped_driver_that_comes_back_writes_no_more(
    url: str, database: Database, store: StudyStore, trial: Trials
) -> None:
    # Its connection is there, and its lock; it has given no sign of life for long.
    old = "to_char(now() AT TIME ZONE 'UTC' - interval '21 s', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"+00:00\"')"
    asked(url, f"UPDATE tuner_lease SET host = 'elsewhere', heartbeat = {old}")
    successor = database.resume_study("nets")
    with pytest.raises(StudyLocked, match=f"taken over by process {os.getpid()} on {socket.gethostname()}"):
        store.record(Turn(started=[trial(0)]))
    assert database.records("nets") == []
    successor.close()


def test_a_driver_that_is_stopped_within_a_transaction_keeps_no_lock_for_long(store: StudyStore) -> None:
    asks = text("SHOW idle_in_transaction_session_timeout")
    assert store._write(lambda connection: connection.scalar(asks)) == "10s"
    with store._engine.begin() as connection:
        assert connection.scalar(asks) == "0"  # others may take their time


@pytest.mark.parametrize(("durability", "told"), [("normal", "off"), ("full", "on")])
def test_a_commit_waits_for_the_disk_where_the_study_wants_it(url: str, durability: str, told: str) -> None:
    engine = connect(parse(url))
    with writing(engine, full=durability == "full").begin() as connection:
        assert connection.scalar(text("SHOW synchronous_commit")) == told
    engine.dispose()


def test_readers_read_one_moment_and_cannot_write(url: str) -> None:
    engine = connect(parse(url))
    with reading(engine).begin() as connection:
        assert connection.scalar(text("SHOW transaction_isolation")) == "repeatable read"
        assert connection.scalar(text("SHOW transaction_read_only")) == "on"
    engine.dispose()


def test_programs_that_begin_in_a_new_database_at_once_make_its_tables_once(
    postgres: PostgresServer,
) -> None:
    postgres._admin("CREATE DATABASE blank")
    url = postgres.url("blank")
    code = "import sys; from tuner.store import Database; Database.open(sys.argv[1], create=True).close()"
    started = [processes.start("-c", code, url) for _ in range(3)]
    assert [each.wait() for each in started] == [0, 0, 0]
    assert asked(url, "SELECT version FROM tuner_schema") == [(VERSION,)]
    postgres.drop(url)


def test_tables_of_an_earlier_version_are_brought_to_this_one(url: str) -> None:
    asked(url, "ALTER TABLE tuner_lease DROP COLUMN turn")
    asked(url, "DROP TABLE tuner_requests")
    asked(url, "ALTER TABLE tuner_lease DROP COLUMN machine")
    asked(url, "UPDATE tuner_schema SET version = 6")
    asked(url, "DELETE FROM tuner_migrations")
    Database.open(url).close()
    assert asked(url, "SELECT version FROM tuner_schema") == [(VERSION,)]
    assert asked(url, "SELECT count(*) FROM tuner_requests") == [(0,)]


def test_a_password_is_never_shown(url: str) -> None:
    secret = parse("postgresql://me:secret@127.0.0.1:1/none?password=secret")
    with pytest.raises(StoreError) as caught:
        Database.open(secret.render_as_string(hide_password=False))
    assert "secret" not in str(caught.value)
    assert str(caught.value).startswith("postgresql://me:***@127.0.0.1:1/none: the server does not answer")


def test_the_files_of_a_study_lie_where_the_root_was_said_to_be(
    url: str, spec: StudySpec, tmp_path: Path
) -> None:
    with Database.open(url, models=tmp_path / "root") as database:
        store = database.create_study("nets", spec, {})
        assert store.artifacts.folder.parent == tmp_path / "root"
        store.close()
