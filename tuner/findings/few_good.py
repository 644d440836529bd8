"""Few good: hardly any other trial comes close to the best one, so it may be luck.

Source: the Deep Learning Tuning Playbook's question whether the good part of the space was sampled
densely enough.
"""

from __future__ import annotations

import numpy as np

from tuner.core import words
from tuner.findings import no_gain
from tuner.findings.evidence import Evidence
from tuner.findings.finding import Finding, Severity

FEWEST = 10
"""A sampler's model begins after ten trials; fewer are random."""

GOOD = 0.8
"""A good trial has this share of the best one's gain over the default configuration."""

ENOUGH = 3
"""Three good trials are not chance."""


def find(evidence: Evidence) -> Finding | None:
    """Reported when fewer than three trials are good, the best one included."""
    best, trials = evidence.best, int(evidence.valued.sum())
    if best is None:
        return None
    if trials < FEWEST:
        return Finding(
            "few_good",
            f"Only {trials} {'trial has' if trials == 1 else 'trials have'} a value: the search has hardly "
            "begun, and the best of so few is partly luck.",
            {"good": trials, "trials": trials},
            f"Run more trials: [budget] trials = {max(30, 3 * len(evidence))}.",
            Severity.ADVICE,
        )
    default = evidence.default
    whose = "over the default configuration" if default is not None else "over a middling trial"
    start = (
        float(evidence.loss[default])
        if default is not None
        else float(np.median(evidence.loss[evidence.valued]))
    )
    top = float(evidence.loss[best])
    gain = start - top
    if not gain > 0 or no_gain.of_search(evidence) is not None:
        return None
    # Trials that were cut short count; those that violate a constraint do not.
    rivals = evidence.valued & (evidence.frame.violation <= evidence.frame.violation[best])
    good = int((evidence.loss[rivals] <= top + (1 - GOOD) * gain).sum())
    if good >= ENOUGH:
        return None
    near = "No other trial comes" if good == 1 else "Only one other trial comes"
    violating = int((evidence.valued & (evidence.frame.violation > 0)).sum())
    kept = " that keep every constraint" if violating and evidence.frame.violation[best] == 0 else ""
    seen = int(rivals.sum()) if kept else trials
    short = int(((rivals if kept else evidence.valued) & ~evidence.frame.trials.conclusive).sum())
    cut = f"; {short} of them {'was' if short == 1 else 'were'} cut short" if short else ""
    return Finding(
        "few_good",
        f"{near} close to the best of {seen}{kept}: it gained {words.number(gain, digits=3)} in "
        f"{evidence.metric} {whose}, "
        f"{'the others' if good == 1 else 'the rest'} less than {words.percent(GOOD)} of that{cut}.",
        {"good": good, "trials": trials, "standing": int(evidence.standing.sum()), "gain": gain},
        f"Run more trials to explore the good part of the space: [budget] trials = {2 * len(evidence)}.",
        Severity.ADVICE,
    )
