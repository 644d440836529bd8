"""FusedRow: one trial in training, its arrays and its random streams.

Everything it computes follows from its own recipe, first weights, inputs and targets, never from other
rows. Used by one thread at a time; `Scratch` belongs to the thread and is lent for one epoch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tuner.core.training import Snapshot
from tuner.fused.layout import CHUNK, FAN_IN, ROWS, STRIDE, WEIGHT, Floats, Layout, aligned
from tuner.fused.mersenne import Mersenne
from tuner.fused.recipe import RowRecipe, coefficients
from tuner.fused.row_data import RowInputs, RowTargets, Targets


class Batches(NamedTuple):
    """What an epoch goes through.

    Attributes:
        x: (N, stride) padded inputs.
        features: of them that are no codes and no padding.
        labels: (N,) classes for cross-entropy.
        values: (N, outputs) targets for the other losses.
        weights: (N,) of the samples' losses; empty: all 1.
        order: (N,) indices of samples.
        size: of a batch; the last one may be smaller.
        shares: (steps,) what each batch is mixed by; empty: nothing is mixed.
        partners: (N,) positions within the batch.
        noise: standard deviation on the inputs.
        noise_seed: of its stream.
        taught: (N, outputs) of a teacher.
        lesson: room for a chunk's derivatives by the teacher.
        distil_weight: what they count; 0: there is no teacher.
        temperature: of the comparison with it.
    """

    x: Floats
    features: int
    labels: NDArray[np.int64]
    values: Floats
    weights: Floats
    order: NDArray[np.int64]
    size: int
    shares: Floats
    partners: NDArray[np.int64]
    noise: float
    noise_seed: int
    taught: Floats
    lesson: Floats
    distil_weight: float
    temperature: float


class ForwardSettings(NamedTuple):
    """How samples go through the network.

    Attributes:
        table: `Layout.table`.
        embeddings: `Layout.embeddings`.
        chunk: `Layout.chunk`.
        trained: `Layout.trained`.
        activation: an `Activation`.
        kind: a `LossKind`.
        smoothing: of labels.
        threshold: words below it drop an activation; 0 drops none.
        kept: what kept ones are multiplied by.
        dropout_seed: of the stream of masks.
    """

    table: NDArray[np.int64]
    embeddings: NDArray[np.int64]
    chunk: int
    trained: int
    activation: int
    kind: int
    smoothing: float
    threshold: int
    kept: float
    dropout_seed: int


class Weights(NamedTuple):
    """Parameters, mean gradient, mean squared gradient and average parameters, flat arrays of one layout.

    The average is empty where there is none.
    """

    p: Floats
    m: Floats
    v: Floats
    a: Floats

    @property
    def judged(self) -> Floats:
        """The parameters that are measured and kept."""
        return self.a if len(self.a) else self.p


class EvaluationData(NamedTuple):
    """What is measured on, and where to.

    Attributes:
        x: (N, stride) padded inputs.
        labels: see `Targets`.
        values: see `Targets`.
        weights: see `Targets`; their mean is 1.
        outputs: (N, outputs), to be filled in evaluation mode.
    """

    x: Floats
    labels: NDArray[np.int64]
    values: Floats
    weights: Floats
    outputs: Floats


Backend = Callable[..., tuple[float, float, float]]
"""What computes an epoch: trains in place, then measures twice.

Takes batches, pass, numbers, the steps' rates, the number of steps before, weights, a gradient, a
workspace and two measurements; returns the sum of the gradients' norms and the two mean losses.
"""


@dataclass(frozen=True, slots=True)
class Scratch:
    """Arrays that rows of one layout use in turn; nothing in them outlasts an epoch."""

    gradient: Floats
    work: Floats

    @classmethod
    def of(cls, layout: Layout) -> Scratch:
        """Make room for one row at a time."""
        return cls(aligned(layout.parameters), aligned(layout.workspace))


@dataclass(frozen=True, slots=True)
class EpochResult:
    """One epoch of one row.

    Attributes:
        train_loss: mean per sample over the sample of the training split, in evaluation mode.
        val_loss: over the validation split.
        sample_outputs: the network's outputs for the sample, (N, outputs).
        val_outputs: for the validation split.
        learning_rate: of the last step.
        grad_norm: mean over the steps of the gradient's 2-norm before clipping.
        seconds: of this row's work.
        layer_norms: of the gradient of the first and of the last layer's weights in the last step, behind l1
            and clipping; embeddings are a layer. None but in the first and the last epoch, and of a back end
            that does not tell.
    """

    epoch: int
    train_loss: float
    val_loss: float
    sample_outputs: Floats
    val_outputs: Floats
    learning_rate: float
    grad_norm: float
    seconds: float
    layer_norms: tuple[float, float] | None = None


class RowRng:
    """The random streams of one row: the order of an epoch, and mixup, whose states are part of the row.

    Dropout and noise are functions of (seed, step, layer, position in the batch, unit), which back ends
    compute, and have no state. The order in which the generators are drawn from is part of a study's numbers.
    """

    def __init__(self, seed: Callable[[str], int]) -> None:
        self._order, self._partner = Mersenne(seed("order")), Mersenne(seed("augmentation"))
        self._mixing = np.random.default_rng(seed("mixup"))

    def order(self, samples: int) -> NDArray[np.int64]:
        """The order of the next epoch."""
        return self._order.permutation(samples)

    def mixing(self, alpha: float, sizes: list[int]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """What the next batches are mixed by: the share of each, and each position's partner in its batch."""
        shares = np.array([self._mixing.beta(alpha, alpha) for _ in sizes], np.float32)
        return shares, np.concatenate([self._partner.permutation(size) for size in sizes])

    def state(self) -> tuple[dict[str, NDArray[np.uint8]], dict[str, Any]]:
        """Where the generators stand: those of PyTorch's kind as bytes, numpy's own as a table for JSON."""
        states = {"order": self._order.state(), "partner": self._partner.state()}
        return states, dict(self._mixing.bit_generator.state)

    def restore(self, arrays: Mapping[str, NDArray[Any]], mixing: Mapping[str, Any]) -> None:
        """Put the generators where `state` found them."""
        for name, generator in (("order", self._order), ("partner", self._partner)):
            generator.restore(arrays[name])
        self._mixing.bit_generator.state = dict(mixing)


class FusedRow:
    """A trial's network, optimizer and streams.

    Rows may differ in everything, shape and batch size included: each epoch of a row is one program that sees
    nothing of the others, so a trial's numbers are bitwise the same in any company. They may differ in their
    last bits between processors.
    """

    def __init__(
        self,
        recipe: RowRecipe,
        targets: RowTargets,
        inputs: RowInputs,
        epochs: int,
        start: Mapping[str, Floats] | Snapshot,
    ) -> None:
        """Set it up.

        Args:
            recipe: how it trains.
            targets: what it learns; several rows may share them.
            inputs: from what, of the same splits; likewise.
            epochs: of a trial that nothing stops; schedules stretch over them.
            start: the first parameters by `Layout.names`, or the `snapshot` of a row anywhere.

        Raises:
            ValueError: the snapshot is none of such a row.
        """
        self.epoch = 0
        self._recipe, self._targets, self._inputs = recipe, targets, inputs
        samples = len(inputs.train)
        self._size = samples if recipe.batch is None else min(samples, recipe.batch)
        self.steps, chunk = -(-samples // self._size), CHUNK
        if recipe.batch_norm:
            # A last sample that is left over joins the batch before it: alone it has no variance.
            joins = samples % self._size == 1 < self.steps
            self.steps, chunk = self.steps - joins, max(CHUNK, -(-(self._size + joins) // ROWS) * ROWS)
        shape = (recipe.widths, targets.outputs, recipe.layer_norm, recipe.tables)
        self.layout = Layout(inputs.features, *shape, recipe.batch_norm, chunk)
        self._all_steps = epochs * self.steps
        self._lesson = chunk * int(self.layout.table[-1, STRIDE]) if recipe.distil_weight else 0
        self._numbers = coefficients(recipe)
        self._forward = ForwardSettings(
            self.layout.table, self.layout.embeddings, chunk, self.layout.trained,
            int(recipe.activation), int(targets.kind), float(recipe.smoothing),
            math.floor(recipe.dropout * 2**32), 1 / (1 - recipe.dropout), recipe.seed("dropout"),
        )  # fmt: skip
        self._streams = RowRng(recipe.seed)
        self._kept: Floats | None = None
        if isinstance(start, Snapshot):
            self._restore(start)
        else:
            size = self.layout.parameters
            average = aligned(size if recipe.ema else 0)
            self.weights = Weights(self.layout.pack(start), aligned(size), aligned(size), average)

    def advance(self, backend: Backend, scratch: Scratch) -> EpochResult:
        """Train one epoch and measure."""
        begin = time.perf_counter()
        recipe, inputs, targets = self._recipe, self._inputs, self._targets
        first, steps = self.epoch * self.steps, self.steps
        rates = np.empty(steps)
        rates[:] = recipe.rate(np.arange(first, first + steps), self._all_steps)
        sample = self._measurement(inputs.sample, targets.sample)
        validation = self._measurement(inputs.validation, targets.validation)
        norms, train_loss, val_loss = backend(
            self._batches(), self._forward, self._numbers, rates, first, self.weights,
            scratch.gradient, scratch.work, sample, validation,
        )  # fmt: skip
        self.epoch += 1
        return EpochResult(
            self.epoch, train_loss, val_loss, sample.outputs, validation.outputs, float(rates[-1]),
            norms / steps, time.perf_counter() - begin, self._layer_norms(scratch.gradient),
        )  # fmt: skip

    def _layer_norms(self, gradient: Floats) -> tuple[float, float] | None:
        if self.epoch != 1 and self.epoch * self.steps != self._all_steps:
            return None
        first, last = (
            gradient[row[WEIGHT] : row[WEIGHT] + row[FAN_IN] * row[STRIDE]]
            for row in (self.layout.table[0], self.layout.table[-1])
        )
        if self._recipe.tables:
            first = gradient[: math.prod(self._recipe.tables[0])]
        return (math.sqrt(first @ first), math.sqrt(last @ last)) if last.any() else None

    def keep(self) -> None:
        """Note the parameters as they are now, in place of those noted before."""
        if self._kept is None:
            self._kept = aligned(self.layout.parameters)
        self._kept[...] = self.weights.judged

    def kept(self) -> dict[str, Floats] | None:
        """What `keep` noted, by `Layout.names`; None before the first time."""
        return None if self._kept is None else self.layout.unpack(self._kept)

    def judged(self) -> dict[str, Floats]:
        """What is measured, by `Layout.names`."""
        return self.layout.unpack(self.weights.judged)

    def snapshot(self) -> Snapshot:
        """A copy of everything that training changes.

        The arrays are ``"p"``, ``"m"``, ``"v"``, ``"a"``, flat, ``"kept"`` once a model was kept, and the
        generators ``"order"`` and ``"partner"``; ``"mixing"`` of the facts is the generator of mixup.
        """
        generators, mixing = self._streams.state()
        flat = {name: array for name, array in self.weights._asdict().items() if len(array)}
        flat |= {} if self._kept is None else {"kept": self._kept}
        arrays = {name: array.copy() for name, array in flat.items()} | generators
        return Snapshot(self.epoch, arrays, {"mixing": mixing})

    def _restore(self, state: Snapshot) -> None:
        fields = Weights._fields if self._recipe.ema else Weights._fields[:-1]
        flat = {name: self._copied(state.arrays[name]) for name in fields}
        self.weights = Weights(**{"a": aligned(0), **flat})
        if "kept" in state.arrays:
            self._kept = self._copied(state.arrays["kept"])
        self.epoch = state.epoch
        self._streams.restore(state.arrays, state.facts["mixing"])

    def _copied(self, array: NDArray[Any]) -> Floats:
        copy = aligned(self.layout.parameters)
        if array.shape != copy.shape or array.dtype != copy.dtype:
            raise ValueError(f"a row of {copy.size} parameters cannot go on from {array.shape} {array.dtype}")
        copy[...] = array
        return copy

    def _batches(self) -> Batches:
        recipe, samples, targets = self._recipe, len(self._inputs.train), self._targets.train
        shares, partners = np.zeros(0, np.float32), np.zeros(0, np.int64)
        order = self._streams.order(samples)
        if recipe.mixup:
            sizes = [self._size] * (self.steps - 1)
            sizes.append(samples - sum(sizes))
            shares, partners = self._streams.mixing(recipe.mixup, sizes)
        return Batches(
            self._inputs.train, self._inputs.features, targets.labels, targets.values, targets.weights,
            order, self._size, shares, partners, float(recipe.noise), recipe.seed("noise"),
            targets.taught, aligned(self._lesson), float(recipe.distil_weight),
            float(recipe.distil_temperature),
        )  # fmt: skip

    def _measurement(self, x: Floats, targets: Targets) -> EvaluationData:
        outputs = np.empty((len(x), self._targets.outputs), np.float32)
        return EvaluationData(x, targets.labels, targets.values, targets.weights, outputs)
