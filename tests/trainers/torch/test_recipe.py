from __future__ import annotations

import pytest

from tuner import content, registry
from tuner.core.space import Choice, Float, Parameter, SearchSpace
from tuner.core.space.section import SpaceSpec
from tuner.trainers.torch.networks import ACTIVATIONS
from tuner.trainers.torch.recipe import (
    DEFAULT_FOR,
    LIMITS,
    NAMES,
    OPTIMIZERS,
    SCHEDULES,
    Names,
    Recipe,
    range_faults,
)

TOPICS = sorted(path.stem for path in content.shipped("space").glob("*.toml"))


def shipped() -> dict[str, Parameter]:
    tables = [content.read(content.find("space", topic)) for topic in TOPICS]
    merged = {name: table for topic in tables for name, table in topic.items()}
    return dict(SpaceSpec(parameters=merged).parameters)


PARAMETERS = shipped()


@pytest.mark.parametrize(("name", "group"), [("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)])
def test_spaces_offer_all_that_is_registered(name: str, group: str) -> None:
    parameter = PARAMETERS[name]
    assert isinstance(parameter, Choice)
    assert set(parameter.choices) == set(registry.registered(group))


def test_every_shipped_parameter_is_known_and_every_known_one_is_shipped() -> None:
    assert set(PARAMETERS) == set(NAMES) - {"epsilon"}
    assert set(LIMITS) == set(NAMES)


@pytest.mark.parametrize("name", PARAMETERS)
def test_default_of_the_space_is_what_leaving_the_parameter_out_means(name: str) -> None:
    parameter = PARAMETERS[name]
    under = {other: values[0] for other, values in parameter.when.items() if other in NAMES}
    default = getattr(Recipe.of(under), name)
    if name == "clip_value":
        assert parameter.default < default  # which cuts nothing off the gradients of small networks
        return
    if name == "embedding_size":
        assert default == 0  # studies and networks that do not name it get zeros and ones
        return
    if name in ("scaling", "class_weight", "pooling", "pruned_first"):
        assert default is None  # what the data, the study, the network or `pruned` says: the same by default
        return
    if default == 0 and isinstance(parameter, Float) and parameter.log:
        # A logarithmic scale has no zero: its low end stands for it.
        assert parameter.default == parameter.low
        return
    assert parameter.default == default
    assert type(parameter.default) is type(default)


def test_defaults_that_depend_on_the_optimizer_are_the_same_on_both_sides() -> None:
    rules = sorted(registry.registered(OPTIMIZERS))
    for name, defaults in DEFAULT_FOR.items():
        parameter = PARAMETERS[name]
        active = [rule for rule in rules if parameter.active_under({"optimizer": rule})]
        assert set(active) >= set(defaults)
        assert {r: parameter.default_under({"optimizer": r}) for r in active} == {
            r: defaults.get(r, parameter.default) for r in active
        }


@pytest.mark.parametrize("name", PARAMETERS)
def test_shipped_range_lies_within_the_limits(name: str) -> None:
    assert range_faults(name, PARAMETERS[name]) == []


@pytest.mark.parametrize("name", [n for n, limit in LIMITS.items() if isinstance(limit, Names)])
def test_shipped_choices_are_all_there_are(name: str) -> None:
    limit, parameter = LIMITS[name], PARAMETERS[name]
    assert isinstance(limit, Names)
    assert isinstance(parameter, Choice)
    assert set(parameter.choices) == set(limit.known)


def test_activations_have_their_modules() -> None:
    limit = LIMITS["activation"]
    assert isinstance(limit, Names)
    assert set(limit.known) == set(ACTIVATIONS)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adamw", "adam"])
def test_recipe_takes_the_defaults_of_its_optimizer(optimizer: str) -> None:
    recipe = Recipe.of({"optimizer": optimizer, "of_ones_own": 3})
    assert recipe.learning_rate == DEFAULT_FOR["learning_rate"].get(optimizer, 1e-3)
    assert recipe.weight_decay == DEFAULT_FOR["weight_decay"].get(optimizer, 0.0)
    assert Recipe.of({"optimizer": optimizer, "learning_rate": 0.5}).learning_rate == 0.5


def test_every_preset_is_a_recipe() -> None:
    for params in SearchSpace.compose(PARAMETERS).presets():
        assert Recipe.of(params).optimizer == params["optimizer"]
