"""Comparison: studies side by side, and whether what sets them apart is more than noise.

Reads stored studies only; how they are shown is not known here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from tuner.api.run import load
from tuner.api.specify import MEMORY
from tuner.api.study import Study, TrialView
from tuner.core import words
from tuner.core.changes import changes, told
from tuner.core.spec import StudySpec
from tuner.core.trial import Params
from tuner.errors import SpecError
from tuner.judging import SHARE, around, between, scale_of

if TYPE_CHECKING:
    from tuner.figures import Frame
    from tuner.judging import Confirmation

LEVEL = 0.05
"""How often, at most, a difference is called real where there is none, over all pairs of a comparison."""

_NAMES = frozenset({"name", "description"})


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and how sure it is.

    Attributes:
        value: the number.
        error: its standard error; None where nothing tells.
        freedom: degrees of freedom of the error, for Student's distribution.
        basis: what it rests on, as the end of a sentence.
        repeats: the values it is the mean of, in the order of the repeats; empty for others.
        splits: by what they were judged; those of two studies pair up where it is the same.
        overlap: validation rows per training row where each repeat drew its split anew, else 0.
        interval: where the true value lies, 95 times in 100; within what the measure can be.
    """

    value: float
    error: float | None
    freedom: float
    basis: str
    repeats: tuple[float, ...] = ()
    splits: str = ""
    overlap: float = 0.0
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Reach:
    """What it took to be as good as the worst study's best: trials, epochs of all trials, wall time."""

    trials: int
    epochs: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Side:
    """One of the studies.

    Attributes:
        study: its name.
        state: as in `tune list`.
        trials: how many it has.
        epochs: trained, over all trials.
        seconds: wall time.
        best: the best trial's number.
        found: its value, as the search measured it.
        recommended: the trial to take; another one than the best only where the study is confirmed.
        estimate: what is to be believed of it.
        is_confirmed: whether the estimate is from `tune confirm`.
        default: the default configuration's value.
        gap: at the recommended trial's best epoch.
        reach: None where its clock is not known.
        params: the recommended trial's.
    """

    study: str
    state: str
    trials: int
    epochs: int
    seconds: float
    best: int
    found: float
    recommended: int
    estimate: Estimate
    is_confirmed: bool
    default: float | None
    gap: float | None
    reach: Reach | None
    params: Params


@dataclass(frozen=True, slots=True)
class Pair:
    """The best study beside another one.

    Attributes:
        better: its name.
        other: the other's name.
        gain: by how much its value is better.
        interval: where the true gain lies, 95 times in 100; None where that cannot be told.
        is_clear: whether the gain is beyond the noise; None where that cannot be told.
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


@dataclass(frozen=True, slots=True)
class Comparison:
    """Studies side by side.

    Attributes:
        metric: what all of them search for.
        minimize: whether less of it is better.
        sides: the studies, in the order in which they were named.
        pairs: the best one beside each other one.
        is_same_data: whether all have the same ``[data]``; None where they were given arrays.
        data: that in words.
        differences: the keys of the study files in which they differ, with each one's value.
    """

    metric: str
    minimize: bool
    sides: tuple[Side, ...]
    pairs: tuple[Pair, ...]
    is_same_data: bool | None
    data: str
    differences: Mapping[str, tuple[str, ...]]


def compare(names: Sequence[str], *, storage: str | None = None) -> Comparison:
    """Put studies side by side.

    Args:
        names: at least two studies that search for the same metric.
        storage: the database's URL.

    Raises:
        StudyNotFound: there is no study of one of the names.
        SpecError: fewer than two studies, or they search for different things.
        TrialError: one of them has no value yet.
    """
    if len(set(names)) < 2:
        raise SpecError(f"compare: two studies and more are needed, found: {', '.join(names) or 'none'}")
    studies = [load(name, storage=storage) for name in dict.fromkeys(names)]
    specs = [study.spec for study in studies]
    goals = [spec.goal() for spec in specs]
    if len(set(goals)) > 1:
        apart = ", ".join(
            f"{study.name}: {'least' if goal.minimize else 'greatest'} {goal.metric}"
            for study, goal in zip(studies, goals, strict=True)
        )
        raise SpecError(
            f"compare: these studies search for different things ({apart}); name such as share one"
        )
    goal = goals[0]
    from tuner.api.pictures import columns

    sides = _reached([_side(study) for study in studies], [columns(study) for study in studies])
    is_same, data = _data(specs)
    sign = 1 if goal.minimize else -1
    first = min(sides, key=lambda side: sign * side.estimate.value)
    others = [side for side in sides if side is not first]
    # The best one is picked after the fact, so each pair may be the one that is shown.
    count = len(sides) * len(others) // 2
    pairs = [_pair(first, other, words.metric(goal.metric), sign, is_same, count) for other in others]
    return Comparison(
        goal.metric, goal.minimize, tuple(sides), tuple(pairs), is_same, data, _differences(specs)
    )


def _side(study: Study) -> Side:
    summary, best, taken, records = study.summary, study.best, study.recommended, study.records
    confirmation = study.confirmation
    return Side(
        study=study.name,
        state="running" if summary.is_driven else str(summary.state),
        trials=len(records),
        epochs=sum(record.epochs for record in records),
        seconds=summary.seconds,
        best=best.number,
        found=best.value if best.value is not None else math.nan,
        recommended=taken.number,
        estimate=_confirmed(confirmation, study, len(records)) if confirmation else _estimate(study, best),
        is_confirmed=confirmation is not None,
        default=study.default.value,
        gap=taken.reading.gap if taken.reading and math.isfinite(taken.reading.gap) else None,
        reach=None,
        params=taken.record.params,
    )


def _confirmed(found: Confirmation, study: Study, trials: int) -> Estimate:
    """The recommended configuration's value over the repeats.

    Repeat r of two studies trains on the same split if they share their data, the seed of the search
    and how often they were confirmed.
    """
    values = [value for value in found.candidate(found.choice.recommended).values if value is not None]
    overlap = found.validation_rows / found.train_rows if found.redrawn else 0.0
    error = float(np.std(values, ddof=1)) * math.sqrt(1 / len(values) + overlap)
    # Whatever stands before and behind it: the name may be cut short, or have been taken.
    number = re.search(r"~confirm\d*", found.confirmed_by)
    splits = f"{study.spec.search.seed}{number[0] if number else ''}" if found.redrawn else "one"
    basis = f"{len(values)} trainings {'on fresh splits' if found.redrawn else 'on one split'}"
    basis += f", {words.count(trials - found.trials, 'trial')} ago" if trials > found.trials else ""
    told = found.confirmed
    return Estimate(
        told.estimate, error, len(values) - 1, basis, tuple(values), splits, overlap, (told.low, told.high)
    )


def _estimate(study: Study, best: TrialView) -> Estimate:
    """The best trial's value with what is known of its error.

    Of folds and repeats that is stored, for folds with the correction of Nadeau and Bengio (2003): the
    folds' training rows overlap. Of an accuracy it is that of a share of the validation rows.
    """
    spec, value = study.spec, best.value if best.value is not None else math.nan
    facts = study.summary.facts
    rows, task = facts.get("validation_rows"), facts.get("task", spec.data.task if spec.data else None)
    score = spec.trainer.score or {"classification": "accuracy", "regression": "r2"}.get(task, "")
    folds, repeats = spec.data.folds if spec.data else None, spec.trainer.repeats
    members = (folds or 1) * repeats
    stored = best.reading.get(f"{spec.objective.metric}_se") if best.reading else math.nan
    if members > 1 and math.isfinite(stored):
        error = stored * math.sqrt(1 + members / (folds - 1)) if folds else stored
        of = [words.count(n, noun) for n, noun in ((folds, "fold"), (repeats, "seed")) if n and n > 1]
        told = around(value, error, members - 1, scale_of(spec.objective.metric, score))
        return Estimate(
            value,
            error,
            members - 1,
            f"the mean of {' and '.join(of)}",
            interval=(told.low, told.high),
        )
    if spec.objective.metric == "val_score" and score == "accuracy" and rows and 0 < value < 1:
        error = math.sqrt(value * (1 - value) / rows)
        told = around(value, error, rows - 1, SHARE)
        basis = f"one training, judged on {words.count(rows, 'row')}"
        return Estimate(value, error, rows - 1, basis, interval=(told.low, told.high))
    on = f", judged on {words.count(rows, 'row')}" if rows else ""
    return Estimate(value, None, 0, f"one training{on}")


def _reached(sides: Sequence[Side], frames: Sequence[Frame]) -> list[Side]:
    """The sides, with what each took to be as good as the worst one's best."""
    from tuner.figures.convergence import progress

    worst = max(frame.loss[frame.ranking[0]] for frame in frames)
    found = []
    for side, frame in zip(sides, frames, strict=True):
        good = frame.standing & (frame.loss <= worst)
        seconds, epochs = (progress(frame, axis) for axis in ("seconds", "epochs"))
        known = np.flatnonzero(good & np.isfinite(seconds) & np.isfinite(epochs))
        if not len(known):
            found.append(side)
            continue
        row = known[np.argmin(seconds[known])]
        begun = frame.trials.number <= frame.trials.number[row]
        started = frame.trials.started_at
        if np.isfinite(started).any():
            # Times are stored in milliseconds; who began as this one ended was not needed.
            begun = started - np.nanmin(started) < max(seconds[row] - 1e-3, 1e-3)
        reach = Reach(int(begun.sum()), int(epochs[row]), float(seconds[row]))
        found.append(replace(side, reach=reach))
    return found


def _pair(better: Side, other: Side, metric: str, sign: int, is_same: bool | None, pairs: int) -> Pair:
    """Whether a study's value is better than another's by more than the noise.

    Paired by repeat, with the variance of Nadeau and Bengio (2003), where both were confirmed on the
    same splits; else Welch's (1947) test; each at a `pairs`-th of `LEVEL` (Bonferroni).
    """
    one, two = better.estimate, other.estimate
    gain = sign * (two.value - one.value)
    found = paired(one, two, sign) if is_same else None
    method = "paired" if found else "welch"
    found = found or welch(one, two)
    told = partial(
        between,
        better.study,
        other.study,
        metric,
        (one.value, two.value),
        are_confirmed=better.is_confirmed and other.is_confirmed,
    )
    if found is None:
        which = [side.study for side in (better, other) if side.estimate.error is None]
        sentence = told(None, is_clear=None, unknown=which)
        return Pair(better.study, other.study, gain, None, None, "unknown", sentence)
    error, freedom = found
    reach = float(special.stdtrit(freedom, 1 - LEVEL / pairs / 2)) * error
    interval, is_clear = (gain - reach, gain + reach), gain > reach
    sentence = told(interval, is_clear=is_clear)
    return Pair(better.study, other.study, gain, interval, is_clear, method, sentence)


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
    return math.sqrt(a + b), (a + b) ** 2 / (a**2 / one.freedom + b**2 / two.freedom)


def _data(specs: Sequence[StudySpec]) -> tuple[bool | None, str]:
    tables = [spec.to_table().get("data") for spec in specs]
    if any(table is None for table in tables):
        return None, "Not all of these studies name their data: whether it is the same is not known."
    if any(table["source"] == MEMORY for table in tables if table):
        return None, "Arrays were passed from Python: whether all had the same is not known."
    keys = {key for table in tables if table for key in table}
    apart = sorted(key for key in keys if len({str(table.get(key)) for table in tables if table}) > 1)
    if not apart:
        return True, "All of them learned from the same data, split in the same way."
    return False, (
        f"They were not judged by the same data ([data] {', '.join(apart)} differ): part of what sets their "
        "values apart may be the data."
    )


def _differences(specs: Sequence[StudySpec]) -> dict[str, tuple[str, ...]]:
    apart = [{change.key: change for change in changes(specs[0], spec)} for spec in specs]
    keys = dict.fromkeys(key for found in apart for key in found if key not in _NAMES)
    first = {key: next(found[key].old for found in apart if key in found) for key in keys}
    return {
        key: tuple(told(found[key].new if key in found else first[key]) for found in apart) for key in keys
    }
