"""How a command ended, and a study that takes no time."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

TRAINER = """
import math

def train(params, context):
    for epoch in range(1, context.epochs + 1):
        loss = (params["x"] - 0.7) ** 2 + 0.5 / epoch
        yield {"train_loss": loss, "val_loss": loss + 0.1, "val_score": 1 - loss}

def trades(params, context):
    for epoch in range(1, context.epochs + 1):
        over = params["x"] * max(0, epoch - 4) / 10
        yield {"train_loss": 1 / epoch, "val_loss": 2 - params["x"] + 1 / epoch + over, "cost": params["x"]}

def fails(params, context):
    raise ValueError("boom in my own code")
    yield

def fails_once(params, context):
    if params["x"] != 0.2:
        raise ValueError("only the default works")
    yield from train(params, context)

def yields_nothing(params, context):
    return
    yield

def yields_nan(params, context):
    yield {"train_loss": math.nan, "val_loss": math.nan}

def slow(params, context):
    import time
    for reading in train(params, context):
        time.sleep(0.1)
        yield reading
"""
STUDY = """
description = "a parabola"
[trainer]
use = "./trainer.py:train"
epochs = 4
workers = 1
[budget]
trials = 6
[confirm]
auto = false
[space.x]
type = "float"
low = 0.0
high = 1.0
default = 0.2
doc = "where the parabola is looked at"
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out, parse_constant=_refuse)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


Tune = Callable[..., Ended]
