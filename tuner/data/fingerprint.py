"""Fingerprint: hashes of a study's data, which say whether it changed, and how.

`load` takes one of what it has read; the store keeps it as bytes. It holds hashes alone, no values:
of each column, of each row's inputs and target, and which rows are locked for the test or were ever.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tuner.core.data_spec import DataSpec
from tuner.data.arrays import InputParts, Sequences
from tuner.data.hashing import VERSION, Columns, HashedTable, Hashes, may_hold_words
from tuner.data.notes import listed
from tuner.data.source import Source
from tuner.data.threads import each
from tuner.data.words import CATEGORY_MISSING

OPEN, TEST, LEFT_OUT = 0, 1, 2
"""What a row may be used for: to train on and be judged by, for the test, or not at all."""

Roles = NDArray[np.uint8]
_DECIMAL_COMMA = r"^\s*([+-]?\d+),(\d+)\s*$"


@dataclass(frozen=True)
class RowHashes:
    """The hashes of one set of rows.

    Attributes:
        columns: of the inputs; of 2-D arrays too, others are one column.
        others: the target, and what stands beside the inputs to divide rows by.
        x: (N,) a hash of each row's inputs.
        y: (N,) a hash of each row's target.
    """

    columns: Columns
    others: Columns
    x: Hashes
    y: Hashes

    @property
    def table(self) -> tuple[Any, ...]:
        """What is the same where nothing has changed: the columns' hashes are of all rows in their order."""
        return list(self.columns.items()), list(self.others.items()), len(self.x)


@dataclass(frozen=True)
class LockedRows:
    """Rows that were locked once; one that stood there twice is there twice.

    Attributes:
        names: the columns that their hashes are of.
        x: (L,) hashes of their inputs.
    """

    names: tuple[str, ...]
    x: Hashes


@dataclass(frozen=True)
class Fingerprint:
    """Hashes of a study's data.

    Attributes:
        rows: the rows that are divided by the study.
        provided: the splits that the source brings, by name: validation, test.
        roles: (N,) what each of `rows` is used for.
        locked: every row that is locked or ever was.
        file: a hash of the file that they were read from; none of other sources.
        is_kept: whether `roles` say how rows are divided, as the data has changed since the study began.
    """

    rows: RowHashes
    provided: dict[str, RowHashes] = field(default_factory=dict)
    roles: Roles = field(default_factory=lambda: np.zeros(0, np.uint8))
    locked: tuple[LockedRows, ...] = ()
    file: str = ""
    is_kept: bool = False

    def is_same_data(self, other: Fingerprint) -> bool:
        """Whether both are of the same data."""
        if self.rows.table != other.rows.table or self.provided.keys() != other.provided.keys():
            return False
        return all(rows.table == other.provided[name].table for name, rows in self.provided.items())

    def with_test_rows(self, test: NDArray[np.intp]) -> Fingerprint:
        """The same, with these rows locked for the test."""
        roles = np.zeros(len(self.rows.x), np.uint8)
        roles[test] = TEST
        return self.with_roles(roles)

    def with_roles(
        self, roles: Roles, before: Sequence[LockedRows] = (), *, is_kept: bool = False
    ) -> Fingerprint:
        """The same with what each row is used for, and the rows that were locked before."""
        own = self.provided.get("test")
        now = [LockedRows(tuple(self.rows.columns), self.rows.x[roles == TEST])]
        now += [LockedRows(tuple(own.columns), own.x)] if own is not None else []
        locked = list(before)
        for own_rows in now:
            known = next((i for i, old in enumerate(locked) if set(old.names) == set(own_rows.names)), None)
            if known is None:
                locked.append(own_rows)
            else:
                locked[known] = replace(locked[known], x=_union(locked[known].x, own_rows.x))
        return replace(self, roles=roles, locked=tuple(locked), is_kept=is_kept)

    def encode(self) -> bytes:
        """All of it as the store keeps it: a line of JSON, and the arrays behind it."""
        parts = {"rows": self.rows, **self.provided}
        arrays: list[NDArray[Any]] = [self.roles]
        for rows in parts.values():
            arrays += [rows.x.astype("<u8"), rows.y.astype("<u8")]
        arrays += [each.x.astype("<u8") for each in self.locked]
        head = {
            "version": VERSION,
            "parts": {name: [list(r.columns.items()), list(r.others.items())] for name, r in parts.items()},
            "counts": {name: len(rows.x) for name, rows in parts.items()},
            "locked": [[list(each.names), len(each.x)] for each in self.locked],
            "file": self.file,
            "kept": self.is_kept,
        }
        return json.dumps(head).encode() + b"\n" + b"".join(array.tobytes() for array in arrays)

    @classmethod
    def decode(cls, stored: bytes) -> Fingerprint | None:
        """What `encode` gave; None where another version of tuner made other hashes.

        Raises:
            ValueError: it is damaged.
        """
        text, _, arrays = stored.partition(b"\n")
        head = json.loads(text)
        if head["version"] != VERSION:
            return None
        counts: dict[str, int] = head["counts"]
        at = counts["rows"]
        roles = np.frombuffer(arrays, np.uint8, at)

        def next_hashes(count: int) -> Hashes:
            nonlocal at
            found = np.frombuffer(arrays, "<u8", count, at).astype(np.uint64)
            at += 8 * count
            return found

        parts = {}
        for name, both in head["parts"].items():
            columns, others = ({n: (kind, text) for n, (kind, text) in each} for each in both)
            parts[name] = RowHashes(columns, others, next_hashes(counts[name]), next_hashes(counts[name]))
        locked = tuple(LockedRows(tuple(names), next_hashes(count)) for names, count in head["locked"])
        return cls(parts.pop("rows"), parts, roles, locked, head["file"], head["kept"])


@dataclass(frozen=True)
class HashedSource:
    """Data that was just read: its fingerprint, and its inputs to hash over other columns.

    Attributes:
        tables: the inputs of the rows that are divided, ``"rows"``, and of the splits that the source brings.
    """

    fingerprint: Fingerprint
    tables: dict[str, HashedTable]

    @classmethod
    def of(cls, found: Source, spec: DataSpec, file: str = "") -> HashedSource:
        """Hash the data; columns that are dropped do not count."""
        found = _as_before(found)
        hashed = {"rows": _hashed(found.x, found.names, spec)}
        beside = {name: HashedTable(pd.DataFrame({name: values})) for name, values in found.further.items()}
        parts = {"rows": _rows(hashed["rows"], _target(found.y), *beside.values())}
        if found.validation is not None:
            hashed["validation"] = _hashed(found.validation[0], found.names, spec)
            parts["validation"] = _rows(hashed["validation"], _target(found.validation[1]))
        if found.test is not None:
            hashed["test"] = found.test[0]
            parts["test"] = _rows(*found.test)
        rows = parts.pop("rows")
        return cls(Fingerprint(rows, parts, file=file), hashed)

    def row_hashes(self, names: Sequence[str], part: str = "rows") -> Hashes | None:
        """A hash of each row over these columns; None where one of them is gone."""
        hashed = self.tables[part]
        return hashed.rows(names) if set(names) <= hashed.columns.keys() else None

    def differences(self, old: Fingerprint) -> list[str]:
        """How the data differs from what it was, a clause each."""
        if self.fingerprint.is_same_data(old):
            return []
        found = _compared(old.rows, self.fingerprint.rows, self.row_hashes(list(old.rows.columns)))
        for name in dict.fromkeys((*old.provided, *self.fingerprint.provided)):
            before, now = old.provided.get(name), self.fingerprint.provided.get(name)
            if before is None or now is None:
                found.append(f"X_{name}: {'is new' if before is None else 'is gone'}")
            elif before.table != now.table:
                clauses = _compared(before, now, self.row_hashes(list(before.columns), name))
                found += [f"X_{name}: {clause}" for clause in clauses]
        return found or ["it is written in another way"]


def _as_before(found: Source) -> Source:
    """The cells of a text file as the first fingerprints were taken of them.

    pandas' words for missing and the question mark were missing, and where semicolons separate the fields,
    1,5 was 1.5.
    """
    if found.decimal is None or not isinstance(found.x, pd.DataFrame) or not isinstance(found.y, pd.Series):
        return found
    table, decimal = found.x, found.decimal
    columns = each(lambda name: _cells_before(table[name], decimal), table.columns, len(table))
    x = pd.DataFrame(dict(zip(table.columns, columns, strict=True)), table.index, copy=False)
    return replace(found, x=x, y=_cells_before(found.y, decimal))


def _cells_before(values: pd.Series[Any], decimal: str) -> pd.Series[Any]:
    if may_hold_words(values):  # which is much cheaper to see
        values = values.mask(values.isin(CATEGORY_MISSING))
    return values.str.replace(_DECIMAL_COMMA, r"\1.\2", regex=True) if decimal == "," else values


def _hashed(x: Any, names: Sequence[str], spec: DataSpec) -> HashedTable:
    if isinstance(x, np.ndarray) and x.ndim == 2 and len(names) == np.shape(x)[1]:
        kept = [i for i, name in enumerate(names) if name not in spec.dropped]
        return HashedTable(x[:, kept], [names[i] for i in kept])
    if isinstance(x, InputParts):
        x = x.without(spec.dropped)
    if isinstance(x, Sequences):
        gone = [name for name in x.frame.columns if name in spec.dropped]
        x = replace(x, frame=x.frame.drop(columns=gone))
    if hasattr(x, "columns"):
        x = x[[name for name in x.columns if name not in spec.dropped]]
    return HashedTable(x)


def _target(y: Any) -> HashedTable:
    if isinstance(y, pd.Series):
        return HashedTable(y.to_frame(str(y.name) if y.name is not None else "y"))
    if isinstance(y, pd.DataFrame):
        return HashedTable(y)
    return HashedTable(y, [f"y{i}" for i in range(np.shape(y)[1])])


def _rows(inputs: HashedTable, target: HashedTable, *beside: HashedTable) -> RowHashes:
    others = {name: told for each in (target, *beside) for name, told in each.columns.items()}
    return RowHashes(inputs.columns, others, inputs.rows(), target.rows())


def _compared(old: RowHashes, new: RowHashes, x: Hashes | None) -> list[str]:
    """Clauses on what differs; `x` are the new rows over the old columns, where these are all there."""
    found = []
    if gone := [name for name in old.columns if name not in new.columns]:
        found.append(f"columns gone: {listed(gone)}")
    if came := [name for name in new.columns if name not in old.columns]:
        found.append(f"columns new: {listed(came)}")
    for name, (kind, _) in {**old.columns, **old.others}.items():
        now = {**new.columns, **new.others}.get(name, (kind, ""))[0]
        if now != kind:
            found.append(f"column {name}: {kind} -> {now}")
    same_order = [n for n in old.columns if n in new.columns] == [n for n in new.columns if n in old.columns]
    if not same_order:
        found.append("the columns stand in another order")
    if x is None:
        if len(old.x) != len(new.x):
            return [*found, f"{len(old.x)} rows -> {len(new.x)}"]
        return found + _changed(old.columns, new.columns) + _labels(old, new)
    matched = _in_common(old.x, x)
    less, more = len(old.x) - matched, len(x) - matched
    labels = matched - _in_common(_paired(old.x, old.y), _paired(x, new.y))
    counts = {"changed": min(less, more), "added": more - less, "removed": less - more}
    found += [f"{n} {'row' if n == 1 else 'rows'} {what}" for what, n in counts.items() if n > 0]
    if labels:
        found.append(f"the target of {labels} {'row' if labels == 1 else 'rows'} changed")
    if not found and not np.array_equal(old.x, x):
        found.append("the rows stand in another order")
    return found + _changed(old.others if not found else {}, new.others)


def _changed(old: Columns, new: Columns) -> list[str]:
    changed = [name for name, told in old.items() if name in new and new[name] != told]
    return [f"values changed in: {listed(changed)}"] if changed else []


def _labels(old: RowHashes, new: RowHashes) -> list[str]:
    if len(old.y) != len(new.y) or not (changed := int((old.y != new.y).sum())):
        return []
    return [f"the target of {changed} rows changed"]


def _paired(x: Hashes, y: Hashes) -> Hashes:
    with np.errstate(over="ignore"):
        return x * np.uint64(0x9E3779B97F4A7C15) + y


def _in_common(a: Hashes, b: Hashes) -> int:
    """How many rows two sets share, each of them counted as often as it stands in both."""
    one, counts = np.unique(a, return_counts=True)
    other, others = np.unique(b, return_counts=True)
    _, i, j = np.intersect1d(one, other, assume_unique=True, return_indices=True)
    return int(np.minimum(counts[i], others[j]).sum())


def _union(a: Hashes, b: Hashes) -> Hashes:
    """The rows of both sets, each as often as it stands in the one where it stands more often."""
    values = np.union1d(a, b)
    most = np.maximum(*(np.searchsorted(np.sort(s), values, "right") - np.searchsorted(np.sort(s), values)
                        for s in (a, b)))  # fmt: skip
    return np.repeat(values, most)
