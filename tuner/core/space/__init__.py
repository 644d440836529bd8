"""What is searched: parameters, conditions between them, and the space they make."""

from tuner.core.space.parameters import (
    FILLED_IN,
    AnyParameter,
    Choice,
    Float,
    Int,
    Parameter,
    Scalar,
    is_same,
    label,
    text_of,
)
from tuner.core.space.search_space import SearchSpace

__all__ = [
    "FILLED_IN",
    "AnyParameter",
    "Choice",
    "Float",
    "Int",
    "Parameter",
    "Scalar",
    "SearchSpace",
    "is_same",
    "label",
    "text_of",
]
