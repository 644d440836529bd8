"""A confirmation in sentences for somebody who is no statistician.

Numbers in, words out; where the words are shown is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tuner.judging.confirmation import Confirmation
from tuner.judging.intervals import Interval

_PERCENT = ("accuracy", "precision", "recall", "f1")


def sentences(found: Confirmation, trials_now: int | None = None) -> list[str]:
    """What to believe, what to take, and what the search had promised, a sentence or two each.

    Args:
        found: the confirmation.
        trials_now: how many trials the study has now; more than then is said.
    """
    return [*_expected(found), *_compared(found), *_promised(found), *_caveats(found, trials_now)]


def _expected(found: Confirmation) -> Iterator[str]:
    test = found.test
    if test is None:
        low, high = _number(found.confirmed.low), _number(found.confirmed.high)
        yield (
            f"{_named(found.choice.recommended).capitalize()} has a {found.metric} between {low} and {high} "
            f"(95 % sure, from {found.repeats} trainings); it was not tested: {found.untested}."
        )
        return
    yield (
        f"A model trained with the settings of {_named(found.choice.recommended)} should have "
        f"{_article(found.score)} {found.score} between {_range(test.score, found.score)} on new data "
        f"(95 % sure), and a loss between {_range(test.loss)}; measured on {test.rows} rows that nothing "
        "had seen before."
    )
    gain = test.score_gain
    if gain is not None and test.default_score is not None:
        low, high = (_percent_points(v, found.score) for v in (gain.low, gain.high))
        before = f"The default has {_amount(test.default_score.estimate, found.score)}"
        if gain.low > 0:
            yield f"{before}: tuning gained between {low} and {high}."
        elif gain.high < 0:
            yield f"{before}, which is better on the test rows. Keep the default settings."
        else:
            yield f"{before}: on {test.rows} rows no difference can be seen (between {low} and {high})."


def _compared(found: Confirmation) -> Iterator[str]:
    choice = found.choice
    others = [number for number in choice.tied if number != choice.winner]
    recommended = found.candidate(choice.recommended)
    again = f"trained again {found.repeats} times"
    if found.redrawn:
        again += " on fresh splits"
    if not others:
        name = _named(choice.winner).capitalize()
        yield f"{name} is best, more clearly than chance explains, when {again}."
    else:
        names = _listed([_named(choice.winner), *(_named(number) for number in others)])
        yield f"{names[0].upper()}{names[1:]} cannot be told apart when {again}."
    if recommended.number == choice.winner:
        yield f"Take {_named(choice.winner)}: " + (
            "nothing better was found."
            if recommended.number == 0
            else "it had the best mean, and nothing smaller came as near."
        )
    elif recommended.number == 0:
        yield "Take the default: nothing is better than it by more than the noise."
    else:
        winner, size = found.candidate(choice.winner), recommended.size_bytes
        smaller = size is not None and winner.size_bytes is not None and size < winner.size_bytes
        why = "it is the smallest" if smaller else "it needs the fewest epochs"
        yield f"Take {_named(recommended.number)}: it is as good as {_named(choice.winner)}, and {why}."
    failed = [c for c in found.candidates if c.mean is None]
    for candidate in failed:
        gone = sum(value is None for value in candidate.values)
        name = _named(candidate.number).capitalize()
        yield f"{name} failed in {gone} of {found.repeats} trainings and is out."


def _promised(found: Confirmation) -> Iterator[str]:
    naive, mean = _number(found.naive), _number(found.confirmed.estimate)
    if found.optimism > 0:
        yield (
            f"The search's best {found.metric} was {naive}; trained again it is {mean} on average. "
            "The difference was luck with its validation rows."
        )
    else:
        yield f"The search's best {found.metric}, {naive}, holds: trained again it is {mean} on average."
    kept = found.kept_gain
    if kept is not None and kept[0] > 0 and found.choice.recommended != 0:
        share = max(0.0, kept[1] / kept[0])
        told = "all" if share >= 1 else f"{share:.0%}"
        yield f"Of what tuning gained over the default in the search, {told} is there on the test rows."
    path = found.overtuning
    if path is not None and len(path.path) > 1:
        last, lost = path.path[-1].number, _number(path.overtuning)
        if path.overtuning == 0:
            yield (
                f"The search did not over-fit its validation rows: its last best trial ({last}) is also the "
                "best of its way on the test."
            )
        elif path.relative is not None and path.relative > 1:
            yield (
                f"The search over-fitted its validation rows: its last best trial ({last}) does worse on the "
                "test than the default it began with."
            )
        else:
            part = f", {path.relative:.0%} of what it had gained" if path.relative is not None else ""
            yield (
                f"The search over-fitted its validation rows a little: an earlier best trial does better on "
                f"the test than its last one ({last}), by {lost}{part}."
            )


def _caveats(found: Confirmation, trials_now: int | None) -> Iterator[str]:
    if not found.redrawn and found.train_rows:
        yield (
            "All trainings were judged on the same validation rows; how lucky these are is not in the "
            "comparison."
        )
    times = len(found.openings)
    if times > 1:
        yield (
            f"The test was opened {_times(times)}: what is chosen after a look at it is no longer judged by "
            "rows that nothing had seen."
        )
    if trials_now is not None and trials_now > found.trials:
        yield (
            f"The search went on after this: {trials_now - found.trials} of {trials_now} trials are not in "
            f"it; `tune confirm {found.study} --reopen` judges them too, and opens the test once more."
        )


def _named(number: int) -> str:
    return "the default" if number == 0 else f"trial {number}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _range(interval: Interval, score: str = "") -> str:
    return f"{_amount(interval.low, score)} and {_amount(interval.high, score)}"


def _amount(value: float, score: str) -> str:
    return f"{100 * value:.1f} %" if score in _PERCENT else _number(value)


def _percent_points(value: float, score: str) -> str:
    return f"{100 * value:+.1f} points" if score in _PERCENT else f"{value:+.4g}"


def _number(value: float) -> str:
    return f"{value:.4g}"


def _article(word: str) -> str:
    return "an" if word[0] in "aefir" else "a"


def _times(count: int) -> str:
    return {2: "twice", 3: "three times"}.get(count, f"{count} times")
