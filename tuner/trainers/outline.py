"""Outline: what planning a study needs of a training loop of one's own that another process has imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from tuner.core.dataset import Dataset
from tuner.core.spec import StudySpec
from tuner.core.training import Trainer


@dataclass(frozen=True, slots=True)
class LoopOutline:
    """A `SessionTrainer` that says what is wrong with the loop, and trains nothing."""

    faults: tuple[str, ...]

    def validate(self, spec: StudySpec, data: Dataset | None) -> Sequence[str]:  # noqa: ARG002
        """What `FunctionTrainer.validate` has said of the loop."""
        return self.faults

    def start(self, *_: object) -> NoReturn:
        """The loop is not here."""
        raise NotImplementedError


def outline(trainer: Trainer, spec: StudySpec) -> LoopOutline | None:
    """The outline of a `FunctionTrainer`; None of another trainer, which looks at the data, too."""
    from tuner.trainers.function import FunctionTrainer

    return LoopOutline(tuple(trainer.validate(spec, None))) if isinstance(trainer, FunctionTrainer) else None
