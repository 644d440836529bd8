from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tuner
from tuner.errors import TrialError
from tuner.trainers import load_members
from tuner.trainers.averaged import AveragedModel

FOLDED: dict[str, Any] = {
    "trainer": {"model": "mlp", "epochs": 3},
    "data": {"folds": 3, "source": "table.csv", "target": "y"},
    "space": {"use": ["optimization"]},
    "budget": {"trials": 2},
}


def folded(tmp_path: Path, target: Any, **settings: Any) -> tuple[pd.DataFrame, AveragedModel, Any]:
    """A study of three folds; its rows, the best trial's model and the models of the members."""
    rng = np.random.default_rng(0)
    x = pd.DataFrame({"a": rng.normal(size=120), "b": rng.choice(["u", "v", "w"], 120)})
    x.assign(y=target(x.a + 0.3 * rng.normal(size=120))).to_csv(tmp_path / "table.csv", index=False)
    study = tuner.start(FOLDED, name="folded", settings=settings)
    model: Any = tuner.load_model(study.best.folder)
    assert isinstance(model, AveragedModel)
    return x, model, load_members(study.best.folder)


def test_classes_are_predicted_by_the_mean_of_the_members_probabilities(tmp_path: Path) -> None:
    x, model, members = folded(tmp_path, lambda a: np.where(a > 0, "yes", "no"))
    each = [member.probabilities(x) for member in members]
    assert len(each) == 3
    assert not np.allclose(each[0], each[1])
    np.testing.assert_allclose(model.probabilities(x), np.mean(each, axis=0), rtol=1e-6)
    classes = np.array(model.description["context"]["classes"])
    assert (model.predict(x) == classes[np.mean(each, axis=0).argmax(axis=1)]).all()
    truth = model.predict(x)
    np.testing.assert_allclose(model.losses(x, truth), -np.log(model.probabilities(x).max(axis=1)), rtol=1e-5)
    np.testing.assert_allclose(  # Of one member's probabilities it is that member's loss.
        members[1].losses_of(each[1], truth), members[1].losses(x, truth), rtol=1e-4, atol=1e-6
    )
    assert model.size_bytes == sum(member.size_bytes for member in members)
    assert len(model.module) == model.description["members"] == 3


def test_numbers_are_the_mean_of_the_members_in_the_targets_own_units(tmp_path: Path) -> None:
    x, model, members = folded(tmp_path, lambda a: 1000 + 50 * a)
    np.testing.assert_allclose(model.predict(x), np.mean([member.predict(x) for member in members], axis=0))
    truth = np.full(len(x), 1000.0)
    scale = members[0].description["target"]["scale"]
    np.testing.assert_allclose(model.losses(x, truth), ((model.predict(x) - truth) / scale) ** 2, rtol=1e-4)
    with pytest.raises(TrialError, match="no probabilities"):
        model.probabilities(x)


def test_the_threshold_is_the_mean_of_the_members_thresholds(tmp_path: Path) -> None:
    settings = {"trainer.threshold": "auto", "trainer.score": "f1"}
    x, model, members = folded(tmp_path, lambda a: np.where(a > 1, "yes", "no"), **settings)
    at = [member.description["threshold"]["at"] for member in members]
    assert len(set(at)) > 1
    assert model.description["threshold"]["at"] == pytest.approx(np.mean(at))
    positive = model.probabilities(x)[:, list(model.description["context"]["classes"]).index("yes")]
    assert ((model.predict(x) == "yes") == (positive >= np.mean(at))).all()


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
@pytest.mark.parametrize("classes", [2, 3])
def test_losses_of_probabilities_are_those_of_the_outputs(loss: str, classes: int) -> None:
    import torch

    from tuner.core.dataset import Task
    from tuner.trainers.torch.losses import build

    its = build(loss, classes, Task.CLASSIFICATION)
    outputs = torch.randn(9, its.outputs, generator=torch.Generator().manual_seed(0)).sigmoid()
    shares = its.probabilities(outputs)
    torch.testing.assert_close(its.probabilities(its.logits(shares)), shares)


def test_estimators_without_probabilities_vote(tmp_path: Path) -> None:
    settings = {
        "trainer.use": "sklearn",
        "trainer.model": "sklearn.linear_model:RidgeClassifier",
        "space": {"alpha": {"type": "float", "low": 0.1, "high": 10.0, "log": True, "default": 1.0}},
    }
    x, model, members = folded(tmp_path, lambda a: np.where(a > 0, "yes", "no"), **settings)
    told = np.stack([member.predict(x) for member in members])
    assert (model.predict(x) == np.where((told == "yes").sum(axis=0) >= 2, "yes", "no")).all()


def test_what_is_new_to_all_members_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    x, model, _ = folded(tmp_path, lambda a: np.where(a > 0, "yes", "no"))
    caplog.clear()
    model.predict(x.assign(b="never seen"))
    assert len([record for record in caplog.records if "column 'b'" in record.getMessage()]) == 1


def test_estimators_of_several_labels_without_probabilities_vote(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = pd.DataFrame({"a": rng.normal(size=120), "b": rng.normal(size=120)})
    x.assign(p=x.a > 0, q=x.b > 0.3).to_csv(tmp_path / "table.csv", index=False)
    study = tuner.start(
        {
            "data": {"source": "table.csv", "target": ["p", "q"], "folds": 3},
            "trainer": {"use": "sklearn", "model": "sklearn.linear_model:RidgeClassifier"},
            "space": {"alpha": {"type": "float", "low": 0.1, "high": 10.0, "log": True, "default": 1.0}},
        },
        name="labels",
        trials=1,
    )
    told = np.stack([member.predict(x) for member in load_members(study.best.folder)])
    found = tuner.load_model(study.best.folder).predict(x)
    assert found.shape == (120, 2)
    for label, yes in enumerate(sorted(set(told[..., 0].ravel()))[-1:] * 2):
        assert ((found[:, label] == yes) == ((told[..., label] == yes).sum(axis=0) >= 2)).all()
