"""Studies made of numbers that nobody trained, written straight into the store's tables.

For tests and benchmarks that need thousands of trials at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import create_engine, func, insert, select

from tuner.core.budget import StudyState
from tuner.core.space import Choice, Float, SearchSpace
from tuner.core.spec import StudySpec
from tuner.store import Database
from tuner.store.curves import packed
from tuner.store.encoding import Encoder
from tuner.store.schema import (
    studies,
    trial_intermediate_values,
    trial_params,
    trial_values,
    trials,
    tuner_curves,
    tuner_epochs,
    tuner_trials,
)

SPACE: dict[str, Any] = {
    "learning_rate": {"type": "float", "low": 1e-5, "high": 1.0, "default": 0.01, "log": True},
    "dropout": {"type": "float", "low": 0.0, "high": 0.6, "default": 0.0},
    "weight_decay": {"type": "float", "low": 1e-6, "high": 0.1, "default": 1e-5, "log": True},
    "batch_size": {"type": "int", "low": 16, "high": 512, "default": 32, "log": True},
    "width": {"type": "int", "low": 8, "high": 256, "default": 64, "log": True},
    "depth": {"type": "int", "low": 1, "high": 6, "default": 2},
    "optimizer": {"type": "choice", "choices": ["sgd", "momentum", "adam"], "default": "adam"},
    "momentum": {
        "type": "float", "low": 0.0, "high": 0.99, "default": 0.9, "when": {"optimizer": ["momentum"]},
    },
    "activation": {
        "type": "choice", "choices": ["relu", "tanh", "<script>alert(1)</script>"], "default": "relu",
    },
    "label_smoothing": {"type": "float", "low": 0.0, "high": 0.2, "default": 0.0},
}  # fmt: skip
START = datetime(2026, 11, 1, 8, tzinfo=UTC)
REASONS = {"stopped": "not among the best third", "failed": "ValueError: boom <b>bold</b>"}
TRACEBACK = "Traceback ...\n<img src=x onerror=alert(1)>\nValueError: boom"
_CHUNK = 500


def spec(name: str, amount: int, epochs: int) -> StudySpec:
    """A study over `SPACE`."""
    table = {
        "name": name,
        "description": "made, not trained",
        "trainer": {"epochs": epochs},
        "budget": {"trials": amount},
        "space": SPACE,
    }
    return StudySpec.parse(table)


def make_study(path: Path, name: str = "made", amount: int = 200, epochs: int = 10, seed: int = 0) -> str:
    """Write a finished study into an SQLite file, a new one or one that is there.

    Args:
        path: the file.
        name: the study's name.
        amount: how many trials.
        epochs: how many epochs each trial that nothing stops has.
        seed: of the numbers.

    Returns:
        The database's URL.
    """
    url = f"sqlite:///{path}"
    made = spec(name, amount, epochs)
    with Database.open(url, create=True) as database:
        database.create_study(name, made, {}).finish(
            StudyState.FINISHED, f"the budget of {amount} trials is used up", amount * 1.5
        )
    engine = create_engine(url)
    random = np.random.default_rng(seed)
    space = made.search_space()
    encoder = Encoder(space)
    with engine.begin() as connection:
        study_id = connection.execute(select(func.max(studies.c.study_id))).scalar_one()
        first = (connection.scalar(select(func.max(trials.c.trial_id))) or 0) + 1
        for start in range(0, amount, _CHUNK):
            numbers = range(start, min(start + _CHUNK, amount))
            for table, rows in _rows(random, space, encoder, study_id, first, numbers, epochs).items():
                connection.execute(insert(table), rows)
            ids = [first + number for number in numbers]
            over = [{"trial_id": i, "readings": its} for i, its in packed(connection, ids)]
            connection.execute(insert(tuner_curves), over)
    engine.dispose()
    return url


def _rows(
    random: np.random.Generator,
    space: SearchSpace,
    encoder: Encoder,
    study_id: int,
    first: int,
    numbers: range,
    epochs: int,
) -> dict[Any, list[dict[str, Any]]]:
    rows: dict[Any, list[dict[str, Any]]] = {
        table: []
        for table in (
            trials,
            tuner_trials,
            trial_params,
            trial_values,
            tuner_epochs,
            trial_intermediate_values,
        )
    }
    for number in numbers:
        params = space.defaults({}) if number == 0 else _params(random, space)
        curve = list(_curve(random, params, epochs))
        fate = random.random()
        state = "failed" if fate < 0.03 and number else "stopped" if fate < 0.3 and number else "finished"
        best = min(curve, key=lambda reading: reading["val_loss"])
        began = START + timedelta(seconds=number * 1.5)
        ended = began + timedelta(seconds=6)
        trial_id = first + number
        optuna_state = {"failed": "FAIL", "stopped": "PRUNED", "finished": "COMPLETE"}[state]
        rows[trials].append(
            {
                "trial_id": trial_id, "number": number, "study_id": study_id, "state": optuna_state,
                "datetime_start": began.replace(tzinfo=None), "datetime_complete": ended.replace(tzinfo=None),
            }
        )  # fmt: skip
        rows[tuner_trials].append(
            {
                "trial_id": trial_id, "study_id": study_id, "number": number, "params": json.dumps(params),
                "state": state, "value": best["val_loss"], "best_epoch": best["epoch"], "epochs": len(curve),
                "conclusive": state == "finished", "rule": "pruner" if state == "stopped" else None,
                "reason": REASONS.get(state),
                "traceback": TRACEBACK if state == "failed" else None,
                "seconds": 6.0, "interruptions": int(number % 50 == 7),
                "started_at": began.isoformat(timespec="milliseconds"),
                "ended_at": ended.isoformat(timespec="milliseconds"),
            }
        )  # fmt: skip
        rows[trial_params] += [
            {"trial_id": trial_id, "param_name": name, "param_value": value, "distribution_json": text}
            for name, value, text in encoder.encode(params)
        ]
        if state != "failed":
            rows[trial_values].append(
                {"trial_id": trial_id, "objective": 0, "value": best["val_loss"], "value_type": "FINITE"}
            )
        rows[tuner_epochs] += [{"trial_id": trial_id, **reading} for reading in curve]
        rows[trial_intermediate_values] += [
            {
                "trial_id": trial_id, "step": reading["epoch"], "intermediate_value": reading["val_loss"],
                "intermediate_value_type": "FINITE",
            }
            for reading in curve
        ]  # fmt: skip
    return {table: each for table, each in rows.items() if each}


def _params(random: np.random.Generator, space: SearchSpace) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for name, parameter in space:
        if not parameter.active_under(params):
            continue
        if isinstance(parameter, Choice):
            params[name] = parameter.choices[int(random.integers(len(parameter.choices)))]
            continue
        share = random.random()
        if parameter.log:
            value = parameter.low * (parameter.high / parameter.low) ** share
        else:
            value = parameter.low + (parameter.high - parameter.low) * share
        params[name] = float(value) if isinstance(parameter, Float) else round(value)
    return params


def _curve(random: np.random.Generator, params: dict[str, Any], epochs: int) -> Iterator[dict[str, Any]]:
    rate = np.log10(params["learning_rate"])
    floor = 0.05 + 0.02 * (rate + 2) ** 2 + 0.05 * params["dropout"]
    spread = 0.4 * (0.6 - params["dropout"]) * (params["width"] / 256)
    noise = random.normal(size=(epochs, 3)) * 0.01
    for epoch in range(1, epochs + 1):
        fall = 2.3 * np.exp(-5.0 * epoch / epochs)
        train = floor * (1 - 0.7 * epoch / epochs) + fall
        val = floor + fall + spread * (epoch / epochs) ** 2
        yield {
            "epoch": epoch,
            "train_loss": float(max(1e-3, train + noise[epoch - 1, 0])),
            "val_loss": float(max(1e-3, val + noise[epoch - 1, 1])),
            "train_score": float(np.exp(-train)),
            "val_score": float(np.exp(-val)),
            "learning_rate": params["learning_rate"],
            "grad_norm": float(1.0 + fall + noise[epoch - 1, 2]),
            "seconds": 6.0 / epochs,
        }
