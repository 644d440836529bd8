"""StackedEpoch: one epoch of several trials of one program, side by side.

Rows are put together for an epoch and taken apart after it; if it fails they are as they were, so that
`stacked`, which chooses the rows, can train each by itself and find the one that fails.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from tuner.core.spec import StudySpec
from tuner.core.trial import LAYER_NORMS, Reading
from tuner.fused.universal import UniversalUpdate
from tuner.trainers.scores import Score
from tuner.trainers.torch.batch_loader import Batch, BatchLoader
from tuner.trainers.torch.costs import NONZERO
from tuner.trainers.torch.precision import full, training
from tuner.trainers.torch.schedule import learning_rates
from tuner.trainers.torch.session import CHUNK as WHOLE
from tuner.trainers.torch.stacked_row import StackedRow
from tuner.trainers.torch.training_tensors import Inputs, TargetTensors, TrainingTensors

CHUNK = 2**18
"""Input numbers of a row that are evaluated at once, at most."""


class StackedEpoch:
    """Rows of one program whose micro-batches have one size.

    The stack holds an even number of rows, with one of zeros where theirs is odd: so each row's
    sums are taken in the same order, independent of its index and its neighbours.
    """

    def __init__(
        self, rows: Sequence[StackedRow], tensors: TrainingTensors, spec: StudySpec, score: Score
    ) -> None:
        self._rows = sorted(rows, key=lambda row: -len(row.plan.micros))  # those that train are a prefix
        self._tensors, self._epochs, self._score = tensors, spec.trainer.epochs, score
        self._precision = training(spec, tensors.device)
        self._program = rows[0].program
        filled = [*self._rows, *self._rows[: len(rows) % 2]]
        p, m, v = torch.stack([row.flats for row in filled], dim=1).unbind()
        p[len(rows) :] = 0
        self._update = UniversalUpdate([row.numbers for row in filled], p, m, v, rows[0].parts)
        self._constants = {
            name: torch.stack([row.constants[name] for row in filled]) for name in rows[0].constants
        }
        recipes = [(row.recipe.distil_weight, row.recipe.distil_temperature) for row in filled]
        self._distilling = torch.tensor(recipes, device=tensors.device)  # (K, 2)
        self._views: dict[int, tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]] = {}

    def advance(self) -> list[tuple[StackedRow, Reading]]:
        """Train one epoch, measure, and hand the rows their new states."""
        start = time.perf_counter()
        streams = [row.streams.copy() for row in self._rows]
        self._averages = [row.average.copy() for row in self._rows]
        rates, layers = self._train(BatchLoader(self._rows, streams, self._tensors))
        norms, self._judged = self._update.norms(), self._shown()
        train = self._measure([row.inputs.sample for row in self._rows], self._tensors.sample)
        val = self._measure([row.inputs.validation for row in self._rows], self._tensors.validation)
        seconds = (time.perf_counter() - start) / len(self._rows)
        update, readings = self._update, []
        flats = [torch.stack(parts) for parts in zip(update.p, update.m, update.v, strict=True)]
        for i, row in enumerate(self._rows):
            row.epoch, row.streams = row.epoch + 1, streams[i]
            row.flats, row.average = flats[i], self._averages[i]
            if self._program.trains_whole:
                row.constants = {name: tensors[i].clone() for name, tensors in self._constants.items()}
            (train_loss, train_score), (val_loss, val_score) = train[i], val[i]
            row.plateau.follow(row.recipe, val_loss)
            norm = norms[i] / row.plan.steps
            numbers = (train_loss, val_loss, train_score, val_score, rates[i], norm, seconds)
            extras = {**row.costs, **layers[i]}
            if NONZERO in extras:
                extras[NONZERO] += float(row.judged[0].count_nonzero().item())
            readings.append(Reading(row.epoch, *numbers, extras))
        return list(zip(self._rows, readings, strict=True))

    def _train(self, batches: Iterable[Batch]) -> tuple[list[float], list[dict[str, float]]]:
        """Returns the learning rate of each row's last step, and its `LAYER_NORMS`."""
        rates = [math.nan] * len(self._rows)
        layers: list[dict[str, float]] = [{} for _ in self._rows]
        steps = [row.epoch * row.plan.steps for row in self._rows]
        planned = [
            row.plateau.share
            * learning_rates(row.recipe, first + np.arange(row.plan.steps), self._epochs * row.plan.steps)
            for row, first in zip(self._rows, steps, strict=True)
        ]
        for batch in batches:
            self._descend(batch)
            for i in batch.ends:
                row = self._rows[i]
                rates[i] = float(planned[i][steps[i] - row.epoch * row.plan.steps])
                steps[i] += 1
                if steps[i] in (row.plan.steps, self._epochs * row.plan.steps):
                    layers[i] = self._layer_norms(i)
            self._update.step([(i, rates[i], steps[i]) for i in batch.ends])
            for i in batch.ends:
                if self._averages[i].decay:
                    self._averages[i].follow(self._averaged(i))
        return rates, layers

    def _averaged(self, row: int) -> list[Tensor]:
        return [self._update.p[row], *(self._constants[name][row] for name in self._program.moving)]

    def _shown(self) -> dict[str, Tensor]:
        """All tensors, with the averages of the rows that have one in their places."""
        p, constants = self._update.p, self._constants
        if any(average.tensors for average in self._averages):
            p, moving = p.clone(), {name: constants[name].clone() for name in self._program.moving}
            constants = {**constants, **moving}
            for i, average in enumerate(self._averages):
                for tensor, own in zip((p, *moving.values()), average.tensors, strict=False):
                    tensor[i] = own
        return {**self._program.unpack(p), **constants}

    def _layer_norms(self, row: int) -> dict[str, float]:
        weights = [g[row] for g in self._program.unpack(self._update.g).values() if g.ndim > 2]
        ends = (weights[0], weights[-1]) if weights else ()
        return {n: torch.linalg.vector_norm(g).item() for n, g in zip(LAYER_NORMS, ends, strict=False)}

    def _descend(self, batch: Batch) -> None:
        """Add a micro-batch's gradients."""
        live = len(batch.x)
        if live not in self._views:
            constants = {name: tensor[:live] for name, tensor in self._constants.items()}
            leaves, sums = (self._program.unpack(flat[:live]) for flat in (self._update.p, self._update.g))
            for leaf in leaves.values():
                leaf.requires_grad_()
            self._views[live] = constants, leaves, sums
        constants, leaves, sums = self._views[live]
        given = {**leaves, **constants}
        with self._precision:
            outputs = self._program.outputs(given, batch.x, batch.masks, batch.shares, training=True)
        total = (self._losses(full(outputs), batch) * batch.weights).sum()
        found = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
        for gradients, more in zip(sums.values(), found, strict=True):
            if more is not None:
                gradients += more

    def _losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Of every sample, (L, q), against the truth and the teacher."""
        hard = self._tensors.loss.each(outputs, batch.y)
        if batch.taught is None:
            return hard
        weight, temperature = self._distilling[: len(outputs)].unbind(dim=1)
        soft = self._tensors.loss.distilled(outputs, batch.taught, temperature[:, None, None])
        return (1 - weight[:, None]) * hard + weight[:, None] * soft

    @torch.no_grad()
    def _measure(self, inputs: Sequence[Inputs], truth: TargetTensors) -> list[tuple[float, float]]:
        """Each row's loss and score in evaluation mode."""
        count, first = len(self._update.p), inputs[0]
        most = WHOLE if self._program.judges_whole else CHUNK
        size = max(1, most // math.prod(first.shape[1:]))
        parts = []
        for start in range(0, len(first), size):
            if all(x is first for x in inputs):
                x = first[start : start + size].expand(count, *(-1 for _ in first.shape))
            else:
                x = torch.stack([each[start : start + size] for each in (*inputs, first)[:count]])
            parts.append(self._program.outputs(self._judged, x, training=False))
        judged = self._tensors.judged
        return [judged(outputs, truth, self._score) for outputs in torch.cat(parts, dim=1)[: len(inputs)]]
