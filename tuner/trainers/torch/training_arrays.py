"""TrainingArrays: a study's arrays as they are trained on, scaled once for each kind of scaling.

Shared by all trials of a batch; never written to after it is made. `training_tensors` has them as tensors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from tuner.core.dataset import Dataset, Task
from tuner.core.seeds import derive
from tuner.data import Scaling, embedded
from tuner.fused.mersenne import Mersenne
from tuner.trainers.row_weights import ClassWeight, row_weights
from tuner.trainers.torch.recipe import Recipe

Kept = TypeVar("Kept")


@dataclass(frozen=True, slots=True)
class ScaledInputs(Generic[Kept]):
    """The scaled inputs, shaped like `Split.x`, as arrays or on a device.

    Attributes:
        train: what is trained on.
        sample: the rows of it that the training loss is measured on.
        validation: what trials are judged by.
        scaling: how raw inputs became these.
    """

    train: Kept
    sample: Kept
    validation: Kept
    scaling: Scaling


@dataclass(frozen=True, slots=True)
class Truth:
    """What outputs are measured against.

    Attributes:
        y: as the data has them; (N,) class indices, or (N, T) standardized numbers.
        weight: (N,) what each row counts, their mean 1; None: all the same.
    """

    y: NDArray[Any]
    weight: NDArray[np.float32] | None

    @classmethod
    def of(cls, task: Task, y: NDArray[Any], weight: NDArray[np.float32] | None) -> Truth:
        """Bring targets into shape."""
        return cls(y if task is Task.CLASSIFICATION else y.reshape(len(y), -1), weight)


class TrainingArrays:
    """Inputs, the sample that the training loss is measured on, and what rows count.

    Attributes:
        data: where they come from.
        rows: the training rows of the sample, in order: no more than the validation split has, the same
            ones for every trial of the study.
        sample: the truth of the sample.
        validation: the truth of the validation split.
    """

    def __init__(self, data: Dataset, study_seed: int, class_weight: ClassWeight = None) -> None:
        self.data = data
        self._study_seed, self._class_weight = study_seed, class_weight
        count = min(len(data.train), len(data.validation))
        self.rows = np.sort(Mersenne(derive(study_seed, -1, "sample")).permutation(len(data.train))[:count])
        self.sample = Truth.of(data.task, data.train.y[self.rows], _part(data.train.weight, self.rows))
        self.validation = Truth.of(data.task, data.validation.y, data.validation.weight)
        self._inputs: dict[str, ScaledInputs[NDArray[Any]]] = {}
        self._embedded: TrainingArrays | None = None
        self._weights: dict[str | None, NDArray[np.float32] | None] = {}

    def suited(self, model: str, recipe: Recipe) -> TrainingArrays:
        """These, or those with codes where a trial's network embeds categories: always the same ones."""
        if model != "mlp" or not recipe.embedding_size:
            return self
        if self._embedded is None:
            data = embedded(self.data)
            own = (data, self._study_seed, self._class_weight)
            self._embedded = self if data is self.data else TrainingArrays(*own)
        return self._embedded

    def inputs(self, kind: str | None) -> ScaledInputs[NDArray[Any]]:
        """The inputs under one kind of scaling, fitted on the training split; None: what the data says."""
        kind = kind or self.data.scaling
        if kind not in self._inputs:
            data = self.data
            scaling = Scaling.of(kind, data)
            train = scaling.apply(data.train.x)
            self._inputs[kind] = ScaledInputs(
                train, train[self.rows], scaling.apply(data.validation.x), scaling
            )
        return self._inputs[kind]

    def weights(self, class_weight: str | None) -> NDArray[np.float32] | None:
        """What each training row counts, (N,); None: all the same. See `row_weights`.

        Args:
            class_weight: the trial's; None: the study's.
        """
        if class_weight not in self._weights:
            self._weights[class_weight] = row_weights(self.data, class_weight or self._class_weight)
        return self._weights[class_weight]


def _part(weight: NDArray[np.float32] | None, rows: NDArray[Any]) -> NDArray[np.float32] | None:
    """The weights of some rows, their mean 1."""
    if weight is None:
        return None
    part = weight[rows]
    found: NDArray[np.float32] = part / (part.mean() or np.float32(1))
    return found
