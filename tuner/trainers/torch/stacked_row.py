"""StackedRow: one trial that trains beside others, and where it stands.

Made by `stacked` when a trial is placed; `stacked_epoch` reads it, and writes it back at the end of an epoch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from torch import Tensor

from tuner.core.spec import StudySpec
from tuner.core.training import Snapshot
from tuner.core.trial import Reading, Trial
from tuner.fused.program import Program
from tuner.fused.recipe import UpdateCoefficients
from tuner.trainers.state import freeze, reading_of, reading_table, thaw
from tuner.trainers.torch.average import WeightAverage
from tuner.trainers.torch.batches import BatchPlan, TrialRng
from tuner.trainers.torch.model import write
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
        costs: what every reading has as extras; `nonzero` of what is not trained alone.
        plateau: what is left of the learning rate.
        average: of the parameters, and of what `Program.moving` names.
        best: the best epoch's reading.
        kept: (S,) its parameters.
        kept_constants: its `constants`.
    """

    trial: Trial
    spec: StudySpec
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

    def save(self, folder: Path) -> bool:
        """Write the best epoch's model, see `model.write`; False before the first finite value."""
        if self.best is None or self.kept is None:
            return False
        write(
            folder,
            trial=self.trial,
            loss=self.tensors.loss,
            scaling=self.inputs.scaling,
            data=self.tensors.data,
            best=self.best,
            weights=self.program.state(self.kept, self.kept_constants),
            spec=self.spec,
        )
        return True

    def snapshot(self) -> Snapshot:
        """Everything that training changes."""
        state = {
            "flats": self.flats,
            "best": reading_table(self.best),
            "kept": self.kept,
            "average": self.average.tensors,
            "plateau": asdict(self.plateau),
            "streams": self.streams.state(),
        }
        if self.program.trains_whole:
            state |= {"constants": self.constants, "kept_constants": self.kept_constants}
        arrays, facts = freeze(state)
        return Snapshot(self.epoch, arrays, {"stacked": facts})

    def restore(self, snapshot: Snapshot) -> None:
        """Go on where a snapshot of this trial was made."""
        state, device = thaw(snapshot.arrays, snapshot.facts["stacked"]), self.tensors.device
        self.flats = state["flats"].to(device)
        self.kept = None if state["kept"] is None else state["kept"].to(device)
        self.kept_constants = self.constants
        if "constants" in state:
            self.constants, self.kept_constants = (
                {name: tensor.to(device) for name, tensor in state[key].items()}
                for key in ("constants", "kept_constants")
            )
        self.epoch, self.best = snapshot.epoch, reading_of(state["best"])
        self.average.tensors = [tensor.to(device) for tensor in state.get("average", ())]
        self.plateau = Plateau(**state.get("plateau", {}))
        self.streams.restore(state["streams"])
