from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.core.space.section import parse_space
from tuner.core.spec import StudySpec
from tuner.errors import SpecError

RATE: dict[str, Any] = {"type": "float", "low": 1e-4, "high": 1.0, "default": 0.1, "log": True}
SMALL: dict[str, Any] = {"space": {"learning_rate": RATE}}


def faults(table: dict[str, Any], **options: Any) -> list[str]:
    with pytest.raises(SpecError) as raised:
        StudySpec.parse(table, "s.toml", **options)
    return list(raised.value.faults)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(string.printable, max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc.", max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
sections = st.sampled_from([*StudySpec.model_fields, "stopp"])
keys = st.sampled_from(
    [
        "use",
        "fixed",
        "type",
        "low",
        "high",
        "default",
        "when",
        "choices",
        "trials",
        "patience",
        "metric",
        "source",
        "x",
    ]
)


@given(st.dictionaries(sections, json_values | st.dictionaries(keys, json_values, max_size=5), max_size=5))
def test_any_table_gives_a_valid_spec_or_a_spec_error(table: dict[str, Any]) -> None:
    try:
        spec = StudySpec.parse(table, "fuzz")
    except SpecError as error:
        sentences = error.faults
    else:
        sentences = ("fuzz: none",)
        assert StudySpec.parse(spec.to_table()) == spec
    assert sentences
    assert all(sentence.startswith("fuzz: ") and "\n" not in sentence for sentence in sentences)


@given(
    parameter=st.fixed_dictionaries(
        {"type": st.sampled_from(["float", "int", "choice", "flaot"])},
        optional={
            "low": json_values,
            "high": json_values,
            "default": json_values,
            "choices": json_values,
            "when": json_values,
            "default_for": json_values,
            "try_first": json_values,
            "step": json_values,
            "log": json_values,
        },
    )
)
def test_any_parameter_table_gives_a_valid_spec_or_a_spec_error(parameter: dict[str, Any]) -> None:
    try:
        spec = StudySpec.parse({"space": {"p": parameter}})
    except SpecError:
        return
    assert spec.search_space().faults(spec.search_space().defaults()) == []


def test_every_fault_is_reported_at_once_with_the_near_name() -> None:
    found = faults(
        {
            "data": {"source": "x.csv", "vaildation": 0.3},
            "trainer": {"epochs": 0},
            "search": {"reduction": 1},
            "objective": {"metric": "val_los"},
            "stopp": {},
            "space": {"width": {"type": "int", "low": 3, "high": 1, "default": 2}},
        }
    )
    assert len(found) == 6
    text = "\n".join(found)
    for near in (
        "did you mean 'validation'",
        "search.reduction",
        "did you mean 'stop'",
        "upside down",
        "val_loss",
    ):
        assert near in text


def test_fault_of_one_parameter_does_not_bring_faults_of_those_that_depend_on_it() -> None:
    space = {
        "optimizer": {"type": "choice", "choices": ["adam"], "default": "sgd"},
        "momentum": {**RATE, "when": {"optimizer": ["adam"]}},
    }
    assert len(faults({"space": space})) == 1


def test_used_space_is_composed_and_single_keys_are_changed() -> None:
    shipped = {"learning_rate": RATE, "width": {"type": "int", "low": 1, "high": 9, "default": 3}}
    table = {"space": {"use": ["mine"], "learning_rate": {"high": 0.5}, "width": {**RATE}}}
    spec = StudySpec.parse(table, find_space=lambda name: shipped)
    assert spec.space.parameters["learning_rate"].model_dump()["high"] == 0.5
    assert spec.space.parameters["learning_rate"].model_dump()["log"] is True
    assert spec.space.parameters["width"].type == "float"


def test_space_that_is_not_found_is_a_fault_among_the_others() -> None:
    def find(name: str) -> dict[str, Any]:
        raise SpecError(f"no space '{name}'")

    found = faults({"trainer": {"epochs": 0}, "space": {"use": ["nothing"]}}, find_space=find)
    assert len(found) == 2


def test_stored_table_reads_back_to_an_equal_spec_with_the_same_digest() -> None:
    spec = StudySpec.parse({**SMALL, "stop": {"patience": 3}, "data": {"source": "a.csv"}})
    again = StudySpec.parse(spec.to_table())
    assert again == spec
    assert again.digest == spec.digest


def test_digest_changes_with_any_key() -> None:
    spec = StudySpec.parse(SMALL)
    other = StudySpec.parse({**SMALL, "search": {"seed": 1}})
    assert spec.digest != other.digest


@pytest.mark.parametrize(
    ("table", "minimize"),
    [
        ({}, True),
        ({"objective": {"metric": "val_score"}}, False),
        ({"objective": {"metric": "val_score"}, "trainer": {"score": "rmse"}}, True),
        ({"objective": {"metric": "reward", "direction": "maximize"}}, False),
    ],
)
def test_direction_follows_from_the_metric(table: dict[str, Any], minimize: bool) -> None:
    assert StudySpec.parse({**SMALL, **table}).primary_objective().minimize is minimize


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({}, "space: is missing"),
        ({"space": {}}, "nothing to search"),
        ({"space": {"use": "optimization"}}, "a list of names is needed"),
        ({"space": {"width": 3}}, "a parameter is a table"),
        ({"space": {"width": {"low": 3}}}, "type is missing"),
        ({**SMALL, "budget": {}}, "without limit"),
        ({**SMALL, "data": {"source": "x", "validation": 0.6, "test": 0.5}}, "leave nothing to train on"),
        ({**SMALL, "data": {"source": "x", "split": "group"}}, "needs group"),
        (
            {"space": {"learning_rate": RATE, "fixed": {"learning_rate": 7.0}}},
            "space.fixed.learning_rate: 7.0 is not",
        ),
    ],
)
def test_faulty_study_is_refused_with_a_sentence(table: dict[str, Any], sentence: str) -> None:
    assert any(sentence in fault for fault in faults(table))


def test_space_file_may_hold_nothing_but_parameters() -> None:
    assert parse_space({"learning_rate": RATE}, "m.toml") == {"learning_rate": RATE}
    with pytest.raises(SpecError, match="use: a parameter cannot have this name"):
        parse_space({"use": {"type": "int"}}, "m.toml")


def test_goals_hold_every_objective_and_constraint() -> None:
    table = {
        "metric": "val_score",
        "also": {"gap": "minimize", "auc": "maximize"},
        "at_most": {"seconds": 2},
        "at_least": {"val_score": 0.5},
    }
    spec = StudySpec.parse({**SMALL, "objective": table})
    objectives = spec.objectives()
    assert objectives.primary == spec.primary_objective()
    assert [(o.metric, o.minimize) for o in objectives] == [
        ("val_score", False),
        ("gap", True),
        ("auc", False),
    ]
    assert [str(bound) for bound in objectives.constraints] == ["seconds at most 2", "val_score at least 0.5"]
    assert objectives.names == ("val_score", "gap", "auc", "seconds")
    assert not objectives.is_plain
    assert StudySpec.parse(SMALL).objectives().is_plain
    assert StudySpec.parse(spec.to_table()) == spec


@pytest.mark.parametrize(
    ("objective", "words"),
    [
        ({"also": {"val_loss": "minimize"}}, "'val_loss' is the metric already"),
        ({"also": {"gap": "less"}}, "objective.also.gap"),
        ({"also": dict.fromkeys("abc", "minimize")}, "objective.also"),
        ({"at_most": {"gap": 0.1}, "at_least": {"gap": 0.2}}, "no gap is at least 0.2 and at most 0.1"),
    ],
)
def test_goals_that_cannot_be_are_refused(objective: dict[str, Any], words: str) -> None:
    found = faults({**SMALL, "objective": objective})
    assert len(found) == 1
    assert words in found[0]


def test_a_narrower_range_over_a_used_space_moves_the_defaults_that_it_brings() -> None:
    used = {
        "optimizer": {"type": "choice", "choices": ["adam", "sgd"], "default": "adam"},
        "learning_rate": {
            "type": "float", "low": 1e-5, "high": 1.0, "log": True, "default": 0.05,
            "default_for": {"optimizer": {"sgd": 0.1}},
        },
    }  # fmt: skip
    table = {"space": {"use": ["one"], "learning_rate": {"high": 0.01}}}
    space = StudySpec.parse(table, "study", lambda name: used).search_space()
    assert space.defaults() == {"optimizer": "adam", "learning_rate": 0.01}
    assert space.defaults({"optimizer": "sgd"})["learning_rate"] == 0.01
    said = {"high": 0.01, "default_for": {"optimizer": {"sgd": 0.1}}}
    with pytest.raises(SpecError, match=r"default_for\.optimizer\.sgd: 0\.1 is not in"):
        StudySpec.parse({"space": {"use": ["one"], "learning_rate": said}}, "study", lambda name: used)


def test_patience_alone_is_a_budget() -> None:
    table = {"budget": {"patience": 60}, "space": {"x": {"type": "int", "low": 0, "high": 9}}}
    assert StudySpec.parse(table).budget.patience == 60
