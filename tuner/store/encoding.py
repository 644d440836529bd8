"""Values as Optuna and SQL keep them: distributions, numbers that are not finite, times, states.

Reading imports no Optuna, which takes longer than `tune list`; writing does, see `distribution_json`.
"""

from __future__ import annotations

import json
import math
import sys
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from tuner.core.objectives import Objectives
from tuner.core.space import Choice, Float, Parameter, SearchSpace
from tuner.core.training import TRACEBACK
from tuner.core.trial import Params, Pause, Reading, Stop, TrialRecord, TrialState, Value
from tuner.errors import shortened

Cell = float | int | str | bytes | bool | None | datetime
"""What drivers take as it is."""

_HIGHEST = sys.float_info.max

REASON = 1_000
"""Of a longer reason the beginning and the end are stored: so many characters."""


class Encoder:
    """A search space's parameters as Optuna's `trial_params` stores them.

    Optuna keeps a number for each parameter, beside the JSON of the distribution it came from:
    the value itself, or a choice's index. A fixed value is a distribution of one choice.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space.parameters
        self._json = {name: distribution_json(parameter) for name, parameter in space}

    def encode(self, params: Params) -> Iterator[tuple[str, float, str]]:
        """Name, number and distribution of each parameter, in the order of `params`."""
        for name, value in params.items():
            parameter = self._space.get(name)
            if parameter is None or not parameter.contains(value):
                yield name, 0.0, _only(value, type(value).__name__)
            elif isinstance(parameter, Choice):
                # Told apart by type: 1 and True may both be choices.
                index = [(type(c), c) for c in parameter.choices].index((type(value), value))
                yield name, float(index), self._json[name]
            else:
                yield name, float(value), self._json[name]


def distribution_json(parameter: Parameter) -> str:
    """A parameter's distribution as Optuna stores it."""
    from optuna import distributions as optunas  # the search has loaded it already

    found: optunas.BaseDistribution
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna says so where it moves a bound to the last step
        if isinstance(parameter, Choice):
            found = optunas.CategoricalDistribution(parameter.choices)
        elif isinstance(parameter, Float):
            log, step = parameter.log, parameter.step
            found = optunas.FloatDistribution(parameter.low, parameter.high, log=log, step=step)
        else:
            log, whole = parameter.log, parameter.step or 1
            found = optunas.IntDistribution(parameter.low, parameter.high, log=log, step=whole)
    return optunas.distribution_to_json(found)


@lru_cache
def _only(value: Value, kind: str) -> str:  # noqa: ARG001 - 1 and True are two
    """The distribution of a value that is not searched: a choice of its own."""
    return distribution_json(Choice(choices=(value,), default=value))


def kind_of(value: float) -> str:
    """Optuna's name for the kind of number."""
    if math.isfinite(value):
        return "FINITE"
    return "NAN" if math.isnan(value) else "INF_POS" if value > 0 else "INF_NEG"


def finite(value: float) -> float | None:
    """The number where it is finite, else None: beside a kind, all that Optuna keeps."""
    return value if math.isfinite(value) else None


def measured(value: float | None) -> float | None:
    """None for a number that was not measured; infinities stay."""
    return None if value is None or value != value else value


def outcome(record: TrialRecord) -> tuple[str, float | None]:
    """Optuna's state of a trial that is over, and the value it keeps with it.

    A trial whose value stands beside the others' is complete, one that was cut before is pruned.
    Optuna takes no complete trial without a value: such a one failed.
    """
    value = measured(record.value)
    if record.state is TrialState.FAILED:
        return "FAIL", None
    if record.state is TrialState.STOPPED and not record.conclusive:
        return "PRUNED", value
    return ("FAIL", None) if value is None else ("COMPLETE", value)


def attributes(record: TrialRecord) -> Iterator[tuple[str, str]]:
    """The user attributes of an ended trial for Optuna: name and JSON."""
    best = record.best
    if best is not None:
        yield "best_epoch", json.dumps(best.epoch)
        for name in ("gap", "train_loss", "val_loss", "train_score", "val_score"):
            number = best.get(name)
            if math.isfinite(number):
                yield name, repr(float(number))
    if record.reason is not None:
        yield "reason", json.dumps(storable(record.reason, REASON))


def constraints(record: TrialRecord, objectives: Objectives) -> Iterator[tuple[str, str]]:
    """A trial's constraints as Optuna's `set_constraint` keeps them: name and JSON, above 0 if violated.

    Of a trial without a value nothing is said. What was not measured violates as much as can be.
    """
    if record.best is None:
        return
    for bound, excess in zip(objectives.constraints, objectives.excesses(record.best), strict=True):
        yield f"constraints:{bound.key}", repr(min(max(excess, -_HIGHEST), _HIGHEST))


def order_json(order: Stop | Pause) -> str:
    """The decision on a trial; a pause has no `conclusive`."""
    table: dict[str, Any] = {"rule": order.rule, "reason": storable(order.reason, REASON)}
    if isinstance(order, Stop):
        table["conclusive"] = order.conclusive
    return json.dumps(table)


def order_of(text: str) -> Stop | Pause:
    """What `order_json` wrote."""
    table = json.loads(text)
    return Stop(**table) if "conclusive" in table else Pause(**table)


def left(record: TrialRecord) -> tuple[Cell, ...]:
    """The columns of a trial that left its row, ended or paused; no order is pending."""
    return (
        record.state.value,
        measured(record.value),
        record.best.epoch if record.best is not None else None,
        record.epochs,
        record.conclusive,
        storable(record.rule),
        storable(record.reason, REASON),
        storable(record.traceback, TRACEBACK),
        record.seconds,
        str(record.number) if record.model_path is not None else None,
        record.paused_at,
        None,
    )


def epoch_row(trial_id: int, reading: Reading) -> tuple[Cell, ...]:
    """A reading as a row of `tuner_epochs`."""
    numbers = (
        reading.train_loss, reading.val_loss, reading.train_score, reading.val_score,
        reading.learning_rate, reading.grad_norm, reading.seconds,
    )  # fmt: skip
    extras = json.dumps(dict(reading.extras)) if reading.extras else None
    return (trial_id, reading.epoch, *map(measured, numbers), extras)


def storable(text: str | None, most: int | None = None) -> str | None:
    """Text without characters that databases refuse: lone surrogates and NUL.

    Args:
        text: from outside, e.g. an exception's.
        most: see `shortened`; None for text that must stay whole.
    """
    if text is None:
        return None
    text = text if most is None else shortened(text, most)
    return text.encode(errors="replace").decode().replace("\0", "\ufffd")


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def stamp(moment: datetime) -> str:
    """A UTC time as text that sorts."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def naive_utc(moment: datetime) -> datetime:
    """A UTC time as Optuna keeps it, without its zone."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def driver_time(dialect: str, moment: datetime) -> Cell:
    """A UTC time as Optuna keeps it, for the driver of a kind of database: SQLite's takes text."""
    naive = naive_utc(moment)
    return naive.isoformat(" ", "microseconds") if dialect == "sqlite" else naive
