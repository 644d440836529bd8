"""Hugging Face transformers: ``Trainer(callbacks=[TransformersReport(context)], ...)``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformers import TrainerCallback, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from tuner.integrations import names, output
from tuner.trainers.context import TrialContext

output.to_root("transformers")
_NOT_LEARNED = ("epoch", "step", "_runtime", "_per_second", "total_flos")


def apply(args: TrainingArguments, params: Mapping[str, Any]) -> TrainingArguments:
    """Set the parameters that training arguments are called like; `batch_size` is that of a device."""
    for name, value in params.items():
        mine = "per_device_train_batch_size" if name == "batch_size" else name
        if hasattr(args, mine):
            setattr(args, mine, value)
    return args


class TransformersReport(TrainerCallback):
    """Reports at each evaluation, whether that is by epochs or by steps, with what was logged before it.

    A trial goes on where it stood if checkpoints are written as often as it is evaluated, where they are
    looked for, ``TrainingArguments(context.folder, save_strategy="epoch", ...)``, and if `train` is given
    ``resume_from_checkpoint=report.checkpoint()``.
    """

    def __init__(self, context: TrialContext) -> None:
        self.context = context
        self._numbers: dict[str, Any] = {}

    def checkpoint(self) -> str | None:
        """What `train` goes on from; None at a trial's start. Asked when all is built."""
        return get_last_checkpoint(self.context.folder) if self.context.resume() else None

    def on_log(self, *_: Any, logs: Any = None, **__: Any) -> None:
        """Remember the numbers of training and of the evaluation."""
        self._numbers |= logs or {}

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Report, unless a checkpoint is written first."""
        if not control.should_save:
            self._report(kwargs["model"], None)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Report with the checkpoint."""
        self._report(kwargs["model"], self.context.folder)

    def _report(self, model: Any, state: Any) -> None:
        numbers = {name: each for name, each in self._numbers.items() if not name.endswith(_NOT_LEARNED)}
        self.context.report(**names.reading(numbers), state=state, model=model)
