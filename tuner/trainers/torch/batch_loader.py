"""BatchLoader: an epoch's micro-batches of several rows, side by side.

Every row's samples, weights and masks are its own, drawn by its `Batches`. Used by `stacked_epoch`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from tuner.trainers.torch.batches import Augmentation, MicroBatch, TrialRng, micro_masks
from tuner.trainers.torch.stacked_row import StackedRow
from tuner.trainers.torch.training_tensors import TrainingTensors


class Batch(NamedTuple):
    """One micro-batch of the first L rows of the stack, an even number.

    Attributes:
        x: (L, q, ...) inputs.
        y: (L, q, outputs) soft targets.
        taught: (L, q, outputs) a teacher's outputs; None: there is none.
        weights: (L, q) of the losses; 0 where there is no sample.
        masks: (L, q, *shape), what each dropout layer multiplies by.
        shares: (L, q), what each sample counts in its batch's statistics.
        ends: the rows that take a step behind it.
    """

    x: Tensor
    y: Tensor
    taught: Tensor | None
    weights: Tensor
    masks: list[Tensor]
    shares: Tensor
    ends: list[int]


class BatchLoader:
    """The micro-batches of rows, of which the first ones have the most."""

    def __init__(
        self, rows: Sequence[StackedRow], streams: Sequence[TrialRng], tensors: TrainingTensors
    ) -> None:
        self._taught = any(row.recipe.distil_weight for row in rows)
        targets = tensors.lessons if self._taught else tensors.train
        self._rows, self._soft, self._loss = rows, tensors.loss.soft(targets), tensors.loss
        self._streams = streams
        device, count, length = tensors.device, len(rows) + len(rows) % 2, len(rows[0].plan.micros)
        width = rows[0].plan.places.shape[1]
        self._index = torch.zeros(count, length, width, dtype=torch.long)
        self._weights, self._shares = torch.zeros(2, count, length, width)
        smoothing = torch.zeros(count, 1, 1)
        self._feeds, self._masks = {}, []
        for i, (row, own) in enumerate(zip(rows, streams, strict=True)):
            order, micros = torch.randperm(len(tensors.train), generator=own.order), row.plan.micros
            self._index[i, : len(micros)] = order[row.plan.places]
            self._weights[i, : len(micros)], self._shares[i, : len(micros)] = (
                row.plan.weights,
                row.plan.shares,
            )
            if row.weights is not None:
                self._weights[i, : len(micros)] *= row.weights[order][row.plan.places]
            smoothing[i] = row.recipe.label_smoothing
            augmentation = Augmentation(row.recipe, self._loss, tensors.data)
            if augmentation.is_any:
                mixed = row.weights.to(device) if row.weights is not None and row.recipe.mixup else None
                given = (row.inputs.train, targets, order.to(device), micros, own, mixed)
                self._feeds[i] = augmentation.micro_batches(*given)
            shapes = [call.shape for call in row.program.dropouts]
            parts = [micro for micro in micros if not micro.is_whole]
            self._masks.append(micro_masks(shapes, row.rates, parts, own.dropout))
        self._kept = [
            torch.ones(count, 1, *(1 for _ in call.shape), device=device) for call in rows[0].program.dropouts
        ]
        for i, row in enumerate(rows):
            for kept, rate in zip(self._kept, row.rates, strict=True):
                kept[i] = 1 - rate if rate < 1 else 1
        self._index, self._weights = self._index.to(device), self._weights.to(device)
        self._shares = self._shares.to(device)
        self._smoothing = smoothing.to(device) if smoothing.any() else None

    def __iter__(self) -> Iterator[Batch]:
        for t in range(self._index.shape[1]):
            training = [row for row in self._rows if t < len(row.plan.micros)]
            live = len(training) + len(training) % 2
            index, weights = self._index[:live, t], self._weights[:live, t]
            x, y = self._inputs(index), self._soft[index]
            for i, feed in self._feeds.items():
                if i < len(training):
                    inputs, targets, weight = next(feed)
                    x[i, : len(inputs)], y[i, : len(inputs)] = inputs, targets
                    if weight is not None:
                        own = self._rows[i].plan.weights[t, : len(inputs)]
                        weights[i, : len(inputs)] = weight * own.to(weight.device)
            y, taught = y.tensor_split(2, dim=2) if self._taught else (y, None)
            if self._smoothing is not None:
                y = self._loss.smoothed(y, self._smoothing[:live])
            ends = [i for i, row in enumerate(training) if row.plan.ends[t]]
            masks = self._drawn([row.plan.micros[t] for row in training], live)
            yield Batch(x, y, taught, weights, masks, self._shares[:live, t], ends)

    def _inputs(self, index: Tensor) -> Tensor:
        tables = [row.inputs.train for row in self._rows]
        if all(table is tables[0] for table in tables):
            return tables[0][index]
        return torch.stack([table[rows] for table, rows in zip([*tables, tables[0]], index, strict=False)])

    def _drawn(self, micros: Sequence[MicroBatch], live: int) -> list[Tensor]:
        if not self._kept:
            return []
        width, device = self._index.shape[2], self._index.device
        found = [
            torch.ones(live, width, *call.shape, dtype=torch.bool, device=device)
            for call in self._rows[0].program.dropouts
        ]
        for i, micro in enumerate(micros):
            if micro.is_whole:  # drawn where it belongs, as `micro_masks` draws it
                for mask, rate in zip(found, self._rows[i].rates, strict=True):
                    if rate:
                        place = mask[i, : micro.stop - micro.start]
                        place.bernoulli_(1 - rate, generator=self._streams[i].dropout)
                continue
            for mask, own in zip(found, next(self._masks[i]), strict=True):
                if own is not None:
                    mask[i, : len(own)] = own
        return [mask / kept[:live] for mask, kept in zip(found, self._kept, strict=True)]
