"""Small studies that are really trained, and what is said of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import tuner

RATE = {"learning_rate": tuner.Float(low=3e-3, high=2e-2, log=True, default=1e-2)}


def rows(kind: str, count: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Inputs that tell of the target nothing, a little, or all."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(count, 3)).astype(np.float32)
    if kind == "nothing":
        return x, rng.permutation(np.repeat(["no", "yes"], [3 * count // 4, count - 3 * count // 4]))
    if kind == "a little":
        return x, np.where(rng.random(count) < 1 / (1 + np.exp(3.6 - 1.2 * x[:, 0])), "yes", "no")
    if kind == "numbers":
        return x, rng.normal(100, 10, count)
    return x, np.where(x[:, 0] + x[:, 1] > 1.5, "yes", "no")


def study(tmp_path: Path, kind: str, **settings: Any) -> tuner.Study:
    return tuner.start(
        name=kind,
        data=rows(kind, 6000 if kind == "a little" else 900),
        space=RATE,
        trials=4,
        storage=f"sqlite:///{tmp_path}/t.db",
        settings={
            "trainer.epochs": 6,
            "trainer.use": "torch",
            "trainer.model": "mlp",
            "trainer.workers": 1,
            "search.pruner": "none",
            "confirm.auto": False,
            **settings,
        },
    )


def said(found: tuner.Study) -> Mapping[str, str]:
    return {finding.name: finding.sentence for finding in found.findings()}
