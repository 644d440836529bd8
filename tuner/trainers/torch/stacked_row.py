"""StackedRow: one trial that trains beside others, and where it stands.

Made by `stacked` when a trial is placed; `stacked_epoch` reads it, and writes it back at the end of an epoch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from tuner.core.trial import Reading, Trial
from tuner.fused.program import Program
from tuner.fused.recipe import UpdateCoefficients
from tuner.trainers.torch.average import WeightAverage
from tuner.trainers.torch.batches import BatchPlan, TrialRng
from tuner.trainers.torch.recipe import Recipe
from tuner.trainers.torch.schedule import Plateau
from tuner.trainers.torch.training_tensors import InputTensors, TrainingTensors


@dataclass(slots=True, eq=False)
class StackedRow:
    """All of a trial that training beside others needs.

    Attributes:
        numbers: of the optimizer.
        parts: see `UniversalUpdate`.
        rates: the share that each of `Program.dropouts` drops.
        weights: (N,) what each training row counts, on the CPU; None: all the same.
        flats: (3, S): parameters, mean gradient, mean squared gradient.
        constants: the network's other tensors, by name; running averages are new ones after an epoch.
        costs: what every reading has as extras.
        plateau: what is left of the learning rate.
        average: of the parameters, and of what `Program.moving` names.
        best: the best epoch's reading.
        kept: (S,) its parameters.
        kept_constants: its `constants`.
    """

    trial: Trial
    recipe: Recipe
    tensors: TrainingTensors
    inputs: InputTensors
    program: Program
    plan: BatchPlan
    numbers: UpdateCoefficients
    parts: Sequence[tuple[int, float]]
    rates: tuple[float, ...]
    weights: Tensor | None
    flats: Tensor
    constants: dict[str, Tensor]
    streams: TrialRng
    costs: Mapping[str, float]
    average: WeightAverage
    plateau: Plateau = field(default_factory=Plateau)
    epoch: int = 0
    best: Reading | None = None
    kept: Tensor | None = None
    kept_constants: dict[str, Tensor] = field(default_factory=dict)

    @property
    def judged(self) -> tuple[Tensor, dict[str, Tensor]]:
        """The parameters that are measured and kept, (S,), and the other tensors."""
        if not self.average.tensors:
            return self.flats[0], self.constants
        parameters, *moving = self.average.tensors
        return parameters, {**self.constants, **dict(zip(self.program.moving, moving, strict=True))}
