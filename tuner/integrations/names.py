"""What other libraries call the numbers of an epoch, in the words of a reading."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TRAIN = ("training", "train", "learn")
_VALIDATION = ("validation", "valid_0", "valid", "val", "eval", "test", "dev")
_SCORES = ("accuracy", "acc", "score")


def reading(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers by name, with losses and scores of both splits called as in a `Reading`.

    ``valid_loss``, ``eval/loss`` and ``validation-loss`` are all ``val_loss``, an accuracy is a score, and
    what is none of these keeps its name; ``loss`` and ``accuracy`` are those of training. What was measured
    at single steps is left out.
    """
    found: dict[str, Any] = {}
    for name, number in numbers.items():
        if not name.endswith("_step"):
            found.setdefault(_called(name.removesuffix("_epoch"), "train"), number)
    return found


def of_sets(sets: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The metrics of several sets of rows, as boosters have them; the first metric is the loss.

    A set whose name begins as that of training rows is the training split; of the others the last one is
    the validation split.
    """
    found: dict[str, Any] = {}
    for name, metrics in sets.items():
        split = "train" if name.lower().startswith(_TRAIN) else "val"
        for place, (metric, number) in enumerate(metrics.items()):
            found[f"{split}_loss" if place == 0 else _called(f"{split}_{metric}", split)] = number
    return found


def _called(name: str, bare: str) -> str:
    """One name; one that names no split is of `bare`."""
    plain = name.lower().replace("/", "_").replace("-", "_")
    split, rest = bare, plain
    for each, prefixes in (("train", _TRAIN), ("val", _VALIDATION)):
        if found := next((prefix for prefix in prefixes if plain.startswith(f"{prefix}_")), None):
            split, rest = each, plain.removeprefix(f"{found}_")
            break
    if rest == "loss":
        return f"{split}_loss"
    return f"{split}_score" if rest in _SCORES else name
