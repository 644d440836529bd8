"""A study for data alone: what a study leaves out follows from its data.

Nothing of the data's values is looked at but the shape, the number of rows, the task, and whether a column
has many categories.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tuner import content
from tuner.core.data_spec import DataSpec
from tuner.core.dataset import InputKind, ReadData, Task
from tuner.core.space.section import parse_space

_EPOCHS = {20_000: 9, 5_000: 27, 1_000: 81, 0: 243}
"""Epochs of a trial, by the least number of training rows."""

_SPACES = {
    "conv1d": ("architecture", "convolution"),
    "rnn": ("architecture", "recurrence"),
    "transformer": ("attention",),
}
"""The spaces of a network's shape, where these are not `architecture` alone."""

_NOISE: Mapping[str, float] = {"time_shift": 0, "input_noise": 0.0, "token_dropout": 0.0}
"""The settings that leave inputs as they are, fixed where a study's inputs are not augmented in that way."""


def inferred(path: Path, target: str | Sequence[str] | None) -> dict[str, Any]:
    """A sensible study for a data file, as the table that `tune init --from` writes out."""
    table: dict[str, Any] = {"name": path.stem, "data": {"source": str(path)}}
    if target is not None:
        table["data"]["target"] = target
    complete(table, table, Path.cwd(), None)
    return table


def complete(
    table: dict[str, Any], asked: Mapping[str, Any], folder: Path, memory: Any, read: ReadData | None = None
) -> None:
    """Add to a study without a space what suits its data, and leave all that it says as it is.

    The network, the spaces and the epochs follow from the data: the kind of inputs says which shipped network
    it is; the recommended model of a table is the mean of its trainings; the fewer rows, the more epochs. One
    of the user's own has parameters that nobody else knows, so nothing is added then.

    Args:
        table: the study; is changed.
        asked: the same with all settings.
        folder: what relative paths start from.
        memory: the data, where it was passed from Python.
        read: takes up what is read of a file, for `specify.prepare`.

    Raises:
        DataError: the data cannot be used.
    """
    from tuner import data
    from tuner.trainers.torch.recipe import AUGMENTATIONS
    from tuner.trainers.torch.shipped import DEFAULTS, SHIPPED

    sections = [asked.get(name, {}) for name in ("data", "trainer", "objective", "search", "budget", "stop")]
    if not asked.get("data") or not all(isinstance(each, Mapping) for each in sections):
        return
    trainer = sections[1]
    if trainer.get("use", "torch") != "torch" or trainer.get("model", "mlp") not in SHIPPED:
        return
    try:
        spec = DataSpec(**asked["data"])
    except ValueError:
        # The check of the whole study reports it; the space is not at fault.
        table["space"] = {"use": ["optimization"]}
        return
    found = data.outline(spec, folder, memory)
    if read is not None:
        read.source, read.target, read.parts = found.found, found.target, found.parts
    kind, rows = found.kind, found.rows
    model = trainer.get("model", DEFAULTS[kind])
    epochs = next(epochs for least, epochs in _EPOCHS.items() if rows >= least)
    sensible: dict[str, dict[str, Any]] = {
        "trainer": {"use": "torch", "model": model, "epochs": epochs},
        "objective": {"metric": "val_loss"},
        # Four rungs below the last epoch: what one epoch of few rows reaches says nothing.
        "search": {"sampler": "tpe", "pruner": "asha", "min_epochs": max(1, epochs // 27), "seed": 0},
        "budget": {"trials": 100} if "budget" not in table else {},
        "stop": {"patience": max(8, epochs // 10)},
    }
    if kind is InputKind.TABLE:
        sensible["confirm"] = {"average": True}
    for name, keys in sensible.items():
        table[name] = {**keys, **table.get(name, {})}
    shape = _SPACES.get(model, ("architecture",))
    table["space"] = {"use": ["optimization", "batch", "regularization", "initialization", *shape]}
    if kind is InputKind.TABLE:
        # On many tables nothing is better than a linear model of few columns, which is one of these.
        table["space"] |= {"depth": {"low": 0}, "l1": {"high": 0.1}}
        if "scaling" not in asked["data"]:
            table["space"]["use"].append("preprocessing")
            table["space"] |= {"scaling": {"choices": ["standard", "quantile"]}, "fixed": {"mixup": 0.0}}
    if found.kinds & {InputKind.TOKENS, InputKind.SERIES}:
        embeds = InputKind.TOKENS in found.kinds and "token_size" in SHIPPED[model].settings
        table["space"]["use"] += ["sequences"] + ["tokens"] * embeds
        done = {name for each in found.kinds for name in AUGMENTATIONS[each]}
        table["space"]["fixed"] = {name: value for name, value in _NOISE.items() if name not in done}
    if found.has_codes:
        table["space"]["use"].append("embedding")
    known = parse_space(content.read(content.find("space", "batch")), "batch")["batch_size"]
    sizes = [size for size in known["choices"] if size == "full" or size < rows]
    if sizes != known["choices"]:
        # A batch of as many rows as there are is the full one, and no other choice.
        default = known["default"] if known["default"] in sizes else sizes[0]
        table["space"]["batch_size"] = {"choices": sizes, "default": default}
    if found.task is Task.REGRESSION:
        # Label smoothing has no meaning for numbers.
        table["space"].setdefault("fixed", {})["label_smoothing"] = 0.0
