"""RowRecipe: how one row trains, as plain numbers.

`trainers.torch.fused` makes one of a trial's parameters. Kernels are given its fields as plain numbers in a
fixed order: a new field goes into `row.ForwardSettings` or `UpdateCoefficients`, too, and into the kernels
that unpack them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Activation(IntEnum):
    """The nonlinearity behind a hidden layer."""

    IDENTITY = 0
    SIGMOID = 1
    TANH = 2
    RELU = 3
    LEAKY_RELU = 4
    GELU = 5
    SILU = 6


class LossKind(IntEnum):
    """What is minimized; means over the samples, and over outputs where a sample has several losses."""

    CROSS_ENTROPY = 0
    BINARY_CROSS_ENTROPY = 1
    MSE = 2
    MAE = 3
    HUBER = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateRule:
    """The coefficients of the one update that all optimizers are.

    With g the gradient, r the rate of step t (counted from 1) and all moments zero at first::

        m = first_keep m + first_add g;  v = second_keep v + second_add g^2
        p -= r (plain g + averaged m) / (root sqrt(v) + floor)

    where with `unbiased` (Kingma and Ba 2015, alg. 1) r is divided by 1 - first_keep^t and v by
    1 - second_keep^t. Without `second` the divisor is 1.
    """

    first: bool = False
    second: bool = False
    first_keep: float = 0.0
    first_add: float = 0.0
    second_keep: float = 0.0
    second_add: float = 0.0
    plain: float = 0.0
    averaged: float = 0.0
    floor: float = 0.0
    unbiased: bool = False


def sgd() -> UpdateRule:
    """Plain gradient descent."""
    return UpdateRule(plain=1)


def momentum(decay: float, nesterov: bool = False) -> UpdateRule:
    """`torch.optim.SGD` with momentum, which adds whole gradients."""
    if nesterov:
        return UpdateRule(first=True, first_keep=decay, first_add=1, plain=1, averaged=decay)
    return UpdateRule(first=True, first_keep=decay, first_add=1, averaged=1)


def adagrad(epsilon: float) -> UpdateRule:
    """Duchi et al. 2011, as `torch.optim.Adagrad`."""
    return UpdateRule(second=True, second_keep=1, second_add=1, plain=1, floor=epsilon)


def rmsprop(decay: float, epsilon: float) -> UpdateRule:
    """Hinton 2012, as `torch.optim.RMSprop`."""
    return UpdateRule(second=True, second_keep=decay, second_add=1 - decay, plain=1, floor=epsilon)


def adam(beta1: float, beta2: float, epsilon: float) -> UpdateRule:
    """Kingma and Ba 2015; adamw is adam with `RowRecipe.weight_decay`."""
    return UpdateRule(
        first=True, second=True, first_keep=beta1, first_add=1 - beta1, second_keep=beta2,
        second_add=1 - beta2, averaged=1, floor=epsilon, unbiased=True,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RowRecipe:
    """How one row trains.

    A step's gradient is that of the batch's mean loss; then, in this order, ``g += l1 sign(p)``, clipping,
    ``g += l2 p``, ``p *= 1 - rate weight_decay``, the rule and the clipping of p.

    Attributes:
        widths: units of each hidden layer.
        layer_norm: layer normalization before each activation.
        batch_norm: batch normalization before that.
        activation: the nonlinearity.
        tables: see `Layout`.
        batch: samples per step; None: all.
        rate: gives the learning rates of steps (N,), counted from 0, of so many steps in all.
        rule: the optimizer.
        clip_norm: the largest 2-norm of the gradient; None: any.
        clip_value: the largest magnitude of its elements; None: any.
        clip_parameters: the largest magnitude of a parameter behind a step; 0: any.
        ema: what a step leaves of the average of the weights; 0: there is none.
        dropout: share of the hidden activations that is dropped.
        smoothing: share of a label that is spread over all classes.
        noise: standard deviation of Gaussian noise on the inputs.
        mixup: alpha of the Beta distribution that pairs of samples are mixed by; 0: none.
        distil_weight: what a teacher's outputs count in the loss, and the truth the rest.
        distil_temperature: what outputs of classes are divided by for it.
        seed: gives the seed of a random stream, 32 bits: "order", "dropout", "noise", "mixup", and
            "augmentation", which draws the partners of mixup.
    """

    widths: tuple[int, ...]
    layer_norm: bool = False
    batch_norm: bool = False
    activation: Activation = Activation.RELU
    tables: tuple[tuple[int, int], ...] = ()
    batch: int | None = 32
    rate: Callable[[NDArray[np.int64], int], NDArray[np.float64] | float]
    rule: UpdateRule
    l1: float = 0.0
    l2: float = 0.0
    weight_decay: float = 0.0
    clip_norm: float | None = None
    clip_value: float | None = None
    clip_parameters: float = 0.0
    ema: float = 0.0
    dropout: float = 0.0
    smoothing: float = 0.0
    noise: float = 0.0
    mixup: float = 0.0
    distil_weight: float = 0.0
    distil_temperature: float = 1.0
    seed: Callable[[str], int]


LEAST_FLOOR = 1e-37
"""What takes the place of a smaller floor, so that a parameter that never had a gradient stays."""


class UpdateCoefficients(NamedTuple):
    """The numbers of a `RowRecipe` that a step needs; 0 stands for no clipping."""

    first: bool
    second: bool
    unbiased: bool
    first_keep: float
    first_add: float
    second_keep: float
    second_add: float
    plain: float
    averaged: float
    floor: float
    l1: float
    l2: float
    weight_decay: float
    clip_norm: float
    clip_value: float
    clip_parameters: float
    average_add: float


def coefficients(recipe: RowRecipe) -> UpdateCoefficients:
    """Take them out of a recipe."""
    rule: dict[str, Any] = {n: v if isinstance(v, bool) else float(v) for n, v in asdict(recipe.rule).items()}
    return UpdateCoefficients(
        **rule | {"floor": max(rule["floor"], LEAST_FLOOR)},
        l1=float(recipe.l1),
        l2=float(recipe.l2),
        weight_decay=float(recipe.weight_decay),
        clip_norm=float(recipe.clip_norm or 0),
        clip_value=float(recipe.clip_value or 0),
        clip_parameters=float(recipe.clip_parameters),
        average_add=1 - recipe.ema,
    )
