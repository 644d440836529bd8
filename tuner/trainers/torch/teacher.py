"""Teacher: the kept model that trials begin with, and learn from; `[trainer] teacher`.

Read by each worker from its folder. What it says of the training rows is computed once for each split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.core.spec import StudySpec
from tuner.errors import TrialError
from tuner.trainers.model import load_members
from tuner.trainers.torch.model import PRUNED, TorchModel
from tuner.trainers.torch.pruning import pruned
from tuner.trainers.torch.recipe import Recipe
from tuner.trainers.weights import read

_NETWORK = "network."
"""What names of a network's weights begin with in a model's file."""


class Teacher:
    """A kept model of the torch trainer, or several of one trial.

    Attributes:
        members: the models; trials begin with the weights of the first one, and learn from the mean of all.
    """

    def __init__(self, folder: Path) -> None:
        """Read it.

        Raises:
            TrialError: there is none, or it is damaged, or of another trainer.
        """
        members = load_members(folder)
        self.members: Sequence[TorchModel] = [each for each in members if isinstance(each, TorchModel)]
        if len(self.members) < len(members):
            raise TrialError(f"{folder}: is no model of the torch trainer, whose networks alone can teach")

    @property
    def has_lost_units(self) -> bool:
        """Whether the first member's network, one of somebody's own, may have fewer units than at first."""
        return bool(self.members[0].description.get(PRUNED))

    @cached_property
    def weights(self) -> dict[str, NDArray[Any]]:
        """Of the first member's network, by their names in its `state_dict`."""
        found = read(self.members[0].folder, "numpy")
        return {
            name.removeprefix(_NETWORK): each for name, each in found.items() if name.startswith(_NETWORK)
        }

    def first_weights(
        self, recipe: Recipe, shapes: Mapping[str, Sequence[int]]
    ) -> dict[str, NDArray[Any]] | None:
        """What a trial's network begins with, by name; None where its first weights are drawn.

        Args:
            recipe: of the trial.
            shapes: of its network's tensors, in the order of its `state_dict`.

        Raises:
            TrialError: its network is not the teacher's with fewer units.
        """
        return None if recipe.from_scratch else pruned(self.weights, shapes)

    def outputs(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """What it says of encoded, unscaled rows, (N, outputs): logits or standardized targets."""
        found: NDArray[np.float32] = np.mean(
            [each.outputs(x) for each in self.members], axis=0, dtype=np.float32
        )
        return found


def teacher_of(spec: StudySpec) -> Teacher | None:
    """The teacher that a study names.

    Raises:
        TrialError: see `Teacher`.
    """
    return None if spec.trainer.teacher is None else Teacher(Path(spec.trainer.teacher))
