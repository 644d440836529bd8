"""One trial of Optuna's as a trial of ours that was imported."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime

from optuna.trial import FrozenTrial
from optuna.trial import TrialState as TheirState

from tuner.core.space import label
from tuner.core.trial import Objective, Origin, Reading, TrialRecord, TrialState, WholeTrial

_STATES = {
    TheirState.COMPLETE: TrialState.FINISHED,
    TheirState.PRUNED: TrialState.STOPPED,
    TheirState.FAIL: TrialState.FAILED,
}


def whole(
    trial: FrozenTrial,
    metrics: Sequence[str],
    minimize: Sequence[bool],
    time: Callable[[datetime | None], str | None],
) -> WholeTrial:
    """A trial that is over, with a reading for each of its intermediate values, in the order of steps.

    Its value is what the objective returned, in a reading of its own unless it is the best of the others; of
    a pruned one it is the best intermediate value, as of a trial that was stopped here.

    Args:
        trial: Optuna's.
        metrics: what its values are called here.
        minimize: whether less of each is better.
        time: its times as we keep them.
    """
    objective = Objective(metrics[0], minimize[0])
    steps = sorted(trial.intermediate_values)
    curve = [
        Reading.of(epoch, {metrics[0]: trial.intermediate_values[step]})
        for epoch, step in enumerate(steps, start=1)
    ]
    best, state = objective.best(curve), _STATES[trial.state]
    values = trial.values if state is TrialState.FINISHED else None
    if values is not None and (best is None or len(metrics) > 1 or objective.of(best) != values[0]):
        best = Reading.of(len(curve) + 1, dict(zip(metrics, values, strict=True)))
        curve.append(best)
    rule = {TrialState.STOPPED: "pruned"}.get(state)
    reason = {TrialState.STOPPED: "pruned in Optuna", TrialState.FAILED: "failed in Optuna"}.get(state)
    record = TrialRecord(
        number=-1,
        params={name: label(value) for name, value in trial.params.items()},
        state=state,
        value=None if best is None or not math.isfinite(objective.of(best)) else objective.of(best),
        best=best,
        epochs=len(curve),
        rule=rule,
        reason=reason,
        seconds=0.0 if trial.duration is None else trial.duration.total_seconds(),
        started_at=time(trial.datetime_start),
        ended_at=time(trial.datetime_complete),
        origin=Origin.IMPORTED,
    )
    return record, curve
