"""The front of trials, record by record: the slow, obvious way to what `Frame.front` has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tuner.core.objectives import Objectives, layers
from tuner.core.trial import Origin, TrialRecord, TrialState


def front(objectives: Objectives, records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The trials of the best kind that no other one dominates, sorted by the first objective."""
    best = objectives.best_of(records)
    if best is None or len(objectives) == 1 or objectives.key(best)[0]:
        return [] if best is None else [best]
    kind = objectives.key(best)[:2]
    own = [r for r in records if r.value is not None and r.state is not TrialState.FAILED]
    own = [r for r in own if r.origin is not Origin.IMPORTED and objectives.key(r)[:2] == kind]
    rivals = sorted(own, key=objectives.key)
    if objectives.has_gap:
        equal: dict[tuple[float, ...] | None, TrialRecord] = {}
        for record in rivals:
            equal.setdefault(objectives.losses(record), record)
        rivals = list(equal.values())
    losses = np.array([objectives.losses(record) for record in rivals])
    return [record for record, layer in zip(rivals, layers(losses, 1), strict=True) if layer == 0]
