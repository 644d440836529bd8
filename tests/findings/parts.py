"""Small studies made by hand: what findings look at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tuner.core.baseline import Baseline
from tuner.core.frame import Frame
from tuner.core.importances import Importances
from tuner.core.objectives import Objectives
from tuner.core.space import Choice, Float, Int, Parameter, SearchSpace
from tuner.core.trial import Objective, Reading, TrialRecord, TrialState
from tuner.findings import Evidence

LOSS = Objective("val_loss", True)
SCORE = Objective("val_score", False)
RATE = Float(low=1e-4, high=1e-1, log=True, default=1e-2)
DROPOUT = Float(low=0.0, high=0.5, default=0.0)
LAYERS = Int(low=1, high=4, default=2)
OPTIMIZER = Choice(choices=("adam", "sgd"), default="adam")


def space_of(**parameters: Parameter) -> SearchSpace:
    return SearchSpace.compose(parameters)


def readings(
    val: Iterable[float], train: Iterable[float] | None = None, score: Iterable[float] | None = None
) -> list[Reading]:
    val = list(val)
    train = [v - 0.01 for v in val] if train is None else list(train)
    scores = [1 - v for v in val] if score is None else list(score)
    return [
        Reading(epoch, t, v, val_score=s)
        for epoch, (t, v, s) in enumerate(zip(train, val, scores, strict=True), 1)
    ]


def trial(number: int, params: Mapping[str, Any], curve: Sequence[Reading], **changes: Any) -> TrialRecord:
    """A trial that finished with this curve, but for what is changed."""
    best = LOSS.best(curve)
    record = TrialRecord(
        number,
        params,
        TrialState.FINISHED,
        value=best.val_loss if best else None,
        best=best,
        epochs=len(curve),
        conclusive=True,
    )
    return replace(record, **changes)


def cut(record: TrialRecord) -> TrialRecord:
    """The same trial, stopped before its worth was known."""
    return replace(record, state=TrialState.STOPPED, conclusive=False, rule="pruner")


def diverged(number: int, params: Mapping[str, Any]) -> TrialRecord:
    return TrialRecord(number, params, TrialState.STOPPED, epochs=1, rule="divergence")


def failed(number: int, params: Mapping[str, Any]) -> TrialRecord:
    return TrialRecord(number, params, TrialState.FAILED, reason="ValueError: boom")


def falling(final: float, epochs: int = 20, start: float = 2.0, done: float = 0.15) -> np.ndarray[Any, Any]:
    """A curve that comes down to `final` within `done` of its epochs, more or less, and stays there."""
    t = np.arange(epochs) / epochs
    curve: np.ndarray[Any, Any] = final + (start - final) * np.exp(-t / done * 3)
    curve[-1] = final
    return curve


def study(
    space: SearchSpace,
    params: Sequence[Mapping[str, Any]],
    curve: Callable[[Mapping[str, Any]], Sequence[Reading]],
    *,
    change: Callable[[TrialRecord], TrialRecord] = lambda record: record,
    objective: Objective | Objectives = LOSS,
    importances: Mapping[str, Importances] | None = None,
) -> Evidence:
    """A study whose trials' curves follow from their parameters."""
    curves = {number: curve(each) for number, each in enumerate(params)}
    records = [change(trial(number, each, curves[number])) for number, each in enumerate(params)]
    return evidence(records, curves, space, objective, importances)


def evidence(
    records: Sequence[TrialRecord],
    curves: Mapping[int, Sequence[Reading]],
    space: SearchSpace,
    objective: Objective | Objectives = LOSS,
    importances: Mapping[str, Importances] | None = None,
    baseline: Baseline | None = None,
    **more: Any,
) -> Evidence:
    longest = max((len(curve) for curve in curves.values()), default=1)
    frame = replace(Frame.of(records, curves, space, objective), importances=importances or {})
    bare = Evidence(frame, longest, baseline=baseline, **more)
    numbers = frame.trials.number
    its = {row: curves.get(int(numbers[row]), ()) for row in bare.leaders.tolist()}
    return replace(bare, ends={row: (curve[0], curve[-1]) for row, curve in its.items() if curve})


def rates(count: int, seed: int = 0, low: float = 1e-4, high: float = 1e-1) -> list[float]:
    drawn = np.random.default_rng(seed).uniform(np.log(low), np.log(high), count)
    return [float(rate) for rate in np.exp(drawn)]
