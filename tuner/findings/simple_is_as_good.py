"""Simple is as good: a linear model or boosted trees do as well as the best trial, on the same rows.

A constant prediction is the affair of `nothing_learned` and `commonest_class`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from tuner.core import words
from tuner.core.baseline import Contest
from tuner.findings.evidence import Evidence
from tuner.findings.finding import Finding, Severity

MUCH = 0.05
"""By a measure that is not searched for, a difference below this share of the error says nothing."""

_NAMES = {"linear": ("a linear model", "it has"), "boosted_trees": ("boosted trees", "they have")}
"""What is compared, in words."""

_LATER = "More rows, better inputs or a longer search may put the trials ahead."

_ADVICE = {
    "linear": "Take the simpler one: scikit-learn's LogisticRegression, or Ridge for numbers, on "
    f"standardized inputs. {_LATER}",
    "boosted_trees": 'Take the simpler ones, or tune them: [trainer] use = "sklearn", model = "boosting". '
    f"{_LATER}",
}

_EITHER = "Either may be the better one: weigh what each costs, or bring more rows to tell them apart."


def find(evidence: Evidence) -> Finding | None:
    """Reported when a baseline is as good on the validation rows, or, once confirmed, on the locked rows.

    There a tie is one by the interval, and by the measure that is searched for; by the other measure only
    what is clearly better is reported.
    """
    tested = [each for each in evidence.contests if each.kind in _NAMES]
    if not tested:
        behind = [each for each in _searched(evidence) if each.share <= (0 if each.is_first else -MUCH)]
        return _told(behind, _no_trial, Severity.WARNING)
    better = [each for each in tested if each.high < 0]
    ties = [each for each in tested if each.is_first and each.low <= 0]
    is_ahead = all(each.share > 0 for each in ties)
    severity = Severity.NOTE if is_ahead else Severity.ADVICE
    return _told(better, _worse, Severity.WARNING) or _told(ties, _tied, severity, _EITHER)


def _told(
    contests: list[Contest], sentence: Callable[[Contest], str], severity: Severity, advice: str | None = None
) -> Finding | None:
    if not contests:
        return None
    worst = min(contests, key=lambda each: (not each.is_first, each.share))
    return Finding(
        "simple_is_as_good",
        sentence(worst),
        {"mine": worst.mine, "its": worst.its, "baseline": worst.kind, "measure": worst.measure},
        advice or _ADVICE[worst.kind],
        severity,
    )


def _no_trial(contest: Contest) -> str:
    (name, have), (its, mine) = _NAMES[contest.kind], words.numbers(contest.its, contest.mine)
    best = f"the best trial {mine}" if its != mine else "and so has the best trial"
    return (
        f"No trial beats {name}: on the same validation rows {have} {_a(contest.measure)} of {its}, {best}."
    )


def _worse(contest: Contest) -> str:
    (name, have), (its, mine) = _NAMES[contest.kind], words.numbers(contest.its, contest.mine)
    low, high = words.numbers(-contest.high, -contest.low)
    return (
        f"The trial to take does not beat {name}: on the locked rows {have} {_a(contest.measure)} of {its} "
        f"and the trial {mine}, worse by {low} to {high}."
    )


def _tied(contest: Contest) -> str:
    (name, _), (its, mine) = _NAMES[contest.kind], words.numbers(contest.its, contest.mine)
    return (
        f"On the locked rows the trial to take cannot be told apart from {name}: it has "
        f"{_a(contest.measure)} of {mine}, {name.replace('a ', 'the ')} {its}; the difference may be zero."
    )


def _searched(evidence: Evidence) -> Iterator[Contest]:
    """The baselines and the best trial on the validation rows, by loss and by score."""
    row, trials = evidence.best, evidence.frame.trials
    if row is None:
        return
    loss, score = float(trials.val_loss[row]), float(trials.val_score[row])
    for each in evidence.baselines:
        if each.kind not in _NAMES or each.left_out is not None:
            continue
        pairs = (("loss", loss, each.val_loss, True), (each.score, score, each.val_score, each.score_falls))
        known = [pair for pair in pairs if math.isfinite(pair[1]) and math.isfinite(pair[2])]
        for measure, mine, its, falls in known:
            gain = its - mine if falls else mine - its
            is_first = len(known) == 1 or (measure == "loss") is (evidence.metric == "val_loss")
            yield Contest(each.kind, measure, mine, its, gain, gain, is_first, falls)


def _a(measure: str) -> str:
    return f"{'an' if measure.startswith(('a', 'e', 'f1', 'r2', 'rmse', 'mae', 'mcc')) else 'a'} {measure}"
