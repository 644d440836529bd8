"""What the process of the baselines runs: it trains them, and answers for rows that it is given.

Started by `api.baseline_run` over two file descriptors, of a low priority, so that the trials have the
processor. It writes nothing and prints nothing, and ends with its parent, whatever it is busy with.
"""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

import cloudpickle
import numpy as np

from tuner.child_process import end_with_parent
from tuner.core.dataset import Dataset
from tuner.trainers import baselines
from tuner.trainers.baseline import blank
from tuner.trainers.baseline_messages import Fitted, Order, Trained, Unlocked
from tuner.trainers.sklearn.model import SklearnModel

NICENESS = 10
"""Beside trials that need the whole processor it gets a tenth of a core."""


def serve(wire: int, payload: int) -> None:
    """Do what is ordered, one order after the other, until the parent's end of the wire is gone.

    Args:
        wire: file descriptor of the connection to the parent.
        payload: file descriptor of the file of pickled orders.
    """
    os.nice(NICENESS)
    end_with_parent(wire)
    line, models = Connection(wire), SearchModels()
    try:
        while True:
            order = _received(line, payload)
            if order.repeats:
                _confirm(line, order, models)
            else:
                _search(line, order, models)
    except (EOFError, ConnectionError):
        return


def _received(line: Connection, payload: int) -> Order:
    """The next order; the parent says where in the file it stands."""
    start, end = line.recv()
    with mmap.mmap(payload, 0, access=mmap.ACCESS_READ) as memory, memoryview(memory)[start:end] as text:
        order: Order = cloudpickle.loads(text)
        return order


@dataclass
class SearchModels:
    """What was trained for a search: a confirmation may want the same once more.

    Attributes:
        data: what it was trained on; None where there was no search, or one of folds.
        models: by kind.
    """

    data: Dataset | None = None
    models: dict[str, SklearnModel] = field(default_factory=dict)

    def of(self, kind: str, data: Dataset) -> SklearnModel | None:
        """The model of a kind, if it was trained on these rows."""
        known = self.data
        if known is None or not np.array_equal(known.train.y, data.train.y):
            return None
        return self.models.get(kind) if np.array_equal(known.train.x, data.train.x) else None


def _search(line: Connection, order: Order, known: SearchModels) -> None:
    """Train and judge, telling each baseline as it is done."""
    spec, data = order.job.spec, list(baselines.splits(order.job, 0))
    known.data, known.models = data[0] if len(data) == 1 else None, {}
    for kind in order.kinds:
        models, why = baselines.attempt(kind, spec, data)
        if why is None:
            known.models[kind] = models[0]
            line.send(baselines.judged(kind, spec, list(zip(models, data, strict=True))))
        else:
            line.send(blank(kind, spec, data[0], why))


def _confirm(line: Connection, order: Order, known: SearchModels) -> None:
    """Train on the rows of the repeats; then answer once for unlocked rows."""
    spec, own = order.job.spec, order.job.data
    if own is None:
        return
    once = {kind for kind in order.kinds if order.repeats > 1 and not baselines.is_quick(kind, own)}
    trained: dict[str, list[SklearnModel]] = {kind: [] for kind in order.kinds}
    reasons: dict[str, str] = {}
    for kind in once:
        model = known.of(kind, own)
        trained[kind], why = ([model], None) if model else baselines.attempt(kind, spec, [own])
        reasons |= {kind: why} if why is not None else {}
    for data in baselines.splits(order.job, order.repeats):
        for kind in order.kinds:
            if kind not in once and kind not in reasons:
                models, why = baselines.attempt(kind, spec, [data])
                trained[kind] += models
                reasons |= {kind: why} if why is not None else {}
    line.send(Fitted())
    rows: Unlocked = line.recv()
    for kind in order.kinds:
        models = trained[kind] if kind not in reasons else []
        told = tuple(baselines.answers(model, spec, rows.x, rows.y) for model in models)
        line.send(Trained(blank(kind, spec, own, reasons.get(kind)), told))
