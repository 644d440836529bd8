"""Orders: what an executor tells a worker to do in one tick."""

from __future__ import annotations

from dataclasses import dataclass

from tuner.core.ports import Placement


@dataclass(frozen=True, slots=True)
class Removal:
    """A trial is taken out of its row.

    Attributes:
        model: whether its model is to be written.
        pause: whether it may go on later, from a checkpoint.
        placement: where it stands, if its worker may have trained it further than that.
    """

    number: int
    model: bool
    pause: bool = False
    placement: Placement | None = None


@dataclass(frozen=True, slots=True)
class Orders:
    """What a worker is told to do in one tick, before it trains.

    Attributes:
        steps: in this order; a trial is placed only where a row is free by then.
        bar: see `Executor.submit`.
        taken: how many of the last answer's further ticks have been used; the others are void.
        ahead_s: for how long the worker may train on, in seconds, before it answers.
    """

    steps: tuple[Placement | Removal, ...] = ()
    bar: float | None = None
    taken: int = 0
    ahead_s: float = 0.0
