"""Statements: all that a turn executes, written once, their rows going to the driver as they are.

SQLAlchemy writes each statement, in the driver's own style of parameters, but does not look at each row,
which would cost several times what the database takes for it. So values must be of types that drivers
take as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import (
    Connection,
    DateTime,
    Delete,
    Dialect,
    Insert,
    Table,
    Update,
    bindparam,
    delete,
    insert,
    literal_column,
    null,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

from tuner.store.encoding import Cell
from tuner.store.schema import (
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

_MOST_PARAMETERS = 50
"""Statements of more are not kept by psycopg, which then reads their text each time."""


class Bulk:
    """One statement for one kind of database.

    Args:
        dialect: the kind of database.
        statement: the statement.
        names: its parameters, in the order in which rows give them.
    """

    def __init__(self, dialect: Dialect, statement: Insert | Update | Delete, *names: str) -> None:
        keys = names if isinstance(statement, Insert) else None
        self._errors = dialect.loaded_dbapi.Error
        self._copy = ""
        if dialect.name == "postgresql" and type(statement) is Insert:
            self._copy = f"COPY {statement.table.name} ({', '.join(names)}) FROM STDIN"
        compiled = statement.compile(dialect=dialect, column_keys=keys)
        self._sql = compiled.string
        self._names = names
        # Drivers want either positions, given here as indices into a row, or names.
        order = compiled.positiontup
        self._order = None if order is None else [names.index(name) for name in order]
        self._is_in_order = self._order == list(range(len(names)))
        self._many, self._many_sql = 1, self._sql
        if dialect.name == "postgresql" and isinstance(statement, Insert) and self._is_in_order:
            self._many = _MOST_PARAMETERS // len(names)
            head, found, rest = self._sql.partition(" VALUES ")
            values, conflict, tail = rest.partition(" ON CONFLICT")
            self._many_sql = f"{head}{found}{', '.join([values] * self._many)}{conflict}{tail}"

    def run(self, connection: Connection, rows: Iterable[tuple[Cell, ...]]) -> int:
        """Execute once for each row.

        Returns:
            How many rows of the table it met, where the driver tells.
        """
        given: list[Any] = list(rows)
        if not given:
            return 0
        copies = self._copy and len(given) > 1
        if self._order is None and not copies:
            given = [dict(zip(self._names, row, strict=True)) for row in given]
        elif not self._is_in_order and not copies:
            given = [tuple(row[i] for i in self._order or ()) for row in given]
        # Drivers take all of it as it is; what SQLAlchemy adds costs ten times the statement.
        cursor: Any = connection.connection.cursor()
        try:
            if copies:
                with cursor.copy(self._copy) as copy:
                    for row in given:
                        copy.write_row(row)
            elif len(given) == 1:
                cursor.execute(self._sql, given[0])
            elif self._many == 1:
                cursor.executemany(self._sql, given)
            else:
                # Several rows in one statement are fewer statements to be executed.
                most = len(given) - len(given) % self._many
                groups = [sum(given[i : i + self._many], ()) for i in range(0, most, self._many)]
                for sql, some in ((self._many_sql, groups), (self._sql, given[most:])):
                    if some:
                        cursor.executemany(sql, some)
            return int(cursor.rowcount)
        except self._errors as error:
            told = DBAPIError.instance(
                self._sql, None, error, self._errors, hide_parameters=True, dialect=connection.dialect
            )
            raise told from error
        finally:
            cursor.close()


class Statements:
    """Every row of an update or a deletion ends with the id of its trial or study."""

    def __init__(self, dialect: Dialect) -> None:
        def new(table: Table, *columns: str) -> Bulk:
            return Bulk(dialect, insert(table), *columns)

        def new_only(table: Table, *columns: str) -> Bulk:
            """As `new`; a row that Optuna's user has written with the same key stays."""
            if dialect.name == "postgresql":
                return Bulk(dialect, postgresql.insert(table).on_conflict_do_nothing(), *columns)
            return Bulk(dialect, insert(table).prefix_with("OR IGNORE"), *columns)

        def change(table: Table, *columns: str) -> Bulk:
            values: dict[str, Any] = {column: bindparam(f"new_{column}") for column in columns}
            statement = update(table).where(_its_id(table)).values(values)
            return Bulk(dialect, statement, *(f"new_{column}" for column in columns), "its_id")

        def void(table: Table) -> Bulk:
            return Bulk(dialect, delete(table).where(table.c.trial_id == bindparam("its_id")), "its_id")

        self.add = new(trials, "number", "study_id", "state", "datetime_start")
        self.add_ours = new(
            tuner_trials, "trial_id", "study_id", "number", "params", "state", "epochs", "conclusive",
            "seconds", "interruptions", "started_at", "origin",
        )  # fmt: skip
        self.add_params = new_only(trial_params, "trial_id", "param_name", "param_value", "distribution_json")
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
        self.void = Bulk(
            dialect,
            update(tuner_trials)
            .where(_its_id(tuner_trials))
            .values(
                value=null(),
                best_epoch=null(),
                epochs=literal_column("0"),
                ordered=null(),
                paused_at=literal_column("0"),
            ),
            "its_id",
        )
        self.interrupt = Bulk(
            dialect,
            update(tuner_trials)
            .where(_its_id(tuner_trials))
            .values(interruptions=tuner_trials.c.interruptions + literal_column("1")),
            "its_id",
        )
        self.order = change(tuner_trials, "ordered")
        self.go_on = Bulk(
            dialect,
            update(tuner_trials)
            .where(_its_id(tuner_trials))
            .values(state=bindparam("new"), rule=null(), reason=null()),
            "new",
            "its_id",
        )
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


def as_driver_takes(dialect: Dialect, moment: datetime) -> Cell:
    """A naive time as this kind of database's driver takes it: SQLite's takes text."""
    process = _processor(dialect)
    return cast("Cell", process(moment)) if process is not None else moment


@lru_cache
def _processor(dialect: Dialect) -> Callable[[datetime], object] | None:
    return DateTime().dialect_impl(dialect).bind_processor(dialect)


def _its_id(table: Table) -> Any:
    return next(iter(table.primary_key.columns)) == bindparam("its_id")
