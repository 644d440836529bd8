"""Studies whose parts are the user's own: scores, losses, optimizers, schedules, samplers, ..."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tuner
from tuner import registry

OWN = """
import numpy as np
import torch
from optuna.pruners import MedianPruner
from optuna.samplers import RandomSampler
from beside import POWER
from tuner.plugins import Inline, score


@score("minimize")
def brier(y, output):
    return ((output - np.eye(output.shape[1])[y]) ** 2).sum(axis=1).mean()


def sharpness(y, output):
    return output.max(axis=1).mean()


def focal(outputs, targets):
    each = torch.nn.functional.cross_entropy(outputs, targets, reduction="none")
    return (1 - torch.exp(-each)) ** POWER * each


def root(progress, recipe):
    return 1 / np.sqrt(1 + 9 * progress)


class Signed(torch.optim.Optimizer):
    def __init__(self, params, lr, weight_decay=0.0):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})
        self.decay = weight_decay

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state.setdefault(p, {"steps": torch.zeros(())})
                state["steps"] += 1
                p.sub_(group["lr"] * (p.grad.sign() + self.decay * p))


class Median(MedianPruner):
    def __init__(self):
        super().__init__(n_startup_trials=2, n_warmup_steps=1)


class Remote:
    is_local = True

    def affinity(self, workers):
        return 5.0

    def start(self, setup):
        print("started by Remote")
        return Inline(setup.make, setup.job, setup.artifacts)
"""

STUDY: dict[str, Any] = {
    "name": "own",
    "data": {"source": "sklearn:iris"},
    "trainer": {"epochs": 3, "rows": 2, "workers": 1},
    "search": {"pruner": "none"},
    "budget": {"trials": 3},
    "space": {
        "use": ["optimization"],
        "fixed": {"width": 8, "depth": 1, "learning_rate": 0.01, "optimizer": "adam"},
    },
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "beside.py").write_text("POWER = 2\n")
    return tmp_path


def started(name: str, **settings: Any) -> tuner.Study:
    return tuner.start(
        STUDY, name=name, settings={k.replace("__", "."): v for k, v in settings.items()}, progress=False
    )


def how(study: tuner.Study) -> str:
    return next(note for note in study.notes if note.startswith("trains: "))


@pytest.mark.parametrize("model", ["mlp", "alone", "sklearn"])
def test_score_of_ones_own_is_measured_by_every_trainer_in_its_direction(project: Path, model: str) -> None:
    more: dict[str, Any] = {"trainer.rows": 1} if model == "alone" else {}
    if model == "sklearn":
        space = {"alpha": {"type": "float", "low": 1e-5, "high": 1.0, "default": 1e-3, "log": True}}
        more = {"trainer.use": "sklearn", "trainer.rows": 1, "space": space}
    more |= {"trainer.score": "./own.py:brier", "objective.metric": "val_score"}
    study = tuner.start(STUDY, name=model, settings=more, progress=False)
    values = [record.value for record in study.records]
    assert study.best.value == min(value for value in values if value is not None)
    assert study.spec.trainer.score_falls
    assert study.spec.primary_objective().minimize
    reading = study.best.reading
    assert reading is not None
    assert 0 < reading.val_score < 1
    expected = "fused" if model == "mlp" else "one trial at a time"
    assert expected in how(study)
    confirmed = tuner.confirm(model, top=1, repeats=3, progress=False)
    assert confirmed.score == "brier"
    assert confirmed.test is not None
    assert confirmed.test.score.low < confirmed.test.score.high


def test_score_without_a_direction_rises(project: Path) -> None:
    study = started("sharp", trainer__score="./own.py:sharpness", objective__metric="val_score")
    assert not study.spec.primary_objective().minimize


def test_loss_of_ones_own_trains_one_at_a_time_and_its_model_stands_alone(
    project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = started("focal", trainer__loss="./own.py:focal")
    assert "one trial at a time" in how(study)
    assert "own.py:focal is a function of your own" in how(study)
    plain = started("plain", trainer__rows=1)
    assert [r.value for r in study.records] != [r.value for r in plain.records]
    tuner.export("focal", project / "out")
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "out"
    (project / "out").rename(elsewhere)
    for name in ("own.py", "beside.py"):
        (project / name).unlink()
    monkeypatch.chdir(elsewhere)
    model = tuner.load_model(elsewhere)
    rows = np.array([[5.1, 3.5, 1.4, 0.2], [6.3, 2.9, 5.6, 1.8]])
    named = model.predict(rows)
    assert set(named) <= {"setosa", "versicolor", "virginica"}
    assert np.isfinite(model.losses(rows, named)).all()
    assert model.losses(rows, named).shape == (2,)


def test_optimizer_of_ones_own_trains_beside_the_shipped_ones_and_the_reason_is_told(project: Path) -> None:
    choices = ["adam", "./own.py:Signed", "torch.optim:RAdam"]
    optimizer = {"type": "choice", "choices": choices, "default": "adam", "try_first": choices[1:]}
    decay = {"type": "float", "low": 0.01, "high": 0.1, "default": 0.05}
    space = {"optimizer": optimizer, "weight_decay": decay, "fixed": {"width": 8, "depth": 1}}
    study = tuner.start(STUDY, name="signed", settings={"space": space}, progress=False)
    names = [str(record.params["optimizer"]) for record in study.records]
    assert names == ["adam", f"{project / 'own.py'}:Signed", "torch.optim:RAdam"]
    assert all(record.value is not None for record in study.records)
    assert len({record.value for record in study.records}) == 3
    assert "2 rows" in how(study)
    fixed = {"width": 8, "depth": 1, "optimizer": choices[1]}
    settings = {"space": {"weight_decay": decay, "fixed": fixed}}
    alone = tuner.start(STUDY, name="alone", settings=settings, progress=False)
    assert "own.py:Signed is your own" in how(alone)


def test_schedule_of_ones_own_is_fused(project: Path) -> None:
    fixed = {**STUDY["space"]["fixed"], "schedule": "./own.py:root"}
    beta = {"type": "float", "low": 0.8, "high": 0.99, "default": 0.9}
    study = started("root", space={"beta1": beta, "fixed": fixed})
    assert "fused" in how(study)
    rates = study.curves["learning_rate"]
    assert rates.max() < 0.01
    assert rates.min() > 0.01 / np.sqrt(10)


def test_sampler_pruner_and_executor_of_ones_own_run_a_study(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = started(
        "all",
        search__sampler="optuna.samplers:RandomSampler",
        search__pruner="./own.py:Median",
        search__startup_trials=2,
        trainer__executor="./own.py:Remote",
        trainer__epochs=6,
        budget__trials=8,
        space__fixed={"width": 8, "depth": 1, "optimizer": "adam"},
    )
    assert len(study.records) == 8
    assert "started by Remote" in capsys.readouterr().out
    assert any(r.rule == "pruner" and "not good enough for Median" in str(r.reason) for r in study.records)


def test_unknown_names_are_told_together_with_every_other_fault(project: Path) -> None:
    wrong = {
        "trainer": {"use": "troch", "executor": "inlien", "loss": "mze", "score": "acuracy", "epochs": 0},
        "search": {"sampler": "tpee", "pruner": "ahsa"},
    }
    with pytest.raises(tuner.SpecError) as raised:
        tuner.check({**STUDY, **wrong})
    text = str(raised.value)
    for near in ("torch", "inline", "mse", "accuracy", "tpe", "asha"):
        assert f"did you mean '{near}'?" in text
    assert "trainer.epochs" in text
    assert len(raised.value.faults) == 7


def test_stored_study_whose_plugin_is_gone_can_still_be_read(project: Path) -> None:
    started("gone", trainer__score="./own.py:brier", objective__metric="val_score")
    (project / "own.py").unlink()
    study = tuner.load("gone")
    assert study.spec.trainer.score_falls
    assert study.best.number in range(3)
    assert registry.unknown("own", "tuner.scores") is not None


@pytest.mark.parametrize(
    ("key", "reference", "words"),
    [
        ("trainer.score", "./own.py:briar", "own.py has no 'briar'"),
        ("trainer.loss", "./gone.py:loss", "gone.py: no such file"),
        ("trainer.executor", "./own.py:focal", "is no kind of executor: it has no is_local, affinity, start"),
        ("search.pruner", "./own.py:focal", "cannot be set up: TypeError: focal() missing 1 required"),
        ("search.sampler", "./own.py:focal", "cannot be set up: "),
        ("space.fixed.schedule", "./own.py:wave", "space.fixed.schedule: "),
    ],
)
def test_reference_that_leads_nowhere_or_to_something_else_is_one_clear_error(
    project: Path, key: str, reference: str, words: str
) -> None:
    study = {**STUDY, "space": {"beta1": {"type": "float", "low": 0.8, "high": 0.99, "default": 0.9}}}
    with pytest.raises(tuner.TunerError, match=re.escape(words)) as raised:
        tuner.check(study, settings={key: reference})
    assert len(str(raised.value).splitlines()) == 1
