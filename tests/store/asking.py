"""SQL from beside tuner, on any kind of database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from tuner.store.connect import parse


def asked(url: str, statement: str, **values: Any) -> list[tuple[Any, ...]]:
    """Execute a statement in a transaction of its own; `:name` stands for a value.

    Returns:
        The rows that it gives, if any.
    """
    with create_engine(parse(url), poolclass=NullPool).begin() as connection:
        found = connection.execute(text(statement), values)
        return [tuple(row) for row in found] if found.returns_rows else []
