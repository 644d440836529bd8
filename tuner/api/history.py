"""What a study is given beside what it trains: configurations to try, and trials from elsewhere."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import Any

from tuner.core.space import label
from tuner.core.spec import StudySpec
from tuner.core.trial import Origin, Params, Reading, TrialRecord, TrialState, WholeTrial
from tuner.errors import SpecError


def to_try(spec: StudySpec, given: Iterable[Mapping[str, Any]]) -> list[Params]:
    """Configurations to try, each completed by defaults.

    Raises:
        SpecError: what is wrong with them, one sentence per fault.
    """
    space = spec.search_space()
    found: list[Params] = []
    faults: list[str] = []
    for place, params in enumerate(given):
        try:
            found.append(space.completed(dict(params)))
        except SpecError as error:
            faults += [f"first[{place}]: {fault}" for fault in error.faults]
    if faults:
        raise SpecError(faults)
    return found


def from_values(spec: StudySpec, known: Iterable[tuple[Mapping[str, Any], Any]]) -> list[WholeTrial]:
    """Configurations with what they came to elsewhere; they have no numbers yet.

    Raises:
        SpecError: one of them is no pair, or has no finite value.
    """
    metric = spec.primary_objective().metric
    found: list[WholeTrial] = []
    faults: list[str] = []
    for place, pair in enumerate(known):
        try:
            params, value = pair
            numbers = dict(value) if isinstance(value, Mapping) else {metric: value}
            reading = Reading.of(1, {name: float(number) for name, number in numbers.items()})
            if not math.isfinite(reading.get(metric)):
                raise ValueError(f"its {metric} is {reading.get(metric):g}")
            named = {name: label(each) for name, each in dict(params).items()}
        except (TypeError, ValueError) as error:
            example = f"({{'learning_rate': 0.1}}, 0.3), the number being its {metric}"
            faults.append(f"known[{place}]: {error}; give a configuration and its value, e.g. {example}")
        else:
            record = TrialRecord(
                -1, named, TrialState.FINISHED, reading.get(metric), reading, 1, origin=Origin.IMPORTED
            )
            found.append((record, [reading]))
    if faults:
        raise SpecError(faults)
    return found


def beginning(spec: StudySpec, imported: Sequence[WholeTrial]) -> list[WholeTrial]:
    """The trials that a new study begins with: the default configuration, which waits, and imported ones."""
    if not imported:
        return []
    default = TrialRecord(0, spec.search_space().defaults(), TrialState.WAITING)
    return [(default, ()), *numbered(imported, 1)]


def numbered(imported: Iterable[WholeTrial], first: int) -> list[WholeTrial]:
    """Trials under the numbers from `first` on."""
    return [(replace(record, number=number), curve) for number, (record, curve) in enumerate(imported, first)]


def is_optunas(known: Any) -> bool:
    """Whether `known` names a study of Optuna's, or is one."""
    return isinstance(known, str | Path) or hasattr(known, "get_trials")


def needs_trainer(name: str) -> SpecError:
    """What to do to go on with a study that was imported."""
    return SpecError(
        f"'{name}' was imported and has no trainer yet; go on from Python: "
        f'tuner.start(trainer=tuner.from_optuna(objective), name={name!r}, exists="resume"), or with a study '
        f"file: tune resume study.toml --name {quote(name)} --allow-changes"
    )
