"""Statements: all that a turn executes, written once, their rows going to the driver as they are.

SQLAlchemy writes each statement, in the driver's own style of parameters, but does not look at each row,
which would cost several times what the database takes for it. So values must be of types that drivers
take as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from math import isfinite
from typing import Any, cast

from sqlalchemy import (
    Column,
    Connection,
    Delete,
    Dialect,
    Enum,
    Float,
    Insert,
    Select,
    String,
    Table,
    Update,
    bindparam,
    delete,
    insert,
    literal_column,
    null,
    select,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

from tuner.store.encoding import Cell
from tuner.store.schema import (
    studies,
    trial_intermediate_values,
    trial_params,
    trial_system_attributes,
    trial_user_attributes,
    trial_values,
    trials,
    tuner_curves,
    tuner_epochs,
    tuner_studies,
    tuner_trials,
)


class Together:
    """PostgreSQL's form of a statement for many rows, which it gets as JSON.

    It is executed ten times as fast as a statement for each row. An update must meet each row once.
    """

    def __init__(
        self,
        dialect: Dialect,
        table: Table,
        columns: Sequence[str],
        its_id: str | None = None,
        *,
        unless_there: bool = False,
    ) -> None:
        """Insert rows, perhaps unless they are there, or change those that `its_id` leads to."""
        self._names = [*columns, *([its_id] if its_id is not None else [])]
        types = {name: table.c[name].type for name in self._names}
        self._real = [name for name, each in types.items() if isinstance(each, Float)]
        told = ", ".join(f"{name} {_type_of(dialect, each)}" for name, each in types.items())
        given = f"json_to_recordset(%s::json) AS given ({told})"
        names = ", ".join(self._names)
        changes = ", ".join(f"{name} = given.{name}" for name in columns)
        others = " ON CONFLICT DO NOTHING" if unless_there else ""
        self.sql = (
            f"INSERT INTO {table.name} ({names}) SELECT {names} FROM {given}{others}"  # noqa: S608
            if its_id is None
            else f"UPDATE {table.name} AS its SET {changes} FROM {given} WHERE its.{its_id} = given.{its_id}"  # noqa: S608
        )

    def given(self, rows: Iterable[Sequence[Cell]]) -> str:
        """Rows as text."""
        tables = [dict(zip(self._names, row, strict=True)) for row in rows]
        for table in tables:
            for name in self._real:
                if not isfinite(cast("float", table[name] or 0.0)):
                    table[name] = str(table[name])  # which JSON has no number for
        return json.dumps(tables, ensure_ascii=False, default=_as_text)


@contextmanager
def in_one_trip(connection: Connection) -> Iterator[None]:
    """Send what runs within without waiting for a server's answers, which are taken together at its end.

    A trip to the server and back takes longer than most statements. Nothing within may depend on an answer.
    """
    api: Any = connection.dialect.loaded_dbapi
    # A libpq before version 14 has none.
    if connection.dialect.name != "postgresql" or not api.Pipeline.is_supported() or _is_on_trip(connection):
        yield
        return
    driver: Any = connection.connection.driver_connection
    try:
        with driver.pipeline():
            yield
    except api.Error as error:
        raise _told(connection, "", error) from error


def _is_on_trip(connection: Connection) -> bool:
    driver: Any = connection.connection.driver_connection
    return bool(driver.pgconn.pipeline_status)


def _told(connection: Connection, statement: str, error: Exception) -> BaseException:
    dialect = connection.dialect
    errors: Any = dialect.loaded_dbapi.Error
    return DBAPIError.instance(statement, None, error, errors, hide_parameters=True, dialect=dialect)


def _as_text(value: Any) -> str:
    """A value that JSON has no form for, as PostgreSQL reads it."""
    return f"\\x{value.hex()}" if isinstance(value, bytes) else str(value)


def _type_of(dialect: Dialect, column: Any) -> str:
    """A column's type; of texts without their length, to which they would be cut."""
    if isinstance(column, Enum):
        return str(column.name)
    return "TEXT" if isinstance(column, String) else str(column.compile(dialect))


class Bulk:
    """One statement for one kind of database.

    Args:
        dialect: the kind of database.
        statement: the statement.
        names: its parameters, in the order in which rows give them.
        together: the same for many rows at once, where it pays.
    """

    def __init__(
        self,
        dialect: Dialect,
        statement: Insert | Update | Delete | Select[Any],
        *names: str,
        together: Together | None = None,
    ) -> None:
        keys = names if isinstance(statement, Insert) else None
        self._errors = dialect.loaded_dbapi.Error
        self._copy = ""
        if dialect.name == "postgresql" and type(statement) is Insert:
            self._copy = f"COPY {statement.table.name} ({', '.join(names)}) FROM STDIN"
        compiled = statement.compile(dialect=dialect, column_keys=keys)
        self._sql = compiled.string
        # Where the driver wants each of its parameters from; None: in the order of rows.
        order = [names.index(name) for name in compiled.positiontup or ()]
        self._order = None if order == list(range(len(names))) else order
        self._together = together

    def run(self, connection: Connection, rows: Iterable[tuple[Cell, ...]]) -> int:
        """Execute once for each row.

        Returns:
            How many rows of the table it met, where the driver tells by then.
        """
        given: list[Any] = list(rows)
        if not given:
            return 0
        # Drivers take all of it as it is; what SQLAlchemy adds costs ten times the statement.
        cursor: Any = connection.connection.cursor()
        try:
            if self._copy and len(given) > 1 and not _is_on_trip(connection):
                with cursor.copy(self._copy) as copy:
                    for row in given:
                        copy.write_row(row)
            else:
                with in_one_trip(connection):
                    self._execute(cursor, given)
            return int(cursor.rowcount)
        except self._errors as error:
            raise _told(connection, self._sql, error) from error
        finally:
            cursor.close()

    def _execute(self, cursor: Any, given: list[Any]) -> None:
        if self._together is not None and len(given) > 1:
            cursor.execute(self._together.sql, (self._together.given(given),))
            return
        if (order := self._order) is not None:
            given = [tuple(row[i] for i in order) for row in given]
        if len(given) == 1:
            cursor.execute(self._sql, given[0])
        else:
            cursor.executemany(self._sql, given)


class Statements:
    """Every row of an update or a deletion ends with the id of its trial or study."""

    def __init__(self, dialect: Dialect) -> None:
        is_server = dialect.name == "postgresql"

        def new(table: Table, *columns: str) -> Bulk:
            together = Together(dialect, table, columns) if is_server else None
            return Bulk(dialect, insert(table), *columns, together=together)

        def new_only(table: Table, *columns: str) -> Bulk:
            """As `new`; a row that Optuna's user has written with the same key stays."""
            if is_server:
                statement = postgresql.insert(table).on_conflict_do_nothing()
                return Bulk(
                    dialect,
                    statement,
                    *columns,
                    together=Together(dialect, table, columns, unless_there=True),
                )
            return Bulk(dialect, insert(table).prefix_with("OR IGNORE"), *columns)

        def change(table: Table, *columns: str) -> Bulk:
            values: dict[str, Any] = {column: bindparam(f"new_{column}") for column in columns}
            statement = update(table).where(_id_of(table) == bindparam("its_id")).values(values)
            together = Together(dialect, table, columns, _id_of(table).name) if is_server else None
            names = (f"new_{column}" for column in columns)
            return Bulk(dialect, statement, *names, "its_id", together=together)

        def void(table: Table) -> Bulk:
            return Bulk(dialect, delete(table).where(table.c.trial_id == bindparam("its_id")), "its_id")

        self.lock = Bulk(
            dialect,
            select(studies.c.study_id).where(studies.c.study_id == bindparam("its_id")).with_for_update(),
            "its_id",
        )
        self.add = new(trials, "number", "study_id", "state", "datetime_start")
        self.add_ours = new(
            tuner_trials, "trial_id", "study_id", "number", "params", "state", "epochs", "conclusive",
            "seconds", "interruptions", "started_at", "origin",
        )  # fmt: skip
        params = ("trial_id", "param_name", "param_value", "distribution_json")
        self.add_params, self.complete_params = new(trial_params, *params), new_only(trial_params, *params)
        self.add_epochs = new(tuner_epochs, *tuner_epochs.c.keys())
        self.add_curves = new(tuner_curves, "trial_id", "readings")
        self.add_reports = new_only(
            trial_intermediate_values, "trial_id", "step", "intermediate_value", "intermediate_value_type"
        )
        self.add_values = new_only(trial_values, "trial_id", "objective", "value", "value_type")
        self.add_attributes = new_only(trial_user_attributes, "trial_id", "key", "value_json")
        self.add_system_attributes = new_only(trial_system_attributes, "trial_id", "key", "value_json")
        self.void_epochs = void(tuner_epochs)
        self.void_reports = void(trial_intermediate_values)
        self.start_again = change(trials, "datetime_start")
        self.void = change(tuner_trials, "value", "best_epoch", "epochs", "ordered", "paused_at")
        self.interrupt = Bulk(
            dialect,
            update(tuner_trials)
            .where(_id_of(tuner_trials) == bindparam("its_id"))
            .values(interruptions=tuner_trials.c.interruptions + literal_column("1")),
            "its_id",
        )
        self.order = change(tuner_trials, "ordered")
        self.go_on = change(tuner_trials, "state", "rule", "reason")
        self.forget = Bulk(
            dialect,
            update(tuner_trials)
            .where(
                tuner_trials.c.number == bindparam("its_number"),
                tuner_trials.c.study_id == bindparam("its_id"),
            )
            .values(model_path=null()),
            "its_number",
            "its_id",
        )
        self.end = change(trials, "state", "datetime_complete")
        self.leave = change(
            tuner_trials, "state", "value", "best_epoch", "epochs", "conclusive", "rule", "reason",
            "traceback", "seconds", "model_path", "paused_at", "ordered", "ended_at",
        )  # fmt: skip
        self.advance = change(tuner_studies, "seconds", "updated_at")
        self.advance_to = change(tuner_studies, "seconds", "position", "updated_at")


def _id_of(table: Table) -> Column[Any]:
    return next(iter(table.primary_key.columns))
