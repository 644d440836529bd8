"""What a study says of how the columns of its table are read, and what its file suggests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from tuner.core.column_spec import ColumnSpec
from tuner.core.data_spec import DataSpec
from tuner.data.words import MISSING


@dataclass(frozen=True)
class Options:
    """What a study says of how its columns are read.

    Attributes:
        hint: the decimal mark that the file's separator suggests; used only where nothing else says.
        columns: what is said of single columns.
        votes: of columns whose text was parsed before, see `plain_numbers.parsed`.
    """

    decimal: str | None = None
    thousands: str | None = None
    missing: tuple[Any, ...] = ()
    date_format: str | None = None
    columns: Mapping[str, ColumnSpec] = field(default_factory=dict)
    hint: str | None = None
    votes: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, spec: DataSpec, hint: str | None = None) -> Options:
        """Of `[data]`."""
        return cls(spec.decimal, spec.thousands, spec.missing, spec.date_format, spec.columns, hint)

    def asked(self, name: str) -> ColumnSpec:
        """What is said of one column, by itself or by all."""
        if name not in self.columns:
            return self._of_all
        own = self.columns[name]
        if own.decimal is None and own.thousands is None:
            own = own.model_copy(update={"decimal": self.decimal, "thousands": self.thousands})
        return own.model_copy(update={"date_format": own.date_format or self.date_format})

    @cached_property
    def _of_all(self) -> ColumnSpec:
        table = {"decimal": self.decimal, "thousands": self.thousands, "date_format": self.date_format}
        return ColumnSpec.model_validate(table)

    def asking(self, name: str, kind: str | None) -> Options:
        """The same, where another kind is asked for in a column."""
        own = self.columns.get(name, ColumnSpec()).model_copy(update={"kind": kind, "order": ()})
        return replace(self, columns={**self.columns, name: own})

    def absent(self, name: str) -> tuple[Any, ...]:
        """What counts as missing in a column, beside the usual words."""
        own = self.columns[name].missing if name in self.columns else None
        return self.missing if own is None else own

    def words(self, name: str) -> frozenset[str]:
        """The usual words for what is missing, where the study does not say what is."""
        named = name in self.columns and self.columns[name].missing is not None
        return frozenset() if named else MISSING
