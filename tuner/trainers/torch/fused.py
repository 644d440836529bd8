"""FusedBatch: many trials of the shipped mlp at once, by the compiled rows of `tuner.fused`.

Turns recipes into row recipes and measurements into readings. Rows may be placed and trained by
several threads, each row by one at a time.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from tuner.core.dataset import Dataset, Task
from tuner.core.job import Job, Member
from tuner.core.seeds import derive
from tuner.core.spec import StudySpec
from tuner.core.training import Exhausted, Failure, Outcome, Snapshot
from tuner.core.trial import LAYER_NORMS, Reading, Trial
from tuner.errors import DataError
from tuner.fused import (
    Activation,
    EpochResult,
    FusedRows,
    LossKind,
    RowInputs,
    RowRecipe,
    RowState,
    RowTargets,
    Seeds,
)
from tuner.fused.layout import Floats
from tuner.fused.loss_kernels import highest
from tuner.trainers import threshold
from tuner.trainers.global_rng import GlobalRng
from tuner.trainers.per_dataset import PerDataset
from tuner.trainers.state import reading_of, reading_table
from tuner.trainers.torch import losses, optimizers
from tuner.trainers.torch.costs import asked, costs
from tuner.trainers.torch.faults import default_model
from tuner.trainers.torch.initialization import initialize
from tuner.trainers.torch.model import write
from tuner.trainers.torch.networks import NetworkContext, build
from tuner.trainers.torch.recipe import FULL, Recipe
from tuner.trainers.torch.schedule import learning_rates
from tuner.trainers.torch.start import context_of
from tuner.trainers.torch.training_tensors import InputTensors, TargetTensors, TrainingTensors, tensors_of

_MODEL = "mlp"

_IMAGES_ONLY = ("image_shift", "image_flip")


def why_not_fused(spec: StudySpec, data: Dataset, device: str) -> str | None:
    """Why the trials of a study cannot be fused, in words; None when they can."""
    model = spec.trainer.model or default_model(data)
    if model != _MODEL:
        return f"{model} trains one trial at a time; {_MODEL} can be fused"
    if device != "cpu":
        return f"on {device} trials train one at a time; fused training runs on the CPU"
    loss = losses.name_of(spec, data.task)
    if loss.upper() not in LossKind.__members__:
        return f"the loss {loss} is your own, and no compiled one"
    if (optimizer := optimizers.first_own(spec)) is not None:
        return f"the optimizer {optimizer} is your own, and no compiled one"
    if len(data.input_shape) == 3:
        for name in _IMAGES_ONLY:
            if name in spec.space.parameters or spec.space.fixed.get(name):
                return f"{name} is made one trial at a time; leave it out for fused training"
    return None


@dataclass(slots=True)
class _Placed:
    """What is known of a trial beside its row."""

    trial: Trial
    recipe: Recipe
    context: NetworkContext
    split: _SplitArrays
    inputs: InputTensors
    names: Mapping[str, str]
    costs: Mapping[str, float]
    epoch: int = 0
    best: Reading | None = None


@dataclass(frozen=True, slots=True)
class _NetworkTemplate:
    """A network that weights are drawn in, and how its names become a row's."""

    module: nn.Module
    names: Mapping[str, str]
    tensors: Mapping[str, Tensor]

    @classmethod
    def of(cls, trial: Trial, context: NetworkContext) -> _NetworkTemplate:
        with GlobalRng(0):  # building draws initial weights that are not used
            module = build(_MODEL, trial.params, context)
        names: dict[str, str] = {}
        layer = -1
        for name, part in module.named_modules():
            if isinstance(part, nn.Linear):
                layer += 1
                names |= {f"{name}.weight": f"{layer}.weight", f"{name}.bias": f"{layer}.bias"}
            elif isinstance(part, nn.LayerNorm):
                names |= {f"{name}.weight": f"{layer}.scale", f"{name}.bias": f"{layer}.shift"}
        state = module.state_dict()
        return cls(module, names, {own: state[name] for name, own in names.items()})

    def draw(self, recipe: Recipe, seed: int) -> dict[str, Floats]:
        """First weights, by the row's names."""
        initialize(self.module, recipe.init, recipe.init_gain, torch.Generator().manual_seed(seed))
        return {own: tensor.numpy() for own, tensor in self.tensors.items()}


class _SplitArrays:
    """A split as rows take it; those that train on it share it."""

    def __init__(self, of: TrainingTensors) -> None:
        self.of = of
        splits = (of.train, of.sample.targets, of.validation.targets)
        kind = LossKind[of.loss.name.upper()]
        plain = RowTargets.of(kind, of.loss.outputs, *(y.numpy() for y in splits))
        self._plain = replace(
            plain,
            sample=plain.sample.weighed(of.sample.weight),
            validation=plain.validation.weighed(of.validation.weight),
        )
        self._targets: dict[str | None, RowTargets] = {}
        self._inputs: dict[str, RowInputs] = {}

    def targets(self, class_weight: str | None) -> RowTargets:
        """The targets with the weights that a trial gives the classes; None: those of the study."""
        if class_weight not in self._targets:
            weights = self.of.weights(class_weight)
            train = self._plain.train.weighed(None if weights is None else weights.numpy())
            self._targets[class_weight] = replace(self._plain, train=train)
        return self._targets[class_weight]

    def inputs(self, scaling: str) -> RowInputs:
        """The inputs under one kind of scaling."""
        if scaling not in self._inputs:
            inputs = self.of.inputs(scaling)
            parts = (inputs.train, inputs.sample, inputs.validation)
            self._inputs[scaling] = RowInputs.of(*(x.numpy() for x in parts))
        return self._inputs[scaling]


class FusedBatch:
    """`job.rows` rows; see `tuner.fused.FusedRows`.

    A trial's numbers are those of `TorchSession` up to rounding where it has no dropout and no
    input noise; these are drawn from streams of its own.
    """

    def __init__(self, job: Job) -> None:
        if job.data is None:
            raise DataError('data: is missing; the torch trainer needs [data] source = "..."')
        self._job = job
        self._epochs, self._objective = job.spec.trainer.epochs, job.spec.primary_objective()
        self._asked = asked(job.spec)
        self._score = threshold.score_of(job.spec, job.data.task)
        self._rows = FusedRows(job.rows, self._epochs, job.resources.threads)
        self._splits: PerDataset[_SplitArrays] = PerDataset()
        self._templates: dict[tuple[object, ...], _NetworkTemplate] = {}
        self._placed: dict[int, _Placed | Failure] = {}
        # Rows may train in several threads; weights are drawn in skeletons that rows share.
        self._drawing = threading.Lock()

    @property
    def capacity(self) -> int:
        """How many rows there are."""
        return self._rows.capacity

    def place(self, row: int, trial: Trial, snapshot: Snapshot | None = None) -> None:
        """Draw the trial's first weights, or take a snapshot's.

        What goes wrong with it is the next `advance`'s Failure.
        """
        if not 0 <= row < self.capacity or row in self._placed:
            raise ValueError(f"row {row} is not an empty row of this batch")
        try:
            with self._drawing:
                self._placed[row] = self._place(row, trial, snapshot)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001
            self._placed[row] = Failure.of(error)

    def advance(self, rows: Collection[int] | None = None) -> Mapping[int, Outcome]:
        """Train every occupied row, or those of `rows`, for one epoch."""
        outcomes: dict[int, Outcome] = {}
        # Other rows may be emptied meanwhile, by other threads.
        for row in sorted(self._placed if rows is None else rows):
            placed = self._placed.get(row)
            if isinstance(placed, Failure):
                outcomes[row] = placed
            elif placed is not None and placed.epoch >= self._epochs:
                outcomes[row] = Exhausted()
        for row, measured in self._rows.advance(rows).items():
            placed = self._placed[row]
            if isinstance(placed, _Placed):
                outcomes[row] = self._read(row, placed, measured)
        return outcomes

    def save(self, row: int, folder: Path) -> bool:
        """Write the best epoch's model, see `model.write`; False before the first finite value."""
        placed = self._placed.get(row)
        if not isinstance(placed, _Placed) or placed.best is None:
            return False
        weights = self._rows.kept(row) or {}
        write(
            folder,
            model=_MODEL,
            trial=placed.trial,
            context=placed.context,
            loss=placed.split.of.loss,
            scaling=placed.inputs.scaling,
            data=placed.split.of.data,
            best=placed.best,
            weights={name: torch.from_numpy(weights[own]) for name, own in placed.names.items()},
            spec=self._job.spec,
        )
        return True

    def snapshot(self, row: int) -> Snapshot | None:
        """The row's state; None of a row that is empty or failed."""
        placed = self._placed.get(row)
        if not isinstance(placed, _Placed):
            return None
        state = self._rows.state(row)
        return Snapshot(
            state.epoch, state.arrays, {"mixing": state.mixing, "best": reading_table(placed.best)}
        )

    def clear(self, row: int) -> None:
        """Empty the row."""
        self._rows.clear(row)
        self._placed.pop(row, None)

    def _place(self, row: int, trial: Trial, snapshot: Snapshot | None) -> _Placed:
        recipe, split = Recipe.of(trial.params), self._split(trial)
        context = context_of(trial, split.of)
        shape = (recipe.width, recipe.depth, recipe.layer_norm, bool(recipe.dropout))
        key = (*shape, context.input_shape, context.outputs)
        if key not in self._templates:
            self._templates[key] = _NetworkTemplate.of(trial, context)
        template = self._templates[key]
        scaling = recipe.scaling or split.of.data.scaling
        inputs = split.of.inputs(scaling)
        found: Mapping[str, float] = {}
        if self._asked:
            with GlobalRng(0):
                found = costs(self._asked, template.module, inputs.validation)
        placed = _Placed(trial, recipe, context, split, inputs, template.names, found)
        start: Mapping[str, Floats] | RowState
        if snapshot is None:
            start = template.draw(recipe, derive(trial.study_seed, trial.number, "initialization"))
        else:
            start = RowState(snapshot.epoch, snapshot.arrays, snapshot.facts["mixing"])
            placed.epoch, placed.best = snapshot.epoch, reading_of(snapshot.facts["best"])
        targets = split.targets(recipe.class_weight)
        self._rows.place(row, row_recipe(recipe, trial), targets, split.inputs(scaling), start)
        return placed

    def _split(self, trial: Trial) -> _SplitArrays:
        data = self._job.data_for(trial)
        assert data is not None  # noqa: S101 - the job has data
        return self._splits.of(self._job, data, lambda: _SplitArrays(tensors_of(self._job, data)))

    def _read(self, row: int, placed: _Placed, measured: EpochResult) -> Reading:
        placed.epoch = measured.epoch
        reading = Reading(
            measured.epoch,
            measured.train_loss,
            measured.val_loss,
            self._scored(measured.sample_outputs, placed.split.of, placed.split.of.sample),
            self._scored(measured.val_outputs, placed.split.of, placed.split.of.validation),
            measured.learning_rate,
            measured.grad_norm,
            seconds=measured.seconds,
            extras={**placed.costs, **dict(zip(LAYER_NORMS, measured.layer_norms or (), strict=False))},
        )
        if self._objective.prefers(reading, placed.best):
            placed.best = reading
            self._rows.keep(row)
        return reading

    def _scored(self, outputs: Floats, of: TrainingTensors, truth: TargetTensors) -> float:
        data, predicted = of.data, outputs
        if self._score.takes_probabilities(data.task):
            predicted = of.loss.probabilities(torch.from_numpy(outputs)).numpy()
        # As `Loss.indices` does it: so few numbers cost PyTorch several times as much.
        elif data.task is Task.MULTILABEL:
            predicted = (outputs > 0).astype(np.int64)
        elif data.task is Task.CLASSIFICATION:
            predicted = np.empty(len(outputs), np.int64)
            if of.loss.outputs == 1:
                predicted[:] = outputs[:, 0] > 0
            else:
                highest(outputs, predicted)
        return self._score.of(truth.y, predicted, data, truth.weight)


def epoch_cost(job: Job, own: Dataset) -> Callable[[Trial], float]:
    """What an epoch of a trial costs, from its shape and its batch size.

    A least-squares fit to measured epochs of mixed recipes on `digits`, widths 16 to 256 and one to
    three hidden layers, in units of 0.12 ns; half of the epochs were within 11 % of it.
    """

    def cost(trial: Trial) -> float:
        # Folds differ in size; splits that are drawn anew are as large as the study's own.
        in_fold = isinstance(trial, Member) and trial.fold is not None
        data = (job.data_for(trial) if in_fold else own) or own
        samples, inputs = len(data.train.x), math.prod(data.input_shape)
        recipe = Recipe.of(trial.params)
        sizes = (inputs, *[recipe.width] * recipe.depth, data.outputs)
        weights = sum(a * b for a, b in pairwise(sizes))
        batch = samples if recipe.batch_size == FULL else int(recipe.batch_size)
        return samples * (5000.0 + weights) + 6.0 * weights * math.ceil(samples / batch)

    return cost


def row_recipe(recipe: Recipe, trial: Trial) -> RowRecipe:
    """The recipe of a trial as a row takes it."""

    def seed(purpose: str) -> int:
        return derive(trial.study_seed, trial.number, purpose)

    return RowRecipe(
        width=recipe.width,
        depth=recipe.depth,
        layer_norm=recipe.layer_norm,
        activation=Activation[recipe.activation.upper()],
        batch=None if recipe.batch_size == FULL else int(recipe.batch_size),
        rate=lambda at, steps: learning_rates(recipe, at, steps),
        rule=optimizers.rule(recipe),
        l1=recipe.l1,
        l2=recipe.l2,
        weight_decay=recipe.weight_decay,
        clip_norm=recipe.clip_norm if recipe.clipping == "norm" else None,
        clip_value=recipe.clip_value if recipe.clipping == "value" else None,
        dropout=recipe.dropout,
        smoothing=recipe.label_smoothing,
        noise=recipe.input_noise,
        mixup=recipe.mixup,
        seeds=Seeds(
            order=seed("order"),
            dropout=seed("dropout"),
            noise=seed("noise"),
            mixing=seed("mixup"),
            partner=seed("augmentation"),
        ),
    )
