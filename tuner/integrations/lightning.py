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
    """Reports each validation with what the module has logged; without validation each epoch.

    A trial goes on from Lightning's checkpoint after an epoch. Within one, by ``val_check_interval``,
    Lightning would go on with other rows, so it is trained again. ::

        report = LightningReport(context)
        trainer = Trainer(max_epochs=context.epochs, callbacks=[report])
        trainer.fit(module, data, ckpt_path=report.checkpoint())
    """

    def __init__(self, context: TrialContext) -> None:
        self.context = context
        self._is_due = False

    def checkpoint(self) -> Path | None:
        """What `fit` goes on from; None at a trial's start. Asked when all is built."""
        return self.context.folder / _LAST if self.context.resume() else None

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """It is reported in the loop that trains: here Lightning has turned gradients off."""
        self._is_due = not trainer.sanity_checking

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Within an epoch a validation is over."""
        if self._is_due:
            self._report(trainer, pl_module, None)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """The validation of the epoch is over by now, if there was one."""
        if self._is_due or not trainer.enable_validation:
            trainer.save_checkpoint(self.context.folder / _LAST)
            self._report(trainer, pl_module, self.context.folder)

    def _report(self, trainer: Any, pl_module: Any, state: Path | None) -> None:
        self._is_due = False
        numbers = names.reading(trainer.callback_metrics)
        self.context.report(**numbers, state=state, model=pl_module)
