"""Train, validation and test splits of row numbers.

Sees only keys, one per row: class labels, groups or times. The same keys, shares and seed give the
same rows, so a locked test split need not be kept to be found again. Random splits have the rows that
scikit-learn's splitters draw, which the tests compare; `import sklearn.model_selection` takes 1.2 s of CPU,
a tenth of `tune start digits`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tuner.core.data_spec import DataSpec
from tuner.core.seeds import derive
from tuner.errors import DataError

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Parts:
    """The rows of each split, ascending; disjoint, and together all rows, some windows apart.

    Attributes:
        notes: what the user should know of how they were drawn.
    """

    train: Rows
    validation: Rows
    test: Rows
    notes: tuple[str, ...] = ()


def divide(
    count: int,
    keys: NDArray[Any] | None,
    spec: DataSpec,
    where: str,
    *,
    validation: bool = True,
    test: bool = True,
) -> Parts:
    """Divide rows as `spec.split` says.

    A random split keeps each class's share in every split. Rows of a class with fewer rows than
    there are splits are all trained on; where a split has fewer rows than there are classes, it is
    drawn without regard to them. Both are noted. A group lies whole in one split, and the shares are
    shares of the groups. In a split by time the oldest rows train, the newest are the test split.

    Args:
        count: N.
        spec: kind, shares and seed.
        keys: (N,) labels to stratify by or None (random), groups (group) or times (time); of windows in order
            of time (N, 2), the first and the last of the steps that no other split may have.
        where: what errors are prefixed with.
        validation: whether validation rows are drawn; not when the source brings its own.
        test: likewise.

    Raises:
        DataError: a split would be empty.
    """
    shares = {"test": spec.test if test else 0.0, "validation": spec.validation if validation else 0.0}
    shares = {name: share for name, share in shares.items() if share > 0}
    if spec.split == "group" and keys is not None:
        return _by_group(keys, shares, spec.seed, where)
    sizes = {name: round(share * count) for name, share in shares.items()}
    for name, size in sizes.items():
        if not size:
            raise DataError(
                f"{where}: {name} = {shares[name]:g} of {count} rows is not a single row; "
                f"raise {name} or bring more rows"
            )
    if count - sum(sizes.values()) < 2:
        raise DataError(
            f"{where}: {count} rows are too few: fewer than 2 are left to train on; bring more rows"
        )
    if spec.split == "time" and keys is not None:
        order = np.argsort(_last(keys), kind="stable")
        edges = [count - sum(sizes.values()), count - sizes.get("test", 0)]
        train, judged, newest = np.split(order, edges)
        return _apart(keys, train, judged, newest, where)
    return _at_random(count, keys, sizes, spec.seed, where)


def before(keys: NDArray[Any], rows: Rows, later: Rows) -> Rows:
    """Those of some rows that are windows whose steps all come before those of later ones; else all."""
    if keys.ndim == 1 or not len(later):
        return rows
    found: Rows = rows[keys[rows, 1] < keys[later, 0].min()]
    return found


def _last(keys: NDArray[Any]) -> NDArray[Any]:
    """What rows are ordered by; (N,)."""
    return keys if keys.ndim == 1 else keys[:, 1]


def _apart(keys: NDArray[Any], train: Rows, judged: Rows, newest: Rows, where: str) -> Parts:
    """Splits in order of time, of which no window shares a step with another split."""
    kept = before(keys, judged, newest)
    first = before(keys, before(keys, train, kept), newest)
    gone = len(judged) - len(kept) + len(train) - len(first)
    if len(kept) < min(len(judged), 1) or not len(first):
        raise DataError(
            f"{where}: window: no window of a split lies before all steps of the next one; lower window, "
            "horizon or gap, or bring more rows"
        )
    notes = (f"{gone} windows that reach into the steps of a later split are left out.",) * (gone > 0)
    return Parts(np.sort(first), np.sort(kept), np.sort(newest), notes)


def redraw(
    keys: NDArray[Any] | None, kind: str, train: Rows, validation: Rows, seed: int, where: str
) -> Parts:
    """Divide rows into other training and validation splits, as `divide` does, of given sizes.

    Args:
        keys: see `divide`; of the rows of both splits alone.
        kind: `[data] split`, random or group.
        train: the rows of the given training split.
        validation: those of the given validation split; of groups, as many as lie in it are drawn.
        seed: of the split that is drawn.
        where: what errors are prefixed with.
    """
    count = len(train) + len(validation)
    if kind == "group" and keys is not None:
        chosen = len(np.unique(keys[validation]))
        return _groups(keys, {"validation": chosen}, seed)
    return _at_random(count, keys, {"validation": len(validation)}, seed, where)


def folds(
    count: int, keys: NDArray[Any] | None, spec: DataSpec, number: int, where: str
) -> tuple[Parts, ...]:
    """Divide rows into folds, each of which is the validation split of one of the parts.

    Random folds differ by one row at most, in each class, too; the one row of a class that has no
    other is always trained on, which is noted. A group lies whole in one fold; the largest are dealt
    first, each to the fold with the fewest rows. In order of time, each fold is judged by what was
    trained on all the rows before it (expanding window, the rows of scikit-learn's `TimeSeriesSplit`),
    so the oldest rows only train.

    Raises:
        DataError: there are fewer rows or groups than it takes.
    """
    if spec.split == "time" and keys is not None:
        return _forward(keys, number, where)
    chance = np.random.RandomState(derive(spec.seed, -1, "folds"))
    fold = np.full(count, -1)
    notes: tuple[str, ...] = ()
    if spec.split == "group" and keys is not None:
        fold = _dealt_groups(keys, number, chance, where)
    else:
        order = chance.permutation(count)
        if keys is not None:
            _, codes, counts = np.unique(keys, return_inverse=True, return_counts=True)
            order = order[np.argsort(codes[order], kind="stable")]
            order = order[counts[codes[order]] > 1]
            if len(order) < count:
                notes = (
                    f"{count - len(order)} classes have one row only, which is trained on in every fold.",
                )
        _check_folds(len(order), number, "rows", where)
        fold[order] = np.arange(len(order)) % number
    each = np.arange(count)
    return tuple(Parts(each[fold != i], each[fold == i], each[:0], notes) for i in range(number))


def _forward(times: NDArray[Any], number: int, where: str) -> tuple[Parts, ...]:
    count = len(times)
    _check_folds(count, number + 1, "rows", where)
    order, size = np.argsort(_last(times), kind="stable"), count // (number + 1)
    starts = range(count - number * size, count, size)
    return tuple(_apart(times, order[:at], order[at : at + size], order[:0], where) for at in starts)


def _dealt_groups(
    groups: NDArray[Any], number: int, chance: np.random.RandomState, where: str
) -> NDArray[np.intp]:
    """The fold of each row."""
    _, codes, counts = np.unique(groups, return_inverse=True, return_counts=True)
    _check_folds(len(counts), number, "groups", where)
    shuffled = chance.permutation(len(counts))
    fold, sizes = np.zeros(len(counts), np.intp), np.zeros(number, np.intp)
    for group in shuffled[np.argsort(-counts[shuffled], kind="stable")]:
        fold[group] = np.argmin(sizes)
        sizes[fold[group]] += counts[group]
    return fold[codes]


def _check_folds(count: int, needed: int, what: str, where: str) -> None:
    if count < needed:
        raise DataError(
            f"{where}: folds: {count} {what} are too few, at least {needed} are needed; "
            f"lower folds or bring more {what}"
        )


def _at_random(
    count: int, labels: NDArray[Any] | None, sizes: dict[str, int], seed: int, where: str
) -> Parts:
    rest = np.arange(count)
    kept, notes = rest[:0], []
    if labels is not None:
        labels, counts = codes, counts = _codes(labels)
        rare = counts[codes] < len(sizes) + 1
        if rare.any():
            kept, rest = rest[rare], rest[~rare]
            number = int((counts < len(sizes) + 1).sum())
            notes.append(
                f"Classes with too few rows for every split, whose rows only train: {number} of "
                f"{len(counts)}, with {len(kept)} in all."
            )
        if len(rest) <= sum(sizes.values()):
            raise DataError(
                f"{where}: target: {len(counts)} classes in {count} rows, so most have too few rows for "
                "every split; bring more rows, merge classes or name another target"
            )
    drawn = {"test": rest[:0], "validation": rest[:0]}
    for name, size in sizes.items():
        strata = None if labels is None else labels[rest]
        if strata is not None and not _can_stratify(strata, size):
            strata = None
            notes.append(
                f"The {name} split is drawn without regard to classes: {size} rows are too few for them."
            )
        chance = np.random.RandomState(derive(seed, -1, f"split {name}"))
        left, taken = _at_once(len(rest), size, chance) if strata is None else _evenly(strata, size, chance)
        rest, drawn[name] = rest[left], rest[taken]
    train = np.concatenate([rest, kept])
    return Parts(np.sort(train), np.sort(drawn["validation"]), np.sort(drawn["test"]), tuple(notes))


def _codes(labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """The place of each label among the different ones in their order, (N,), and how often each is there."""
    codes, each = pd.factorize(labels)
    places = np.empty(len(each), np.intp)
    places[np.argsort(each)] = np.arange(len(each))
    few = places.astype(np.int16 if len(each) < 2**15 else np.int64)  # numpy sorts small ones by their digits
    return few[codes], np.bincount(places[codes], minlength=len(each))


def _can_stratify(strata: NDArray[Any], size: int) -> bool:
    _, counts = _codes(strata)
    return bool(counts.min() >= 2 and len(counts) <= min(size, len(strata) - size))


def _at_once(count: int, size: int, chance: np.random.RandomState) -> tuple[Rows, Rows]:
    """What is left and what is drawn, `size` of them; the rows of scikit-learn's `ShuffleSplit`."""
    drawn = chance.permutation(count)
    return drawn[size:], drawn[:size]


def _evenly(strata: NDArray[Any], size: int, chance: np.random.RandomState) -> tuple[Rows, Rows]:
    """Likewise from each stratum its share; the rows of scikit-learn's `StratifiedShuffleSplit`."""
    codes, counts = _codes(strata)
    members = np.split(np.argsort(codes, kind="stable"), np.cumsum(counts)[:-1])
    kept = _shares(counts, len(strata) - size, chance)
    taken = _shares(counts - kept, size, chance)
    left, drawn = [], []
    for rows, first, further in zip(members, kept, taken, strict=True):
        shuffled = rows[chance.permutation(len(rows))]
        left.append(shuffled[:first])
        drawn.append(shuffled[first : first + further])
    return chance.permutation(np.concatenate(left)), chance.permutation(np.concatenate(drawn))


def _shares(counts: NDArray[np.intp], size: int, chance: np.random.RandomState) -> NDArray[np.intp]:
    """How many of each stratum make up `size`: the largest remainders are rounded up, ties by lot."""
    exact = counts / counts.sum() * size
    shares = np.floor(exact)
    missing = size - int(shares.sum())
    remainders = exact - shares
    for value in np.unique(remainders)[::-1]:
        if missing <= 0:
            break
        (tied,) = np.nonzero(remainders == value)
        more = chance.choice(tied, min(len(tied), missing), replace=False)
        shares[more] += 1
        missing -= len(more)
    whole: NDArray[np.intp] = shares.astype(np.intp)
    return whole


def _by_group(groups: NDArray[Any], shares: dict[str, float], seed: int, where: str) -> Parts:
    count = len(np.unique(groups))
    sizes = {name: max(1, int(share * count)) for name, share in shares.items()}
    if count <= sum(sizes.values()):
        raise DataError(f"{where}: {count} groups are too few for {len(sizes) + 1} splits; bring more groups")
    return _groups(groups, sizes, seed)


def _groups(groups: NDArray[Any], sizes: dict[str, int], seed: int) -> Parts:
    """Draw so many whole groups for each split."""
    _, codes = np.unique(groups, return_inverse=True)
    rest = np.arange(len(groups))
    drawn = {"test": rest[:0], "validation": rest[:0]}
    for name, size in sizes.items():
        present = np.unique(codes[rest])
        _, taken = _at_once(len(present), size, np.random.RandomState(derive(seed, -1, f"split {name}")))
        inside = np.isin(codes[rest], present[taken])
        rest, drawn[name] = rest[~inside], rest[inside]
    return Parts(rest, drawn["validation"], drawn["test"])
