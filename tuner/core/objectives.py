"""Objectives and constraints of a study, and which trials are best by them.

Used wherever one trial is called better than another. Holds the `[objective]` section, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from tuner.core.space.parameters import Section
from tuner.core.trial import Objective, Origin, Reading, TrialRecord, TrialState
from tuner.errors import near

Floats = NDArray[np.float64]
Key = tuple[bool, bool, float, tuple[float, ...], int]
"""Sorts trials from best to worst: violates, was cut short, by how much it violates, losses, number."""


DIRECTIONS: dict[str, Literal["minimize", "maximize"]] = {
    "train_loss": "minimize",
    "val_loss": "minimize",
    "train_score": "maximize",
    "val_score": "maximize",
    "gap": "minimize",
    "grad_norm": "minimize",
    "seconds": "minimize",
}
"""The direction of each shipped metric; a score that is an error (rmse, log_loss) turns round."""


class ObjectiveSpec(Section):
    """`[objective]`: what is searched for."""

    metric: str = Field("val_loss", description="any number of a reading; the best epoch counts")
    direction: Literal["minimize", "maximize"] | None = Field(
        None, description="needed where the metric is not a shipped one"
    )
    also: dict[str, Literal["minimize", "maximize"]] = Field(
        {},
        max_length=2,
        description='up to two further objectives, e.g. gap = "minimize"; pruning goes by the first one',
    )
    at_most: dict[str, float] = Field(
        {}, description="constraints: what a trial's best epoch must not exceed, e.g. gap = 0.1"
    )
    at_least: dict[str, float] = Field({}, description="constraints: what a trial's best epoch must reach")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.direction is None and self.metric not in DIRECTIONS:
            raise ValueError(
                f"metric '{self.metric}' is not a shipped one, so give direction = \"minimize\" or "
                f'"maximize"; {near(self.metric, DIRECTIONS)}'
            )
        if self.metric in self.also:
            raise ValueError(f"also: '{self.metric}' is the metric already; name another one")
        for name in self.at_most.keys() & self.at_least.keys():
            if self.at_least[name] > self.at_most[name]:
                raise ValueError(
                    f"at_least: no {name} is at least {self.at_least[name]:g} and at most "
                    f"{self.at_most[name]:g}; lower it or raise at_most"
                )
        return self

    def objectives(self, score_falls: bool) -> Objectives:
        """The section as the search takes it; `score_falls` is the trainer's."""
        direction = self.direction
        if direction is None and self.metric.endswith("_score") and score_falls:
            direction = "minimize"
        first = Objective(self.metric, (direction or DIRECTIONS[self.metric]) == "minimize")
        others = [Objective(name, way == "minimize") for name, way in self.also.items()]
        constraints = [Constraint(name, limit, is_upper=True) for name, limit in self.at_most.items()]
        constraints += [Constraint(name, limit, is_upper=False) for name, limit in self.at_least.items()]
        return Objectives((first, *others), tuple(constraints))


@dataclass(frozen=True, slots=True)
class Constraint:
    """A limit on one number of a trial's best epoch.

    Attributes:
        name: the number, as `Reading.get` takes it.
        limit: what it may just reach.
        is_upper: whether it must not exceed the limit; else it must reach it.
    """

    name: str
    limit: float
    is_upper: bool

    @property
    def key(self) -> str:
        """As in a study file: ``at_most.gap``."""
        return f"{'at_most' if self.is_upper else 'at_least'}.{self.name}"

    def excess(self, value: float) -> float:
        """How far a number is beyond the limit, negative within it; infinite for one not measured."""
        if math.isnan(value):
            return math.inf
        return value - self.limit if self.is_upper else self.limit - value

    def __str__(self) -> str:
        return f"{self.name} {'at most' if self.is_upper else 'at least'} {self.limit:g}"


@dataclass(frozen=True, slots=True)
class Objectives:
    """What a study searches for.

    The best epoch of a trial is that of the first objective; the other numbers are read there. A
    trial that violates a constraint is worse than every one that does not, whatever its value. Values
    that stand (`Stop.conclusive`) come before those of trials that were cut short.

    Attributes:
        objectives: the first one, which rules and pruners go by, and up to two more.
        constraints: the constraints.
        primary: the first objective.
        is_plain: whether a trial's value alone says how good it is: one objective, no constraint, no gap.
    """

    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...] = ()
    primary: Objective = field(init=False, repr=False, compare=False)
    is_plain: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Fields, for they are asked for several times of every trial.
        object.__setattr__(self, "primary", self.objectives[0])
        is_plain = len(self.objectives) == 1 and not self.constraints and self.primary.metric != "gap"
        object.__setattr__(self, "is_plain", is_plain)

    @classmethod
    def of(cls, objective: Objective | Objectives) -> Objectives:
        """A single objective as `Objectives`."""
        return objective if isinstance(objective, Objectives) else cls((objective,))

    def __iter__(self) -> Iterator[Objective]:
        return iter(self.objectives)

    def __len__(self) -> int:
        return len(self.objectives)

    @property
    def has_gap(self) -> bool:
        """Whether the gap is an objective, in which all trials that do not over-fit are equal."""
        return any(objective.metric == "gap" for objective in self.objectives)

    @property
    def names(self) -> tuple[str, ...]:
        """The numbers that are looked at, each once."""
        return tuple(
            dict.fromkeys((*(o.metric for o in self.objectives), *(b.name for b in self.constraints)))
        )

    def named(self) -> list[tuple[str, str]]:
        """Every place of ``[objective]`` that names a number, and the number."""
        also = [("also", objective.metric) for objective in self.objectives[1:]]
        constraints = [("at_most" if each.is_upper else "at_least", each.name) for each in self.constraints]
        return [("metric", self.primary.metric), *also, *constraints]

    def values(self, record: TrialRecord) -> tuple[float, ...] | None:
        """Every objective's number at the trial's best epoch; None where the trial has no value.

        One that was not measured there is as bad as can be.
        """
        if record.value is None:
            return None
        others = (_known(o, record.best) for o in self.objectives[1:])
        return self.primary.counted(record.value), *others

    def losses(self, record: TrialRecord) -> tuple[float, ...] | None:
        """Like `values`, so signed that less is better."""
        if len(self.objectives) == 1 and record.value is not None:
            value = self.primary.counted(record.value)
            return (value if self.primary.minimize else -value,)
        values = self.values(record)
        if values is None:
            return None
        return tuple(v if o.minimize else -v for o, v in zip(self.objectives, values, strict=True))

    def excesses(self, best: Reading | None) -> tuple[float, ...]:
        """How far each constrained number is beyond its limit; see `Constraint.excess`."""
        return tuple(b.excess(math.nan if best is None else best.get(b.name)) for b in self.constraints)

    def violation(self, best: Reading | None) -> float:
        """By how much the best epoch violates the constraints, in shares of their limits; 0 for not."""
        return self.violation_by(lambda name: math.nan if best is None else best.get(name))

    def violation_by(self, number: Callable[[str], float]) -> float:
        """The same of any numbers, which are given by name."""
        return math.fsum(
            max(each.excess(number(each.name)), 0.0) / (abs(each.limit) or 1.0) for each in self.constraints
        )

    def broken_by(self, number: Callable[[str], float]) -> tuple[tuple[Constraint, float], ...]:
        """The constraints that numbers, which are given by name, do not keep, and these numbers."""
        values = [(each, number(each.name)) for each in self.constraints]
        return tuple((each, value) for each, value in values if each.excess(value) > 0)

    def key(self, record: TrialRecord) -> Key:
        """A trial's place among others, by the first objective, then by the next one: the least is best.

        Of equal ones the gap says nothing more, and validation loss decides.
        """
        primary = self.primary
        if self.is_plain:
            # What most studies have.
            value = math.inf if record.value is None else record.value
            loss = value if primary.minimize or record.value is None else -value
            return False, not record.conclusive, 0.0, (loss,), record.number
        violation = self.violation(record.best) if self.constraints else 0.0
        losses = self.losses(record) or (math.inf,) * len(self.objectives)
        if self.has_gap:
            losses += (record.best.val_loss if record.best is not None else math.inf,)
        return violation > 0, not record.conclusive, violation, losses, record.number

    def best_of(self, records: Sequence[TrialRecord]) -> TrialRecord | None:
        """The best trial by the first objective; None where none has a value."""
        return min(_valued(records), key=self.key, default=None)

    def best_within(self, records: Sequence[TrialRecord], limits: Mapping[str, float]) -> TrialRecord | None:
        """The best trial by the first objective of those that exceed none of these; None where all do."""
        more = tuple(Constraint(name, limit, is_upper=True) for name, limit in limits.items())
        bounded = Objectives(self.objectives, (*self.constraints, *more))
        best = bounded.best_of(records)
        return None if best is None or bounded.key(best)[0] else best


def layers(losses: Floats, most: int | None = None) -> list[int]:
    """The layer of each point: 0 where no other point dominates it, 1 where only those of layer 0 do, ...

    Args:
        losses: (N, M), less is better; a point dominates another if it is nowhere worse and somewhere better.
        most: so many layers are told apart; all points beyond get this number.
    """
    found = [0] * len(losses)
    left = np.lexsort(losses.T[::-1]) if len(losses) else np.empty(0, dtype=np.intp)
    layer = 0
    while len(left) and (most is None or layer < most):
        # Sorted so, a point is dominated only by earlier ones, and if so by one of the layer.
        front: list[int] = []
        rest: list[int] = []
        held = np.empty((len(left), losses.shape[1]))
        for index in left.tolist():
            point, before = losses[index], held[: len(front)]
            if bool(((before <= point).all(axis=1) & (before < point).any(axis=1)).any()):
                rest.append(index)
                continue
            held[len(front)] = point
            front.append(index)
        for index in rest:
            found[index] = layer + 1
        left, layer = np.array(rest, dtype=np.intp), layer + 1
    return found


def knee(losses: Floats) -> int | None:
    """Which point of a front is nearest to the best of all numbers at once; None of fewer than three points.

    Each number is scaled to its range on the front, by its order of magnitude where that spans a decade.

    Args:
        losses: (N, M), less is better, as `Objectives.losses`.
    """
    if len(losses) < 3 or losses.shape[1] < 2 or not np.isfinite(losses).all():
        return None
    spans = (np.sign(losses) == np.sign(losses[0])).all(axis=0) & (losses != 0).all(axis=0)
    sizes = np.abs(losses)
    spans &= sizes.max(axis=0) >= 10 * sizes.min(axis=0)
    scaled = np.where(spans, np.sign(losses) * np.log(np.where(spans, sizes, 1.0)), losses)
    reach = np.ptp(scaled, axis=0)
    away = (scaled - scaled.min(axis=0)) / np.where(reach > 0, reach, 1.0)
    return int(np.argmin((away**2).sum(axis=1)))


def _valued(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The trials with a value among those that were trained here."""
    return [
        r
        for r in records
        if r.value is not None and r.state is not TrialState.FAILED and r.origin is not Origin.IMPORTED
    ]


def _known(objective: Objective, best: Reading | None) -> float:
    value = math.nan if best is None else objective.of(best)
    return value if not math.isnan(value) else math.inf if objective.minimize else -math.inf


def whole_names(limits: Mapping[str, float], measured: Collection[str]) -> dict[str, float]:
    """Limits by the names of what was measured, where that of the one runtime is left out: latency_ms.

    Of two limits for one number the lower one counts.
    """
    alike = {key: [name for name in measured if name.startswith(f"{key}[")] for key in limits}
    found: dict[str, float] = {}
    for key, limit in limits.items():
        name = alike[key][0] if key not in measured and len(alike[key]) == 1 else key
        found[name] = min(limit, found.get(name, limit))
    return found
