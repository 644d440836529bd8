"""StackedRow: one trial that trains beside others, and where it stands.

Made by `stacked` when a trial is placed; `stacked_epoch` reads it, and writes it back at the end of an epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from tuner.core.trial import Reading, Trial
from tuner.fused.program import Program
from tuner.fused.recipe import UpdateCoefficients
from tuner.trainers.torch.batches import BatchPlan, TrialRng
from tuner.trainers.torch.recipe import Recipe
from tuner.trainers.torch.training_tensors import InputTensors, TrainingTensors


@dataclass(slots=True, eq=False)
class StackedRow:
    """All of a trial that training beside others needs.

    Attributes:
        numbers: of the optimizer.
        rates: the share that each of `Program.dropouts` drops.
        weights: (N,) what each training row counts, on the CPU; None: all the same.
        flats: (3, S): parameters, mean gradient, mean squared gradient.
        constants: the network's other tensors, by name.
        costs: what every reading has as extras.
        best: the best epoch's reading.
        kept: (S,) its parameters.
    """

    trial: Trial
    recipe: Recipe
    tensors: TrainingTensors
    inputs: InputTensors
    program: Program
    plan: BatchPlan
    numbers: UpdateCoefficients
    rates: tuple[float, ...]
    weights: Tensor | None
    flats: Tensor
    constants: dict[str, Tensor]
    streams: TrialRng
    costs: Mapping[str, float]
    epoch: int = 0
    best: Reading | None = None
    kept: Tensor | None = None
