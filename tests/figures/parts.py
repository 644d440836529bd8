"""Small studies as frames, made by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tuner.core.objectives import Objectives
from tuner.core.space import Choice, Float, Int, SearchSpace
from tuner.core.trial import Objective, Params, Reading, TrialRecord, TrialState
from tuner.figures import Frame

HOSTILE = "<script>alert('&')</script>%{evil}"
"""What no text of a figure may be read as."""


def space() -> SearchSpace:
    """A number on a logarithmic scale, a few whole numbers, choices, and a conditional number."""
    return SearchSpace.compose(
        {
            "rate": Float(low=1e-4, high=1.0, default=0.01, log=True),
            "layers": Int(low=1, high=3, default=2),
            "optimizer": Choice(choices=("sgd", "adam", HOSTILE), default="sgd"),
            "momentum": Float(low=0.0, high=0.9, default=0.5, when={"optimizer": ("sgd",)}),
        }
    )


def curve(train: Sequence[float], val: Sequence[float], seconds: float = 1.0) -> list[Reading]:
    """Readings of these losses, with scores of one minus them."""
    return [
        Reading(i + 1, t, v, 1 - t, 1 - v, learning_rate=0.1, grad_norm=1.0, seconds=seconds)
        for i, (t, v) in enumerate(zip(train, val, strict=True))
    ]


def record(number: int, readings: Sequence[Reading] = (), **facts: Any) -> TrialRecord:
    """A trial with this curve, finished where nothing else is said."""
    best = Objective().best(list(readings))
    given: dict[str, Any] = {
        "params": params(number),
        "state": TrialState.FINISHED,
        "conclusive": facts.get("state", TrialState.FINISHED) is TrialState.FINISHED,
        "value": best.val_loss if best else None,
        "best": best,
        "epochs": len(readings),
        "seconds": sum(reading.seconds for reading in readings),
    }
    return TrialRecord(number=number, **{**given, **facts})


def params(number: int) -> Params:
    """Some configuration of `space`, another for every number."""
    optimizer = ("sgd", "adam", HOSTILE)[number % 3]
    found: dict[str, Any] = {
        "rate": 10.0 ** -(number % 5),
        "layers": 1 + number % 3,
        "optimizer": optimizer,
    }
    return found | ({"momentum": 0.1 * (number % 9)} if optimizer == "sgd" else {})


def frame(
    curves: Mapping[int, Sequence[Reading]],
    facts: Mapping[int, Mapping[str, Any]] | None = None,
    objective: Objective | Objectives | None = None,
    name: str = "study",
) -> Frame:
    """A study of these curves; `facts` say what is special about a trial."""
    facts = facts or {}
    numbers = sorted({*curves, *facts})
    records = [record(number, curves.get(number, ()), **facts.get(number, {})) for number in numbers]
    return Frame.of(records, curves, space(), objective or Objective(), name)


def losses(*values: float) -> dict[int, list[Reading]]:
    """One trial of a single epoch for each validation loss."""
    return {number: curve([value / 2], [value]) for number, value in enumerate(values)}
