"""Studies that run in several threads of one process: each ends as it does alone."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

import tuner

NETWORK = {"space": {"use": ["optimization", "regularization"]}}
SPACE = {"x": tuner.Float(low=0, high=1, default=0.5)}


def drawing(params: Mapping[str, Any], context: Any) -> Iterator[float]:
    """Draws from every global generator, and lets other threads come between."""
    for _ in range(4):
        parts = []
        for draw in (random.random, np.random.random, lambda: float(torch.rand(()))):
            parts.append(draw())
            time.sleep(0.001)
        yield sum(parts) + params["x"]


def function(name: str, seed: int) -> tuner.Study:
    return tuner.start(trainer=drawing, space=SPACE, name=name, trials=8, seed=seed)


def table(**trainer: Any) -> dict[str, Any]:
    return {
        "objective": {"metric": "val_loss", "direction": "minimize"},
        "data": {"source": "sklearn:wine"},
        "trainer": {"epochs": 4, "workers": 1, **trainer},
        "budget": {"trials": 8},
    }


def network(name: str, seed: int) -> tuner.Study:
    """Networks with dropout, which draw their masks from the global generator."""
    return tuner.start(table(use="torch", model="mlp", rows=1) | NETWORK, name=name, seed=seed)


def fused(name: str, seed: int) -> tuner.Study:
    return tuner.start(table(use="torch", model="mlp", rows=4) | NETWORK, name=name, seed=seed)


def estimator(name: str, seed: int) -> tuner.Study:
    space = {"alpha": {"type": "float", "low": 1e-6, "high": 1, "log": True, "default": 1e-4}}
    return tuner.start({**table(use="sklearn", model="mlp"), "space": space}, name=name, seed=seed)


def trained(study: tuner.Study) -> list[tuple[Any, ...]]:
    curves = study.readings()
    return [
        (r.number, dict(r.params), r.state, r.value, [(e.train_loss, e.val_loss) for e in curves[r.number]])
        for r in study.records
    ]


@pytest.mark.parametrize("run", [function, network, fused, estimator])
def test_two_studies_in_two_threads_end_as_each_does_alone(run: Callable[[str, int], tuner.Study]) -> None:
    alone = [trained(run(f"alone{seed}", seed)) for seed in (0, 1)]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(run, ("together0", "together1"), (0, 1)))
    assert [trained(study) for study in together] == alone
