from __future__ import annotations

from typing import Any

import pytest

from tuner.core.changes import changes
from tuner.core.spec import StudySpec

TABLE: dict[str, Any] = {
    "data": {"source": "sklearn:digits"},
    "budget": {"trials": 10},
    "space": {
        "x": {"type": "float", "low": 0.0, "high": 1.0, "default": 0.5},
        "kind": {"type": "choice", "choices": ["a", "b"], "default": "a"},
    },
}


def spec(**sections: dict[str, Any]) -> StudySpec:
    return StudySpec.parse({**TABLE, **sections})


def test_a_spec_that_is_the_same_has_no_change() -> None:
    assert changes(spec(), StudySpec.parse(spec().to_table())) == []


@pytest.mark.parametrize(
    ("sections", "told", "is_refused"),
    [
        ({"budget": {"trials": 20}}, "budget.trials: 10 -> 20", False),
        ({"budget": {"trials": 10, "seconds": 5}}, "budget.seconds: (none) -> 5.0", False),
        ({"stop": {"patience": 3}}, "stop.patience: (none) -> 3", False),
        ({"search": {"sampler": "gp"}}, "search.sampler: tpe -> gp", False),
        ({"search": {"seed": 1}}, "search.seed: 0 -> 1", True),
        ({"data": {"source": "sklearn:wine"}}, "data.source: sklearn:digits -> sklearn:wine", True),
        ({"data": {"source": "sklearn:digits", "seed": 2}}, "data.seed: 0 -> 2", True),
        ({"objective": {"metric": "val_score"}}, "objective.metric: val_loss -> val_score", True),
        ({"trainer": {"loss": "mse"}}, "trainer.loss: (none) -> mse", True),
        ({"trainer": {"settings": {"a": 1}}}, "trainer.settings.a: (none) -> 1", False),
    ],
)
def test_a_key_that_differs_is_told(sections: dict[str, Any], told: str, is_refused: bool) -> None:
    [change] = changes(spec(), spec(**sections))
    assert str(change) == told
    assert (change.refusal is not None) is is_refused


@pytest.mark.parametrize(
    ("space", "told", "is_refused"),
    [
        ({"x": {**TABLE["space"]["x"], "high": 2.0}}, "space.x.high: 1.0 -> 2.0", False),
        (
            {"kind": {**TABLE["space"]["kind"], "choices": ["a"]}},
            'space.kind.choices: ["a", "b"] -> ["a"]',
            False,
        ),
        ({"fixed": {"x": 0.25}}, "space.fixed.x: (none) -> 0.25", False),
        (
            {"n": {"type": "int", "low": 0, "high": 3, "default": 1}},
            "space.n: (none) -> int low = 0, high = 3",
            False,
        ),
        ({"x": None}, "space.x: float low = 0.0, high = 1.0 -> (none)", True),
    ],
)
def test_a_space_may_be_changed_but_lose_no_parameter(
    space: dict[str, Any], told: str, is_refused: bool
) -> None:
    table = {k: v for k, v in {**TABLE["space"], **space}.items() if v is not None}
    [change] = changes(spec(), spec(space=table))
    assert str(change) == told
    assert (change.refusal is not None) is is_refused
