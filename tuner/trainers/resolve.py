"""Finds the trainer that a study names: a plugin, a class, an object or a function of one's own.

Imports nothing but what is named; how a trainer trains is not known here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tuner import plugins
from tuner.core.ports import Trainer
from tuner.core.spec import StudySpec
from tuner.errors import PluginError, TunerError, described
from tuner.trainers.averaged import AveragedTrainer
from tuner.trainers.redrawn import RedrawnTrainer

GROUP = "tuner.trainers"
"""The entry points that trainers are registered under."""

METHODS = ("faults", "unfused", "parks", "efforts", "populate")
"""What the port `Trainer` consists of."""


def resolve_for(spec: StudySpec, use: Callable[..., Any] | None = None) -> Trainer:
    """The trainer of a study, which sees to its folds, repeats and splits of their own.

    Args:
        spec: the study.
        use: the object itself where `[trainer] use` only names it.

    Raises:
        PluginError: see `resolve`.
    """
    trainer = resolve(spec.trainer.use if use is None else use)
    folds = (spec.data.folds if spec.data is not None else None) or 1
    if spec.data is not None and spec.data.reshuffle:
        trainer = RedrawnTrainer(trainer)
    if folds * spec.trainer.repeats > 1:
        trainer = AveragedTrainer(trainer, folds, spec.trainer.repeats)
    return trainer


def resolve(use: str | Callable[..., Any], folder: Path | None = None) -> Trainer:
    """Turn `[trainer] use` into a trainer.

    Args:
        use: an entry point's name, ``package.module:attr``, ``./file.py:attr``, or the object
            itself: a class or an object with `populate`, or a function ``train(params, context)``.
        folder: what relative file references start from; the working folder.

    Returns:
        The trainer; a function is wrapped as a `FunctionTrainer`.

    Raises:
        PluginError: it leads nowhere, to something that cannot train, or to a trainer that lacks a method.
    """
    found: Any = plugins.load(use, GROUP, folder) if isinstance(use, str) else use
    if isinstance(found, type) and hasattr(found, "populate"):
        return _complete(_instance(found, use), use)
    if callable(getattr(found, "populate", None)):
        return _complete(found, use)
    if callable(found) and not isinstance(found, type):
        from tuner.trainers.function import FunctionTrainer

        return FunctionTrainer(found)
    raise PluginError(
        f"{_name(use)}: cannot train: found {type(found).__name__}, neither a trainer with populate "
        "nor a function train(params, context)"
    )


def _complete(trainer: Any, use: object) -> Trainer:
    missing = [name for name in METHODS if not callable(getattr(trainer, name, None))]
    if missing:
        raise PluginError(
            f"{_name(use)}: cannot train: has populate, but not {', '.join(missing)}; "
            f"a trainer class needs {', '.join(METHODS)} (see Trainer in tuner/core/ports.py)"
        )
    complete: Trainer = trainer
    return complete


def _instance(trainer: type, use: object) -> Any:
    try:
        return trainer()
    except (TunerError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise PluginError(f"{_name(use)}: cannot be set up: {described(error)}") from error


def _name(use: object) -> str:
    return use if isinstance(use, str) else getattr(use, "__name__", repr(use))
