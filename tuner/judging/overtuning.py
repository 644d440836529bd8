"""Overtuning: how far the search followed its validation split away from what the test shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One trial that was the best so far when it ended.

    Attributes:
        number: the trial.
        validation: its value in the search.
        test: the same measure of its kept model on the test split.
    """

    number: int
    validation: float
    test: float


@dataclass(frozen=True, slots=True)
class Overtuning:
    """Validation against test along the incumbents' path.

    Attributes:
        path: the default configuration first, the last incumbent last.
        overtuning: test error of the last one above the lowest on the path, never negative.
        relative: that as a share of what the best one on the path gained over the first one: 0 nothing
            was lost, 1 all of it, above 1 the last one is worse than the first; None where nothing was
            gained and something lost.
    """

    path: tuple[Step, ...]
    overtuning: float
    relative: float | None


def overtuning(path: Sequence[Step], *, minimize: bool) -> Overtuning:
    """Judge a path of one incumbent or more by Schneider, Bischl and Feurer (2025), definitions 3.1, 3.2."""
    sign = 1 if minimize else -1
    errors = [sign * step.test for step in path]
    lost, gained = errors[-1] - min(errors), errors[0] - min(errors)
    relative = lost / gained if gained > 0 else (0.0 if lost == 0 else None)
    return Overtuning(tuple(path), lost, relative)
