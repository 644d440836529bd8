"""Edge: the best trials sit at the end of a parameter's range, so better ones may lie beyond it.

Source: the Deep Learning Tuning Playbook's question whether the best points lie near the boundary of the
search space.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tuner.core import words
from tuner.core.space import Choice, Float, Int
from tuner.findings.evidence import LEADERS, Evidence, values_of
from tuner.findings.finding import Finding, Severity

FEWEST = 3
"""Fewer trials at an end may be chance."""

OUTER = 0.1
"""The share of a range that counts as its end, where it has many values."""

BY_CHANCE = 0.05
"""Significance level, over all ends of all parameters, against trials spread evenly over their ranges."""

WIDER = 10.0
"""Factor by which to widen a logarithmic range; another one is widened by half of its width."""


@dataclass(frozen=True)
class _Crowd:
    name: str
    end: str
    bound: float
    inside: int
    of: int
    chance: float
    wider: float


def find(evidence: Evidence) -> Finding | None:
    """Report the end at which the best trials crowd most; names others beside it."""
    numeric = [
        n
        for n, p in evidence.frame.space
        if not isinstance(p, Choice) and values_of(evidence.frame.space, n) != 1
    ]
    crowds = [
        crowd
        for name in numeric
        for end in ("low", "high")
        if (crowd := _crowd(evidence, name, end)) is not None
    ]
    crowds = [crowd for crowd in crowds if crowd.chance * 2 * len(numeric) < BY_CHANCE]
    if not crowds:
        return None
    first, *others = sorted(crowds, key=lambda crowd: crowd.chance)
    also = f"; likewise {', '.join(f'{o.name} ({o.end} end)' for o in others)}" if others else ""
    row = int(evidence.ranking[0])
    found = float(evidence.frame.params[first.name][row])
    at, bound = words.settings([found, first.bound])
    way = "upper" if first.end == "high" else "lower"
    return Finding(
        "edge",
        f"The best {first.name}, {at}, sits at the {way} end of its range, {bound}, and so do "
        f"{first.inside} of the best {first.of} trials; better ones may lie beyond{also}.",
        {
            "parameter": first.name,
            "end": first.end,
            "bound": first.bound,
            "best": found,
            "at_end": first.inside,
            "of_best": first.of,
            "wider": first.wider,
        },
        f"Widen the range: [space.{first.name}] {first.end} = {words.setting(first.wider, 3)}.",
        Severity.ADVICE,
    )


def _crowd(evidence: Evidence, name: str, end: str) -> _Crowd | None:
    parameter = evidence.frame.space.parameters[name]
    if isinstance(parameter, Choice) or _is_natural(parameter, end):
        return None
    shares = evidence.shares(name)
    best = evidence.best
    if best is None or not math.isfinite(shares[best]):
        return None
    active = evidence.ranking[np.isfinite(shares[evidence.ranking])][: max(LEADERS, len(evidence.leaders))]
    if len(active) < FEWEST:
        return None
    few = values_of(evidence.frame.space, name)
    # Of few values, the one at the end stands for itself; a half step is room for rounding.
    width, likely = (0.5 / (few - 1), 1 / few) if few > 1 else (OUTER, OUTER)
    far = shares if end == "low" else 1 - shares
    if far[best] > width:
        return None
    inside = int((far[active] <= width).sum())
    chance = sum(
        math.comb(len(active), k) * likely**k * (1 - likely) ** (len(active) - k)
        for k in range(inside, len(active) + 1)
    )
    bound = float(parameter.low if end == "low" else parameter.high)
    return _Crowd(name, end, bound, inside, len(active), chance, _wider(parameter, end))


def _is_natural(parameter: Float | Int, end: str) -> bool:
    """Whether a range cannot, or need not, go on beyond its end.

    Nothing is below zero for sizes, below one for counts, or above one for
    shares; a default at the low end means "practically off", as in the shipped spaces.
    """
    if end == "low":
        least = 1 if isinstance(parameter, Int) else 0
        return 0 <= parameter.low <= least or parameter.default == parameter.low
    return isinstance(parameter, Float) and parameter.high == 1 and parameter.low >= 0


def _wider(parameter: Float | Int, end: str) -> float:
    low, high = float(parameter.low), float(parameter.high)
    if parameter.log:
        wider = low / WIDER if end == "low" else high * WIDER
    else:
        wider = low - (high - low) / 2 if end == "low" else high + (high - low) / 2
        wider = max(wider, 0.0) if low >= 0 else wider
    if isinstance(parameter, Int):
        return float(max(1, math.floor(wider))) if low >= 1 else float(math.floor(wider))
    return min(wider, 1.0) if low >= 0 and high < 1 and not parameter.log else wider
