"""StackedBatch: many trials of any network at once, those of one program and one split side by side.

What cannot be computed so trains one at a time. Used by one thread.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from tuner.core.dataset import Dataset
from tuner.core.job import Job
from tuner.core.spec import StudySpec
from tuner.core.training import Exhausted, Failure, Outcome, Snapshot, TrialSession
from tuner.core.trial import Trial
from tuner.errors import DataError, described
from tuner.fused.masks import dropout_rates
from tuner.fused.program import SAMPLES, Program, Unstackable
from tuner.fused.recipe import coefficients
from tuner.fused.signature import signature
from tuner.trainers import threshold
from tuner.trainers.global_rng import GlobalRng
from tuner.trainers.per_dataset import PerDataset
from tuner.trainers.row_batch import RowBatch
from tuner.trainers.torch import losses, optimizers
from tuner.trainers.torch.average import WeightAverage
from tuner.trainers.torch.batches import TrialRng, batch_of, batch_sizes, plan, whole
from tuner.trainers.torch.context import model_of
from tuner.trainers.torch.costs import NONZERO, asked, costs
from tuner.trainers.torch.failures import failure, threads
from tuner.trainers.torch.rates import shares
from tuner.trainers.torch.recipe import Recipe
from tuner.trainers.torch.row_recipe import row_recipe
from tuner.trainers.torch.schedule import Plateau
from tuner.trainers.torch.session import TorchSession
from tuner.trainers.torch.shipped import NETWORK, SHIPPED
from tuner.trainers.torch.stacked_epoch import StackedEpoch
from tuner.trainers.torch.stacked_row import StackedRow
from tuner.trainers.torch.start import network_of
from tuner.trainers.torch.training_arrays import TrainingArrays
from tuner.trainers.torch.training_tensors import TrainingTensors, tensors_of
from tuner.trainers.torch.work import step_work

QUANTUM = {"cpu": (8, 32), "cuda": (32, 256), "mps": (32, 256)}
"""Micro-batches on each kind of device: those of batches that fit the first one, and all others.

Two sizes waste less on padding than more sizes would on groups of few rows.
"""

CACHE = 2**19
"""Elements of parameters that rows on a CPU may have together; more do not stay in its cache."""

MANY = 4
"""So many rows train together however large they are."""

Part = tuple[int, StackedRow]
"""A row's index, and what it holds."""


def why_not_stacked(spec: StudySpec, data: Dataset, device: str) -> str | None:
    """Why a study's trials cannot train side by side, in words; None when those like its first one can."""
    space = spec.search_space()
    trial = Trial(0, space.given(space.defaults()), spec.search.seed)
    model = model_of(spec, data)
    try:
        with threads(1), GlobalRng(0, device):  # what is tried is small
            loss = losses.of(spec, data)
            if not loss.stacks:
                return f"{model} trains one trial at a time: the loss {loss.name} is a function of your own"
            if not optimizers.is_rule(name := Recipe.of(trial.params).optimizer):
                return f"{model} trains one trial at a time: the optimizer {name} is your own"
            tensors = TrainingTensors(TrainingArrays(data, spec.search.seed), loss, torch.device(device))
            tensors = tensors.suited(model, Recipe.of(trial.params))
            Programs(model).find(trial, network_of(trial, model, tensors, spec.trainer.rates), tensors)
    except Unstackable as error:
        return f"{model} trains one trial at a time: {error}"
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001
        return f"{model} cannot be tried: {described(error)}"
    return None


def work_of(job: Job, trial: Trial, tensors: TrainingTensors) -> float:
    """The `step_work` of a trial."""
    model, recipe = model_of(job.spec, tensors.data), Recipe.of(trial.params)
    tensors = tensors.suited(model, recipe)
    inputs = tensors.inputs(recipe.scaling)
    module = network_of(trial, model, tensors, job.spec.trainer.rates)
    return step_work(module, inputs.validation[:1], recipe, len(tensors.train))


class Programs:
    """The programs that were met, by the signatures of their networks."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._found: dict[Hashable, list[Program] | Unstackable] = {}

    def find(self, trial: Trial, module: nn.Module, tensors: TrainingTensors) -> Program:
        """The program of a trial's network, whose dropout layers are replaced.

        Raises:
            Unstackable: it has none.
        """
        key = signature(module)
        known = self._found.setdefault(key, [])
        if isinstance(known, Unstackable):
            raise known
        inputs = tensors.inputs(Recipe.of(trial.params).scaling)
        samples = inputs.validation[:SAMPLES]
        for program in known:
            # What the shipped networks are is in their attributes.
            if self._model in SHIPPED or program.computes(module, samples):
                return program
        try:
            known.append(Program(module, samples, tensors.loss.outputs))
        except Unstackable as error:
            if not known:
                self._found[key] = error
            raise
        return known[-1]


class StackedBatch(RowBatch[StackedRow | TrialSession]):
    """`job.rows` rows.

    A trial's numbers are those of `TorchSession` up to rounding, dropout on a CPU included.
    They do not depend on its row or on its neighbours: on a CPU bit for bit where its libraries
    compute each matrix of a batch, and each group of a convolution, alike; elsewhere up to rounding.
    """

    def __init__(self, job: Job, rows: dict[int, Any] | None = None) -> None:
        if job.data is None:
            raise DataError('data: is missing; the torch trainer needs [data] source = "..."')
        super().__init__(job, rows)
        self._most = job.rows
        self._epochs, self._objective = job.spec.trainer.epochs, job.spec.primary_objective()
        self._asked = asked(job.spec)
        self._model = model_of(job.spec, job.data)
        self._score = threshold.score_of(job.spec, job.data.task)
        self._threads = job.resources.threads
        self._device = torch.device(job.resources.device)
        self._tensors_of: PerDataset[TrainingTensors] = PerDataset()
        self._programs = Programs(self._model)

    def advance(self, rows: Collection[int] | None = None) -> Mapping[int, Outcome]:
        """Train every occupied row, or those of `rows`, for one epoch.

        Raises:
            DeviceError: CUDA failed, other than for want of memory.
        """
        outcomes: dict[int, Outcome] = {}
        groups: dict[Hashable, list[Part]] = defaultdict(list)
        for row, placed in sorted(self._rows.items()):
            if rows is not None and row not in rows:
                continue
            if isinstance(placed, Failure):
                outcomes[row] = placed
            elif not isinstance(placed, StackedRow):
                outcomes[row] = self._advanced(row, placed)
            elif placed.epoch >= self._epochs:
                outcomes[row] = Exhausted()
            else:
                key = id(placed.program), id(placed.tensors), placed.plan.places.shape[1]
                groups[key].append((row, placed))
        with threads(self._threads):
            for group in groups.values():
                outcomes |= self._advance(group)
        return outcomes

    def _failed(self, error: BaseException) -> Failure:
        return failure(error, self._device)

    def begin(self, trial: Trial, snapshot: Snapshot | None) -> StackedRow | TrialSession:
        """See `RowBatch`."""
        with threads(self._threads), GlobalRng(0, str(self._device)):
            data = self._job.data_for(trial)
            assert data is not None  # noqa: S101 - the job has data
            tensors = self._tensors_of.of(self._job, data, lambda: tensors_of(self._job, data))
            row = self._stacked(trial, tensors, snapshot)
            return TorchSession(self._job, trial, tensors, snapshot) if row is None else row

    def _stacked(
        self, trial: Trial, tensors: TrainingTensors, snapshot: Snapshot | None
    ) -> StackedRow | None:
        """What trains a trial beside others; None where nothing can."""
        if snapshot is not None and "stacked" not in snapshot.facts:
            return None
        recipe = Recipe.of(trial.params)
        if not optimizers.is_rule(recipe.optimizer) or recipe.is_quantized or recipe.prunes_weights:
            return None
        tensors = tensors.suited(self._model, recipe)
        rates = self._job.spec.trainer.rates
        module = network_of(trial, self._model, tensors, rates)
        inputs = tensors.inputs(recipe.scaling)
        parts = shares(module, rates)
        dropped = dropout_rates(module)
        found = costs(self._asked, module, inputs.validation[:1], recipe, inputs.train)
        try:
            program = self._programs.find(trial, module, tensors)
        except Unstackable:
            return None
        samples, most = len(tensors.train), self._job.most_work
        # What began side by side goes on so, for its numbers' sake.
        is_limited = snapshot is None and most < math.inf
        if is_limited and step_work(module, inputs.validation[:1], recipe, samples) > most:
            return None
        batch, joins = batch_of(recipe, samples), program.trains_whole
        sizes = batch_sizes(samples, batch, joins)
        if joins and 1 in sizes:  # what has no variance fails as the reference does
            return None
        least, most = QUANTUM[self._device.type]
        quantum = whole(max(sizes)) if joins else least if batch <= least else most
        flat, constants = program.pack(module)
        if NONZERO in found:
            frozen = [constants[name] for name, _ in module.named_parameters() if name in constants]
            found[NONZERO] = float(sum(each.count_nonzero().item() for each in frozen))
        # In a network of one's own the shipped ones' names are free.
        bare = Recipe.of({name: value for name, value in trial.params.items() if name not in NETWORK})
        row = StackedRow(
            trial,
            self._job.spec,
            recipe,
            tensors,
            inputs,
            program,
            plan(samples, batch, quantum, joins, recipe.accumulation),
            coefficients(row_recipe(bare, trial, Plateau())),
            program.parts(parts),
            tuple(dropped[call.layer] for call in program.dropouts),
            tensors.weights(recipe.class_weight),
            torch.stack([flat, torch.zeros_like(flat), torch.zeros_like(flat)]),
            constants,
            TrialRng.of(trial, self._device),
            found,
            WeightAverage(recipe.ema),
        )
        if snapshot is not None:
            row.restore(snapshot)
        return row

    def _advance(self, group: Sequence[Part]) -> dict[int, Outcome]:
        """Train rows of one program, as many at a time as there is room for."""
        outcomes: dict[int, Outcome] = {}
        waiting = list(group)
        while waiting:
            part = waiting[: self._room(waiting[0][1])]
            try:
                outcomes |= self._together(part)
            except torch.cuda.OutOfMemoryError as error:
                if len(part) > 1:
                    torch.cuda.empty_cache()
                    self._most = len(part) // 2
                    continue
                outcomes[part[0][0]] = self._rows[part[0][0]] = failure(error, self._device)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001
                outcomes |= self._blame(part, error)
            del waiting[: len(part)]
        return outcomes

    def _room(self, row: StackedRow) -> int:
        """How many rows like this one train at a time."""
        is_on_cpu = self._device.type == "cpu"
        return min(self._most, max(MANY, CACHE // row.program.size)) if is_on_cpu else self._most

    def _together(self, part: Sequence[Part]) -> dict[int, Outcome]:
        places, rows = {id(placed): row for row, placed in part}, [placed for _, placed in part]
        outcomes: dict[int, Outcome] = {}
        for placed, reading in StackedEpoch(rows, rows[0].tensors, self._job.spec, self._score).advance():
            outcomes[places[id(placed)]] = reading
            if self._objective.prefers(reading, placed.best):
                parameters, placed.kept_constants = placed.judged
                placed.best, placed.kept = reading, parameters.clone()
        return outcomes

    def _blame(self, part: Sequence[Part], error: BaseException) -> dict[int, Outcome]:
        """Find out which rows an exception is of."""
        outcomes: dict[int, Outcome] = {}
        found = failure(error, self._device)
        if len(part) > 1:
            for each in part:
                outcomes |= self._advance([each])
            return outcomes
        ((row, placed),) = part
        if not placed.epoch:
            # What fails side by side may well train alone; if not, its own words are the better ones.
            session = self._attempt(TorchSession, self._job, placed.trial, placed.tensors)
            self._rows[row] = session
            return {row: session if isinstance(session, Failure) else self._advanced(row, session)}
        self._rows[row] = found
        return {row: found}
