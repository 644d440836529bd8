"""Interaction: which value of one parameter is better depends on another one.

Each parameter is split in two, halves of what was tried or one choice against the rest; the ranks
of the trials in the four cells say whether the better half changes. Finer patterns are not seen.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tuner.core import words
from tuner.core.columns import Bools, Floats
from tuner.core.space import Choice
from tuner.findings.evidence import Evidence
from tuner.findings.finding import Finding, Severity

FEWEST = 40
"""With fewer trials, the four cells hold too few."""

CELL = 5
"""Trials that each cell needs."""

CLEAR = 4.0
"""Standard errors of the whole effect: with hundreds of pairs looked at, three are reached by chance."""

EACH = 2.0
"""Standard errors by which each half must prefer its own side."""


@dataclass(frozen=True)
class _Split:
    name: str
    mine: str
    others: str
    inside: Bools
    active: Bools


@dataclass(frozen=True)
class _Crossing:
    """Median losses of the cells: inside both, in `other` alone, in `one` alone, in neither."""

    one: _Split
    other: _Split
    clear: float
    cells: tuple[float, float, float, float]


def find(evidence: Evidence) -> Finding | None:
    """Report the clearest pair."""
    if int(evidence.standing.sum()) < FEWEST:
        return None
    splits = {name: list(_splits(evidence, name)) for name, _ in evidence.frame.space}
    ranks = np.full(len(evidence), np.nan)
    ranks[evidence.ranking] = np.arange(len(evidence.ranking))
    found = [
        crossing
        for a, b in itertools.combinations(splits, 2)
        for one, other in itertools.product(splits[a], splits[b])
        if (crossing := _crossing(evidence, ranks, one, other)) is not None
    ]
    if not found:
        return None
    top = max(found, key=lambda crossing: crossing.clear)
    one, other = top.one, top.other
    here, there = top.cells[:2], top.cells[2:]
    halves = (one.mine, one.others)
    first = 0 if here[0] < here[1] else 1
    best, worse = evidence.told(here[first]), evidence.told(here[1 - first])
    other_best, other_worse = evidence.told(there[1 - first]), evidence.told(there[first])
    return Finding(
        "interaction",
        f"Which {one.name} is better depends on {other.name}: with {other.mine} it is {halves[first]} "
        f"({evidence.metric} {best}, else {worse}), with {other.others} it is {halves[1 - first]} "
        f"({other_best}, else {other_worse}).",
        {"one": one.name, "other": other.name, "standard_errors": top.clear},
        f"Judge {one.name} and {other.name} together, and search both again when one of them changes.",
        Severity.NOTE,
    )


def _crossing(evidence: Evidence, ranks: Floats, one: _Split, other: _Split) -> _Crossing | None:
    both = np.flatnonzero(evidence.standing & one.active & other.active)
    cell = 2 * ~other.inside[both] + ~one.inside[both]
    sizes = np.bincount(cell, minlength=4)
    if sizes.min() < CELL:
        return None
    means = np.bincount(cell, ranks[both]) / sizes
    errors = np.bincount(cell, (ranks[both] - means[cell]) ** 2) / (sizes - 1) / sizes
    inner, outer = float(means[1] - means[0]), float(means[3] - means[2])
    if inner * outer >= 0:
        return None
    whole = abs(inner - outer) / math.sqrt(max(float(errors.sum()), 1e-12))
    each = min(
        abs(inner) / math.sqrt(max(float(errors[:2].sum()), 1e-12)),
        abs(outer) / math.sqrt(max(float(errors[2:].sum()), 1e-12)),
    )
    if whole < CLEAR or each < EACH:
        return None
    medians = [float(np.median(evidence.loss[both[cell == i]])) for i in range(4)]
    if (medians[1] - medians[0]) * inner <= 0 or (medians[3] - medians[2]) * outer <= 0:
        return None
    return _Crossing(one, other, whole, (medians[0], medians[1], medians[2], medians[3]))


def _splits(evidence: Evidence, name: str) -> Iterator[_Split]:
    parameter, column = evidence.frame.space.parameters[name], evidence.frame.params[name]
    if isinstance(parameter, Choice):
        active = column != ""
        tried = [c for c in parameter.texts if (evidence.standing & (column == c)).sum() >= 2 * CELL]
        # Of two choices, the second split is the first one turned round.
        for choice in tried[:1] if len(tried) == 2 else tried:
            yield _Split(name, f"{name} {choice}", f"another {name}", column == choice, active)
        return
    shares = evidence.shares(name)
    active = np.isfinite(shares)
    if (evidence.standing & active).any():
        middle = float(np.median(shares[evidence.standing & active]))
        told = words.setting(float(evidence.at(name, middle)), 3)
        yield _Split(name, f"{name} up to {told}", f"{name} above {told}", shares <= middle, active)
