"""Open rows: the raw rows of a study without its test rows, divided in other ways, all fitted anew each time.

No test row ever was in it. A trial with folds, repeats or `reshuffle` trains on what `folds` and `draw` give.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tuner.core.data_spec import DataSpec
from tuner.core.dataset import Dataset, Split, TargetUnits, Task
from tuner.data import embedding, inputs, split, target, targets
from tuner.data.arrays import X
from tuner.data.encoding import Described
from tuner.data.options import Options
from tuner.data.plain_numbers import taken
from tuner.data.split import Parts, Rows
from tuner.data.threads import chosen, each
from tuner.errors import DataError

SKEWED, FEWEST = 2.0, 30
"""A target of so many rows that is as skewed as an exponential law has a heavy tail."""


@dataclass(frozen=True)
class EvaluationRows:
    """The rows that judge what trained on the rest.

    Attributes:
        ids: what each row is known by, the same in every split; the same for all rows of a group, (n,).
        x: raw inputs.
        y: names of classes or targets in their own units, as `trainers.Model` takes them.
        weight: what each row counts, (n,); None: all the same.
    """

    ids: NDArray[np.int64]
    x: X
    y: NDArray[Any]
    weight: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class SearchRows:
    """The rows that a search may see; a `core.dataset.Resampling`.

    Attributes:
        x: raw inputs.
        y: numbers as they are, (N,) or (N, T); of classes, places in `labels`, int64 (N,).
        task: what is predicted.
        labels: the classes' names, in the order of `target.classes`; none for regression.
        spec: `[data]`.
        where: what errors are prefixed with.
        names: the columns of a 2-D array.
        keys: what the rows are divided by, see `split.divide`.
        train: the rows of the study's own training split, ascending.
        validation: those of its validation split; none where the source brings one.
        provided: inputs and targets of the validation split that the source brings; -1 for other classes.
        weight: what each row counts, (N,); None: all the same.
        provided_weight: likewise of `provided`.
        options: what the study says of how columns are read.
        pairs: see `Dataset.labels`.
    """

    x: X
    y: NDArray[Any]
    task: Task
    labels: tuple[str, ...]
    spec: DataSpec
    where: str
    names: tuple[str, ...]
    keys: NDArray[Any] | None
    train: Rows
    validation: Rows
    provided: tuple[X, NDArray[Any]] | None = None
    weight: NDArray[np.float64] | None = None
    provided_weight: NDArray[np.float64] | None = None
    options: Options = field(default_factory=Options)
    pairs: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def base(self, seen: list[Described] | None = None) -> Dataset:
        """The study's own training and validation split; `seen` takes up what each column is read as."""
        return self._fitted(self.train, self.validation, seen)

    def draw(self, seed: int) -> Dataset:
        """Other splits of the same sizes, stratified or by group as the study's own.

        The base split where there is no other one: in order of time, or where the source brings its
        validation split.
        """
        return self._fitted(*self._drawn(seed))

    def _drawn(self, seed: int) -> tuple[Rows, Rows]:
        train, validation = self.train, self.validation
        if self.spec.split == "time" or self.provided is not None:
            return train, validation
        parts = split.redraw(self.keys, self.spec.split, train, validation, seed, self.where)
        return parts.train, parts.validation

    def evaluation_rows(self, seed: int) -> EvaluationRows:
        """The validation rows of what `draw` gives."""
        train, validation = self._drawn(seed)
        x, y = self.provided or (rows_of(self.x, validation), self.y[validation])
        weight = self._judging_weight(validation)
        ids = np.arange(len(y)) if self.provided is not None else validation
        if self.spec.split == "group" and self.keys is not None and self.provided is None:
            ids = np.unique(self.keys, return_inverse=True)[1][validation]
        if self.task is not Task.CLASSIFICATION:
            return EvaluationRows(ids, x, targets.names_of(y, self.pairs), weight)
        met = np.flatnonzero(np.isin(y, self.y[train]))
        names = np.array(self.labels, dtype=object)[y[met]]
        return EvaluationRows(ids[met], rows_of(x, met), names, None if weight is None else weight[met])

    def folds(self, count: int) -> tuple[Dataset, ...]:
        """Cross-validation over all the rows, see `split.folds`; each fold holds a copy of the rows.

        Raises:
            DataError: the rows cannot be folded so often.
        """
        return tuple(self._fitted(part.train, part.validation) for part in self.parts(count))

    def parts(self, count: int) -> tuple[Parts, ...]:
        """The rows of each fold.

        Raises:
            DataError: the rows cannot be folded so often.
        """
        if self.provided is not None:
            raise DataError(
                f"{self.where}: folds: the source brings its own validation split; leave one of them out"
            )
        return split.folds(len(self.y), self.keys, self.spec, count, self.where)

    def _fitted(self, train: Rows, validation: Rows, seen: list[Described] | None = None) -> Dataset:
        """The dataset of these splits; nothing that is fitted sees another row than the training's."""
        x, y = rows_of(self.x, train), self.y[train]
        judged_x, judged_y = self.provided or (self.x, self.y[validation])
        judged_rows = validation if self.provided is None else np.arange(len(judged_y))
        judged_weight = self._judging_weight(validation)
        notes: list[str] = []
        classes: tuple[str, ...] = ()
        shift: Any = 0.0
        scale: Any = 1.0
        if self.task is Task.REGRESSION:
            log = self.spec.target_scaling == "log"
            shift, scale = _standard(np.log(y) if log else y, self.spec.target_scaling, self.where)
            notes += _heavy_tail(y, self.spec.target_scaling)
            units = TargetUnits(shift, scale, log)
            y, judged_y = (units.standardized(v).astype(np.float32) for v in (y, judged_y))
        elif self.task is Task.MULTILABEL:
            y, judged_y = (v.astype(np.float32) for v in (y, judged_y))
        else:
            classes, places = self._classes(y)
            y, judged_y = places[y], places[judged_y]
            known = np.flatnonzero(judged_y >= 0)
            if not len(known):
                raise DataError(
                    f"{self.where}: no validation row has a class that training has; split otherwise"
                )
            if more := len(judged_y) - len(known):
                notes.append(f"{more} validation rows have classes that training lacks and are left out.")
                judged_rows, judged_y = judged_rows[known], judged_y[known]
                judged_weight = None if judged_weight is None else judged_weight[known]
        how, done = inputs.fit(x, self.spec, self.where, self.options, seen)
        features = inputs.names(how) or self.names
        notes += done
        codes, judged_codes = None, None
        if how:
            # All at once, as it is quicker to choose from numbers than from texts.
            has_codes = isinstance(x, pd.DataFrame)
            if self.provided is None:
                del x
            judged_codes = embedding.codes(judged_x, how) if has_codes else None
            judged_x = inputs.encode(judged_x, how)
            if self.provided is None:
                x, codes = chosen(judged_x, train), None if judged_codes is None else judged_codes[train]
            else:
                codes, x = embedding.codes(x, how) if has_codes else None, inputs.encode(x, how)
        return Dataset(
            train=Split(
                _contiguous(x),
                y,
                self._weights(None if self.weight is None else self.weight[train], "training"),
                codes,
            ),
            validation=Split(
                _contiguous(rows_of(judged_x, judged_rows)),
                judged_y,
                self._weights(judged_weight, "validation"),
                None if judged_codes is None else judged_codes[judged_rows],
            ),
            task=self.task,
            classes=classes,
            labels=self.pairs,
            positive=self._positive(classes),
            features=features,
            scaling=self.spec.scaling,
            target_shift=shift,
            target_scale=scale,
            target_log=self.task is Task.REGRESSION and self.spec.target_scaling == "log",
            encoding=how,
            vocabulary=inputs.vocabulary(how),
            masked=inputs.is_masked(how),
            parts=inputs.parts_of(how),
            notes=tuple(notes),
        )

    def _judging_weight(self, validation: Rows) -> NDArray[np.float64] | None:
        if self.provided is not None:
            return self.provided_weight
        return None if self.weight is None else self.weight[validation]

    def _weights(self, weight: NDArray[np.float64] | None, split: str) -> NDArray[np.float32] | None:
        """The weights of a split, their mean 1."""
        if weight is None:
            return None
        if not weight.any():
            raise DataError(f"{self.where}: weight: every {split} row has a weight of 0; correct the column")
        return np.asarray(weight / weight.mean(), np.float32)

    def _classes(self, y: NDArray[Any]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
        """The classes of training rows, and the index among them of each of `labels`, and of none, or -1."""
        present = np.unique(y)
        if len(present) < 2:
            raise DataError(
                f"{self.where}: target: the training split has one class only; "
                "split otherwise or bring more rows"
            )
        names = [self.labels[code] for code in present]
        every = len(names) == len(self.labels)
        classes = self.labels if every else target.classes(np.array(names, dtype=object))
        places = np.full(len(self.labels) + 1, -1)
        places[present] = [classes.index(name) for name in names]
        return classes, places

    def _positive(self, classes: tuple[str, ...]) -> int:
        """The class of `[data] positive`; else the rarer one among all rows, of equals the later one."""
        asked = self.spec.positive
        named = None if asked is None else target.named(asked, classes)
        if asked is not None and (len(classes) != 2 or named is None):
            found = f"the classes are {', '.join(classes)}" if classes else "the task is regression"
            raise DataError(f"{self.where}: positive: '{asked}' is not one of two classes; {found}")
        if len(classes) != 2:
            return 1
        if named is not None:
            return classes.index(named)
        first, second = (np.count_nonzero(self.y == self.labels.index(name)) for name in classes)
        return 0 if first < second else 1


def rows_of(x: X, rows: Rows) -> X:
    """Some rows, in this order."""
    if isinstance(x, pd.Series):
        return x.iloc[rows]
    if not isinstance(x, pd.DataFrame):
        return x[rows]
    every = len(rows) == len(x) and bool((rows == np.arange(len(x))).all())
    if every:
        return x
    columns = each(lambda item: (item[0], taken(item[1], rows)), x.items(), len(rows))
    return pd.DataFrame(dict(columns), index=x.index[rows], copy=False)


def _contiguous(x: Any) -> NDArray[Any]:
    """As it is kept: tokens and images of whole numbers as they are, all else as float32."""
    return np.ascontiguousarray(x, x.dtype if x.dtype in (np.int32, np.uint8) else np.float32)


def _heavy_tail(y: NDArray[np.float64], kind: str) -> list[str]:
    """That the logarithm of a target would be less skewed, where it is positive and very skewed."""
    if kind != "standard" or y.ndim > 1 or len(y) < FEWEST or not (y > 0).all():
        return []
    skewed, log = (_skewness(values) for values in (y, np.log(y)))
    if skewed < SKEWED or abs(log) > skewed / 2:
        return []
    return [
        f"The target has a heavy tail (skewness {skewed:.1f}, that of its logarithm {log:.1f}); "
        '[data] target_scaling = "log" learns the logarithm.'
    ]


def _skewness(values: NDArray[np.float64]) -> float:
    away = values - values.mean()
    return float((away**3).mean() / (away**2).mean() ** 1.5)


def _standard(y: NDArray[np.float64], kind: str, where: str) -> tuple[Any, Any]:
    """Shift and scale of a regression target: mean and standard deviation; float32 (T,) for several."""
    spread = np.atleast_1d(y.std(axis=0))
    if not (np.ptp(y, axis=0) > 0).all() or not (spread > 0).all():
        which = f" {int(np.argmin(spread))} of y" if y.ndim == 2 else ""
        raise DataError(
            f"{where}: target{which}: has one value only in the training split; choose another target"
        )
    if kind == "none":
        return 0.0, 1.0
    if y.ndim == 1:
        return float(np.float32(y.mean())), float(np.float32(spread[0]))
    return y.mean(axis=0).astype(np.float32), spread.astype(np.float32)
