"""Finds the trainer that a study names: a plugin, a class, an object or a function of one's own.

Imports nothing but what is named.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tuner import registry
from tuner.core.training import Trainer
from tuner.errors import PluginError

GROUP = "tuner.trainers"
"""The entry points that trainers are registered under."""

SESSIONS = ("validate", "start")
"""What a trainer needs that trains one trial at a time, see `core.training.SessionTrainer`."""

BATCHES = ("validate", "why_unfused", "epoch_cost", "open_batch")
"""What one needs that trains many as rows, see `core.training.BatchTrainer`."""


def resolve(use: str | Callable[..., Any], folder: Path | None = None) -> Trainer:
    """Turn `[trainer] use` into a trainer.

    Args:
        use: an entry point's name, ``package.module:attr``, ``./file.py:attr``, or the object
            itself: a class or an object with `start` or `open_batch`, or a function
            ``train(params, context)``.
        folder: what relative file references start from; the working folder.

    Returns:
        The trainer; a function is wrapped as a `FunctionTrainer`.

    Raises:
        PluginError: it leads nowhere, to something that cannot train, or to a trainer that lacks a method.
    """
    found: Any = registry.load(use, GROUP, folder) if isinstance(use, str) else use
    if _trains(found):
        return _complete(registry.set_up(_name(use), found) if isinstance(found, type) else found, use)
    if callable(found) and not isinstance(found, type):
        from tuner.trainers.function import FunctionTrainer

        return FunctionTrainer(found)
    raise PluginError(
        f"{_name(use)}: cannot train: found {type(found).__name__}, neither a trainer with start or "
        "open_batch nor a function train(params, context)"
    )


def _trains(found: Any) -> bool:
    return any(callable(getattr(found, name, None)) for name in ("start", "open_batch"))


def _complete(trainer: Any, use: object) -> Trainer:
    port, methods = ("start", SESSIONS) if hasattr(trainer, "start") else ("open_batch", BATCHES)
    missing = [name for name in methods if not callable(getattr(trainer, name, None))]
    if missing:
        raise PluginError(
            f"{_name(use)}: cannot train: has {port}, but not {', '.join(missing)}; "
            f"a trainer needs {', '.join(methods)} (see tuner/core/training.py)"
        )
    complete: Trainer = trainer
    return complete


def _name(use: object) -> str:
    return use if isinstance(use, str) else getattr(use, "__name__", repr(use))
