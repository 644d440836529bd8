from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tuner

SPACE = {
    "rate": tuner.Float(low=0.01, high=1.0, default=0.1, log=True),
    "kind": tuner.Choice(choices=["plain", "odd"]),
}


def train(params: dict[str, Any], context: Any) -> Any:
    for epoch in range(context.epochs):
        loss = (params["rate"] - 0.3) ** 2 + 1 / (epoch + 1)
        yield {"train_loss": loss, "val_loss": loss + 0.1, "trees": 3.0}


@pytest.fixture
def tracked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuner.Study]:
    """Runs a small study that is copied to a program, or goes on with it."""
    monkeypatch.chdir(tmp_path)

    def run(tracker: str, trials: int = 4, **options: Any) -> tuner.Study:
        settings = {
            "trainer.epochs": 9,
            "search.pruner": "asha",
            "tracking.use": [tracker],
            "tracking.options": {tracker: options},
        }
        return tuner.start(
            name="copied", trainer=train, space=SPACE, trials=trials, settings=settings, progress=False,
            exists="resume",
        )  # fmt: skip

    return run
