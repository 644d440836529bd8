"""A parameter's values as numbers."""

from __future__ import annotations

from tuner.core.space import Parameter
from tuner.core.trial import Value
from tuner.search.distributions import numbering


def to_number(parameter: Parameter, value: Value) -> float:
    """The number of a value that the parameter contains."""
    number = numbering(parameter)(value)
    assert number is not None
    return number
