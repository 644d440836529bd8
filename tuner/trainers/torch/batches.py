"""Batches: the order of an epoch, its micro-batches, augmentation and dropout masks of one trial.

Every number that is drawn comes from the trial's own streams, in the order in which `TrialRun` draws it.
Used by `trial_run` and by stacked rows.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Generator, Tensor

from tuner.core.seeds import derive
from tuner.core.trial import Trial
from tuner.data import augmentation
from tuner.trainers.torch.losses import Loss
from tuner.trainers.torch.recipe import FULL, Recipe


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

        def seed(purpose: str) -> int:
            return derive(trial.study_seed, trial.number, purpose)

        order, augmenting = (Generator().manual_seed(seed(name)) for name in ("order", "augmentation"))
        dropout = Generator(device).manual_seed(seed("dropout"))
        return cls(order, augmenting, dropout, np.random.default_rng(seed("mixup")))

    def copy(self) -> Self:
        """TrialRng that go on independently."""
        order, augmenting, dropout = (getattr(self, name).clone_state() for name in _TORCH)
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
    def ends(self) -> bool:
        """Whether its batch is complete with it."""
        return self.stop == self.last


@dataclass(frozen=True, eq=False)
class BatchPlan:
    """How an epoch falls into micro-batches of at most `quantum` samples.

    Attributes:
        places: (T, quantum) positions in the order; 0 where there is none.
        weights: (T, quantum) of the samples' losses, so that a batch has the mean; 0 likewise.
        batches: how many steps there are.
    """

    micros: tuple[MicroBatch, ...]
    places: Tensor
    weights: Tensor
    batches: int


def batch_of(recipe: Recipe, samples: int) -> int:
    """How many samples make a step."""
    return samples if recipe.batch_size == FULL else min(samples, int(recipe.batch_size))


@lru_cache(maxsize=32)
def plan(samples: int, batch: int, quantum: int) -> BatchPlan:
    """Cut an epoch into micro-batches."""
    firsts = range(0, samples, batch)
    micros = tuple(
        MicroBatch(start, min(start + quantum, first + batch, samples), first, min(first + batch, samples))
        for first in firsts
        for start in range(first, min(first + batch, samples), quantum)
    )
    table = torch.tensor(micros)  # (T, 4)
    places = table[:, :1] + torch.arange(quantum)
    there = places < table[:, 1:2]
    weights = there / (table[:, 3:] - table[:, 2:3]).float()
    return BatchPlan(micros, places * there, weights, len(firsts))


def augments(recipe: Recipe, x: Tensor) -> bool:
    """Whether anything is done to a batch of these inputs."""
    image = x.ndim == 4 and (recipe.image_shift or recipe.image_flip)
    return bool(image or recipe.input_noise or recipe.mixup)


def augmented(
    x: Tensor,
    y: Tensor,
    weight: Tensor | None,
    recipe: Recipe,
    loss: Loss,
    generator: Generator,
    mixup: np.random.Generator,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Augment a batch; weights are mixed as the rows are.

    Args:
        x: (B, D) or (B, C, H, W).
        y: targets as the loss takes them.
        weight: (B,) of the rows; None: all 1.
        recipe: says what is done.
        loss: makes targets that can be mixed.
        generator: of everything but mixup's shares.
        mixup: of these.
    """
    if x.ndim == 4 and recipe.image_shift:
        x = augmentation.shift_images(x, recipe.image_shift, generator)
    if x.ndim == 4 and recipe.image_flip:
        x = augmentation.flip_images(x, generator)
    if recipe.input_noise:
        x = augmentation.add_noise(x, recipe.input_noise, generator)
    if recipe.mixup:
        share = float(mixup.beta(recipe.mixup, recipe.mixup))
        soft = loss.soft(y)
        both = soft if weight is None else torch.cat([soft, weight[:, None]], dim=1)
        x, both = augmentation.mix(x, both, share, generator)
        y, weight = both[:, : soft.shape[1]], None if weight is None else both[:, -1]
    return x, y, weight


def micro_batches(
    x: Tensor,
    y: Tensor,
    order: Tensor,
    micros: Sequence[MicroBatch],
    recipe: Recipe,
    loss: Loss,
    streams: TrialRng,
    weights: Tensor | None = None,
) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """The augmented micro-batches of an epoch, (stop - start, ...) inputs, soft targets and weights each."""
    for micro in micros:
        if micro.begins:
            rows = order[micro.first : micro.last]
            inputs, targets, weight = augmented(
                x[rows],
                y[rows],
                None if weights is None else weights[rows],
                recipe,
                loss,
                streams.augmentation,
                streams.mixup,
            )
            targets = loss.soft(targets)
        part = slice(micro.start - micro.first, micro.stop - micro.first)
        yield inputs[part], targets[part], None if weight is None else weight[part]


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
