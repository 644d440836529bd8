"""SplitArrays: a split as compiled rows take it, made once and shared by those that train on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tuner.fused import LossKind, RowInputs, RowTargets
from tuner.trainers.plain_losses import PlainLoss
from tuner.trainers.torch.teacher import Teacher
from tuner.trainers.torch.training_arrays import TrainingArrays


class SplitArrays:
    """A split as rows take it; those that train on it share it."""

    def __init__(self, of: TrainingArrays, loss: PlainLoss) -> None:
        self.of, self.loss = of, loss
        splits = map(loss.targets, (of.data.train.y, of.sample.y, of.validation.y))
        plain = RowTargets.of(LossKind[loss.name.upper()], loss.outputs, *splits)
        self._plain = replace(
            plain,
            sample=plain.sample.weighed(of.sample.weight),
            validation=plain.validation.weighed(of.validation.weight),
        )
        self._targets: dict[tuple[str | None, bool], RowTargets] = {}
        self._taught: NDArray[np.float32] | None = None
        self._inputs: dict[str, RowInputs] = {}

    def targets(self, class_weight: str | None, teacher: Teacher | None = None) -> RowTargets:
        """The targets with the weights that a trial gives the classes; None: those of the study.

        Args:
            class_weight: the trial's.
            teacher: whose outputs stand beside the targets.
        """
        key = class_weight, teacher is not None
        if key not in self._targets:
            train = self._plain.train.weighed(self.of.weights(class_weight))
            if teacher is not None:
                if self._taught is None:
                    self._taught = teacher.outputs(self.of.data.train.x)
                train = replace(train, taught=self._taught)
            self._targets[key] = replace(self._plain, train=train)
        return self._targets[key]

    def inputs(self, kind: str | None) -> RowInputs:
        """The inputs under one kind of scaling; None: what the data says."""
        kind = kind or self.of.data.scaling
        if kind not in self._inputs:
            inputs = self.of.inputs(kind)
            parts = (inputs.train, inputs.sample, inputs.validation)
            self._inputs[kind] = RowInputs.of(*parts, codes=len(self.of.data.categories))
        return self._inputs[kind]
