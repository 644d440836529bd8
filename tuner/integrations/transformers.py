"""Hugging Face transformers: ``Trainer(callbacks=[TransformersReport(context)], ...)``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformers import TrainerCallback, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from tuner.errors import SpecError
from tuner.integrations import names, output
from tuner.trainers.context import TrialContext

output.to_root("transformers")
_NOT_LEARNED = ("epoch", "step", "_runtime", "_per_second", "total_flos")


def apply(args: TrainingArguments, params: Mapping[str, Any], context: TrialContext) -> TrainingArguments:
    """Set what both have (`batch_size` is a device's), and a trial's folder, seed, length and checkpoints."""
    if args.eval_strategy == "no" or (args.eval_steps or 1) < 1:
        raise SpecError('TrainingArguments: give eval_strategy="epoch", or "steps" with whole eval_steps')
    for name, value in params.items():
        mine = "per_device_train_batch_size" if name == "batch_size" else name
        if hasattr(args, mine):
            setattr(args, mine, value)
    args.output_dir, args.seed, args.save_total_limit = str(context.folder), context.seed % 2**31, 1
    args.num_train_epochs, args.save_strategy = context.epochs, args.eval_strategy
    if args.eval_strategy == "steps":
        args.save_steps, args.max_steps = args.eval_steps, context.epochs * int(args.eval_steps)
    return args


class TransformersReport(TrainerCallback):
    """Reports at each evaluation, by epochs or by steps, with what was logged before it."""

    def __init__(self, context: TrialContext) -> None:
        self.context = context
        self._numbers: dict[str, Any] = {}

    def checkpoint(self) -> str | None:
        """``train(resume_from_checkpoint=...)``; None at a trial's start. Asked when all is built."""
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
