"""Keras 3: ``model.fit(..., callbacks=[KerasReport(context)])``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from tuner.integrations import names
from tuner.trainers.context import TrialContext


class KerasReport(keras.callbacks.Callback):
    """Reports each epoch of `fit`, and goes on with a trial that was paused or interrupted.

    Weights are kept in the order in which the network has them, for Keras numbers the names of layers anew in
    each process: ``model.set_weights(list(study.best.model().values()))``.
    """

    def __init__(self, context: TrialContext, train: tuple[Any, Any] | None = None) -> None:
        """Prepare.

        Args:
            context: as the training function gets it.
            train: training rows (x, y) to be measured after each epoch, as the validation rows are. The
                numbers of `fit` are means over the epoch while the network learns, so without these rows
                the gap is not measured alike on both sides.
        """
        super().__init__()
        self.context, self.train = context, train

    def on_train_begin(self, logs: Any = None) -> None:
        """Take up where the trial stood: network, optimizer, random layers."""
        if state := self.context.resume():
            self.model.optimizer.build(self.model.trainable_variables)
            for variable, value in zip(self._variables(), state["variables"], strict=True):
                variable.assign(value)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Report the epoch."""
        numbers = dict(logs or {})
        if self.train is not None:
            numbers |= self.model.evaluate(*self.train, verbose=0, return_dict=True)
        values = [keras.ops.convert_to_numpy(each) for each in self._variables()]
        self.context.report(**names.reading(numbers), state={"variables": values}, model=self)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Nothing. Where a callback has this, Keras draws its bar in this thread, so in the trial's log."""

    on_test_batch_end = on_predict_batch_end = on_train_batch_end

    def state_dict(self) -> dict[str, Any]:
        """The weights under their places, as `TrialContext.keep` takes them."""
        return {f"{place:04d}": weight for place, weight in enumerate(self.model.get_weights())}

    def _variables(self) -> list[Any]:
        return [*self.model.variables, *self.model.optimizer.variables]
