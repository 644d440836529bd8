"""Keras 3 without a loop: ``tuner.start(trainer=KerasBuild(build), ...)``; `build` compiles a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import update_wrapper
from typing import Any

from tuner.errors import DataError, SpecError
from tuner.integrations.keras import KerasReport
from tuner.trainers.context import TrialContext

_STUDYS = {"x", "y", "epochs", "initial_epoch", "validation_data", "validation_split"}


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

        Raises:
            SpecError: `fit` is told of rows or epochs, which are the study's.
        """
        if own := sorted(_STUDYS.intersection(fit)):
            raise SpecError(f"KerasBuild: {', '.join(own)}: the study says that; leave it out here")
        self.build, self.fit = build, fit
        update_wrapper(self, build, updated=())
        self.__dict__.pop("__wrapped__", None)  # its signature is another one
        # Where it is stored, it must not be taken for `build` itself.
        self.__qualname__ = f"KerasBuild({getattr(build, '__qualname__', 'build')})"

    def __call__(self, params: Mapping[str, Any], context: TrialContext) -> None:
        """Build the network, and train it."""
        if context.data is None:
            raise DataError(f"{self.__qualname__} is trained on the study's data; give data=(x, y)")
        if context.data.train.weight is not None:
            raise DataError(f"{self.__qualname__} does not weigh rows; drop [data] weight, or write the loop")
        train, validation = context.data.train, context.data.validation
        told = {"verbose": 0, **self.fit} | {n: params[n] for n in ("batch_size",) if n in params}
        rows = len(validation.y)
        report = KerasReport(context, train=(train.x[:rows], train.y[:rows]))
        told["callbacks"] = [*told.get("callbacks", ()), report]
        given = {"epochs": context.epochs, "validation_data": (validation.x, validation.y)}
        self.build(dict(params)).fit(train.x, train.y, **given, **told)
