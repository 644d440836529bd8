"""Failures: how many trials failed or diverged, and where in the space they lie."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tuner.core import words
from tuner.core.columns import Bools
from tuner.core.endings import DIVERGED
from tuner.core.space import Choice
from tuner.core.trial import TrialState
from tuner.findings.evidence import Evidence, values_of
from tuner.findings.finding import Finding, Severity

FEWEST = 3
"""Fewer may be chance."""

SHARE = 0.1
"""Below this share, the search learns to avoid them by itself."""

MANY = 0.3
"""From this share on much of the work was wasted."""

APART = 0.5
"""A region holds the bad trials when their share of it exceeds the others' share by this much,"""

CLEAR = 4.0
"""and by so many standard errors, as the clearest of many regions that were looked at."""


@dataclass(frozen=True)
class _Region:
    name: str
    side: str
    bound: float | str
    bad: int
    good: int
    apart: float

    @property
    def told(self) -> str:
        return f"{self.name} {self.side} {_told(self.bound)}"


def find(evidence: Evidence) -> Finding | None:
    """Reported from a tenth of the trials on; names the region where most of them lie, if there is one."""
    over = evidence.frame.trials.is_(*(state for state in TrialState if state.is_over))
    failed = evidence.frame.trials.is_(TrialState.FAILED)
    diverged = evidence.frame.endings == DIVERGED
    bad = failed | diverged
    count, total = int(bad.sum()), int(over.sum())
    if count < FEWEST or count < SHARE * total:
        return None
    what = " or ".join(w for w, rows in (("failed", failed), ("diverged", diverged)) if rows.any())
    numbers: dict[str, float | str] = {
        "failed": int(failed.sum()),
        "diverged": int(diverged.sum()),
        "trials": total,
        "share": count / total,
    }
    region = _where(evidence, bad, over & ~bad)
    reasons = "`tune show` says why they failed"
    if region is None:
        where = "" if count == total else ", spread over the whole space"
        advice = (
            f"{reasons[0].upper()}{reasons[1:]}"
            if failed.any()
            else "Lower the learning rate's range or clip gradients"
        )
    else:
        numbers |= {"parameter": region.name, "side": region.side, "bound": region.bound}
        numbers |= {"bad_there": region.bad, "good_there": region.good}
        most = "all" if region.bad == count else str(region.bad)
        others = f"only {region.good} of the others lie" if region.good else "none of the others lies"
        where = f"; {most} of them at {region.told}, where {others}"
        advice = _advice(region) + (f"; {reasons}" if failed.any() else "")
    return Finding(
        "failures",
        f"{count} of {total} trials ({words.percent(count / total)}) {what}{where}.",
        numbers,
        f"{advice}.",
        Severity.WARNING if count >= MANY * total else Severity.ADVICE,
    )


def _where(evidence: Evidence, bad: Bools, good: Bools) -> _Region | None:
    """The half-range or the choice that tells bad trials (N,) from good ones (N,) best."""
    if not good.any():
        return None
    regions = [region for name, _ in evidence.frame.space for region in _regions(evidence, name, bad, good)]
    total, share = 1 / bad.sum() + 1 / good.sum(), bad.sum() / (bad.sum() + good.sum())
    clear = []
    for region in regions:
        inside = (region.bad + region.good) / (bad.sum() + good.sum())
        error = math.sqrt(inside * (1 - inside) * total)
        if region.apart >= APART and 0 < share < 1 and (error == 0 or region.apart >= CLEAR * error):
            clear.append(region)
    return max(clear, key=lambda region: region.apart, default=None)


def _regions(evidence: Evidence, name: str, bad: Bools, good: Bools) -> list[_Region]:
    parameter, column = evidence.frame.space.parameters[name], evidence.frame.params[name]

    def region(side: str, bound: float | str, inside: Bools) -> _Region:
        mine, others = int((inside & bad).sum()), int((inside & good).sum())
        return _Region(name, side, bound, mine, others, mine / bad.sum() - others / good.sum())

    if isinstance(parameter, Choice):
        return [region("=", choice, column == choice) for choice in parameter.texts]
    shares = evidence.shares(name)
    known = (bad | good) & np.isfinite(shares)
    places = np.unique(shares[known])
    if len(places) < 2 or values_of(evidence.frame.space, name) == 1:
        return []
    # What is bad below each place, less what is good: where that is extreme, the halves differ most.
    below_bad = np.searchsorted(np.sort(shares[bad & known]), places, side="right") / bad.sum()
    below_good = np.searchsorted(np.sort(shares[good & known]), places, side="right") / good.sum()
    apart = (below_bad - below_good)[:-1]
    found = []
    for side, at in (("below", int(np.argmax(apart))), ("above", int(np.argmin(apart)))):
        middle = float((places[at] + places[at + 1]) / 2)
        inside = shares < middle if side == "below" else shares > middle
        found.append(region(side, evidence.at(name, middle), known & inside))
    return found


def _advice(region: _Region) -> str:
    if region.side == "=":
        return f"Leave {_told(region.bound)} out of [space.{region.name}] choices"
    end = "high" if region.side == "above" else "low"
    return f"Narrow the range: [space.{region.name}] {end} = {_told(region.bound)}"


def _told(bound: float | str) -> str:
    return bound if isinstance(bound, str) else words.setting(float(bound), 2)
