from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tuner
from tests.findings.trained import RATE, said, study


def test_a_study_of_labels_that_follow_from_nothing_says_that_nothing_was_learned(tmp_path: Path) -> None:
    told = said(study(tmp_path, "nothing"))
    assert told["nothing_learned"].startswith("Nothing was learned: the best validation loss is 0.")
    assert "always predicting 'no' has 0.56" in told["nothing_learned"]
    assert "commonest_class" not in told, "one sentence is enough"


def test_a_regression_of_noise_says_so_too(tmp_path: Path) -> None:
    told = said(study(tmp_path, "numbers"))
    assert "always predicting the mean has" in told["nothing_learned"]


def test_a_study_that_learned_says_neither(tmp_path: Path) -> None:
    told = said(study(tmp_path, "all", **{"trainer.score": "f1", "trainer.epochs": 12}))
    assert not {"nothing_learned", "commonest_class"} & set(told)


FLAT = {"trainer.epochs": 6, "search.pruner": "none"}


def flat(params: Mapping[str, Any], context: Any) -> Iterator[dict[str, float]]:
    """A network whose rate is so small that its loss does not move."""
    w = 1.0
    for _ in range(context.epochs):
        w -= 1e-9 * params["learning_rate"] * w
        yield {"train_loss": w**2, "val_loss": w**2 + 0.1}


def test_a_trainer_of_ones_own_whose_losses_stay_where_they_started_is_told(tmp_path: Path) -> None:
    where = f"sqlite:///{tmp_path}/t.db"
    found = tuner.start(trainer=flat, space=RATE, trials=4, storage=where, settings=FLAT)
    assert "the loss ends where it started" in said(found)["nothing_learned"]
