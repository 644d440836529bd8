"""Pairs of studies: the uncertainty of each value, and whether their difference exceeds the noise.

`tune compare` calls `of` for the best study with each other one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from shlex import quote
from typing import Any, Self

import numpy as np

from tuner.core import words
from tuner.core.spec import StudySpec
from tuner.core.trial import Reading
from tuner.judging.confirmation import Confirmation
from tuner.judging.intervals import SHARE, around, combined
from tuner.judging.measures import scale_of

LEVEL = 0.05
"""The family-wise error rate over all pairs of a comparison."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and its uncertainty.

    Attributes:
        value: the number.
        error: its standard error; None where nothing tells.
        freedom: degrees of freedom of the error, for Student's distribution.
        basis: what it rests on, as the end of a sentence.
        repeats: the values it is the mean of, in the order of the repeats; empty for others.
        splits: by what they were judged; those of two studies pair up where it is the same.
        overlap: validation rows per training row where each repeat drew its split anew, else 0.
        interval: the 95 % confidence interval, within the range of the measure.
    """

    value: float
    error: float | None
    freedom: float
    basis: str
    repeats: tuple[float, ...] = ()
    splits: str = ""
    overlap: float = 0.0
    interval: tuple[float, float] | None = None

    @classmethod
    def confirmed(cls, found: Confirmation, seed: int, trials: int) -> Self:
        """The recommended configuration's value over the repeats.

        Repeat r of two studies trains on the same split if they share their data, the seed of the search
        and how often they were confirmed. `trials` is how many the study has by now.
        """
        values = [value for value in found.candidate(found.choice.recommended).values if value is not None]
        overlap = found.validation_rows / found.train_rows if found.redrawn else 0.0
        error = float(np.std(values, ddof=1)) * math.sqrt(1 / len(values) + overlap)
        # With any text before and behind it: the name may be cut short, or have been taken.
        number = re.search(r"~confirm\d*", found.confirmed_by)
        splits = f"{seed}{number[0] if number else ''}" if found.redrawn else "one"
        basis = f"{len(values)} trainings {'on fresh splits' if found.redrawn else 'on one split'}"
        basis += f", {words.count(trials - found.trials, 'trial')} ago" if trials > found.trials else ""
        told = found.confirmed
        interval = (told.low, told.high)
        return cls(told.estimate, error, len(values) - 1, basis, tuple(values), splits, overlap, interval)

    @classmethod
    def searched(cls, spec: StudySpec, facts: Mapping[str, Any], value: float, best: Reading | None) -> Self:
        """The search's best value with what is known of its error.

        Of folds and repeats that is stored, for folds with the correction of Nadeau and Bengio (2003): the
        folds' training rows overlap. Of an accuracy it is that of a share of the validation rows. `value` and
        `best` are those of the best trial.
        """
        rows, task = facts.get("validation_rows"), facts.get("task", spec.data.task if spec.data else None)
        score = spec.trainer.score or {"classification": "accuracy", "regression": "r2"}.get(task, "")
        folds, repeats = spec.data.folds if spec.data else None, spec.trainer.repeats
        members = (folds or 1) * repeats
        stored = best.get(f"{spec.objective.metric}_se") if best else math.nan
        if members > 1 and math.isfinite(stored):
            error = stored * math.sqrt(1 + members / (folds - 1)) if folds else stored
            of = [words.count(n, noun) for n, noun in ((folds, "fold"), (repeats, "seed")) if n and n > 1]
            told = around(value, error, members - 1, scale_of(spec.objective.metric, score))
            basis = f"the mean of {' and '.join(of)}"
            return cls(value, error, members - 1, basis, interval=(told.low, told.high))
        if spec.objective.metric == "val_score" and score == "accuracy" and rows and 0 < value < 1:
            error = math.sqrt(value * (1 - value) / rows)
            told = around(value, error, rows - 1, SHARE)
            basis = f"one training, judged on {words.count(rows, 'row')}"
            return cls(value, error, rows - 1, basis, interval=(told.low, told.high))
        on = f", judged on {words.count(rows, 'row')}" if rows else ""
        return cls(value, None, 0, f"one training{on}")


@dataclass(frozen=True, slots=True)
class Pair:
    """The best study beside another one.

    Attributes:
        better: its name.
        other: the other's name.
        gain: by how much its value is better.
        interval: its 95 % confidence interval; None where that is unknown.
        is_clear: whether the gain is beyond the noise; None where that is unknown.
        method: ``"paired"``, ``"welch"`` or ``"unknown"``.
        sentence: all this in words.
    """

    better: str
    other: str
    gain: float
    interval: tuple[float, float] | None
    is_clear: bool | None
    method: str
    sentence: str

    @classmethod
    def of(
        cls,
        better: tuple[str, Estimate],
        other: tuple[str, Estimate],
        metric: str,
        *,
        minimize: bool,
        is_same: bool | None,
        are_confirmed: bool,
        pairs: int,
    ) -> Self:
        """Whether a study's value is better than another's by more than the noise.

        Paired by repeat, with the variance of Nadeau and Bengio (2003), where both were confirmed on the
        same splits; else Welch's (1947) test; each at a `pairs`-th of `LEVEL` (Bonferroni).

        Args:
            better: name and value of the best study.
            other: the same of the other one.
            metric: what both search for, in words.
            minimize: whether less of it is better.
            is_same: whether both have the same data.
            are_confirmed: whether both were confirmed.
            pairs: how many pairs there are to choose from.
        """
        (name, one), (others, two) = better, other
        sign = 1 if minimize else -1
        gain = sign * (two.value - one.value)
        found = paired(one, two, sign) if is_same else None
        method = "paired" if found else "welch"
        found = found or welch(one, two)
        values = (one.value, two.value)
        told = partial(_in_words, name, others, metric, values, are_confirmed=are_confirmed)
        if found is None:
            which = [each for each, estimate in (better, other) if estimate.error is None]
            sentence = told(None, is_clear=None, unknown=which)
            return cls(name, others, gain, None, None, "unknown", sentence)
        error, freedom = found
        from scipy import special  # 17 MB, which a search does without

        reach = float(special.stdtrit(freedom, 1 - LEVEL / pairs / 2)) * error
        interval, is_clear = (gain - reach, gain + reach), gain > reach
        return cls(name, others, gain, interval, is_clear, method, told(interval, is_clear=is_clear))


def paired(one: Estimate, two: Estimate, sign: int) -> tuple[float, float] | None:
    """Standard error and degrees of freedom of the difference, repeat by repeat."""
    if not one.repeats or len(one.repeats) != len(two.repeats) or one.splits != two.splits:
        return None
    gains = sign * (np.array(two.repeats) - np.array(one.repeats))
    return float(gains.std(ddof=1)) * math.sqrt(1 / len(gains) + one.overlap), len(gains) - 1


def welch(one: Estimate, two: Estimate) -> tuple[float, float] | None:
    """Likewise, of two independent values."""
    if one.error is None or two.error is None:
        return None
    a, b = one.error**2, two.error**2
    if a + b == 0:
        return 0.0, one.freedom + two.freedom
    return combined([(a, one.freedom), (b, two.freedom)])


def _in_words(
    better: str,
    other: str,
    metric: str,
    values: tuple[float, float],
    interval: tuple[float, float] | None,
    *,
    is_clear: bool | None,
    are_confirmed: bool,
    unknown: Sequence[str] = (),
) -> str:
    """Whether the best of several studies is better than another one, by the interval of the gain.

    It is None where the errors of some, the `unknown` ones, are not known.
    """
    one, two = words.numbers(*values)
    if interval is None:
        commands = words.listed([f"`tune confirm {quote(name)}`" for name in unknown])
        return (
            f"It is unknown whether {better} ({metric} {one}) is really better than {other} ({two}): the "
            "best of many trials is partly luck, and nothing shows how far another training of "
            f"{words.listed(list(unknown))} would differ; {commands} measures it."
        )
    low, high = words.numbers(*interval)
    by = words.number(abs(values[1] - values[0]))
    luck = "This ignores that the best of many trials is partly luck; `tune confirm` takes it into account."
    chosen = "" if are_confirmed else f" {luck}"
    if interval == (0, 0):
        return f"{better} and {other} came out the same in every training.{chosen}"
    if not is_clear:
        return (
            f"{better} and {other} cannot be told apart: the {metric} of {better} is better by {by}, but the "
            f"true difference may be anything between {low} and {high} (95 % confidence interval).{chosen}"
        )
    return (
        f"{better} {'is' if are_confirmed else 'looks'} better than {other}: its {metric} is better by {by} "
        f"(95 % confidence interval {low} to {high}), more than noise explains.{chosen}"
    )
