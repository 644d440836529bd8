"""Comparison: studies side by side, and whether their differences are more than noise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tuner.core import words
from tuner.core.changes import changes, told
from tuner.core.data_spec import MEMORY
from tuner.core.frame import Frame
from tuner.core.spec import StudySpec
from tuner.core.trial import Origin, Params
from tuner.errors import SpecError
from tuner.judging.pairs import Estimate, Pair
from tuner.results import snippets
from tuner.results.study import Study

_NAMES = frozenset({"name", "description"})


@dataclass(frozen=True, slots=True)
class CostToReach:
    """The cost of reaching the worst study's best value: trials, epochs of all trials, wall time."""

    trials: int
    epochs: int
    seconds: float


@dataclass(frozen=True, slots=True)
class ComparedStudy:
    """A study of a comparison.

    Attributes:
        study: its name.
        state: as in `tune list`.
        trials: how many it has, imported ones apart.
        epochs: trained, over all of them.
        seconds: wall time.
        best: the best trial's number.
        found: its value, as the search measured it.
        recommended: the trial to take; another one than the best only where the study is confirmed.
        estimate: its value and uncertainty.
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
    reach: CostToReach | None
    params: Params


@dataclass(frozen=True, slots=True)
class Comparison:
    """Studies side by side.

    Attributes:
        metric: what all of them search for.
        minimize: whether less of it is better.
        sides: the studies, in the order in which they were named.
        pairs: the best one beside each other one.
        is_same_data: whether all have the same ``[data]``; None where unknown.
        data: that in words.
        differences: the keys of the study files in which they differ, with each one's value.
    """

    metric: str
    minimize: bool
    sides: tuple[ComparedStudy, ...]
    pairs: tuple[Pair, ...]
    is_same_data: bool | None
    data: str
    differences: Mapping[str, tuple[str, ...]]

    def _repr_html_(self) -> str:
        return snippets.of_comparison(self)


def compare(studies: Sequence[Study]) -> Comparison:
    """Put studies side by side.

    Raises:
        SpecError: they search for different things.
        TrialError: one of them has no value yet.
    """
    specs = [study.spec for study in studies]
    objectives = [spec.primary_objective() for spec in specs]
    if len(set(objectives)) > 1:
        apart = ", ".join(
            f"{study.name}: {'least' if objective.minimize else 'greatest'} {objective.metric}"
            for study, objective in zip(studies, objectives, strict=True)
        )
        raise SpecError(
            f"compare: these studies search for different things ({apart}); "
            "name studies that share metric and direction"
        )
    objective = objectives[0]
    sides = _reached([_side(study) for study in studies], [study.frame for study in studies])
    is_same, data = _data(specs)
    sign = 1 if objective.minimize else -1
    first = min(sides, key=lambda side: sign * side.estimate.value)
    others = [side for side in sides if side is not first]
    pairs = [
        Pair.of(
            (first.study, first.estimate),
            (other.study, other.estimate),
            words.metric(objective.metric),
            minimize=objective.minimize,
            is_same=is_same,
            are_confirmed=first.is_confirmed and other.is_confirmed,
            # The best one is picked after the fact, so each pair may be the one that is shown.
            pairs=len(sides) * len(others) // 2,
        )
        for other in others
    ]
    return Comparison(
        objective.metric, objective.minimize, tuple(sides), tuple(pairs), is_same, data, _differences(specs)
    )


def _side(study: Study) -> ComparedStudy:
    summary, best, taken = study.summary, study.best, study.recommended
    records = [record for record in study.records if record.origin is not Origin.IMPORTED]
    found, value = study.confirmation, best.value if best.value is not None else math.nan
    if found is None:
        estimate = Estimate.searched(study.spec, summary.facts, value, best.reading)
    else:
        estimate = Estimate.confirmed(found, study.spec.search.seed, len(records))
    return ComparedStudy(
        study=study.name,
        state=summary.status,
        trials=len(records),
        epochs=sum(record.epochs for record in records),
        seconds=summary.seconds,
        best=best.number,
        found=value,
        recommended=taken.number,
        estimate=estimate,
        is_confirmed=found is not None,
        default=study.default.value,
        gap=taken.reading.gap if taken.reading and math.isfinite(taken.reading.gap) else None,
        reach=None,
        params=taken.record.params,
    )


def _reached(sides: Sequence[ComparedStudy], frames: Sequence[Frame]) -> list[ComparedStudy]:
    """The sides, with the cost of reaching the worst one's best value."""
    from tuner.figures.convergence import progress

    worst = max(frame.loss[frame.best] for frame in frames)
    found = []
    for side, frame in zip(sides, frames, strict=True):
        own = ~frame.trials.imported
        good = frame.rivals & (frame.loss <= worst)
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
        reach = CostToReach(int((own & begun).sum()), int(epochs[row]), float(seconds[row]))
        found.append(replace(side, reach=reach))
    return found


def _data(specs: Sequence[StudySpec]) -> tuple[bool | None, str]:
    tables = [spec.to_table().get("data") for spec in specs]
    if any(table is None for table in tables):
        return None, "Not all of these studies name their data, so it is unknown whether it is the same."
    if any(table["source"] == MEMORY for table in tables if table):
        return None, "Arrays were passed from Python, so it is unknown whether they were the same."
    keys = {key for table in tables if table for key in table}
    apart = sorted(key for key in keys if len({str(table.get(key)) for table in tables if table}) > 1)
    if not apart:
        return True, "All of them learned from the same data, split in the same way."
    return False, (
        f"They were not judged on the same data ([data] {', '.join(apart)} differ): part of the difference "
        "between their values may come from the data."
    )


def _differences(specs: Sequence[StudySpec]) -> dict[str, tuple[str, ...]]:
    apart = [{change.key: change for change in changes(specs[0], spec)} for spec in specs]
    keys = dict.fromkeys(key for found in apart for key in found if key not in _NAMES)
    first = {key: next(found[key].old for found in apart if key in found) for key in keys}
    return {
        key: tuple(told(found[key].new if key in found else first[key]) for found in apart) for key in keys
    }
