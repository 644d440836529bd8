"""FusedBatch: many trials of the shipped mlp at once, by the compiled rows of `tuner.fused`.

Turns recipes into row recipes and measurements into readings. Rows may be placed and trained by
several threads, each row by one at a time.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tuner.core.dataset import Dataset, Task
from tuner.core.job import Job, Member
from tuner.core.training import Exhausted, Failure, Outcome, Snapshot
from tuner.core.trial import LAYER_NORMS, Reading, Trial
from tuner.errors import DataError
from tuner.fused import (
    Activation,
    EpochResult,
    FusedRows,
    RowRecipe,
    RowState,
    Seeds,
)
from tuner.fused.layout import Floats
from tuner.fused.loss_kernels import highest
from tuner.trainers import plain_losses, threshold
from tuner.trainers.global_rng import GlobalRng
from tuner.trainers.per_dataset import PerDataset
from tuner.trainers.state import reading_of, reading_table
from tuner.trainers.torch import optimizers
from tuner.trainers.torch.context import MLP, NetworkContext, context_of
from tuner.trainers.torch.costs import asked, costs
from tuner.trainers.torch.first_weights import FirstWeights
from tuner.trainers.torch.mlp import NamedTensor, layers, tensors
from tuner.trainers.torch.model import write
from tuner.trainers.torch.recipe import FULL, Recipe
from tuner.trainers.torch.schedule import Plateau, learning_rates
from tuner.trainers.torch.split_arrays import SplitArrays, Truth
from tuner.trainers.torch.teacher import Teacher, teacher_of
from tuner.trainers.torch.training_arrays import ScaledInputs, TrainingArrays

if TYPE_CHECKING:
    from torch import nn


@dataclass(slots=True)
class _Placed:
    """What is known of a trial beside its row."""

    trial: Trial
    recipe: Recipe
    context: NetworkContext
    split: SplitArrays
    inputs: ScaledInputs[NDArray[Any]]
    tensors: Mapping[str, NamedTensor]
    costs: Mapping[str, float]
    plateau: Plateau = field(default_factory=Plateau)
    epoch: int = 0
    best: Reading | None = None


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
        self._loss = plain_losses.of(job.spec, job.data)
        self._teacher = teacher_of(job.spec)
        self._arrays: PerDataset[TrainingArrays] = PerDataset()
        self._splits: PerDataset[SplitArrays] = PerDataset()
        self._placed: dict[int, _Placed | Failure] = {}
        # Rows may train in several threads, and share what is made of a split.
        self._placing = threading.Lock()

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
            with self._placing:
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
            model=MLP,
            trial=placed.trial,
            context=placed.context,
            loss=placed.split.loss,
            scaling=placed.inputs.scaling,
            data=placed.split.of.data,
            best=placed.best,
            weights={
                # Running averages have seen all batches until then.
                name: np.array(placed.best.epoch * self._rows.steps(row))
                if tensor.row_name.endswith("batches")
                else weights[tensor.row_name]
                for name, tensor in placed.tensors.items()
            },
            spec=self._job.spec,
        )
        return True

    def snapshot(self, row: int) -> Snapshot | None:
        """The row's state; None of a row that is empty or failed."""
        placed = self._placed.get(row)
        if not isinstance(placed, _Placed):
            return None
        state = self._rows.state(row)
        facts = {"mixing": state.mixing, "plateau": asdict(placed.plateau)}
        return Snapshot(state.epoch, state.arrays, {**facts, "best": reading_table(placed.best)})

    @staticmethod
    def wrote(snapshot: Snapshot) -> bool:
        """Whether a snapshot is of such a row."""
        return "mixing" in snapshot.facts

    def clear(self, row: int) -> None:
        """Empty the row."""
        self._rows.clear(row)
        self._placed.pop(row, None)

    def _place(self, row: int, trial: Trial, snapshot: Snapshot | None) -> _Placed:
        recipe = Recipe.of(trial.params)
        split = self._split(trial, recipe)
        context = context_of(trial, split.of.data, split.loss.outputs)
        network = layers(recipe, context)
        scaling = recipe.scaling or split.of.data.scaling
        inputs = split.of.inputs(scaling)
        found = _costs(self._asked, context, inputs, recipe) if self._asked else {}
        placed = _Placed(trial, recipe, context, split, inputs, tensors(network), found)
        start: Mapping[str, Floats] | RowState
        if snapshot is None:
            start = _first_weights(placed, self._teacher)
        else:
            start = RowState(snapshot.epoch, snapshot.arrays, snapshot.facts["mixing"])
            placed.epoch, placed.best = snapshot.epoch, reading_of(snapshot.facts["best"])
            placed.plateau = Plateau(**snapshot.facts.get("plateau", {}))
        targets = split.targets(recipe.class_weight, self._teacher if recipe.distil_weight else None)
        tables = tuple(table for layer in network for table in layer.tables)
        own = replace(row_recipe(recipe, trial, placed.plateau), tables=tables)
        self._rows.place(row, own, targets, split.inputs(scaling), start)
        return placed

    def _split(self, trial: Trial, recipe: Recipe) -> SplitArrays:
        data = self._job.data_for(trial)
        assert data is not None  # noqa: S101 - the job has data
        spec = self._job.spec
        arrays = self._arrays.of(
            self._job, data, lambda: TrainingArrays(data, spec.search.seed, spec.trainer.class_weight)
        )
        own = arrays.suited(MLP, recipe)
        return self._splits.of(self._job, own.data, lambda: SplitArrays(own, self._loss))

    def _read(self, row: int, placed: _Placed, measured: EpochResult) -> Reading:
        placed.epoch = measured.epoch
        if placed.recipe.is_quantized:
            measured = self._quantized(row, placed, measured)
        reading = Reading(
            measured.epoch,
            measured.train_loss,
            measured.val_loss,
            self._scored(measured.sample_outputs, placed.split, placed.split.sample),
            self._scored(measured.val_outputs, placed.split, placed.split.validation),
            measured.learning_rate,
            measured.grad_norm,
            seconds=measured.seconds,
            extras={**placed.costs, **dict(zip(LAYER_NORMS, measured.layer_norms or (), strict=False))},
        )
        placed.plateau.follow(placed.recipe, reading.val_loss)
        if self._objective.prefers(reading, placed.best):
            placed.best = reading
            self._rows.keep(row)
        return reading

    def _quantized(self, row: int, placed: _Placed, measured: EpochResult) -> EpochResult:
        """What was measured, of the network in 8-bit integers."""
        import torch

        from tuner.trainers.torch.int8 import Int8Network

        weights, inputs, split = self._rows.judged(row), placed.inputs, placed.split
        state = {n: weights[t.row_name] for n, t in placed.tensors.items() if t.row_name in weights}
        with self._placing:  # the library that rounds is told to be quiet for all threads
            module = _module(placed.context)
            module.load_state_dict(
                {name: torch.from_numpy(each) for name, each in state.items()}, strict=False
            )
            network = Int8Network(module, torch.from_numpy(inputs.validation[:1]))
        sample, validation = (
            network(torch.from_numpy(x)).numpy() for x in (inputs.sample, inputs.validation)
        )
        losses = [
            float(np.average(split.loss.rows(found, split.loss.targets(truth.y)), weights=truth.weight))
            for found, truth in ((sample, split.sample), (validation, split.validation))
        ]
        return replace(
            measured, train_loss=losses[0], val_loss=losses[1], sample_outputs=sample, val_outputs=validation
        )

    def _scored(self, outputs: Floats, of: SplitArrays, truth: Truth) -> float:
        data = of.of.data
        predicted: NDArray[Any] = outputs
        if self._score.takes_probabilities(data.task):
            predicted = of.loss.probabilities(outputs)
        elif data.task is Task.CLASSIFICATION and of.loss.outputs > 1:
            # As `PlainLoss.indices` does it, in a fraction of the time.
            predicted = np.empty(len(outputs), np.int64)
            highest(outputs, predicted)
        elif data.task.is_of_classes:
            predicted = of.loss.indices(outputs)
        return self._score.of(truth.y, predicted, data, truth.weight)


def _first_weights(placed: _Placed, teacher: Teacher | None) -> dict[str, Floats]:
    """First weights by the row's names: the teacher's, or as a session draws them."""
    shapes = {name: tensor.shape for name, tensor in placed.tensors.items()}
    given = teacher.first_weights(placed.recipe, shapes) if teacher is not None else None
    if given is not None:
        names = {name: tensor.row_name for name, tensor in placed.tensors.items()}
        return {names[name]: array.astype(np.float32) for name, array in given.items()}
    recipe, seed = placed.recipe, placed.trial.seed("initialization")
    draw, found = FirstWeights(recipe.init, recipe.init_gain, seed), dict[str, Floats]()
    for tensor in placed.tensors.values():
        if tensor.is_drawn:
            is_table = tensor.row_name.startswith("embedding")
            found[tensor.row_name] = (draw.embedding if is_table else draw.linear)(tensor.shape)
        else:
            first = np.ones if tensor.row_name.endswith(("scale", "variance")) else np.zeros
            found[tensor.row_name] = first(tensor.shape, np.float32)
    return found


def _costs(
    names: Sequence[str], context: NetworkContext, inputs: ScaledInputs[NDArray[Any]], recipe: Recipe
) -> dict[str, float]:
    """What the network costs, which is measured in PyTorch."""
    import torch

    return costs(names, _module(context), torch.from_numpy(inputs.validation[:1]), recipe)


def _module(context: NetworkContext) -> nn.Module:
    """The network as a module of PyTorch, with any weights."""
    from tuner.trainers.torch.networks import build

    with GlobalRng(0):  # building draws initial weights that are not used
        return build(MLP, context.params, context)


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
        batch = samples if recipe.batch_size == FULL else int(recipe.batch_size) * recipe.accumulation
        return samples * (5000.0 + weights) + 6.0 * weights * math.ceil(samples / batch)

    return cost


def row_recipe(recipe: Recipe, trial: Trial, plateau: Plateau) -> RowRecipe:
    """The recipe of a trial as a row takes it, whose rates follow the plateau."""
    return RowRecipe(
        width=recipe.width,
        depth=recipe.depth,
        layer_norm=recipe.layer_norm,
        batch_norm=recipe.batch_norm,
        activation=Activation[recipe.activation.upper()],
        batch=None if recipe.batch_size == FULL else int(recipe.batch_size) * recipe.accumulation,
        rate=lambda at, steps: plateau.share * learning_rates(recipe, at, steps),
        rule=optimizers.rule(recipe),
        l1=recipe.l1,
        l2=recipe.l2,
        weight_decay=recipe.weight_decay,
        clip_norm=recipe.clip_norm if recipe.clipping == "norm" else None,
        clip_value=recipe.clip_value if recipe.clipping == "value" else None,
        clip_parameters=recipe.clip_parameters,
        ema=recipe.ema,
        dropout=recipe.dropout,
        smoothing=recipe.label_smoothing,
        noise=recipe.input_noise,
        mixup=recipe.mixup,
        distil_weight=recipe.distil_weight,
        distil_temperature=recipe.distil_temperature,
        seeds=Seeds(
            order=trial.seed("order"),
            dropout=trial.seed("dropout"),
            noise=trial.seed("noise"),
            mixing=trial.seed("mixup"),
            partner=trial.seed("augmentation"),
        ),
    )
