from __future__ import annotations

from typing import Any

import pytest

from tuner.core.spec import StudySpec
from tuner.errors import SpecError

SPACE = {"lr": {"type": "float", "low": 0.1, "high": 1.0}}


def parsed(**data: Any) -> StudySpec:
    return StudySpec.parse({"data": {"source": "a.csv", **data}, "space": SPACE})


def test_what_is_said_of_columns_is_read_back_as_it_was() -> None:
    spec = parsed(
        missing=[-999, "k.A."],
        columns={"size": {"kind": "ordinal", "order": ["S", "M", 3]}, "price": {"decimal": ",", "fill": 0}},
    )
    assert StudySpec.parse(spec.to_table()) == spec
    assert spec.data is not None
    assert spec.data.columns["size"].order == ("S", "M", 3)


def test_columns_are_dropped_by_either_key() -> None:
    data = parsed(drop=["a"], columns={"b": {"kind": "drop"}, "c": {"kind": "text"}}).data
    assert data is not None
    assert data.dropped == {"a", "b"}


@pytest.mark.parametrize(
    ("column", "told"),
    [
        ({"kind": "numbre"}, "data.columns.a.kind: unknown name 'numbre'; known: "),
        ({"kind": "ordinal"}, "need each other"),
        ({"order": ["a", "b"]}, "need each other"),
        ({"kind": "ordinal", "order": ["a", "a"]}, "a value stands twice"),
        ({"decimal": ",", "thousands": ","}, "decimal and thousands are both ','"),
        ({"decimal": ";"}, "data.columns.a.decimal"),
        ({"knd": "number"}, "data.columns.a.knd: unknown key; known: date_format, decimal"),
        ({"date_format": "%d %Q"}, "date_format: 'Q' is a bad directive"),
        ({"date_format": "%d/%m/%"}, "date_format: "),
        ({"fill": "zero"}, "data.columns.a.fill"),
    ],
)
def test_what_cannot_be_is_refused(column: dict[str, Any], told: str) -> None:
    with pytest.raises(SpecError) as raised:
        parsed(columns={"a": column})
    assert told in str(raised.value)
