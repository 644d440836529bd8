from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.cli.contract import dump, trial_table
from tuner.core.trial import Reading, TrialRecord, TrialState

numbers = st.floats(allow_nan=True, allow_infinity=True)
tables = st.recursive(
    st.none() | st.booleans() | st.integers() | numbers | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=20,
)


@given(table=tables)
@settings(max_examples=50)
def test_what_is_printed_is_always_valid_json(table: Any) -> None:
    def refuse(constant: str) -> Any:
        raise AssertionError(constant)

    with pytest.MonkeyPatch.context() as patch:
        printed: list[str] = []
        patch.setattr("builtins.print", printed.append)
        dump(table)
    json.loads(printed[0], parse_constant=refuse)


def test_numbers_that_json_has_no_word_for_become_null(capsys: pytest.CaptureFixture[str]) -> None:
    dump({"a": math.nan, "b": [math.inf, 1.5], "c": {"d": -math.inf}, "e": (1, "nan")})
    assert json.loads(capsys.readouterr().out) == {
        "a": None, "b": [None, 1.5], "c": {"d": None}, "e": [1, "nan"],
    }  # fmt: skip


def test_a_trial_without_a_reading_has_every_key_all_the_same() -> None:
    empty = TrialRecord(3, {"x": 1}, TrialState.FAILED, reason="it broke")
    full = TrialRecord(4, {"x": 1}, TrialState.FINISHED, value=0.5, best=Reading(2, 0.4, 0.5))
    assert trial_table(empty).keys() == trial_table(full).keys()
    assert trial_table(full)["gap"] == pytest.approx(0.1)
    assert trial_table(empty)["val_loss"] is None
