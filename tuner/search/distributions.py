"""A parameter as numbers, as an Optuna distribution, and as a stretch from 0 to 1.

The number of a value is the value itself, but the index where there are choices or steps: `True`,
`1` and `1.0` may be choices side by side, and 0.1 + 0.2 is the same step as 0.3.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from tuner.core.space import Choice, Float, Int, Parameter
from tuner.core.trial import Value


def distribution(parameter: Parameter) -> BaseDistribution:
    """The Optuna distribution of a parameter's numbers."""
    if isinstance(parameter, Choice):
        return CategoricalDistribution(tuple(range(len(parameter.choices))))
    if isinstance(parameter, Int) and parameter.step is None:
        return IntDistribution(parameter.low, parameter.high, log=parameter.log)
    if parameter.step is not None:
        return IntDistribution(0, _steps(parameter, parameter.step))
    return FloatDistribution(parameter.low, parameter.high, log=parameter.log)


def numbering(parameter: Parameter) -> Callable[[Value], float | None]:
    """What gives the numbers of a parameter's values; None for a value that it does not contain."""
    if isinstance(parameter, Choice):
        places = {(type(choice), choice): float(i) for i, choice in enumerate(parameter.choices)}
        return lambda value: places.get((type(value), value))
    low, high, step = parameter.low, parameter.high, parameter.step
    plain = None if step is not None else float if isinstance(parameter, Float) else int

    def number(value: Value) -> float | None:
        if type(value) is plain:
            return float(value) if low <= value <= high else None
        if not parameter.contains(value):
            return None
        return float(value) if step is None else float(round((float(value) - low) / step))

    return number


def from_number(parameter: Parameter, number: float) -> Value:
    """The value of a number, rounded and clipped into the parameter."""
    if isinstance(parameter, Choice):
        return parameter.choices[int(number)]
    if isinstance(parameter, Int):
        step = parameter.step or 1
        steps = round(number) if parameter.step is not None else round(number) - parameter.low
        return parameter.low + min(max(steps, 0), _steps(parameter, step)) * step
    if parameter.step is not None:
        # Fifteen digits: 0.3 and not 0.30000000000000004.
        number = float(f"{parameter.low + round(number) * parameter.step:.15g}")
    return float(min(max(number, parameter.low), parameter.high))


def to_share(parameter: Parameter, number: float) -> float:
    """How far along its range a number lies, 0 to 1, on the parameter's scale; mid-bin where discrete."""
    low, high = _edges(parameter)
    if isinstance(parameter, Float | Int) and parameter.log:
        number = math.log(number)
    return (number - low) / (high - low) if low < high else 0.5


def from_share(parameter: Parameter, share: float) -> Value:
    """The value that lies a share (0 to 1) of the way along; discrete values have shares of equal width."""
    low, high = _edges(parameter)
    number = low + share * (high - low)
    if isinstance(parameter, Float | Int) and parameter.log:
        number = math.exp(number)
    if isinstance(parameter, Float) and parameter.step is None:
        return from_number(parameter, number)
    nearest = math.floor(number + 0.5)
    return from_number(parameter, min(nearest, math.ceil(_last(parameter))))


def is_single(parameter: Parameter) -> bool:
    """Whether the parameter has one value only."""
    return distribution(parameter).single()


def _edges(parameter: Parameter) -> tuple[float, float]:
    """The range of the numbers on the parameter's scale, half a step wider at both ends if discrete."""
    low = parameter.low if isinstance(parameter, Float | Int) and parameter.step is None else 0
    high = _last(parameter)
    if not isinstance(parameter, Float) or parameter.step is not None:
        low, high = low - 0.5, high + 0.5
    if isinstance(parameter, Float | Int) and parameter.log:
        return math.log(low), math.log(high)
    return low, high


def _last(parameter: Parameter) -> float:
    """The highest number."""
    if isinstance(parameter, Choice):
        return len(parameter.choices) - 1
    return parameter.high if parameter.step is None else _steps(parameter, parameter.step)


def _steps(parameter: Float | Int, step: float) -> int:
    """How many steps fit between low and high."""
    return math.floor((parameter.high - parameter.low) / step + 1e-8)
