from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tuner.figures.difference import changes

leaves = st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab<", max_size=3)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
)
drawings = st.dictionaries(st.sampled_from(["data", "layout", "more"]), values, max_size=3)


def applied(old: Any, new: Any) -> Any:
    found = {"root": copy.deepcopy(old)}
    for path, kind, value in changes(old, new):
        place: Any = found
        for step in ("root", *path[:-1]) if path else ():
            place = place[step]
        last = path[-1] if path else "root"
        if kind == "delete":
            del place[last]
        elif kind == "extend":
            place[last].extend(value)
        else:
            place[last] = value
    return found["root"]


@given(drawings, drawings)
def test_changes_turn_the_old_into_the_new(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert applied(old, new) == new
    assert json.dumps(applied(old, new)) is not None


@given(drawings)
def test_nothing_changes_between_equals(drawing: dict[str, Any]) -> None:
    assert list(changes(drawing, copy.deepcopy(drawing))) == []


def test_a_list_that_grew_is_extended_by_its_end_only() -> None:
    old = {"data": [{"x": list(range(1000)), "y": list(range(1000))}], "layout": {"uirevision": "1"}}
    new = {"data": [{"x": list(range(1001)), "y": list(range(1001))}], "layout": {"uirevision": "1"}}
    assert list(changes(old, new)) == [
        (("data", 0, "x"), "extend", [1000]),
        (("data", 0, "y"), "extend", [1000]),
    ]
