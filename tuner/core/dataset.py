"""Dataset: the arrays that a search may see, and what is known about them.

Holds the training and the validation split and nothing of the test split, which stays locked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray


class Task(StrEnum):
    """What is predicted."""

    CLASSIFICATION = "classification"
    MULTILABEL = "multi-label classification"
    REGRESSION = "regression"

    @property
    def is_of_classes(self) -> bool:
        """Whether classes are predicted, one or several for a row."""
        return self is not Task.REGRESSION


class InputKind(StrEnum):
    """What the inputs of a row are, and with them the shape of `Split.x`."""

    TABLE = "table"
    IMAGE = "image"
    SERIES = "series"
    TOKENS = "tokens"
    SEVERAL = "several"

    @classmethod
    def of(cls, shape: tuple[int, ...], vocabulary: int = 0, parts: Sequence[InputPart] = ()) -> Self:
        """The kind of rows of this shape; tokens where there is a vocabulary."""
        if parts:
            return cls("several")
        if vocabulary:
            return cls("tokens")
        return cls({2: "series", 3: "image"}.get(len(shape), "table"))


@dataclass(frozen=True, slots=True)
class InputPart:
    """One of several inputs that stand side by side in a row of `Split.x`.

    Attributes:
        name: of the column or the array.
        shape: of a row of it alone, as `Dataset.input_shape` has it.
        vocabulary: see `Dataset.vocabulary`.
        masked: see `Dataset.masked`.
    """

    name: str
    shape: tuple[int, ...]
    vocabulary: int = 0
    masked: bool = False

    @property
    def kind(self) -> InputKind:
        """What it is."""
        return InputKind.of(self.shape, self.vocabulary)

    @property
    def size(self) -> int:
        """How many numbers of a row are its own."""
        return math.prod(self.shape)


PADDING, UNKNOWN = 0, 1
"""The tokens behind the end of a text, and of a word that training did not have; words begin at 2."""


@dataclass(frozen=True)
class Split:
    """Inputs and targets of one split.

    Attributes:
        x: encoded, not yet scaled inputs: float32 (N, D) of tables, float32 or uint8 (N, C, H, W) of images,
            float32 (N, T, F) of series of numbers, int32 (N, T) of tokens. Behind the end of a sequence
            that is shorter than T stand zeros; series have a last feature then, see `Dataset.masked`. Of
            several inputs float32 (N, D): all numbers of the first one, those of the next one behind them,
            and so on, see `Dataset.parts`.
        y: int64 class indices (N,) for classification; float32 (N,) or (N, T), standardized as
            `Dataset.target_shift` and `target_scale` say, for regression; float32 (N, L), 0 or 1, for
            multi-label classification.
        weight: float32 (N,), what each row counts, their mean 1; None where all count the same.
        codes: float32 (N, C), the category of each row as a whole number, for the columns with many
            categories; 0 for rare and unknown ones. None where no column has many. See `data.embedded`.
    """

    x: NDArray[Any]
    y: NDArray[Any]
    weight: NDArray[np.float32] | None = None
    codes: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True, slots=True)
class TargetUnits:
    """How a regression target was standardized, and the way back; see `Dataset`.

    Attributes:
        shift: scalar or (T,).
        scale: scalar or (T,).
        log: whether the logarithm was taken first.
    """

    shift: Any = 0.0
    scale: Any = 1.0
    log: bool = False

    def standardized(self, y: NDArray[Any]) -> NDArray[Any]:
        """Targets in their own units, (N,) or (N, T), as networks learn them."""
        return np.asarray(((np.log(y) if self.log else y) - self.shift) / self.scale)

    def restored(self, values: NDArray[Any]) -> NDArray[Any]:
        """What a network says, (N,) or (N, T), in the target's own units."""
        found = np.asarray(values * self.scale + self.shift)
        if not self.log:
            return found
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(found))

    def to_table(self) -> dict[str, Any]:
        """JSON-ready; `from_table` reads it back."""
        table = {
            name: np.asarray(value).tolist() for name, value in (("shift", self.shift), ("scale", self.scale))
        }
        return table | ({"log": True} if self.log else {})

    @classmethod
    def from_table(cls, table: Mapping[str, Any], dtype: type[np.floating[Any]] = np.float32) -> Self:
        """What `to_table` wrote."""
        shift, scale = (np.asarray(table[key], dtype) for key in ("shift", "scale"))
        return cls(shift, scale, bool(table.get("log", False)))


class Resampling(Protocol):
    """The rows that a search may see, divided in other ways.

    Everything is fitted anew on each training split. What it gives depends on its arguments alone,
    so every process draws the same.
    """

    def draw(self, seed: int) -> Dataset:
        """Another training and validation split, of the sizes of the study's own.

        The study's own once more where there is no other: in order of time, or where the source
        brings its validation split.
        """

    def folds(self, count: int) -> tuple[Dataset, ...]:
        """Cross-validation: so many datasets whose validation splits are disjoint.

        Raises:
            DataError: the rows cannot be folded so often.
        """


@dataclass(frozen=True)
class Dataset:
    """What trainers get.

    Attributes:
        train: the split that is trained on.
        validation: the split that trials are judged by.
        task: classification or regression.
        classes: the classes' names in the order of their indices; empty for other tasks.
        positive: of two classes, the index of the one that f1, precision, recall and average_precision are
            of.
        features: the encoded columns' names: D of tables, F of series where they are known, else none.
        scaling: the scaling of the inputs where a trial does not search it:
            ``"none"``, ``"standard"``, ``"min-max"`` or ``"quantile"``, fitted on the training split.
        target_shift: what was subtracted from a regression target, or from its logarithm, scalar or (T,).
        target_scale: what it was then divided by, scalar or (T,).
        target_log: whether its logarithm was taken first.
        labels: of multi-label classification, the two classes of each label by its name, that of 1 last.
        encoding: how raw columns become `features`, JSON-ready; empty when they already are numbers.
        categories: the last columns of the inputs are codes of categories, and so many different ones each;
            empty unless the data are `data.embedded`.
        vocabulary: how many different tokens there are, `PADDING` and `UNKNOWN` among them; 0 of inputs that
            are no tokens.
        masked: the last feature of series is 1 where a sequence has a step and 0 behind its end; False where
            all are equally long.
        parts: the inputs that stand side by side in a row, in their order; none where there is one alone.
        notes: what was done to the data, a sentence each, for the terminal and the store.
        resampling: divides the same rows in other ways; None if it was not asked for.
        fingerprint: hashes of the data, for the store; None if it was not asked for.
    """

    train: Split
    validation: Split
    task: Task
    classes: tuple[str, ...] = ()
    positive: int = 1
    features: tuple[str, ...] = ()
    scaling: str = "standard"
    target_shift: NDArray[np.float32] | float = 0.0
    target_scale: NDArray[np.float32] | float = 1.0
    target_log: bool = False
    labels: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    encoding: Mapping[str, Any] = field(default_factory=dict)
    categories: tuple[int, ...] = ()
    vocabulary: int = 0
    masked: bool = False
    parts: tuple[InputPart, ...] = ()
    notes: tuple[str, ...] = ()
    resampling: Resampling | None = None
    fingerprint: bytes | None = None

    @property
    def positive_class(self) -> str | None:
        """The name of the class of `positive`; None where there are not two."""
        return self.classes[self.positive] if len(self.classes) == 2 else None

    @property
    def units(self) -> TargetUnits:
        """What the standardized numbers of a regression target stand for."""
        return TargetUnits(self.target_shift, self.target_scale, self.target_log)

    @property
    def outputs(self) -> int:
        """How many numbers a network puts out: classes C, labels L or targets T."""
        if self.task is Task.CLASSIFICATION:
            return len(self.classes)
        return 1 if self.train.y.ndim == 1 else int(self.train.y.shape[1])

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(D,) of tables and of several inputs, (C, H, W) of images, (T, F) of series, (T,) of tokens."""
        return tuple(self.train.x.shape[1:])

    @property
    def kind(self) -> InputKind:
        """What the inputs of a row are."""
        return InputKind.of(self.input_shape, self.vocabulary, self.parts)

    @property
    def inputs(self) -> tuple[InputPart, ...]:
        """The parts, or the one input that there is, without a name."""
        return self.parts or (InputPart("", self.input_shape, self.vocabulary, self.masked),)


@dataclass
class ReadData:
    """What is read of a study's data on the way to a `Dataset`, so that nothing is read twice.

    Attributes:
        source: the rows as they were found; `data.load` takes them, so that they can be freed on the way.
        target: what is predicted, as it was read of them.
        parts: the splits that they were divided into.
        columns: takes up how each column of the training rows is read; None where nobody asks.
    """

    source: Any = None
    target: Any = None
    parts: Any = None
    columns: list[Any] | None = None


@dataclass(frozen=True)
class FingerprintCheck:
    """The fingerprint that data is compared with, and what to do where it differs.

    Attributes:
        stored: the study's fingerprint; None before there is one.
        on_change: called with the differences, a clause each; raises if a change is not allowed.
    """

    stored: bytes | None = None
    on_change: Callable[[Sequence[str]], None] = lambda _: None
