"""Values as Optuna and SQL keep them: distributions, numbers that are not finite, times, states.

Writes what `optuna.distributions` writes without importing it, and knows no table.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tuner.core.goals import Goals
from tuner.core.space import Choice, Float, Parameter, SearchSpace
from tuner.core.trial import Params, Pause, Stop, TrialRecord, TrialState, Value
from tuner.errors import shortened

_HIGHEST = sys.float_info.max

REASON = 1_000
"""Of a longer reason the beginning and the end are stored: so many characters."""


class Encoder:
    """A search space's parameters as they stand in Optuna's `trial_params`.

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
                yield name, 0.0, categorical_json((value,))
            elif isinstance(parameter, Choice):
                # Told apart by type: 1 and True may both be choices.
                index = [(type(c), c) for c in parameter.choices].index((type(value), value))
                yield name, float(index), self._json[name]
            else:
                yield name, float(value), self._json[name]


def distribution_json(parameter: Parameter) -> str:
    """What `optuna.distributions.distribution_to_json` gives for the parameter's distribution."""
    if isinstance(parameter, Choice):
        return categorical_json(parameter.choices)
    attributes: dict[str, Any]
    if isinstance(parameter, Float):
        low, high = float(parameter.low), float(parameter.high)
        if parameter.step is not None:
            high = _last_step(low, high, parameter.step)
        attributes = {"step": parameter.step, "low": low, "high": high, "log": parameter.log}
        return _dumped("FloatDistribution", attributes)
    step = parameter.step or 1
    high_int = parameter.low + (parameter.high - parameter.low) // step * step
    attributes = {"log": parameter.log, "step": step, "low": parameter.low, "high": high_int}
    return _dumped("IntDistribution", attributes)


def categorical_json(choices: tuple[Value, ...]) -> str:
    """The distribution of a choice."""
    return _dumped("CategoricalDistribution", {"choices": choices})


def _dumped(name: str, attributes: dict[str, Any]) -> str:
    return json.dumps({"name": name, "attributes": attributes})


def _last_step(low: float, high: float, step: float) -> float:
    """The last of low, low + step, ... that is not above high, in decimal arithmetic as Optuna has it."""
    first, last, width = Decimal(str(low)), Decimal(str(high)), Decimal(str(step))
    if (last - first) % width == 0:
        return high
    return float((last - first) // width * width + first)


def kind_of(value: float) -> str:
    """Optuna's name for what sort of number it is."""
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
    """What Optuna's users see of a trial that is over beside its value: name and JSON."""
    best = record.best
    if best is not None:
        yield "best_epoch", json.dumps(best.epoch)
        for name in ("gap", "train_loss", "val_loss", "train_score", "val_score"):
            number = best.get(name)
            if math.isfinite(number):
                yield name, repr(float(number))
    if record.reason is not None:
        yield "reason", json.dumps(storable(record.reason, REASON))


def constraints(record: TrialRecord, goals: Goals) -> Iterator[tuple[str, str]]:
    """A trial's constraints as Optuna's `set_constraint` keeps them: name and JSON, above 0 if violated.

    Of a trial without a value nothing is said. What was not measured violates as much as can be.
    """
    if record.best is None:
        return
    for bound, excess in zip(goals.bounds, goals.excesses(record.best), strict=True):
        yield f"constraints:{bound.key}", repr(min(max(excess, -_HIGHEST), _HIGHEST))


def order_json(order: Stop | Pause) -> str:
    """What was decided of a trial; a pause has no `conclusive`."""
    table: dict[str, Any] = {"rule": order.rule, "reason": storable(order.reason, REASON)}
    if isinstance(order, Stop):
        table["conclusive"] = order.conclusive
    return json.dumps(table)


def order_of(text: str) -> Stop | Pause:
    """What `order_json` wrote."""
    table = json.loads(text)
    return Stop(**table) if "conclusive" in table else Pause(**table)


def storable(text: str | None, most: int | None = None) -> str | None:
    """Text with what no database takes replaced: halves of surrogate pairs, and NUL.

    Args:
        text: anybody's.
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


def naive(moment: datetime) -> datetime:
    """A UTC time as Optuna keeps it, without its zone."""
    return moment.astimezone(UTC).replace(tzinfo=None)
