"""TorchSession: one trial, the recipe step by step.

The reference to which fused and stacked rows are held: keep it obvious. What it raises fails the trial.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from tuner.core.job import Job
from tuner.core.training import Exhausted, Outcome, Snapshot
from tuner.core.trial import LAYER_NORMS, Reading, Trial
from tuner.errors import TrialError
from tuner.fused.norms import norms_of
from tuner.trainers import threshold
from tuner.trainers.global_rng import GlobalRng
from tuner.trainers.state import freeze, reading_of, reading_table, thaw
from tuner.trainers.torch.average import WeightAverage, running_averages
from tuner.trainers.torch.batches import Augmentation, batch_of, batch_sizes
from tuner.trainers.torch.context import context_of, model_of
from tuner.trainers.torch.costs import NONZERO, asked, costs
from tuner.trainers.torch.data_parallel import DataParallel
from tuner.trainers.torch.failures import threads, translated
from tuner.trainers.torch.model import write
from tuner.trainers.torch.precision import full, training
from tuner.trainers.torch.recipe import Recipe
from tuner.trainers.torch.schedule import Plateau, learning_rate
from tuner.trainers.torch.start import network_of
from tuner.trainers.torch.training_tensors import Inputs, TargetTensors, TrainingTensors
from tuner.trainers.torch.update import TorchUpdate
from tuner.trainers.torch.weight_pruning import WeightPruning

CHUNK = 2**22
"""Input numbers that are evaluated at once, at most."""


class TorchSession:
    """A trial's network, optimizer and random streams; a `TrialSession`.

    All streams start from the trial alone. Those of the order and of augmentation are on the CPU,
    so that the device does not change them.
    """

    def __init__(
        self, job: Job, trial: Trial, tensors: TrainingTensors, snapshot: Snapshot | None = None
    ) -> None:
        self._spec, self._trial, self._threads = job.spec, trial, job.resources.threads
        self._recipe, self._plateau = Recipe.of(trial.params), Plateau()
        self._model = model_of(job.spec, tensors.data)
        self.tensors = tensors.suited(self._model, self._recipe)
        with self._computing():
            self._set_up(DataParallel(job.resources, job.spec.trainer.sync_every))
            if snapshot is not None:
                self._restore(snapshot)

    def next(self) -> Outcome:
        """Train the trial for one epoch.

        Raises:
            DeviceError: CUDA failed, other than for want of memory.
        """
        if self.epoch >= self._spec.trainer.epochs:
            return Exhausted()
        with self._computing():
            return self._advance()

    def snapshot(self) -> Snapshot | None:
        """All that training changes; None where the module has a state that is no tensor."""
        module = self._module.state_dict()
        if not all(isinstance(part, Tensor) for part in module.values()):
            return None
        state = {
            "module": module,
            "unlisted": {n: b for n, b in self._module.named_buffers() if n not in module},
            "update": self._update.state(),
            "average": self._average.tensors,
            "plateau": asdict(self._plateau),
            "best": reading_table(self.best),
            "weights": self.weights,
            "order": self._order.get_state(),
            "augmentation": self._augmenting.get_state(),
            "mixup": self._mixup.bit_generator.state,
            "dropout": self._dropout.state(),
        }
        return Snapshot(self.epoch, *freeze(state))

    def save(self, folder: Path) -> bool:
        """Write the best epoch's model, see `model.write`; False before the first finite value.

        Raises:
            TrialError: the network has a state that is no tensor.
        """
        if self.best is None:
            return False
        if missing := [name for name in self._module.state_dict() if name not in self.weights]:
            raise TrialError(f"{missing[0]} in the network's state_dict is no tensor; make it a buffer")
        write(
            folder,
            trial=self._trial,
            loss=self.tensors.loss,
            scaling=self.inputs.scaling,
            data=self.tensors.data,
            best=self.best,
            weights=self.weights,
            spec=self._spec,
        )
        return True

    def close(self) -> None:
        """Nothing to release but memory."""

    @contextmanager
    def _computing(self) -> Iterator[None]:
        """Within it errors of the device are told in words, and as many threads compute as the job says."""
        with translated(self.tensors.device), threads(self._threads):
            yield

    def _set_up(self, parallel: DataParallel) -> None:
        spec, trial, tensors = self._spec, self._trial, self.tensors
        self.best: Reading | None = None
        self.weights: dict[str, Tensor] = {}
        self.epoch = 0
        self._score = threshold.score_of(spec, tensors.data.task)
        self._objective, rates = spec.primary_objective(), spec.trainer.rates
        self._precision = training(spec, tensors.device)
        self._augmentation = Augmentation(self._recipe, tensors.loss, tensors.data)
        self._augments = self._augmentation.is_any
        self._order = torch.Generator().manual_seed(trial.seed("order"))
        self._augmenting = torch.Generator().manual_seed(trial.seed("augmentation"))
        self._mixup = np.random.default_rng(trial.seed("mixup"))
        self._parallel = parallel
        self._dropout = GlobalRng(self._parallel.seed(trial.seed("dropout")), str(tensors.device))
        self.inputs = tensors.inputs(self._recipe.scaling)
        self.context = context_of(trial, tensors.data, tensors.loss.outputs)
        self._judged = self._module = network_of(trial, self._model, tensors, rates)
        with GlobalRng(0, str(tensors.device)):
            self._costs = costs(
                asked(spec), self._module, self.inputs.validation[:1], self._recipe, self.inputs.train
            )
        self._update = TorchUpdate(self._recipe, self._module, trial.params, rates)
        self._average = WeightAverage(self._recipe.ema)
        self._averaged = [*self._update.weights, *running_averages(self._module)]
        weights = tensors.weights(self._recipe.class_weight)
        self._weights = None if weights is None else weights.to(tensors.device)
        samples, normalizes = len(tensors.train), bool(norms_of(self._module))
        sizes = batch_sizes(samples, batch_of(self._recipe, samples), normalizes)
        if normalizes and self._parallel.least(min(sizes)) < min(2, *sizes):
            raise TrialError(
                f"a batch of {min(sizes)} rows leaves a process fewer than 2, on which batch normalization "
                "cannot train; use larger batches or a smaller [trainer] world_size"
            )
        each = self._recipe.accumulation
        self._batches = [sizes[at : at + each] for at in range(0, len(sizes), each)]  # of each step
        self._steps = spec.trainer.epochs * len(self._batches)
        self._pruning = WeightPruning(self._recipe, self._module, self._steps)

    def _restore(self, snapshot: Snapshot) -> None:
        """Go on where a snapshot of this trial was made."""
        state = thaw(snapshot.arrays, snapshot.facts)
        self._module.load_state_dict(state["module"])
        buffers = dict(self._module.named_buffers())
        for name, tensor in state["unlisted"].items():
            buffers[name].copy_(tensor)
        self._update.restore(state["update"])
        self._pruning.restore()
        self._average.tensors = [tensor.to(self.tensors.device) for tensor in state.get("average", ())]
        self._plateau = Plateau(**state.get("plateau", {}))
        self.epoch, self.best, self.weights = snapshot.epoch, reading_of(state["best"]), state["weights"]
        self._order.set_state(state["order"])
        self._augmenting.set_state(state["augmentation"])
        self._mixup.bit_generator.state = state["mixup"]
        self._dropout.restore(state["dropout"])

    def _advance(self) -> Reading:
        """Train one epoch and measure."""
        start = time.perf_counter()
        self._layers: Mapping[str, float] = {}
        with self._dropout:
            rate, norm = self._train()
        with self._shown():
            train_loss, train_score = self._measure(self.inputs.sample, self.tensors.sample)
            val_loss, val_score = self._measure(self.inputs.validation, self.tensors.validation)
            self.epoch += 1
            seconds = time.perf_counter() - start
            extras = {**self._costs, **self._layers}
            if NONZERO in extras:
                extras |= costs((NONZERO,), self._module, self.inputs.validation[:1])
            reading = Reading(
                self.epoch, train_loss, val_loss, train_score, val_score, rate, norm, seconds, extras
            )
            if self._objective.prefers(reading, self.best):
                self.best, state = reading, self._module.state_dict()
                self.weights = {n: t.detach().clone() for n, t in state.items() if isinstance(t, Tensor)}
        self._plateau.follow(self._recipe, val_loss)
        return reading

    def _train(self) -> tuple[float, float]:
        """Returns the last step's learning rate and the mean norm of the gradients."""
        self._module.train()
        device, step, rate = self.tensors.device, self.epoch * len(self._batches), math.nan
        norms = torch.zeros((), device=device)
        order = torch.randperm(len(self.tensors.train), generator=self._order).to(device)
        for rows, sizes in zip(torch.split(order, list(map(sum, self._batches))), self._batches, strict=True):
            self._update.clear()
            for batch in torch.split(rows, sizes):
                part = self._parallel.part(len(batch))
                if part.start == part.stop:  # there are fewer rows than processes
                    continue
                loss = self._batch_loss(batch, part)
                share = self._parallel.share(part, len(batch)) * len(batch) / len(rows)
                (loss if share == 1 else loss * share).backward()  # type: ignore[no-untyped-call]
            self._parallel.add_gradients(self._update.weights)
            if step + 1 in (len(self._batches), self._steps):
                self._layers = self._layer_norms()
            rate = self._plateau.share * learning_rate(self._recipe, step, self._steps)
            norms += self._update.step(rate)
            self._pruning.follow(step + 1)
            self._parallel.follow(self._update.weights)
            if self._average.decay:
                self._average.follow(self._averaged)
            step += 1
        statistics = [*self._averaged[len(self._update.weights) :], *self._average.tensors]
        self._parallel.end_epoch(self._update.weights, statistics)
        return rate, norms.item() / len(self._batches)

    def _batch_loss(self, rows: Tensor, part: slice) -> Tensor:
        """The mean loss of a part of a batch, whose augmentation is drawn for all of it."""
        if not self._augments:
            rows, part = rows[part], slice(None)
        targets = self.tensors.lessons if self._recipe.distil_weight else self.tensors.train
        x, y = self.inputs.train[rows], targets[rows]
        weight = None if self._weights is None else self._weights[rows]
        if self._augments:
            x, y, weight = self._augmentation.of(x, y, weight, self._augmenting, self._mixup)
            x, y, weight = x[part], y[part], None if weight is None else weight[part]
        with self._precision:
            outputs = self._outputs(x, self._module)
        return self._loss(full(outputs), y, weight)

    def _loss(self, outputs: Tensor, targets: Tensor, weight: Tensor | None) -> Tensor:
        loss, smoothing, share = self.tensors.loss, self._recipe.label_smoothing, self._recipe.distil_weight
        if share:
            targets, taught = targets.tensor_split(2, dim=1)
            each = loss.distilled(outputs, taught, self._recipe.distil_temperature)
            soft = (each if weight is None else each * weight).mean()
        hard = (
            loss(outputs, targets, smoothing)
            if weight is None
            else loss.weighed(outputs, targets, smoothing, weight)
        )
        return (1 - share) * hard + share * soft if share else hard

    def _layer_norms(self) -> dict[str, float]:
        weights = [p.grad for p in self._module.parameters() if p.ndim > 1 and p.grad is not None]
        ends = (weights[0], weights[-1]) if weights else ()
        return {n: torch.linalg.vector_norm(g).item() for n, g in zip(LAYER_NORMS, ends, strict=False)}

    @contextmanager
    def _shown(self) -> Iterator[None]:
        """Within it the network is as it is kept and measured: averaged, pruned, in 8-bit integers."""
        with self._average.shown(self._averaged):
            self._pruning.hold()  # an average holds what has been
            if self._recipe.is_quantized:
                from tuner.trainers.torch.int8 import Int8Network

                own = copy.deepcopy(self._module).cpu()
                self._judged = Int8Network(own, self.inputs.validation[:1].cpu())
            yield
            self._judged = self._module

    def _outputs(self, x: Tensor, network: nn.Module) -> Tensor:
        outputs, needed = network(x), (len(x), self.context.outputs)
        if not isinstance(outputs, Tensor):
            raise TrialError(f"the network gives a {type(outputs).__name__}; a tensor {needed} is needed")
        if outputs.shape == needed:
            return outputs
        # A mismatch would be broadcast in silence.
        if outputs.shape == needed[:1] and needed[1] == 1:
            return outputs[:, None]
        raise TrialError(f"the network gives outputs of shape {tuple(outputs.shape)}; {needed} is needed")

    @torch.no_grad()
    def _measure(self, x: Inputs, truth: TargetTensors) -> tuple[float, float]:
        """Loss and score in evaluation mode."""
        self._module.eval()
        rows, part = max(1, CHUNK // math.prod(self.context.input_shape)), self._parallel.part(len(x))
        last = max(part.stop, part.start + 1)  # a process without rows computes one for nothing
        ends = range(part.start, last, rows)
        outputs = torch.cat([self._outputs(x[at : min(at + rows, last)], self._judged) for at in ends])
        outputs = outputs[: part.stop - part.start]
        return self.tensors.judged(self._parallel.gathered(outputs, len(x)), truth, self._score)
