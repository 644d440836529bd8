"""skorch: ``NeuralNetClassifier(..., callbacks=[SkorchReport(context)])``."""

from __future__ import annotations

from typing import Any

from skorch.callbacks import Callback

from tuner.integrations import names
from tuner.trainers.context import TrialContext


class SkorchReport(Callback):
    """Reports each epoch, and goes on with a trial that was paused or interrupted."""

    def __init__(self, context: TrialContext) -> None:
        self.context = context

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:  # noqa: N803
        """Take up where the trial stood."""
        if state := self.context.resume():
            net.module_.load_state_dict(state["module"])
            net.optimizer_.load_state_dict(state["optimizer"])

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Report the epoch."""
        # Beside its numbers a row has lists of batches, and whether a number is the best so far.
        numbers = {name: value for name, value in net.history[-1].items() if isinstance(value, float)}
        numbers.pop("dur")
        state = {"module": net.module_, "optimizer": net.optimizer_}
        self.context.report(**names.reading(numbers), state=state, model=net.module_)
