"""Lightning: ``Trainer(callbacks=[LightningReport(context)], ...)``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tuner.integrations import names, output
from tuner.trainers.context import TrialContext

try:
    from lightning.pytorch import Callback
except ModuleNotFoundError:
    from pytorch_lightning import Callback

_LAST = "last.ckpt"
output.to_root("lightning", "lightning.pytorch", "lightning.fabric", "pytorch_lightning", "lightning_fabric")


class LightningReport(Callback):
    """Reports each epoch with what the module has logged, and a checkpoint to go on from.

    ::

        report = LightningReport(context)
        trainer = Trainer(max_epochs=context.epochs, callbacks=[report])
        trainer.fit(module, data, ckpt_path=report.checkpoint())
    """

    def __init__(self, context: TrialContext) -> None:
        self.context = context

    def checkpoint(self) -> Path | None:
        """What `fit` goes on from; None at a trial's start. Asked when all is built."""
        return self.context.folder / _LAST if self.context.resume() else None

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """The validation of the epoch is over by now."""
        trainer.save_checkpoint(self.context.folder / _LAST)
        numbers = names.reading(trainer.callback_metrics)
        self.context.report(**numbers, state=self.context.folder, model=pl_module)
