"""A study for data alone: what a study leaves out follows from its data.

Nothing of the data's values but the shape, the number of rows and the task is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tuner import content
from tuner.core.data_spec import DataSpec
from tuner.core.dataset import Task
from tuner.core.space.section import parse_space


def inferred(path: Path, target: str | None) -> dict[str, Any]:
    """A sensible study for a data file, as the table that `tune init --from` writes out."""
    table: dict[str, Any] = {"name": path.stem, "data": {"source": str(path)}}
    if target is not None:
        table["data"]["target"] = target
    complete(table, table, Path.cwd(), None)
    return table


def complete(table: dict[str, Any], asked: Mapping[str, Any], folder: Path, memory: Any) -> None:
    """Add to a study without a space what suits its data, and leave all that it says as it is.

    The network, the spaces and the epochs follow from the data: images train a `cnn`, tables an
    `mlp`; from 20,000 training rows on, a trial has fewer epochs. A network of the user's own has
    parameters that nobody else knows, so nothing is added then.

    Args:
        table: the study; is changed.
        asked: the same with all settings.
        folder: what relative paths start from.
        memory: the data, where it was passed from Python.

    Raises:
        DataError: the data cannot be used.
    """
    from tuner import data

    sections = [asked.get(name, {}) for name in ("data", "trainer", "objective", "search", "budget", "stop")]
    if not asked.get("data") or not all(isinstance(each, Mapping) for each in sections):
        return
    trainer = sections[1]
    if trainer.get("use", "torch") != "torch" or trainer.get("model", "mlp") not in ("mlp", "cnn"):
        return
    try:
        spec = DataSpec(**asked["data"])
    except ValueError:
        # The check of the whole study reports it; the space is not at fault.
        table["space"] = {"use": ["optimization"]}
        return
    images, rows, task = data.outline(spec, folder, memory)
    epochs = 27 if rows < 20_000 else 9
    sensible: dict[str, dict[str, Any]] = {
        "trainer": {"use": "torch", "model": "cnn" if images else "mlp", "epochs": epochs},
        "objective": {"metric": "val_loss"},
        "search": {"sampler": "tpe", "pruner": "asha", "seed": 0},
        "budget": {"trials": 100} if "budget" not in table else {},
        "stop": {"patience": 8},
    }
    for name, keys in sensible.items():
        table[name] = {**keys, **table.get(name, {})}
    table["space"] = {"use": ["optimization", "batch", "regularization", "initialization", "architecture"]}
    if not images:
        # On many tables nothing is better than a linear model of few columns, which is one of these.
        table["space"] |= {"depth": {"low": 0}, "l1": {"high": 0.1}}
    known = parse_space(content.read(content.find("space", "batch")), "batch")["batch_size"]
    sizes = [size for size in known["choices"] if size == "full" or size < rows]
    if sizes != known["choices"]:
        # A batch of as many rows as there are is the full one, and no other choice.
        default = known["default"] if known["default"] in sizes else sizes[0]
        table["space"]["batch_size"] = {"choices": sizes, "default": default}
    if task is Task.REGRESSION:
        # Label smoothing has no meaning for numbers.
        table["space"]["fixed"] = {"label_smoothing": 0.0}
