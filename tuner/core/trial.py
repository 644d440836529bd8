"""Trial, TrialState, Reading (one epoch's numbers), and what is known of a trial as a whole.

Plain values; nothing here knows where a trial runs or how it is stored.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from tuner.core.seeds import derive

Value = float | int | str | bool
"""A parameter's value."""

Params = Mapping[str, Value]
"""Active parameters by name, in the order of the search space."""


class TrialState(StrEnum):
    """Where a trial stands."""

    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"

    @cached_property
    def is_over(self) -> bool:
        """Whether the trial will never train again."""
        return self in (TrialState.FINISHED, TrialState.STOPPED, TrialState.FAILED)


class Origin(StrEnum):
    """Where a trial's configuration comes from.

    An imported trial is history: it is known to the sampler, to pruners and to every figure, and costs no
    budget. It is never the best one, kept or confirmed, and not `conclusive`: it was judged elsewhere.
    """

    SEARCHED = "searched"
    GIVEN = "given"
    IMPORTED = "imported"
    CONFIRMING = "confirming"


@dataclass(frozen=True, slots=True)
class Trial:
    """One configuration to train, under its number."""

    number: int
    params: Params
    study_seed: int
    origin: Origin = Origin.SEARCHED

    def seed(self, purpose: str) -> int:
        """The seed of one of its random streams, e.g. ``"order"``; see `seeds.derive`."""
        return derive(self.study_seed, self.number, purpose)


@dataclass(frozen=True, slots=True)
class Reading:
    """One epoch of one trial.

    Losses are means per sample in evaluation mode, the training ones over a fixed sample of the
    training split no larger than the validation split. `nan` stands for "not measured" in the
    scores, the learning rate and the gradient norm.

    Attributes:
        epoch: 1 for the first.
        learning_rate: the rate of the epoch's last step.
        grad_norm: mean over the epoch's steps of the gradient's 2-norm before clipping.
        seconds: the trial's share of the wall time of this epoch.
        extras: further numbers by name, from trainers of a user's own.
        is_last: whether there was nothing to be cut short, since all of the trial came at once, as from
            a function that returns; no rule ends it, it has finished. Not stored.
        asked: parameters that the trainer has asked for beyond those that it was given, as tables by name,
            where it says itself what is searched. Not stored.
    """

    epoch: int
    train_loss: float
    val_loss: float
    train_score: float = math.nan
    val_score: float = math.nan
    learning_rate: float = math.nan
    grad_norm: float = math.nan
    seconds: float = 0.0
    extras: Mapping[str, float] = field(default_factory=dict)
    is_last: bool = field(default=False, compare=False)
    asked: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, epoch: int, numbers: Mapping[str, float]) -> Reading:
        """A reading from numbers by name; losses that are not among them are `nan`."""
        own = {"train_loss": math.nan, "val_loss": math.nan}
        own |= {name: value for name, value in numbers.items() if name in NUMBERS and name != "gap"}
        return cls(epoch, extras={n: value for n, value in numbers.items() if n not in NUMBERS}, **own)  # type: ignore[arg-type]

    @property
    def gap(self) -> float:
        """val_loss - train_loss, both in evaluation mode at the same epoch."""
        return self.val_loss - self.train_loss

    def repeats(self, other: Reading) -> bool:
        """Whether two readings are the same, bit for bit, in everything but the time that they took."""
        return self._content() == other._content()

    def _content(self) -> str:
        # Databases know nan, but no zero below zero.
        numbers = {name: self.get(name) + 0.0 for name in (*NUMBERS, *self.extras)}
        return repr((self.epoch, {**numbers, **dict.fromkeys(CLOCKED.intersection(numbers), 0.0)}))

    def get(self, name: str) -> float:
        """The number called `name`; `nan` where this reading has none."""
        if name in NUMBERS:
            return float(getattr(self, name))
        return self.extras.get(name, math.nan)

    @property
    def measured(self) -> dict[str, float]:
        """All numbers that are finite, by name."""
        numbers = {name: self.get(name) for name in (*NUMBERS, *self.extras)}
        return {name: number for name, number in numbers.items() if math.isfinite(number)}

    def error(self, name: str) -> float:
        """The standard error of a number that is a mean over folds or seeds; `nan` for any other."""
        return self.extras.get(f"{name}_se", math.nan)

    @property
    def own(self) -> tuple[str, ...]:
        """The names of the trainer's own numbers: of its extras those that are followed over epochs."""
        return tuple(name for name in self.extras if not name.endswith("_se") and name not in LAYER_NORMS)

    @property
    def errors(self) -> dict[str, float]:
        """The standard errors that are known, by number."""
        return {name.removesuffix("_se"): x for name, x in self.extras.items() if name.endswith("_se")}


NUMBERS: tuple[str, ...] = (
    "train_loss",
    "val_loss",
    "train_score",
    "val_score",
    "gap",
    "learning_rate",
    "grad_norm",
    "seconds",
)
"""The numbers every reading has."""

LAYER_NORMS = ("grad_norm_first", "grad_norm_last")
"""Extras of a network's first and last planned epoch: the 2-norms of the gradient of the first and of the
last weights, in the epoch's last step."""

CLOCKED = frozenset(
    {"seconds", "latency_ms", "latency_ms_se"}
    | {f"latency_ms[{each}]" for each in ("onnx", "onnx-int8", "onnx-int8-static")}
)
"""Numbers that a clock has measured: no repetition gives them again."""


@dataclass(frozen=True, slots=True)
class Objective:
    """What is searched for: the best epoch's `metric`.

    Of the gap only what is above zero counts: a validation loss below the training loss is no merit, and
    a run that diverges has the lowest gap of all. Equal gaps are ordered by validation loss.
    """

    metric: str = "val_loss"
    minimize: bool = True

    def of(self, reading: Reading) -> float:
        """The number of a reading that counts; `nan` where it was not measured."""
        value = reading.get(self.metric)
        return value if self.metric != "gap" else self.counted(value)

    def counted(self, value: float) -> float:
        """What counts of a measured value; earlier versions stored the gap with its sign."""
        return max(value, 0.0) if self.metric == "gap" else value

    def prefers(self, one: Reading, other: Reading | None) -> bool:
        """Whether an epoch is better than another one of its trial; one without a finite value never is.

        What a function returns at last counts, whatever it has reported before.
        """
        value, before = self.of(one), math.nan if other is None else self.of(other)
        if one.is_last:
            return math.isfinite(value)
        if value == before and self.metric == "gap" and other is not None:
            return one.val_loss < other.val_loss
        return math.isfinite(value) and self.better(value, before)

    def better(self, a: float, b: float) -> bool:
        """Whether `a` is strictly better than `b`; `nan` is never better and always beaten."""
        if math.isnan(a):
            return False
        if math.isnan(b):
            return True
        return a < b if self.minimize else a > b

    def best(self, curve: Sequence[Reading]) -> Reading | None:
        """The first reading with the best finite metric; None when there is none."""
        chosen: Reading | None = None
        for reading in curve:
            if self.prefers(reading, chosen):
                chosen = reading
        return chosen


@dataclass(frozen=True, slots=True)
class Stop:
    """A callback's answer: end this trial.

    Attributes:
        rule: the callback's name, e.g. ``"patience"``.
        reason: a sentence for the user, with the numbers that decided.
        conclusive: whether the trial's value stands beside those of finished trials (it stopped
            improving, its time was up). False when it was cut before its worth was known, or
            diverged.
    """

    rule: str
    reason: str
    conclusive: bool


DIVERGENCE = "divergence"
"""The rule that ends a trial whose losses are not finite or explode; its best epoch says nothing of it."""


@dataclass(frozen=True, slots=True)
class Pause:
    """A callback's answer: this trial leaves its row, and may go on later.

    Attributes:
        rule: see `Stop`.
        reason: see `Stop`.
    """

    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """All that is stored of one trial, its curve apart.

    Attributes:
        value: the best epoch's metric; None before the first finite one.
        best: the best epoch's reading.
        epochs: how many epochs it has trained.
        conclusive: see `Stop.conclusive`; True for finished trials.
        reason: why it stopped, paused or failed, in words.
        paused_at: how many epochs it had trained when it last paused; 0: it never has.
        order: what was decided of a running trial and is not carried out yet.
        seconds: wall time spent training.
        interruptions: how often it lost its worker or its study's process, and went on under its number.
        model_path: where its best epoch's model lies; None when it was not kept.
        origin: where its configuration comes from.
    """

    number: int
    params: Params
    state: TrialState
    value: float | None = None
    best: Reading | None = None
    epochs: int = 0
    conclusive: bool = False
    rule: str | None = None
    reason: str | None = None
    traceback: str | None = None
    seconds: float = 0.0
    interruptions: int = 0
    model_path: str | None = None
    paused_at: int = 0
    order: Stop | Pause | None = None
    started_at: str | None = None
    ended_at: str | None = None
    origin: Origin = Origin.SEARCHED


WholeTrial = tuple[TrialRecord, Sequence[Reading]]
"""A trial and its curve."""
