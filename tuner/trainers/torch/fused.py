"""FusedBatch: many trials of the shipped mlp at once, by the compiled rows of `tuner.fused`.

Turns trials into rows and measurements into readings. Rows that are compiled may be placed and trained by
several threads, each row by one at a time.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tuner.core.dataset import Dataset, Task
from tuner.core.job import Job, Member
from tuner.core.spec import StudySpec
from tuner.core.training import Exhausted, Failure, Outcome, Snapshot
from tuner.core.trial import LAYER_NORMS, Reading, Trial
from tuner.errors import DataError
from tuner.fused import EpochResult, FusedRow, RowPool
from tuner.fused.layout import Floats
from tuner.fused.loss_kernels import highest
from tuner.trainers import plain_losses, threshold
from tuner.trainers.global_rng import GlobalRng
from tuner.trainers.per_dataset import PerDataset
from tuner.trainers.row_batch import RowBatch, Savable
from tuner.trainers.state import reading_of, reading_table
from tuner.trainers.torch.compilable import why_not_compiled
from tuner.trainers.torch.context import MLP, NetworkContext, context_of
from tuner.trainers.torch.costs import NONZERO, asked, costs
from tuner.trainers.torch.first_weights import FirstWeights
from tuner.trainers.torch.mlp import NamedTensor, layers, tensors
from tuner.trainers.torch.model import write
from tuner.trainers.torch.recipe import FULL, Recipe
from tuner.trainers.torch.row_recipe import row_recipe
from tuner.trainers.torch.schedule import Plateau
from tuner.trainers.torch.split_arrays import SplitArrays
from tuner.trainers.torch.teacher import Teacher, teacher_of
from tuner.trainers.torch.training_arrays import ScaledInputs, TrainingArrays, Truth

if TYPE_CHECKING:
    from torch import nn

    from tuner.trainers.torch.stacked import StackedBatch


@dataclass(slots=True)
class FusedTrial:
    """A trial that trains as a compiled row.

    Attributes:
        row: its network and its optimizer.
        tensors: of the network, by their names in its `state_dict`.
        costs: what every reading has as extras.
        plateau: what is left of the learning rate, which the row asks for.
        best: the best epoch's reading.
        module: the network for PyTorch, where it is measured in 8-bit integers.
    """

    trial: Trial
    spec: StudySpec
    recipe: Recipe
    context: NetworkContext
    split: SplitArrays
    inputs: ScaledInputs[NDArray[Any]]
    tensors: Mapping[str, NamedTensor]
    costs: Mapping[str, float]
    plateau: Plateau
    row: FusedRow
    best: Reading | None
    module: nn.Module | None = None

    def save(self, folder: Path) -> bool:
        """Write the best epoch's model, see `model.write`; False before the first finite value."""
        if self.best is None:
            return False
        weights = self.row.kept() or {}
        write(
            folder,
            trial=self.trial,
            loss=self.split.loss,
            scaling=self.inputs.scaling,
            data=self.split.of.data,
            best=self.best,
            weights={
                # Running averages have seen all batches until then.
                name: np.array(self.best.epoch * self.row.steps)
                if tensor.row_name.endswith("batches")
                else weights[tensor.row_name]
                for name, tensor in self.tensors.items()
            },
            spec=self.spec,
        )
        return True

    def snapshot(self) -> Snapshot:
        """Everything that training changes."""
        state = self.row.snapshot()
        more = {"plateau": asdict(self.plateau), "best": reading_table(self.best)}
        return replace(state, facts={**state.facts, **more})


class FusedBatch(RowBatch[Savable]):
    """`job.rows` rows, which may be placed, trained and emptied by several threads where all are compiled.

    A study's space may hold settings that are not; trials that have one train beside those that are like
    them, see `StackedBatch`, and the others lose nothing by it.

    A trial's numbers are those of `TorchSession` up to rounding where it has no dropout and no
    input noise; these are drawn from streams of its own.
    """

    def __init__(self, job: Job) -> None:
        if job.data is None:
            raise DataError('data: is missing; the torch trainer needs [data] source = "..."')
        super().__init__(job)
        self._data = job.data
        self._epochs, self._objective = job.spec.trainer.epochs, job.spec.primary_objective()
        self._asked = asked(job.spec)
        self._score = threshold.score_of(job.spec, job.data.task)
        self._pool = RowPool(job.resources.threads)
        self._loss = plain_losses.of(job.spec, job.data)
        self._teacher = teacher_of(job.spec)
        self._arrays: PerDataset[TrainingArrays] = PerDataset()
        self._splits: PerDataset[SplitArrays] = PerDataset()
        # Rows may train in several threads, and share what is made of a split.
        self._placing = threading.Lock()

    def advance(self, rows: Collection[int] | None = None) -> Mapping[int, Outcome]:
        """Train every occupied row, or those of `rows`, for one epoch."""
        outcomes: dict[int, Outcome] = {}
        due: dict[int, FusedTrial] = {}
        others: list[int] = []
        # Other rows may be emptied meanwhile, by other threads.
        for row in sorted(self._rows if rows is None else rows):
            placed = self._rows.get(row)
            if isinstance(placed, Failure):
                outcomes[row] = placed
            elif not isinstance(placed, FusedTrial):
                others += [row] if placed is not None else []
            elif placed.row.epoch >= self._epochs:
                outcomes[row] = Exhausted()
            else:
                due[row] = placed
        for row, measured in self._pool.advance({row: placed.row for row, placed in due.items()}).items():
            outcomes[row] = self._read(due[row], measured)
        if others:
            outcomes |= self._stack.advance(others)
        return outcomes

    def begin(self, trial: Trial, snapshot: Snapshot | None) -> Savable:
        """See `RowBatch`."""
        is_compiled = why_not_compiled(trial, self._data) is None
        # What it stopped as, it goes on as.
        if is_compiled and (snapshot is None or "mixing" in snapshot.facts):
            return self._compiled(trial, snapshot)
        return self._stack.begin(trial, snapshot)

    @cached_property
    def _stack(self) -> StackedBatch:
        from tuner.trainers.torch.stacked import StackedBatch

        return StackedBatch(self._job, self._rows)

    def _compiled(self, trial: Trial, snapshot: Snapshot | None) -> FusedTrial:
        """Draw the trial's first weights, or take a snapshot's."""
        with self._placing:
            recipe, teacher = Recipe.of(trial.params), self._teacher
            split = self._split(trial, recipe)
            context = context_of(trial, split.of.data, split.loss.outputs)
            network = layers(recipe, context)
            inputs, named = split.of.inputs(recipe.scaling), tensors(network)
            found = _costs(self._asked, context, inputs, recipe) if self._asked else {}
            facts: Mapping[str, Any] = {} if snapshot is None else snapshot.facts
            best, plateau = reading_of(facts.get("best")), Plateau(**facts.get("plateau", {}))
            start = snapshot or _first_weights(trial, recipe, named, teacher)
            targets = split.targets(recipe.class_weight, teacher if recipe.distil_weight else None)
            tables = tuple(table for layer in network for table in layer.tables)
            own = replace(row_recipe(recipe, trial, plateau), tables=tables)
            row = FusedRow(own, targets, split.inputs(recipe.scaling), self._epochs, start)
        spec = self._job.spec
        return FusedTrial(trial, spec, recipe, context, split, inputs, named, found, plateau, row, best)

    def _split(self, trial: Trial, recipe: Recipe) -> SplitArrays:
        data = self._job.data_for(trial)
        assert data is not None  # noqa: S101 - the job has data
        spec = self._job.spec
        arrays = self._arrays.of(
            self._job, data, lambda: TrainingArrays(data, spec.search.seed, spec.trainer.class_weight)
        )
        own = arrays.suited(MLP, recipe)
        return self._splits.of(self._job, own.data, lambda: SplitArrays(own, self._loss))

    def _read(self, placed: FusedTrial, measured: EpochResult) -> Reading:
        if placed.recipe.is_quantized:
            measured = self._quantized(placed, measured)
        extras = {**placed.costs, **dict(zip(LAYER_NORMS, measured.layer_norms or (), strict=False))}
        if NONZERO in extras:
            trained = placed.row.weights.judged[: placed.row.layout.trained]
            extras[NONZERO] = float(np.count_nonzero(trained))
        reading = Reading(
            measured.epoch,
            measured.train_loss,
            measured.val_loss,
            self._scored(measured.sample_outputs, placed.split, placed.split.of.sample),
            self._scored(measured.val_outputs, placed.split, placed.split.of.validation),
            measured.learning_rate,
            measured.grad_norm,
            seconds=measured.seconds,
            extras=extras,
        )
        placed.plateau.follow(placed.recipe, reading.val_loss)
        if self._objective.prefers(reading, placed.best):
            placed.best = reading
            placed.row.keep()
        return reading

    def _quantized(self, placed: FusedTrial, measured: EpochResult) -> EpochResult:
        """What was measured, of the network in 8-bit integers."""
        import torch

        from tuner.trainers.torch.int8 import Int8Network

        start = time.perf_counter()
        weights, inputs, split = placed.row.judged(), placed.inputs, placed.split
        state = {n: weights[t.row_name] for n, t in placed.tensors.items() if t.row_name in weights}
        with self._placing:  # the library that rounds is told to be quiet for all threads
            module = placed.module = placed.module or _module(placed.context)
            module.load_state_dict(
                {name: torch.from_numpy(each) for name, each in state.items()}, strict=False
            )
            network = Int8Network(module, torch.from_numpy(inputs.validation[:1]))
        sample, validation = (
            network(torch.from_numpy(x)).numpy() for x in (inputs.sample, inputs.validation)
        )
        losses = [
            float(np.average(split.loss.rows(found, split.loss.targets(truth.y)), weights=truth.weight))
            for found, truth in ((sample, split.of.sample), (validation, split.of.validation))
        ]
        return replace(
            measured,
            train_loss=losses[0],
            val_loss=losses[1],
            sample_outputs=sample,
            val_outputs=validation,
            seconds=measured.seconds + time.perf_counter() - start,
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


def _first_weights(
    trial: Trial, recipe: Recipe, named: Mapping[str, NamedTensor], teacher: Teacher | None
) -> dict[str, Floats]:
    """First weights by the row's names: the teacher's, or as a session draws them."""
    shapes = {name: tensor.shape for name, tensor in named.items()}
    given = teacher.first_weights(recipe, shapes) if teacher is not None else None
    if given is not None:
        return {named[name].row_name: array.astype(np.float32) for name, array in given.items()}
    seed = trial.seed("initialization")
    draw, found = FirstWeights(recipe.init, recipe.init_gain, seed), dict[str, Floats]()
    for tensor in named.values():
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

    x, train = torch.from_numpy(inputs.validation[:1]), torch.from_numpy(inputs.train)
    return costs(names, _module(context), x, recipe, train)


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
        sizes = (inputs, *recipe.widths, data.outputs)
        weights = sum(a * b for a, b in pairwise(sizes))
        batch = samples if recipe.batch_size == FULL else int(recipe.batch_size) * recipe.accumulation
        return samples * (5000.0 + weights) + 6.0 * weights * math.ceil(samples / batch)

    return cost
