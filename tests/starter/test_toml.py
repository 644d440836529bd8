from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.core.spec import StudySpec
from tuner.starter import study_toml

text = st.text(st.characters(codec="utf-8"), max_size=20)
scalars = st.booleans() | st.integers() | st.floats(allow_nan=False) | text
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)
tables = st.dictionaries(text, values | st.dictionaries(text, values, max_size=4), max_size=6)


@given(tables)
@settings(max_examples=50)
def test_any_table_is_read_back_as_it_was(table: dict[str, Any]) -> None:
    assert tomllib.loads(study_toml(table, head=("a line",))) == table


def test_keys_are_explained_by_the_models_that_check_them() -> None:
    written = study_toml({"data": {"source": "a.csv"}, "stop": {"patience": 8}})
    lines = written.splitlines()
    assert any(line.startswith("patience = 8") and "# epochs without" in line for line in lines)
    above = lines[lines.index('source = "a.csv"') - 1]
    assert above.startswith("# sklearn:<set>"), "what is too long for its line stands above it"


def test_what_has_no_value_is_left_out() -> None:
    assert tomllib.loads(study_toml({"name": "a", "data": {"source": "b", "target": None}})) == {
        "name": "a",
        "data": {"source": "b"},
    }


def test_a_whole_study_is_read_back_as_the_same_study() -> None:
    spec = StudySpec.parse(
        {
            "name": "house prices",
            "data": {"source": "a.csv", "drop": ["id", 'a "b"\\c']},
            "trainer": {"settings": {"cut": [0.1, 0.2], "deep": {"er": True}}},
            "space": {
                "fixed": {"momentum": 0.9},
                "optimizer": {"type": "choice", "choices": ["sgd", "adam"], "default": "adam"},
                "rate": {
                    "type": "float", "low": 1e-5, "high": 1e16, "log": True, "default": 0.1,
                    "when": {"optimizer": ["sgd"]},
                    "default_for": {"optimizer": {"adam": 1e-3}},
                },
            },
        }
    )  # fmt: skip
    assert StudySpec.parse(tomllib.loads(study_toml(spec.to_table()))) == spec
