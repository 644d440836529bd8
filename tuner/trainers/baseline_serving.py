"""What the process of the baselines runs: it trains them, then answers for rows that it is given.

Started by `api.beside` over two file descriptors, of a low priority, so that the trials have the
processor. It writes nothing and prints nothing, and ends with its parent, whatever it is busy with.
"""

from __future__ import annotations

import mmap
import os
import select
import threading
from multiprocessing.connection import Connection

import cloudpickle

from tuner.trainers import baselines
from tuner.trainers.baseline_messages import Fitted, Order, Trained, Unlocked
from tuner.trainers.sklearn.model import SklearnModel

NICENESS = 10
"""Beside trials that need the whole processor it gets a tenth of a core."""


def serve(wire: int, payload: int) -> None:
    """Train what is ordered, telling each baseline as it is done; then answer once for unlocked rows.

    Args:
        wire: file descriptor of the connection to the parent.
        payload: file descriptor of the pickled `Order`.
    """
    os.nice(NICENESS)
    threading.Thread(target=_outlive, args=(wire,), daemon=True).start()
    line = Connection(wire)
    try:
        with mmap.mmap(payload, 0, access=mmap.ACCESS_READ) as memory:
            order: Order = cloudpickle.loads(memory)
        if order.repeats:
            _confirm(line, order)
        else:
            _search(line, order)
    except (EOFError, ConnectionError):
        return


def _search(line: Connection, order: Order) -> None:
    spec, data = order.job.spec, list(baselines.splits(order.job, 0))
    for kind in order.kinds:
        models, why = baselines.attempt(kind, spec, data)
        if why is None:
            line.send(baselines.judged(kind, spec, list(zip(models, data, strict=True))))
        else:
            line.send(baselines.blank(kind, spec, data[0], why))


def _confirm(line: Connection, order: Order) -> None:
    spec, known = order.job.spec, order.job.data
    if known is None:
        return
    trained: dict[str, list[SklearnModel]] = {kind: [] for kind in order.kinds}
    reasons: dict[str, str] = {}
    count = {kind: baselines.trainings(kind, known, order.repeats) for kind in order.kinds}
    for repeat, data in enumerate(baselines.splits(order.job, order.repeats)):
        for kind in order.kinds:
            if repeat < count[kind] and kind not in reasons:
                models, why = baselines.attempt(kind, spec, [data])
                trained[kind] += models
                reasons |= {kind: why} if why is not None else {}
    line.send(Fitted())
    rows: Unlocked = line.recv()
    for kind in order.kinds:
        models = trained[kind] if kind not in reasons else []
        told = tuple(baselines.answers(model, spec, rows.x, rows.y) for model in models)
        line.send(Trained(baselines.blank(kind, spec, known, reasons.get(kind)), told))


def _outlive(wire: int) -> None:
    """End this process as soon as its parent's end of the wire is gone."""
    poller = select.poll()
    poller.register(wire, 0)
    poller.poll()
    os._exit(1)
