"""What is said of studies that learned nothing, or nothing but the commonest class; real trainings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tuner
from tuner.core.baseline import Baseline

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


def test_a_study_of_labels_that_follow_from_nothing_says_that_nothing_was_learned(tmp_path: Path) -> None:
    told = said(study(tmp_path, "nothing"))
    assert told["nothing_learned"].startswith("Nothing was learned: the best validation loss is 0.")
    assert "always predicting 'no' has 0.56" in told["nothing_learned"]
    assert "commonest_class" not in told, "one sentence is enough"


def test_a_regression_of_noise_says_so_too(tmp_path: Path) -> None:
    told = said(study(tmp_path, "numbers"))
    assert "always predicting the mean has" in told["nothing_learned"]


def test_a_study_of_a_rare_class_says_that_always_naming_the_other_is_as_good(tmp_path: Path) -> None:
    found = study(tmp_path, "a little")
    base = Baseline.of(found.summary.facts)
    assert base is not None
    assert base.says == "'no'"
    assert base.val_score > 0.93
    told = said(found)
    assert "nothing_learned" not in told
    expected = f"Always predicting 'no' is as good: it has an accuracy of {base.val_score:.2%}"
    assert told["commonest_class"].startswith(expected)


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


def test_the_score_of_two_classes_is_the_rarer_ones_or_that_which_is_named(tmp_path: Path) -> None:
    found = study(tmp_path, "all", **{"trainer.score": "f1"})
    assert (
        "The f1 is that of the class 'yes', the rarer one; [data] positive names another."
        in (found.summary.facts["notes"])
    )
    named = study(tmp_path, "all", **{"trainer.score": "f1", "data.positive": "no", "name": "named"})
    assert "The f1 is that of the class 'no', as the study says." in named.summary.facts["notes"]
    assert named.best.reading != found.best.reading
    with pytest.raises(tuner.DataError, match="'maybe' is not one of two classes; the classes are no, yes"):
        study(tmp_path, "all", **{"data.positive": "maybe", "name": "other"})
