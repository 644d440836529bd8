from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.core.space import Choice, Float, Int, Parameter, SearchSpace
from tuner.core.trial import Value
from tuner.errors import SpecError

OPTIMIZER = Choice(choices=("adam", "sgd", "momentum"), default="adam", try_first=("sgd", "momentum"))
MOMENTUM = Float(low=0.0, high=0.99, default=0.9, when={"optimizer": ("momentum",)})
RATE = Float(low=1e-4, high=1.0, default=1e-3, log=True, default_for={"optimizer": {"sgd": 0.1}})


@st.composite
def spaces(draw: st.DrawFn) -> SearchSpace:
    """Random spaces in which later parameters may depend on earlier ones."""
    parameters: dict[str, Parameter] = {}
    for index in range(draw(st.integers(1, 6))):
        when: dict[str, tuple[Any, ...]] = {}
        parents = [n for n, p in parameters.items() if isinstance(p, Choice)]
        if draw(st.booleans()) and parents:
            parent = draw(st.sampled_from(parents))
            values: st.SearchStrategy[Any] = st.sampled_from(parameters[parent].grid(1))
            when = {parent: tuple(draw(st.lists(values, min_size=1, unique=True)))}
        kind = draw(st.sampled_from(["float", "int", "choice"]))
        if kind == "float":
            low = draw(st.floats(1e-6, 10))
            high = low + draw(st.floats(0, 100))
            parameters[f"p{index}"] = Float(
                low=low, high=high, default=low, log=draw(st.booleans()), when=when
            )
        elif kind == "int":
            start = draw(st.integers(1, 5))
            step = draw(st.none() | st.integers(1, 3))
            parameters[f"p{index}"] = Int(low=start, high=start + 7, default=start, step=step, when=when)
        else:
            parameters[f"p{index}"] = Choice(choices=("a", "b", 3), default="b", when=when)
    return SearchSpace.compose(parameters)


@given(spaces())
def test_default_configuration_belongs_to_the_space(space: SearchSpace) -> None:
    assert space.faults(space.defaults()) == []


@given(spaces())
def test_every_configuration_of_the_grid_belongs_to_the_space_and_stands_there_once(
    space: SearchSpace,
) -> None:
    configurations = [params for _, params in zip(range(500), space.grid(3), strict=False)]
    assert configurations
    assert all(space.faults(params) == [] for params in configurations)
    assert len({tuple(params.items()) for params in configurations}) == len(configurations)


def test_presets_are_the_default_and_each_try_first_choice_at_its_own_defaults() -> None:
    space = SearchSpace.compose({"learning_rate": RATE, "optimizer": OPTIMIZER, "momentum": MOMENTUM})
    assert list(space.presets()) == [
        {"optimizer": "adam", "learning_rate": 1e-3},
        {"optimizer": "sgd", "learning_rate": 0.1},
        {"optimizer": "momentum", "learning_rate": 1e-3, "momentum": 0.9},
    ]


def test_parameters_are_ordered_so_that_conditions_come_first() -> None:
    space = SearchSpace.compose(
        {"momentum": MOMENTUM, "width": Int(low=1, high=2, default=1), "optimizer": OPTIMIZER}
    )
    assert list(space.parameters) == ["width", "optimizer", "momentum"]


def test_fixed_parameter_is_not_searched_but_given_to_every_trial() -> None:
    parameters: dict[str, Parameter] = {"optimizer": OPTIMIZER, "momentum": MOMENTUM, "learning_rate": RATE}
    space = SearchSpace.compose(parameters, {"optimizer": "momentum"})
    assert list(space.parameters) == ["momentum", "learning_rate"]
    assert space.defaults() == {"optimizer": "momentum", "momentum": 0.9, "learning_rate": 1e-3}


def test_parameter_that_a_fixed_value_rules_out_is_dropped_with_what_depends_on_it() -> None:
    nested = Choice(choices=("x", "y"), default="x", when={"momentum_kind": ("heavy",)})
    parameters: dict[str, Parameter] = {
        "optimizer": OPTIMIZER,
        "momentum_kind": Choice(choices=("heavy",), default="heavy", when={"optimizer": ("momentum",)}),
        "nested": nested,
        "learning_rate": RATE,
    }
    assert list(SearchSpace.compose(parameters, {"optimizer": "adam"}).parameters) == ["learning_rate"]


@pytest.mark.parametrize(
    ("parameters", "fixed", "sentence"),
    [
        ({"momentum": MOMENTUM}, {}, "momentum: when: 'optimizer' is no parameter of this space"),
        (
            {"optimizer": OPTIMIZER, "momentum": MOMENTUM},
            {"optimizer": "adamw"},
            "fixed.optimizer: 'adamw' is not in",
        ),
        (
            {"optimizer": OPTIMIZER, "m": Int(low=0, high=1, default=0, when={"optimizer": ("rmsprop",)})},
            {},
            "m: when.optimizer: 'rmsprop' is not in adam | sgd | momentum",
        ),
        ({"a": Int(low=0, high=1, default=0, when={"a": (0,)})}, {}, "a: when: names itself"),
        (
            {
                "a": Int(low=0, high=1, default=0, when={"b": (0,)}),
                "b": Int(low=0, high=1, default=0, when={"a": (0,)}),
            },
            {},
            "goes round in a circle through a, b",
        ),
    ],
)
def test_faulty_space_is_refused_with_a_sentence(
    parameters: dict[str, Parameter], fixed: dict[str, Value], sentence: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        SearchSpace.compose(parameters, fixed)


def test_all_faults_of_a_space_are_named_at_once() -> None:
    parameters: dict[str, Parameter] = {
        "a": Int(low=0, high=1, default=0, when={"x": (0,)}),
        "b": Int(low=0, high=1, default=0, when={"y": (0,)}),
    }
    with pytest.raises(ValueError, match=r"(?s)a: when: 'x' .*\nb: when: 'y' "):
        SearchSpace.compose(parameters)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"low": 2.0, "high": 1.0, "default": 1.5}, "upside down"),
        ({"low": 0.0, "high": 1.0, "default": 0.5, "log": True}, "log needs low > 0"),
        ({"low": 0.0, "high": 1.0, "default": 2.0}, "default 2.0 is not in 0 to 1"),
        ({"low": 0.1, "high": 1.0, "default": 0.5, "log": True, "step": 0.1}, "exclude each other"),
        ({"low": 0.0, "high": 1.0, "default": 0.25, "step": 0.1}, "default 0.25 is not in"),
        ({"low": 0.0, "high": float("inf"), "default": 0.25}, "finite"),
    ],
)
def test_faulty_range_is_refused(table: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SpecError, match=sentence):
        Float(**table)


def test_number_and_truth_value_are_different_choices() -> None:
    choice = Choice(choices=(True, 1, "1"), default=1)
    assert choice.contains(1)
    assert not Choice(choices=(True, "1"), default=True).contains(1)


def test_stepped_float_contains_its_steps_and_nothing_between() -> None:
    parameter = Float(low=0.1, high=0.7, default=0.1, step=0.2)
    assert all(parameter.contains(value) for value in parameter.grid(1))
    assert len(parameter.grid(1)) == 4
    assert not parameter.contains(0.2)


def test_logarithmic_grid_is_even_in_ratios() -> None:
    values = [float(v) for v in Float(low=1e-4, high=1.0, default=1.0, log=True).grid(5)]
    assert values == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1.0])


@pytest.mark.parametrize(
    ("low", "high"), [(1.2368702014644672, 100.73687020146447), (1.0, 1.0000000000000002)]
)
@pytest.mark.parametrize("log", [True, False])
def test_grid_stays_within_the_range_whatever_rounding_does(low: float, high: float, log: bool) -> None:
    parameter = Float(low=low, high=high, default=low, log=log)
    values = parameter.grid(7)
    assert all(parameter.contains(value) for value in values)
    assert len(set(values)) == len(values)


def test_faults_name_missing_inactive_and_unknown_parameters() -> None:
    space = SearchSpace.compose({"optimizer": OPTIMIZER, "momentum": MOMENTUM, "learning_rate": RATE})
    faults = space.faults({"optimizer": "adam", "momentum": 0.5, "widht": 3})
    assert [fault.split(":")[0] for fault in faults] == ["momentum", "learning_rate", "widht"]
