"""Simple is as good: a linear model or boosted trees do as well as the best trial, on the same rows.

A constant prediction is the affair of `nothing_learned` and `commonest_class`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from statistics import NormalDist

from tuner.core import words
from tuner.core.baseline import Contest, named
from tuner.findings.evidence import Evidence
from tuner.findings.finding import Finding, Severity

MUCH = 0.05
"""By a measure that is not searched for, a difference below this share of the error says nothing."""

CHANCE = 0.05
"""How rarely the best of equally good trials has so large a lead by choosing alone."""

_NAMES = ("linear", "boosted_trees")
"""What is compared."""

_LATER = "More rows, better inputs or a longer search may put the trials ahead."

_ADVICE = {
    "linear": "Take the simpler one: scikit-learn's LogisticRegression, or Ridge for numbers, on "
    f"standardized inputs. {_LATER}",
    "boosted_trees": 'Take the simpler ones, or tune them: [trainer] use = "sklearn", model = "boosting". '
    f"{_LATER}",
}

_UNSURE = (
    "Compare them on rows that chose nothing: leave [data] test above 0 and run tune confirm. [data] folds "
    "makes the trials' own numbers surer."
)

_EITHER = "Either may be the better one: weigh what each costs, or bring more rows to tell them apart."


def find(evidence: Evidence) -> Finding | None:
    """Reported when a baseline is as good on the validation rows, or, once confirmed, on the locked rows.

    A tie is one by the interval, and by the measure that is searched for; by the other measure only what is
    clearly better is reported. The validation rows have chosen the best of many trials, and none of the
    baselines, so that there a lead has to be larger than what choosing may bring.
    """
    tested = [each for each in evidence.contests if each.kind in _NAMES]
    if not tested:
        found = list(_searched(evidence))
        behind = [each for each in found if each.share <= (0 if each.is_first else -MUCH)]
        lucky = [each for each in found if each.is_first and each.low <= 0]
        chosen = partial(_chosen, evidence)
        return _told(behind, _no_trial, Severity.WARNING) or _told(lucky, chosen, Severity.ADVICE, _UNSURE)
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
    its, mine = words.numbers(contest.its, contest.mine)
    best = f"the best trial {mine}" if its != mine else "so has the best trial"
    return (
        f"No trial beats {named(contest.kind, '')}: on the same validation rows {_have(contest)} "
        f"{_a(contest.measure)} of {its}, and {best}."
    )


def _chosen(evidence: Evidence, contest: Contest) -> str:
    rows = next(each.rows for each in evidence.baselines if each.kind == contest.kind)
    gain = contest.high
    mine, its, lead, luck = words.numbers(contest.mine, contest.its, gain, gain - contest.low)
    return (
        f"The best trial is not clearly better than {named(contest.kind, '')}: on the validation rows it is "
        f"ahead by {lead}, the trial with {_a(contest.measure)} of {mine} and {_the(contest)} with {its}; "
        f"but the trial is the best of {evidence.valued.sum():,} by these {words.count(rows, 'row')}, and a "
        f"lead of up to {luck} may come from this choice alone."
    )


def _worse(contest: Contest) -> str:
    its, mine = words.numbers(contest.its, contest.mine)
    low, high = words.numbers(-contest.high, -contest.low)
    return (
        f"The trial to take does not beat {named(contest.kind, '')}: on the locked rows {_have(contest)} "
        f"{_a(contest.measure)} of {its} and the trial {mine}, worse by {low} to {high}."
    )


def _tied(contest: Contest) -> str:
    its, mine = words.numbers(contest.its, contest.mine)
    return (
        f"On the locked rows the trial to take cannot be told apart from {named(contest.kind, '')}: the "
        f"trial has {_a(contest.measure)} of {mine} and {_the(contest)} {its}; the difference may be zero."
    )


def _searched(evidence: Evidence) -> Iterator[Contest]:
    """The baselines and the best trial on the validation rows, by loss and by score."""
    row, trials = evidence.best, evidence.frame.trials
    if row is None:
        return
    loss, score = float(trials.val_loss[row]), float(trials.val_score[row])
    # What the largest of as many independent errors exceeds no more often.
    largest = NormalDist().inv_cdf((1 - CHANCE) ** (1 / evidence.valued.sum()))
    for each in evidence.baselines:
        if each.kind not in _NAMES or each.left_out is not None:
            continue
        pairs = (
            ("loss", loss, each.val_loss, True, each.loss_error),
            (each.score, score, each.val_score, each.score_falls, each.score_error),
        )
        known = [pair for pair in pairs if math.isfinite(pair[1]) and math.isfinite(pair[2])]
        for measure, mine, its, falls, error in known:
            gain = its - mine if falls else mine - its
            is_first = len(known) == 1 or (measure == "loss") is (evidence.metric == "val_loss")
            low = gain - largest * error if math.isfinite(error) else gain
            yield Contest(each.kind, measure, mine, its, low, gain, is_first, falls)


def _the(contest: Contest) -> str:
    return named(contest.kind, "").replace("a ", "the ")


def _have(contest: Contest) -> str:
    return f"{_the(contest)} {'has' if contest.kind == 'linear' else 'have'}"


def _a(measure: str) -> str:
    return f"{words.article(measure)} {measure}"
