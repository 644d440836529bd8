"""The tables: Optuna's, as far as tuner reads or writes them, and tuner's own beside them.

A change of our tables takes a new `VERSION` and a step in `migrations`. Optuna's must be as Optuna declares
them, which a test compares.
"""

from __future__ import annotations

from sqlalchemy import (
    DDL,
    Boolean,
    Column,
    Connection,
    DateTime,
    Enum,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
    inspect,
    select,
)

from tuner.core.trial import TrialState
from tuner.errors import StoreError
from tuner.store.connect import display_url

VERSION = 9
"""The version of our tables; a database with a higher one was written by a later tuner."""

METADATA = MetaData()

OVER = tuple(state.value for state in TrialState if state.is_over)
"""The states of trials that will never train again."""


def _real() -> Float[float]:
    return Float(precision=53)


studies = Table(
    "studies",
    METADATA,
    Column("study_id", Integer, primary_key=True),
    Column("study_name", String(512), nullable=False),
)
study_directions = Table(
    "study_directions",
    METADATA,
    Column("study_direction_id", Integer, primary_key=True),
    Column("direction", Enum("NOT_SET", "MINIMIZE", "MAXIMIZE", name="studydirection"), nullable=False),
    Column("study_id", Integer, nullable=False),
    Column("objective", Integer, nullable=False),
)


def _attributes(owner: str, kind: str) -> Table:
    """One of the four tables in which Optuna keeps JSON by key."""
    return Table(
        f"{owner}_{kind}_attributes",
        METADATA,
        Column(f"{owner}_{kind}_attribute_id", Integer, primary_key=True),
        Column(f"{owner}_id", Integer),
        Column("key", String(512)),
        Column("value_json", Text),
    )


study_user_attributes = _attributes("study", "user")
study_system_attributes = _attributes("study", "system")
trials = Table(
    "trials",
    METADATA,
    Column("trial_id", Integer, primary_key=True),
    Column("number", Integer),
    Column("study_id", Integer),
    Column(
        "state", Enum("RUNNING", "COMPLETE", "PRUNED", "FAIL", "WAITING", name="trialstate"), nullable=False
    ),
    Column("datetime_start", DateTime),
    Column("datetime_complete", DateTime),
)
trial_user_attributes = _attributes("trial", "user")
trial_system_attributes = _attributes("trial", "system")
trial_params = Table(
    "trial_params",
    METADATA,
    Column("param_id", Integer, primary_key=True),
    Column("trial_id", Integer),
    Column("param_name", String(512)),
    Column("param_value", _real()),
    Column("distribution_json", Text),
)
trial_values = Table(
    "trial_values",
    METADATA,
    Column("trial_value_id", Integer, primary_key=True),
    Column("trial_id", Integer, nullable=False),
    Column("objective", Integer, nullable=False),
    Column("value", _real()),
    Column("value_type", Enum("FINITE", "INF_POS", "INF_NEG", name="trialvaluetype"), nullable=False),
)
trial_intermediate_values = Table(
    "trial_intermediate_values",
    METADATA,
    Column("trial_intermediate_value_id", Integer, primary_key=True),
    Column("trial_id", Integer, nullable=False),
    Column("step", Integer, nullable=False),
    Column("intermediate_value", _real()),
    Column(
        "intermediate_value_type",
        Enum("FINITE", "INF_POS", "INF_NEG", "NAN", name="trialintermediatevaluetype"),
        nullable=False,
    ),
)
trial_heartbeats = Table(
    "trial_heartbeats",
    METADATA,
    Column("trial_heartbeat_id", Integer, primary_key=True),
    Column("trial_id", Integer, nullable=False),
    Column("heartbeat", DateTime, nullable=False),
)

OPTUNA = tuple(METADATA.tables.values())
"""Optuna's tables in an order in which rows can be inserted."""


def _of(column: Column[int], *, primary: bool = False) -> Column[int]:
    """A column that refers to one of Optuna's and goes when that row does."""
    return Column(
        column.name,
        ForeignKey(column, ondelete="CASCADE"),
        primary_key=primary,
        autoincrement=False,
        nullable=False,
    )


tuner_schema = Table("tuner_schema", METADATA, Column("version", Integer, nullable=False))
tuner_migrations = Table(
    "tuner_migrations",
    METADATA,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("at", String(32), nullable=False),
)
tuner_studies = Table(
    "tuner_studies",
    METADATA,
    _of(studies.c.study_id, primary=True),
    Column("spec", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("metric", Text, nullable=False),
    Column("minimize", Boolean, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text),
    Column("seconds", _real(), nullable=False),
    Column("facts", Text, nullable=False),
    Column("models", Text, nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("updated_at", String(32), nullable=False),
    Column("position", Text),
    Column("identity", String(32), nullable=False, server_default=""),
    Column("home", Text),
)
tuner_fingerprints = Table(
    "tuner_fingerprints",
    METADATA,
    _of(studies.c.study_id, primary=True),
    Column("fingerprint", LargeBinary(2**32 - 1), nullable=False),
)
tuner_trials = Table(
    "tuner_trials",
    METADATA,
    _of(trials.c.trial_id, primary=True),
    _of(studies.c.study_id),
    Column("number", Integer, nullable=False),
    Column("params", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("value", _real()),
    Column("best_epoch", Integer),
    Column("epochs", Integer, nullable=False),
    Column("conclusive", Boolean, nullable=False),
    Column("rule", Text),
    Column("reason", Text),
    Column("traceback", Text),
    Column("seconds", _real(), nullable=False),
    Column("interruptions", Integer, nullable=False),
    Column("model_path", Text),
    Column("started_at", String(32)),
    Column("ended_at", String(32)),
    Column("ordered", Text),
    Column("paused_at", Integer, nullable=False, server_default="0"),
    Column("origin", String(16), nullable=False, server_default="searched"),
    UniqueConstraint("study_id", "number"),
)
tuner_epochs = Table(
    "tuner_epochs",
    METADATA,
    _of(trials.c.trial_id, primary=True),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("train_loss", _real()),
    Column("val_loss", _real()),
    Column("train_score", _real()),
    Column("val_score", _real()),
    Column("learning_rate", _real()),
    Column("grad_norm", _real()),
    Column("seconds", _real()),
    Column("extras", Text),
    sqlite_with_rowid=False,
)
tuner_curves = Table(
    "tuner_curves",
    METADATA,
    _of(trials.c.trial_id, primary=True),
    Column("readings", LargeBinary(2**32 - 1), nullable=False),
)
tuner_specs = Table(
    "tuner_specs",
    METADATA,
    _of(studies.c.study_id, primary=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", String(32), nullable=False),
    Column("command", Text, nullable=False),
    Column("changes", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("spec", Text, nullable=False),
)
tuner_confirmations = Table(
    "tuner_confirmations",
    METADATA,
    _of(studies.c.study_id, primary=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", String(32), nullable=False),
    Column("command", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("opened", Boolean, nullable=False),
    Column("result", Text),
)
tuner_requests = Table(
    "tuner_requests",
    METADATA,
    Column("request_id", Integer, primary_key=True),
    _of(studies.c.study_id),
    Column("at", String(32), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("content", Text, nullable=False),
    Column("answered_at", String(32)),
    Column("answer", Text),
)
tuner_lease = Table(
    "tuner_lease",
    METADATA,
    _of(studies.c.study_id, primary=True),
    Column("token", String(32), nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("process_start", Text, nullable=False),
    Column("heartbeat", String(32), nullable=False),
    Column("machine", Text),
    Column("turn", Integer, nullable=False, server_default="0"),
)

OURS = tuple(table for table in METADATA.tables.values() if table not in OPTUNA)
"""Our tables in an order in which rows can be inserted."""

# Optuna leaves SQLite's foreign keys off, so a study that is deleted through Optuna would leave our
# rows behind, and SQLite gives their ids to the next study. Triggers work for every connection.
for _ours in OURS:
    _owners = [each.target_fullname for column in _ours.c for each in column.foreign_keys]
    if not _owners:
        continue
    _theirs, _key = _owners[0].split(".")
    _removal = f"DELETE FROM {_ours.name} WHERE {_key} = OLD.{_key}"  # noqa: S608
    _trigger = f"CREATE TRIGGER {_ours.name}_goes AFTER DELETE ON {_theirs} BEGIN {_removal}; END"
    event.listen(_ours, "after_create", DDL(_trigger).execute_if(dialect="sqlite"))  # type: ignore[no-untyped-call]


def version(connection: Connection) -> int | None:
    """The version of our tables in this database; None when they are not in it.

    Raises:
        StoreError: they were written by a later tuner.
    """
    if not inspect(connection).has_table(tuner_schema.name):
        return None
    found = connection.scalar(select(tuner_schema.c.version))
    if found is not None and found > VERSION:
        raise StoreError(
            f"{display_url(connection.engine.url)}: its tables have version {found}, "
            f"this tuner knows version {VERSION}; install a later tuner"
        )
    return found
