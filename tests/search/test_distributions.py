from __future__ import annotations

import warnings
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.search.parts import to_number
from tuner.core.space import Choice, Float, Int, Parameter, SearchSpace
from tuner.search.distributions import distribution, from_number, from_share, is_single, to_share
from tuner.testing.searcher import spaces


@given(space=spaces(), share=st.floats(0.0, 1.0))
def test_value_of_any_share_lies_in_the_parameter_and_comes_back(space: SearchSpace, share: float) -> None:
    for _, parameter in space:
        value = from_share(parameter, share)
        assert parameter.contains(value)
        number = to_number(parameter, value)
        back = from_number(parameter, number)
        assert type(back) is type(value)
        assert back == pytest.approx(value)
        again = from_share(parameter, to_share(parameter, number))
        assert type(again) is type(value)
        assert again == pytest.approx(value)


@given(space=spaces(), share=st.floats(0.0, 1.0))
def test_distribution_holds_every_value_without_a_warning(space: SearchSpace, share: float) -> None:
    for _, parameter in space:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = distribution(parameter)
        assert found._contains(to_number(parameter, from_share(parameter, share)))
        assert found.single() == is_single(parameter)


@pytest.mark.parametrize(
    "parameter",
    [
        Int(low=1, high=4, default=1),
        Int(low=1, high=8, step=2, default=1),
        Float(low=0.0, high=0.3, step=0.1, default=0.0),
        Choice(choices=(True, 1, 1.0, "1"), default=1),
    ],
)
def test_discrete_values_are_equally_likely(parameter: Parameter) -> None:
    drawn = Counter(repr(from_share(parameter, (i + 0.5) / 400)) for i in range(400))
    assert len(drawn) == 4
    assert set(drawn.values()) == {100}


def test_logarithmic_share_is_the_geometric_mean() -> None:
    parameter = Float(low=1e-4, high=1.0, default=0.1, log=True)
    assert from_share(parameter, 0.5) == pytest.approx(1e-2)
    assert from_share(parameter, 0.0) == pytest.approx(1e-4)
    assert from_share(parameter, 1.0) == pytest.approx(1.0)
