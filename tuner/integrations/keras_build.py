"""Keras 3 without a loop: ``tuner.start(trainer=KerasBuild(build), ...)``; `build` compiles a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import update_wrapper
from typing import Any

from tuner.errors import DataError
from tuner.integrations.keras import KerasReport
from tuner.trainers.context import TrialContext


class KerasBuild:
    """A training function that fits what ``build(params)`` returns to the study's data.

    The gap is that of as many training rows as there are validation rows, measured alike after each epoch.
    The weights that are kept belong to ``build(study.best.params)``; see `KerasReport`.
    """

    def __init__(self, build: Callable[[dict[str, Any]], Any], **fit: Any) -> None:
        """Prepare.

        Args:
            build: returns a compiled network for the params of a trial.
            fit: what `fit` is told besides rows and epochs: callbacks, class weights and the like; and what a
                parameter called `batch_size` says.
        """
        self.build, self.fit = build, fit
        update_wrapper(self, build, updated=())
        del self.__dict__["__wrapped__"]  # its signature is another one

    def __call__(self, params: Mapping[str, Any], context: TrialContext) -> None:
        """Build the network, and train it."""
        if context.data is None:
            raise DataError(f"{self.build.__qualname__} is trained on the study's data; give data=(x, y)")
        train, validation = context.data.train, context.data.validation
        told = {"verbose": 0, **self.fit} | {n: params[n] for n in ("batch_size",) if n in params}
        rows = len(validation.y)
        report = KerasReport(context, train=(train.x[:rows], train.y[:rows]))
        told["callbacks"] = [*told.get("callbacks", ()), report]
        given = {"epochs": context.epochs, "validation_data": (validation.x, validation.y)}
        self.build(dict(params)).fit(train.x, train.y, **given, **told)
