"""The sentences of a verdict, for readers who are not statisticians; every output takes its words from here.

`sentences` gives all of them, in order; the dashboard's tile takes `short` and `decision`. The decision
is stated once; a number follows the trial that it belongs to, with as many digits as are needed to
tell it from its neighbours.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from shlex import quote

from tuner.core import words
from tuner.core.objectives import Constraint
from tuner.core.trial import TrialRecord
from tuner.judging.amounts import amounts, points, within
from tuner.judging.choosing import Candidate
from tuner.judging.confirmation import ByThreshold, Confirmation, Tested
from tuner.judging.overtuning import Overtuning
from tuner.judging.verdict import DEFAULT, Reason, Verdict

MOST_NAMED = 8
"""So many trials are named one by one; the others are counted."""


def sentences(verdict: Verdict) -> list[str]:
    """Which trial to take and why, what to expect of it, how the search's value held up, and caveats."""
    found = verdict.confirmation
    if found is None:
        return [*decision(verdict), *_not_yet(verdict)]
    made = () if found.compressed is None else found.compressed.sentences()
    rest = (made, _expected(verdict, found), _promised(verdict, found), _caveats(verdict, found))
    return [*decision(verdict), *(sentence for each in rest for sentence in each)]


def short(verdict: Verdict) -> str:
    """The configuration to take in a few words."""
    if verdict.number is None:
        return "None yet"
    return f"{_subject(verdict.number)}, {'not ' * (verdict.confirmation is None)}confirmed"


def decision(verdict: Verdict) -> list[str]:
    """Which configuration to take, and why."""
    found = verdict.confirmation
    return [*(_searched(verdict) if found is None else _chosen(verdict, found)), *_front(verdict)]


def label(number: int) -> str:
    """A trial at the head of a row or column."""
    return "default (trial 0)" if number == DEFAULT else f"trial {number}"


def _searched(verdict: Verdict) -> Iterator[str]:
    """What the search alone has found."""
    best, default, metric = verdict.best, verdict.default, words.metric(verdict.metric)
    if best is None or best.value is None:
        yield "No trial has a value yet, so there is nothing to take."
        return
    name, has = _subject(best.number), f"{metric} {words.number(best.value)}"
    if verdict.broken:
        closest = f"{named_trial(best.number)} comes closest: {_broken(verdict.broken)}"
        yield f"No trial meets every constraint; {closest}."
        return
    if best.number == DEFAULT:
        several = f"None of the {verdict.trials - 1:,} other trials is better than the default"
        if verdict.ahead is not None:
            several = "No other trial whose training is over is better than the default"
        told = {1: "Only the default has run", 2: "The other trial is not better than the default"}
        yield f"{several if verdict.ahead else told.get(verdict.trials, several)}: {has}."
    elif broken := verdict.broken_by(default):
        yield f"The default does not meet every constraint: {_broken(broken)}."
        yield f"{name} is the best of the search among those that do: {has}."
    elif default is None or default.value is None:
        why = "" if default is None else f": {default.reason or default.state.value}"
        yield f"{name} is the best of the search: {has}."
        yield f"The default has no {metric} to compare with{why}."
    else:
        yield f"{name} is the best of the search: {_gained(verdict, best.value, default.value)}."
        yield from _other_way(verdict, best, default)
    ahead = verdict.ahead
    if ahead is not None and not verdict.is_running:
        yield (
            f"{_subject(ahead.number)} was better when the study ended, {words.number(ahead.value)} after "
            f"{words.count(ahead.epochs, 'epoch')}, and is not trained to its end: it goes on when the study "
            "does."
        )
    if not best.conclusive and not verdict.is_running:
        yield "It was cut short, and no trial that trained to its end has a value."


def _gained(verdict: Verdict, value: float, first: float) -> str:
    """By how much the best trial is better than the default configuration."""
    objective, metric, default = verdict.objectives.primary, words.metric(verdict.metric), verdict.default
    after, before = objective.counted(value), objective.counted(first)
    told, was = words.numbers(after, before)
    cut = ""
    if default is not None and not default.conclusive:
        cut = f", stopped after {words.count(default.epochs, 'epoch')}"
    if after == before:
        return f"{metric} {told}, as the default{cut}"
    share = f", by {words.percent(abs(after - before) / before)}" if before > 0 <= after else ""
    way = "lowered" if objective.minimize else "raised"
    return f"it {way} the {metric} from {was} (the default{cut}) to {told}{share}"


def _other_way(verdict: Verdict, best: TrialRecord, default: TrialRecord) -> Iterator[str]:
    """A warning if the score contradicts the objective."""
    if verdict.metric == "val_score" or best.best is None or default.best is None:
        return
    score, before = best.best.val_score, default.best.val_score
    if score > before if verdict.score_falls else score < before:
        mine, its = words.numbers(score, before)
        yield f"But its validation score is worse than the default's: {mine}, not {its}."


def _not_yet(verdict: Verdict) -> Iterator[str]:
    """What cannot be said without a confirmation."""
    if verdict.is_running:
        yield "The study is still running."
    elif verdict.best is not None and verdict.trials > 1:
        yield (
            f"Not confirmed: the best of {verdict.trials:,} measured values is partly luck. "
            f"`tune confirm {quote(verdict.study)}` trains the best few again and says what to expect."
        )


def _chosen(verdict: Verdict, found: Confirmation) -> Iterator[str]:
    """The decision of the confirmation."""
    mine, winner, metric = found.choice.recommended, found.choice.winner, words.metric(found.metric)
    means = {each.number: each.mean or 0.0 for each in found.candidates}
    yield f"Take {named_trial(mine)}: {_why(verdict, found, metric)}."
    if verdict.reason is Reason.DEFAULT and winner != mine:
        best, default = words.numbers(means[winner], means[mine])
        yield f"{_subject(winner)} has the best mean {metric}, {best}; the default has {default}."
    tied = [number for number in verdict.tied if number != winner]
    if tied and verdict.reason not in (Reason.CLOSEST, Reason.SMALLEST):
        names = _some(tied)
        either = " either" * (winner != mine)
        yield f"{names[0].upper()}{names[1:]} cannot be told apart from {named_trial(winner)}{either}."
    yield from _out(found)


def _why(verdict: Verdict, found: Confirmation, metric: str) -> str:
    mine, winner = found.choice.recommended, found.choice.winner
    split = " on fresh splits" if found.redrawn else " on the same split" if found.train_rows else ""
    again = f"trained again {found.repeats} times{split}"
    match verdict.reason:
        case Reason.ALONE:
            return "nothing else was left to compare it with"
        case Reason.CLOSEST:
            closest = f"it comes closest; {_broken(verdict.broken)}"
            return f"{again}, no candidate meets every constraint, and {closest}"
        case Reason.SMALLEST:
            return f"{again}, it is the smallest candidate that keeps every constraint"
        case Reason.CLEAR:
            others = _some([number for number in verdict.compared if number != mine])
            return f"{again}, it is better than {others} by more than chance explains"
        case Reason.DEFAULT:
            return f"{again}, nothing is better than it by more than chance explains"
    clear = f"{again}, it is better than the default by more than chance explains"
    again = f"{clear}. It" if mine in found.choice.better else f"{again}, it"
    if verdict.reason is Reason.MEAN:
        return f"{again} has the best mean {metric}, and nothing cheaper came as close"
    if mine not in found.choice.tied:
        return clear
    return (
        f"{again} cannot be told apart from {named_trial(winner)}, which has the best mean {metric}, and "
        f"{_cheaper(found.candidate(mine), found.candidate(winner))}"
    )


def _cheaper(mine: Candidate, winner: Candidate) -> str:
    if mine.size_bytes is not None and winner.size_bytes is not None and mine.size_bytes < winner.size_bytes:
        return f"it is smaller: {mine.size_bytes:,} bytes of weights, not {winner.size_bytes:,}"
    if mine.epochs < winner.epochs:
        epochs, others = words.numbers(mine.epochs, winner.epochs)
        return f"it needs fewer epochs: {epochs}, not {others}"
    return "it is as cheap as any that is as good"


def _out(found: Confirmation) -> Iterator[str]:
    """The candidates that could not be chosen."""
    contenders = {each.number for each in found.contenders}
    for each in found.candidates:
        broken = found.broken(each.number)
        if each.mean is None:
            gone = sum(value is None for value in each.values)
            yield f"{_subject(each.number)} failed in {gone} of {found.repeats} trainings and is out."
        elif each.number not in contenders and broken and not found.broken(found.choice.recommended):
            yield f"{_subject(each.number)} is ruled out: trained again it has {_broken(broken)}."


def _front(verdict: Verdict) -> Iterator[str]:
    objectives, found = verdict.objectives, verdict.confirmation
    if len(objectives) > 1 and len(verdict.front) > 1:
        names = words.listed([words.metric(each.metric) for each in objectives])
        by = "" if found is None or found.objectives is None else "by their means "
        is_made = found is not None and found.compressed is not None
        alone = "" if is_made else f"This considers {words.metric(verdict.metric)} alone; "
        told = f"{alone}{by}no trial beats any of these in all of {names}: {_some(verdict.front)}."
        yield f"{told[0].upper()}{told[1:]}"
        if not by and verdict.knee is not None:
            yield f"{_subject(verdict.knee)} is at the knee of these: nearest to the best of all at once."


def _expected(verdict: Verdict, found: Confirmation) -> Iterator[str]:
    test, name = found.test, named_trial(found.choice.recommended)
    if test is None:
        metric, value = words.metric(found.metric), found.confirmed
        has = f"The mean {metric} of {name} over {found.repeats} trainings is {within(value)}"
        if value.low == value.high:
            same = words.number(value.estimate)
            has = f"The {metric} of {name} is {same} in each of {found.repeats} trainings"
        yield f"{has}; it was not tested: {found.untested}."
        yield from _averaged(found, "")
        return
    yield (
        f"On {words.count(test.rows, 'locked row')}, which no training has seen, models of {name} have "
        f"{words.article(found.score)} {found.score} of {within(test.score, found.score)} and a loss of "
        f"{within(test.loss)}."
    )
    if test.kept_loss is not None and test.kept_score is not None:
        score, loss = within(test.kept_score, found.score), within(test.kept_loss)
        has = f"{words.article(found.score)} {found.score} of {score} and a loss of {loss}"
        yield from _averaged(found, f" and has {has}")
    if test.threshold is not None:
        yield _threshold(test.threshold, test, found.score)
    if test.calibration is not None:
        yield (
            f"Its probabilities are off by {100 * test.calibration:.1f} points on average "
            "(expected calibration error on these rows)."
        )
    if verdict.number != DEFAULT and found.compressed is None:
        yield from _beside_default(found, test)


def _averaged(found: Confirmation, measured: str) -> Iterator[str]:
    if found.averaged:
        yield f"The kept model is the mean of {found.averaged} of these models{measured}."


def _threshold(threshold: ByThreshold, test: Tested, score: str) -> str:
    """From which probability on the positive class is predicted, and what that changed."""
    low, mean, high = (words.number(f(threshold.at), digits=2) for f in (min, statistics.fmean, max))
    spread = f" ({low} to {high} from training to training)" if low != high else ""
    how = ", which was chosen on the validation rows" if threshold.is_chosen else ""
    told = f"They predict '{threshold.positive}' from a probability of {mean}{spread} on{how}"
    if threshold.score_at_half is None:
        return f"{told}."
    mine, half = amounts(score, test.score.estimate, threshold.score_at_half)
    there = ""
    if threshold.validation is not None and threshold.validation_at_half is not None:
        values = amounts(score, threshold.validation, threshold.validation_at_half)
        there = f"; on the validation rows {values[0]} and {values[1]}"
    return f"{told}: with 0.5 the {score} would be {half} instead of {mine}{there}."


def _beside_default(found: Confirmation, test: Tested) -> Iterator[str]:
    """The recommended configuration beside the default on the test; this does not change the choice."""
    measured = [
        (found.score, test.score_gain, test.default_score, test.score),
        ("loss", test.loss_gain, test.default_loss, test.loss),
    ]
    disagrees = False
    for name, gain, default, mine in measured:
        if gain is None or default is None:
            continue
        at = amounts(name, default.estimate, mine.estimate)[0]
        its = f"The default has {words.article(name)} {name} of {at}"
        if gain.high < 0:
            disagrees = True
            yield f"{its} there, better by {points(name, -gain.high, -gain.low)}."
        elif gain.low > 0:
            yield f"{its} there, worse by {points(name, gain.low, gain.high)}."
        elif name != "loss":
            yield f"{its} there: the difference, {points(name, gain.low, gain.high)}, may be zero."
    if disagrees:
        yield (
            f"Here the locked rows and the {words.metric(found.metric)} of the repeated trainings disagree. "
            "The choice rests on the latter: rows that are used to choose are no longer a test."
        )


def _promised(verdict: Verdict, found: Confirmation) -> Iterator[str]:
    """The values of the search beside those of the confirmation."""
    retrained, metric = verdict.retrained_best, words.metric(found.metric)
    if retrained is not None and retrained.mean is None:
        best = f"Trial {retrained.number} had the search's best {metric}, {words.number(retrained.searched)}"
        yield f"{best}; trained again it failed."
    elif retrained is not None and retrained.mean is not None:
        before, after = words.numbers(retrained.searched, retrained.mean)
        told = f"Trial {retrained.number} had the search's best {metric}, {before}"
        lucky = ". The best of many measured values is partly luck."
        is_so = lucky if retrained.is_optimistic else ", which is no worse."
        yield f"{told}; trained again its mean is {after}{_too(found)}{is_so}"
    kept, mine = verdict.kept_gain, found.choice.recommended
    if kept is not None and mine != DEFAULT and found.compressed is None:
        searched, there = words.numbers(kept[0], abs(kept[1]))
        what = found.score if found.metric == "val_score" else "loss"
        now = f"it is worse by {there}" if kept[1] < 0 else "they are equal"
        if kept[1] > 0:
            now = f"it is better by {there}, {words.percent(kept[1] / kept[0])} of that"
        yield (
            f"In the search trial {mine} was better than the default by {searched} in {what}; on the locked "
            f"rows {now}."
        )
    if verdict.overtuning is not None:
        yield _followed(verdict.overtuning)


def _too(found: Confirmation) -> str:
    """How the default's value changed, too: other splits may be harder for all."""
    default = next((each for each in found.candidates if each.number == DEFAULT), None)
    if default is None or default.searched is None or default.mean is None:
        return ""
    before, after = words.numbers(default.searched, default.mean)
    return f" (the default: {before}, then {after})"


def _followed(path: Overtuning) -> str:
    """Whether the search followed its validation rows away from what the test shows."""
    last = f"trial {path.path[-1].number}"
    if path.overtuning == 0:
        return (
            "There is no sign that the search over-fitted its validation rows: of the trials that were "
            f"the best at some time, the last one, {last}, is also the best on the locked rows."
        )
    if path.relative is not None and path.relative > 1:
        return (
            "The search may have over-fitted its validation rows: its best trial, "
            f"{last}, does worse on the locked rows than the default."
        )
    part = f", {words.percent(path.relative)} of what was gained there" if path.relative else ""
    return (
        "The search may have over-fitted its validation rows: a trial that was the best before "
        f"{last} does better on the locked rows, by {words.number(path.overtuning)}{part}."
    )


def _caveats(verdict: Verdict, found: Confirmation) -> Iterator[str]:
    if not found.redrawn and found.train_rows and not found.choice.by_row:
        yield (
            "All trainings were judged on the same validation rows; the comparison does not allow for luck "
            "in these rows."
        )
    if found.objectives is None and verdict.objectives.constraints:
        yield (
            "It was confirmed by an earlier version, which did not look at the constraints; "
            f"`tune confirm {quote(found.study)} --reopen` does."
        )
    times = len(found.locked_reads)
    if times > 1:
        yield (
            f"The locked rows were read {_times(times)}: they are no unseen rows for a choice made after the "
            "first time."
        )
    more, best = verdict.trials + verdict.imported - found.trials, verdict.best
    if more > 0:
        now = f", and trial {best.number} is its best now" if best and best.number >= found.trials else ""
        yield (
            f"The search went on after this{now}: {more} of {verdict.trials} trials are not in it; "
            f"`tune confirm {quote(found.study)} --reopen` judges them too"
            f"{', and reads the locked rows once more' * bool(found.locked_reads)}."
        )


def named_trial(number: int) -> str:
    """A trial within a sentence."""
    return "the default" if number == DEFAULT else f"trial {number}"


def _subject(number: int) -> str:
    return "The default" if number == DEFAULT else f"Trial {number}"


def _some(numbers: Sequence[int]) -> str:
    names = [named_trial(number) for number in numbers[:MOST_NAMED]]
    return words.listed(names + [f"{len(numbers) - MOST_NAMED} more"] * (len(numbers) > MOST_NAMED))


def _broken(broken: Sequence[tuple[Constraint, float]]) -> str:
    told = []
    for bound, value in broken:
        name, way = words.metric(bound.name), "most" if bound.is_upper else "least"
        if math.isnan(value):
            told.append(f"no {name}, which must be at {way} {words.number(bound.limit)}")
            continue
        has, limit = words.numbers(value, bound.limit)
        told.append(f"{name} {has}, not at {way} {limit}")
    return words.listed(told)


def _times(count: int) -> str:
    return {2: "twice", 3: "three times"}.get(count, f"{count} times")
