"""A study with every kind of parameter, and a fresh database for each test."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tuner.core.spec import StudySpec
from tuner.core.trial import Reading, Trial, TrialRecord, TrialState
from tuner.store import Database, StudyStore

SPACE: dict[str, Any] = {
    "learning_rate": {"type": "float", "low": 1e-5, "high": 1.0, "default": 0.01, "log": True},
    "dropout": {"type": "float", "low": 0.0, "high": 0.55, "default": 0.1, "step": 0.1},
    "l2": {"type": "float", "low": 0.0, "high": 1.0, "default": 0.0},
    "batch_size": {"type": "int", "low": 16, "high": 512, "default": 32, "log": True},
    "depth": {"type": "int", "low": 1, "high": 8, "default": 1, "step": 2},
    "optimizer": {"type": "choice", "choices": ["sgd", "momentum", "adam"], "default": "sgd"},
    "momentum": {
        "type": "float",
        "low": 0.0,
        "high": 0.99,
        "default": 0.9,
        "when": {"optimizer": "momentum"},
    },
    "norm": {"type": "choice", "choices": [True, False, 1, 0.5, "layer"], "default": False},
}


@pytest.fixture(scope="session")
def spec() -> StudySpec:
    """A study over float, int and choice parameters, conditional and fixed ones."""
    space = {**SPACE, "fixed": {"activation": "relu"}}
    return StudySpec.parse({"name": "nets", "description": "a line", "space": space})


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database, created once."""
    path = tmp_path_factory.mktemp("template") / "tuner.db"
    Database.open(str(path), create=True).close()
    return path


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of database; what is only about SQLite's files says so."""
    return str(request.param)


@pytest.fixture
def url(kind: str, template: Path, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """The URL of an empty database of the test's own."""
    if kind == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    path = tmp_path / "tuner.db"
    shutil.copyfile(template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with Database.open(url) as opened:
        yield opened


@pytest.fixture
def store(database: Database, spec: StudySpec) -> Iterator[StudyStore]:
    """The study `nets`, created and driven."""
    created = database.create_study("nets", spec, {"device": "cpu"})
    yield created
    created.close()


@pytest.fixture(scope="session")
def trial(spec: StudySpec) -> Callable[..., Trial]:
    """Builds a trial: `trial(number, **params)`, the rest at its default."""

    def build(number: int, **params: Any) -> Trial:
        return Trial(number, spec.search_space().defaults(params), 0)

    return build


@pytest.fixture(scope="session")
def reading() -> Callable[..., Reading]:
    """Builds a reading: `reading(epoch, val_loss)`, all numbers measured."""

    def build(epoch: int, val_loss: float = 0.5, **numbers: Any) -> Reading:
        measured = {
            "train_loss": 0.25, "train_score": 0.9, "val_score": 0.8, "learning_rate": 0.01,
            "grad_norm": 1.5, "seconds": 0.125,
        }  # fmt: skip
        return Reading(epoch, val_loss=val_loss, **{**measured, **numbers})

    return build


@pytest.fixture(scope="session")
def ended() -> Callable[..., TrialRecord]:
    """Builds the record of a trial that is over: `ended(trial, curve, state, ...)`."""

    def build(
        trial: Trial, curve: list[Reading], state: TrialState = TrialState.FINISHED, **rest: Any
    ) -> TrialRecord:
        finite = [r for r in curve if math.isfinite(r.val_loss)]
        best = min(finite, key=lambda r: r.val_loss, default=None)
        known = {
            "value": best.val_loss if best is not None else None,
            "best": best,
            "epochs": len(curve),
            "conclusive": state is TrialState.FINISHED,
            "seconds": 1.5,
        }
        return TrialRecord(trial.number, trial.params, state, **{**known, **rest})

    return build
