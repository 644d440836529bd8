"""Batches: the order of an epoch, its micro-batches, augmentation and dropout masks of one trial.

Every number that is drawn comes from the trial's own streams, in the order in which `TorchSession` draws it.
Used by `session` and by stacked rows.
"""

from __future__ import annotations

import copy
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Generator, Tensor

from tuner.core.dataset import PADDING, Dataset, InputKind, InputPart
from tuner.core.trial import Trial
from tuner.data.augmentation import APPLIED, mix
from tuner.trainers.torch.input_parts import joined, layers_of
from tuner.trainers.torch.losses import Loss
from tuner.trainers.torch.recipe import AUGMENTATIONS, FULL, Recipe
from tuner.trainers.torch.training_tensors import Inputs


@dataclass(slots=True)
class TrialRng:
    """The random streams of one trial; those of the order and of augmentation are on the CPU."""

    order: Generator
    augmentation: Generator
    dropout: Generator
    mixup: np.random.Generator

    @classmethod
    def of(cls, trial: Trial, device: torch.device) -> Self:
        """The trial's streams at their starts."""
        order, augmenting = (Generator().manual_seed(trial.seed(name)) for name in ("order", "augmentation"))
        dropout = Generator(device).manual_seed(trial.seed("dropout"))
        return cls(order, augmenting, dropout, np.random.default_rng(trial.seed("mixup")))

    def copy(self) -> Self:
        """Streams that go on independently."""
        order, augmenting = (getattr(self, name).clone_state() for name in ("order", "augmentation"))
        # Of mps a clone has the seed only, not how far the stream has come.
        dropout = Generator(self.dropout.device)
        dropout.set_state(self.dropout.get_state())
        return type(self)(order, augmenting, dropout, copy.deepcopy(self.mixup))

    def state(self) -> dict[str, Any]:
        """Where they stand."""
        found: dict[str, Any] = {name: getattr(self, name).get_state() for name in _TORCH}
        return found | {"mixup": self.mixup.bit_generator.state}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Put them where `state` found them."""
        for name in _TORCH:
            getattr(self, name).set_state(state[name])
        self.mixup.bit_generator.state = state["mixup"]


_TORCH = ("order", "augmentation", "dropout")


class MicroBatch(NamedTuple):
    """Positions start to stop of an epoch's order: a part of the batch from first to last."""

    start: int
    stop: int
    first: int
    last: int

    @property
    def begins(self) -> bool:
        """Whether it is the first of its batch."""
        return self.start == self.first

    @property
    def is_whole(self) -> bool:
        """Whether it is the whole of its batch."""
        return self.begins and self.stop == self.last


@dataclass(frozen=True, eq=False)
class BatchPlan:
    """How an epoch falls into micro-batches of at most `quantum` samples.

    Attributes:
        places: (T, quantum) positions in the order; 0 where there is none.
        shares: (T, quantum), what samples count in the mean of their batch; 0 likewise.
        weights: (T, quantum), what they count in the mean of all batches of their step.
        ends: which micro-batches a step follows.
        steps: how many steps there are.
    """

    micros: tuple[MicroBatch, ...]
    places: Tensor
    shares: Tensor
    weights: Tensor
    ends: tuple[bool, ...]
    steps: int


def batch_of(recipe: Recipe, samples: int) -> int:
    """How many samples make a step."""
    return samples if recipe.batch_size == FULL else min(samples, int(recipe.batch_size))


def batch_sizes(samples: int, batch: int, joins: bool) -> list[int]:
    """How an epoch falls into batches; the last one may be smaller.

    Args:
        samples: in an epoch.
        batch: the size that all others have.
        joins: a last sample that is left over joins the batch before it: alone it has no variance.
    """
    sizes = [min(batch, samples - start) for start in range(0, samples, batch)]
    if joins and sizes[-1] == 1 < len(sizes):
        sizes[-2:] = [sizes[-2] + 1]
    return sizes


def whole(size: int) -> int:
    """The micro-batch that holds a whole batch of so many samples.

    More sizes would waste less on filling up than on groups of few rows: measured with 16 and 32 rows.
    """
    return next((most for most in (8, 32, 64, 128, 256, 512) if size <= most), -(-size // 64) * 64)


@lru_cache(maxsize=32)
def plan(samples: int, batch: int, quantum: int, joins: bool = False, accumulation: int = 1) -> BatchPlan:
    """Cut an epoch into micro-batches; see `batch_sizes` for `joins`, and `Recipe` for `accumulation`."""
    lasts = list(accumulate(batch_sizes(samples, batch, joins)))
    micros = tuple(
        MicroBatch(start, min(start + quantum, last), first, last)
        for first, last in pairwise([0, *lasts])
        for start in range(first, last, quantum)
    )
    table = torch.tensor(micros)  # (T, 4)
    places = table[:, :1] + torch.arange(quantum)
    there = places < table[:, 1:2]
    shares = there / (table[:, 3:] - table[:, 2:3]).float()
    stops = [*lasts[accumulation - 1 : -1 : accumulation], samples]  # of the steps
    sizes = dict(zip(stops, np.diff([0, *stops]).tolist(), strict=True))
    of_step = [sizes[stops[bisect_left(stops, micro.stop)]] for micro in micros]
    weights = there / torch.tensor(of_step)[:, None].float()
    ends = tuple(micro.stop in sizes for micro in micros)
    return BatchPlan(micros, places * there, shares, weights, ends, len(stops))


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What a trial does to its training batches.

    Codes of categories, and what says where a series has steps, stay as they are.

    Attributes:
        recipe: says what is done.
        loss: makes targets that can be mixed.
        data: says what the inputs are.
    """

    recipe: Recipe
    loss: Loss
    data: Dataset

    @property
    def is_any(self) -> bool:
        """Whether anything is done."""
        settings = ("mixup", *AUGMENTATIONS[self.data.kind])
        return any(getattr(self.recipe, name) for name in settings)

    def of(
        self, x: Tensor, y: Tensor, weight: Tensor | None, generator: Generator, mixup: np.random.Generator
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Augment a batch; weights are mixed as the rows are.

        Args:
            x: (B, ...), scaled.
            y: targets as the loss takes them.
            weight: (B,) of the rows; None: all 1.
            generator: of everything but mixup's shares.
            mixup: of these.
        """
        recipe, data, plain = self.recipe, self.data, x
        if data.parts:
            x = joined([self._of_part(layer.part, layer(x), generator) for layer in layers_of(data.parts)])
        else:
            x = self._changed(x, data.kind, data.masked, generator)
        if recipe.mixup:
            share = float(mixup.beta(recipe.mixup, recipe.mixup))
            soft = self.loss.soft(y)
            both = soft if weight is None else torch.cat([soft, weight[:, None]], dim=1)
            x, both = mix(x, both, share, generator)
            y, weight = both[:, : soft.shape[1]], None if weight is None else both[:, -1]
        if kept := len(data.categories) + data.masked:
            x = torch.cat([x[..., :-kept], plain[..., -kept:]], dim=-1)
        return x, y, weight

    def micro_batches(
        self,
        x: Inputs,
        y: Tensor,
        order: Tensor,
        micros: Sequence[MicroBatch],
        streams: TrialRng,
        weights: Tensor | None,
    ) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
        """An epoch's micro-batches, (stop - start, ...) inputs, soft targets and weights each."""
        for micro in micros:
            if micro.begins:
                rows = order[micro.first : micro.last]
                own = None if weights is None else weights[rows]
                inputs, targets, weight = self.of(x[rows], y[rows], own, streams.augmentation, streams.mixup)
                targets = self.loss.soft(targets)
            part = slice(micro.start - micro.first, micro.stop - micro.first)
            yield inputs[part], targets[part], None if weight is None else weight[part]

    def _changed(self, x: Tensor, kind: InputKind, masked: bool, generator: Generator) -> Tensor:
        there = _there(x, kind, masked)
        for name in AUGMENTATIONS[kind]:
            if setting := getattr(self.recipe, name):
                x = APPLIED[name](x, setting, generator, *there)
        return x

    def _of_part(self, part: InputPart, x: Tensor, generator: Generator) -> Tensor:
        """One of several inputs."""
        found = self._changed(x, part.kind, part.masked, generator)
        return torch.cat([found[..., :-1], x[..., -1:]], dim=-1) if part.masked else found


def _there(x: Tensor, kind: InputKind, masked: bool) -> tuple[Tensor, ...]:
    """Of sequences: where there is a step or a token, (B, T)."""
    if kind is InputKind.TOKENS:
        return (x != PADDING,)
    if kind is InputKind.SERIES:
        return (x[:, :, -1] > 0 if masked else x.new_ones(x.shape[:2], dtype=torch.bool),)
    return ()


def micro_masks(
    shapes: Sequence[tuple[int, ...]],
    rates: Sequence[float],
    micros: Sequence[MicroBatch],
    generator: Generator,
) -> Iterator[list[Tensor | None]]:
    """What dropout leaves, (stop - start, *shape) booleans for each of its calls; None: all.

    Drawn for a whole batch, call by call, as `torch.nn.Dropout` draws it on a CPU.
    """
    for micro in micros:
        if micro.begins:
            size = micro.last - micro.first
            drawn = [
                torch.empty((size, *shape), dtype=torch.bool, device=generator.device).bernoulli_(
                    1 - rate, generator=generator
                )
                if rate
                else None
                for shape, rate in zip(shapes, rates, strict=True)
            ]
        part = slice(micro.start - micro.first, micro.stop - micro.first)
        yield [None if mask is None else mask[part] for mask in drawn]
