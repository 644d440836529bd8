"""Small batches that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tuner.core.training import Snapshot
from tuner.fused import (
    EpochResult,
    FusedRow,
    Layout,
    LossKind,
    RowInputs,
    RowPool,
    RowRecipe,
    RowTargets,
    UpdateRule,
    adagrad,
    adam,
    momentum,
    rmsprop,
    sgd,
)
from tuner.fused.layout import Floats

FEATURES, CLASSES, TRAIN, HELD = 5, 3, 70, 23

RULES: Mapping[str, UpdateRule] = {
    "sgd": sgd(),
    "momentum": momentum(0.9),
    "nesterov": momentum(0.8, nesterov=True),
    "adagrad": adagrad(1e-8),
    "rmsprop": rmsprop(0.95, 1e-8),
    "adam": adam(0.9, 0.99, 1e-8),
}


def inputs(seed: int = 0, tables: Sequence[tuple[int, int]] = ()) -> RowInputs:
    """Numbers, and a code for each table behind them."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(TRAIN + HELD, FEATURES)).astype(np.float32)
    codes = [generator.integers(0, count, (len(x), 1)) for count, _ in tables]
    x = np.concatenate([x, *codes], axis=1)
    return RowInputs.of(x[:TRAIN], x[:HELD], x[TRAIN:], codes=len(codes))


def targets(kind: LossKind = LossKind.CROSS_ENTROPY) -> RowTargets:
    generator = np.random.default_rng(1)
    y: Any = generator.integers(0, CLASSES, TRAIN + HELD)
    if kind is LossKind.BINARY_CROSS_ENTROPY:
        y = np.eye(CLASSES)[y]
    elif kind is not LossKind.CROSS_ENTROPY:
        y = generator.normal(size=(TRAIN + HELD, CLASSES)) * 2
    return RowTargets.of(kind, CLASSES, y[:TRAIN], y[:HELD], y[TRAIN:])


def weighed(kind: LossKind) -> RowTargets:
    """The same with weights, some of which are 0, in training and in both measurements."""
    plain, generator = targets(kind), np.random.default_rng(2)
    drawn = (generator.choice([0.0, 0.5, 3.0], count) for count in (TRAIN, HELD, HELD))
    parts = zip(("train", "sample", "validation"), drawn, strict=True)
    return replace(plain, **{name: getattr(plain, name).weighed(each / each.mean()) for name, each in parts})


def recipe(number: int = 0, **given: Any) -> RowRecipe:
    streams = ("order", "dropout", "noise", "mixup", "augmentation")
    settings: dict[str, Any] = {
        "widths": (9, 17),
        "batch": 16,
        "rate": lambda step, steps: 0.02 * (1 - step / steps),
        "rule": RULES["adam"],
        "seed": lambda name: 10 * number + streams.index(name),
    }
    return RowRecipe(**settings | given)


def varied(number: int) -> RowRecipe:
    """A recipe that differs from that of other numbers in shape, batch size and everything else."""
    return recipe(
        number,
        widths=(9, 17, 4, 24)[number % 3 : number % 3 + (2, 1, 3)[number % 3]],
        layer_norm=number % 2 == 1,
        batch=(16, 7, None, 32)[number % 4],
        rule=list(RULES.values())[number % 6],
        dropout=0.1 * (number % 3),
        noise=0.2 * (number % 2),
        mixup=0.3 * (number % 2),
        clip_norm=0.5 if number % 3 == 0 else None,
        l1=1e-4,
        l2=1e-3,
        weight_decay=0.01,
        smoothing=0.1,
        ema=0.9 * (number % 2),
    )


def first_weights(recipe: RowRecipe, seed: int = 0) -> dict[str, Floats]:
    layout = Layout(FEATURES, recipe.widths, CLASSES, recipe.layer_norm, recipe.tables)
    generator = np.random.default_rng(seed)
    shapes = {
        name: array.shape for name, array in layout.unpack(np.zeros(layout.parameters, np.float32)).items()
    }
    start = {name: generator.normal(size=shape).astype(np.float32) * 0.5 for name, shape in shapes.items()}
    return start | {
        name: np.ones(shape, np.float32) for name, shape in shapes.items() if name.endswith("scale")
    }


class Rows(dict[int, FusedRow]):
    """Rows by index, as `FusedBatch` has them."""

    def __init__(self, epochs: int = 4, kind: type[RowPool] = RowPool, threads: int = 1) -> None:
        self.epochs, self.pool = epochs, kind(threads)

    def advance(self) -> dict[int, EpochResult]:
        return self.pool.advance({i: row for i, row in sorted(self.items()) if row.epoch < self.epochs})


def place(
    rows: Rows,
    index: int,
    recipe: RowRecipe,
    seed: int = 0,
    learned: RowTargets | None = None,
    start: Mapping[str, Floats] | Snapshot | None = None,
) -> None:
    first = start or first_weights(recipe, seed)
    rows[index] = FusedRow(recipe, learned or targets(), inputs(tables=recipe.tables), rows.epochs, first)


def trained(recipe: RowRecipe, epochs: int = 4, **given: Any) -> list[EpochResult]:
    """The epochs of one trial alone."""
    learned = given.pop("targets", None)
    alone = Rows(epochs, **given)
    place(alone, 0, recipe, learned=learned)
    return [alone.advance()[0] for _ in range(epochs)]


def bits(measured: EpochResult) -> tuple[Any, ...]:
    """Everything measured but the time, so that equal means equal bit by bit."""
    losses = (measured.train_loss, measured.val_loss, measured.learning_rate, measured.grad_norm)
    outputs = (measured.sample_outputs.tobytes(), measured.val_outputs.tobytes())
    return measured.epoch, np.array(losses).tobytes(), *outputs
