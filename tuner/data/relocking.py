"""Relocking: what each row of changed data may be used for, so that no row that was locked is trained on.

A row is recognized by its inputs. A row that is not recognized is treated as what it might be: a row that
may be a changed version of a locked one is left out, and rows that were trained on never enter the test.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.core.data_spec import DataSpec
from tuner.data.fingerprint import LEFT_OUT, OPEN, TEST, Fingerprint, HashedSource, LockedRows, Roles
from tuner.data.hashing import HashedTable, Hashes, shares
from tuner.errors import DataError

_NEW, _UNKNOWN = 3, 4
"""A row that was never there, and one that is not recognized yet."""


def assign_roles(
    old: Fingerprint,
    current: HashedSource,
    keys: NDArray[Any] | None,
    usable: NDArray[np.intp],
    spec: DataSpec,
    where: str,
) -> tuple[Roles, tuple[str, ...]]:
    """Say what each row of changed data may be used for, and what was done, a sentence each.

    Args:
        old: the fingerprint that the study has.
        current: the data as it is now.
        keys: what the usable rows are divided by, see `split.divide`.
        usable: the rows that have a target, ascending.
        spec: `[data]`.
        where: what errors are prefixed with.

    Raises:
        DataError: the locked rows cannot be recognized.
    """
    roles = _recognized(old, current)
    locked = is_locked(old.locked, current)
    unknown = np.flatnonzero(roles == _UNKNOWN)
    if len(unknown):
        roles[unknown] = _by_place(old, current, unknown, where)
    new = int((roles == _NEW).sum())
    has_test = "test" in current.fingerprint.provided
    _divide_new(roles, current.fingerprint.rows.x, keys, usable, spec, has_test=has_test)
    roles[locked & (roles == OPEN)] = LEFT_OUT
    tested, left_out = (int((roles[usable] == role).sum()) for role in (TEST, LEFT_OUT))
    notes = [
        f"The data has changed: {new} rows are new; {tested} rows are locked for the test, none of which was "
        "trained on before, and no row that was locked before is trained on."
    ]
    if left_out:
        notes.append(
            f"{left_out} rows are left out: they equal locked rows, or may be changed versions of such."
        )
    if not has_test and spec.test > 0 and not tested:
        raise DataError(f"{where}: no locked row is there any more; start another study")
    return roles, tuple(notes)


def _recognized(old: Fingerprint, current: HashedSource) -> Roles:
    """The roles of the rows that stand in the data as they stood before, or ever; the others are unknown."""
    count = len(current.fingerprint.rows.x)
    roles = np.full(count, _UNKNOWN, np.uint8)
    x = current.row_hashes(list(old.rows.columns))
    if x is None:
        return roles
    for role in (OPEN, LEFT_OUT):
        roles[np.isin(x, old.rows.x[old.roles == role])] = role
    roles[is_locked(old.locked, current)] = LEFT_OUT
    if "test" not in current.fingerprint.provided:
        # As many copies of a row are tested on as were; one that was removed and is back is one of them.
        own = next((each for each in old.locked if set(each.names) == set(old.rows.columns)), None)
        if own is not None:
            roles[_as_often(x, own.x)] = TEST
    return roles


def is_locked(locked: tuple[LockedRows, ...], current: HashedSource, part: str = "rows") -> NDArray[np.bool_]:
    """Which rows of a part of the data equal one that was ever locked; (N,)."""
    found = np.zeros(current.tables[part].count, np.bool_)
    for each in locked:
        x = current.row_hashes(each.names, part)
        if x is not None:
            found |= np.isin(x, each.x)
    return found


def _as_often(x: Hashes, locked: Hashes) -> NDArray[np.intp]:
    """The first copies in x of each locked row, as many as there were."""
    values, counts = np.unique(locked, return_counts=True)
    places = np.flatnonzero(np.isin(x, values))
    order = places[np.argsort(x[places], kind="stable")]
    _, starts, lengths = np.unique(x[order], return_index=True, return_counts=True)
    nth = np.arange(len(order)) - np.repeat(starts, lengths)
    found: NDArray[np.intp] = order[nth < counts[np.searchsorted(values, x[order])]]
    return found


def _by_place(old: Fingerprint, current: HashedSource, unknown: NDArray[np.intp], where: str) -> Roles:
    """The roles of rows that are not what any row was: changed ones, or new ones.

    Between two neighbours that are recognized, in the order in which they were, as many rows as there
    were are those rows, changed one by one. Where the numbers differ, each may be any of the rows that
    were there and are not any more: it is left out where one of these was locked, and never tested on
    where there are others. Where the order is another one, that goes for all of the data.
    """
    now, was, x = current.fingerprint.rows, old.rows.x, current.row_hashes(list(old.rows.columns))
    lost = np.ones(len(was), np.bool_) if x is None else _are_fewer(was, x)
    hidden = lost & (old.roles != OPEN)
    if x is None and not hidden.any():
        return np.full(len(unknown), OPEN, np.uint8)
    in_place = len(was) == len(now.x) and _has_same_column(old, current)
    if x is None and not in_place:
        raise DataError(
            f"{where}: columns are gone and the rows are in other places, so the locked rows cannot be "
            "recognized; start another study"
        )
    anchors, places = _anchors(was, x)
    if hidden.any() and not len(anchors) and not in_place:
        raise DataError(
            f"{where}: no row is as it was, so the locked rows cannot be recognized; start another study"
        )
    if (np.diff(places) < 0).any():
        role = LEFT_OUT if hidden.any() else OPEN if lost.any() else _NEW
        return np.full(len(unknown), role, np.uint8)
    return _in_gaps(old.roles, lost, anchors, places, unknown, len(now.x))


def _in_gaps(
    was: Roles,
    lost: NDArray[np.bool_],
    anchors: NDArray[np.intp],
    places: NDArray[np.intp],
    unknown: NDArray[np.intp],
    count: int,
) -> Roles:
    """The roles of unknown rows between recognized ones."""
    edges = np.concatenate([[-1], anchors, [count]])
    old_edges = np.concatenate([[-1], places, [len(was)]])
    gap = np.searchsorted(edges, unknown) - 1
    start, end = old_edges[gap], old_edges[gap + 1]
    aligned = end - start == edges[gap + 1] - edges[gap]
    place = np.clip(start + unknown - edges[gap], 0, len(was) - 1)

    def hides(rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
        sums = np.concatenate([[0], np.cumsum(rows)])
        return np.asarray(sums[end] > sums[start + 1])

    any_of = np.where(hides(lost & (was != OPEN)), LEFT_OUT, np.where(hides(lost), OPEN, _NEW))
    found: Roles = np.where(aligned, was[place], any_of).astype(np.uint8)
    return found


def _are_fewer(was: Hashes, x: Hashes) -> NDArray[np.bool_]:
    """Of which rows there are fewer copies now than there were; (N,)."""
    values, counts = np.unique(x, return_counts=True)
    _, places, before = np.unique(was, return_inverse=True, return_counts=True)
    at = np.minimum(np.searchsorted(values, was), len(values) - 1)
    return np.asarray(np.where(values[at] == was, counts[at], 0) < before[places])


def _anchors(was: Hashes, x: Hashes | None) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The rows that stand once in the data, now as before: their places now, and then."""
    if x is None:
        none = np.zeros(0, np.intp)
        return none, none
    once = [values[counts == 1] for values, counts in (np.unique(s, return_counts=True) for s in (was, x))]
    anchors = np.flatnonzero(np.isin(x, np.intersect1d(once[0], once[1], assume_unique=True)))
    order = np.argsort(was, kind="stable")
    return anchors, order[np.searchsorted(was[order], x[anchors])]


def _has_same_column(old: Fingerprint, current: HashedSource) -> bool:
    """Whether a column, or the target, is what it was in every row, so that the rows stand as they stood."""
    now = current.fingerprint.rows
    if len(np.unique(now.y)) > 1 and np.array_equal(old.rows.y, now.y):
        return True
    kept = [name for name, told in now.columns.items() if old.rows.columns.get(name) == told]
    return any(len(np.unique(current.tables["rows"].rows([name]))) > 1 for name in kept)


def _divide_new(
    roles: Roles,
    x: Hashes,
    keys: NDArray[Any] | None,
    usable: NDArray[np.intp],
    spec: DataSpec,
    *,
    has_test: bool,
) -> None:
    """Give the new rows roles, and take out what would train beside its own group, or behind its time."""
    share = 0.0 if has_test else spec.test
    new = roles == _NEW
    roles[new] = np.where(shares(x[new], spec.seed) < share, TEST, OPEN)
    if spec.split == "random" or keys is None or has_test:
        return
    mine, fresh = roles[usable], new[usable]
    tested = (mine == TEST) & ~fresh
    if spec.split == "time":
        keys = keys if keys.ndim == 1 else keys[:, 1]
        oldest = keys[tested].min() if tested.any() else np.inf
        mine[fresh] = np.where(keys[fresh] >= oldest, TEST, OPEN)
        mine[(mine == OPEN) & ~fresh & (keys > oldest)] = LEFT_OUT
    elif spec.split == "group":
        _, codes = np.unique(keys, return_inverse=True)
        drawn = shares(HashedTable(keys.reshape(-1, 1), ["group"]).rows(), spec.seed) < share
        locked, open_ = (np.isin(codes, codes[(mine == role) & ~fresh]) for role in (TEST, OPEN))
        mine[fresh] = np.where(locked | (drawn & ~open_), TEST, OPEN)[fresh]
        mine[(mine == OPEN) & locked] = LEFT_OUT
    roles[usable] = mine
