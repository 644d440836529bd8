"""A parameter as numbers, as an Optuna distribution, and as a stretch from 0 to 1.

The number of a value is Optuna's internal one: the value itself, or the index of a choice, so that
`True`, `1` and `1.0` may be choices side by side. Conditions between parameters are not known here.
"""

from __future__ import annotations

import math

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from tuner.core.space import Choice, Float, Int, Parameter
from tuner.core.trial import Value


def distribution(parameter: Parameter) -> BaseDistribution:
    """The Optuna distribution of a parameter; that of a choice ranges over the indices of its choices."""
    if isinstance(parameter, Choice):
        return CategoricalDistribution(tuple(range(len(parameter.choices))))
    if isinstance(parameter, Int):
        step = parameter.step or 1
        high = parameter.high - (parameter.high - parameter.low) % step
        return IntDistribution(parameter.low, high, log=parameter.log, step=step)
    if parameter.step is None:
        return FloatDistribution(parameter.low, parameter.high, log=parameter.log)
    return FloatDistribution(parameter.low, _last_step(parameter, parameter.step), step=parameter.step)


def to_number(parameter: Parameter, value: Value) -> float:
    """The number of a value that the parameter contains."""
    if isinstance(parameter, Choice):
        return float(
            next(i for i, c in enumerate(parameter.choices) if type(c) is type(value) and c == value)
        )
    return float(value)


def from_number(parameter: Parameter, number: float) -> Value:
    """The value of a number, rounded and clipped into the parameter."""
    if isinstance(parameter, Choice):
        return parameter.choices[int(number)]
    if isinstance(parameter, Int):
        step = parameter.step or 1
        steps = round((number - parameter.low) / step)
        return parameter.low + min(max(steps, 0), (parameter.high - parameter.low) // step) * step
    return float(min(max(number, parameter.low), parameter.high))


def to_share(parameter: Parameter, number: float) -> float:
    """How far along its range a number lies, 0 to 1, on the parameter's scale; the middle of its bin if discrete."""
    if isinstance(parameter, Choice):
        return (number + 0.5) / len(parameter.choices)
    low, high = _edges(parameter)
    if low == high:
        return 0.5
    return (_scaled(parameter, number) - low) / (high - low)


def from_share(parameter: Parameter, share: float) -> Value:
    """The value that lies a share of the way along the parameter; equal shares are equally likely values.

    Args:
        parameter: any.
        share: from 0 to 1.
    """
    if isinstance(parameter, Choice):
        return parameter.choices[min(int(share * len(parameter.choices)), len(parameter.choices) - 1)]
    low, high = _edges(parameter)
    number = low + share * (high - low)
    if parameter.log:
        number = math.exp(number)
    if isinstance(parameter, Float) and parameter.step is not None:
        steps = round((number - parameter.low) / parameter.step)
        number = min(parameter.low + max(steps, 0) * parameter.step, _last_step(parameter, parameter.step))
    return from_number(parameter, number)


def is_single(parameter: Parameter) -> bool:
    """Whether the parameter has one value only."""
    return distribution(parameter).single()


def _edges(parameter: Float | Int) -> tuple[float, float]:
    """The range on the parameter's scale, half a step wider at both ends where it has steps."""
    step = parameter.step if parameter.step is not None else float(isinstance(parameter, Int))
    last = parameter.high if isinstance(parameter, Int) else _last_step(parameter, parameter.step)
    if isinstance(parameter, Int):
        last -= int((parameter.high - parameter.low) % step)
    return _scaled(parameter, parameter.low - step / 2), _scaled(parameter, last + step / 2)


def _last_step(parameter: Float, step: float | None) -> float:
    """The highest value that `low + n * step` reaches; `high` where there is no step."""
    if step is None:
        return parameter.high
    count = math.floor((parameter.high - parameter.low) / step + 1e-8)
    return min(float(f"{parameter.low + count * step:.15g}"), parameter.high)


def _scaled(parameter: Float | Int, number: float) -> float:
    return math.log(number) if parameter.log else number
