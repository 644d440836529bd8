"""Recipe: every setting of the torch trainer that a study may search, with defaults and limits.

The names are the contract with search_spaces/*.toml. A setting has to act alike in `session`, which is the
reference, in `stacked_epoch` and in `fused`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Literal, Self, get_type_hints

from tuner import registry
from tuner.core.dataset import InputKind
from tuner.core.space import Choice, Parameter
from tuner.core.trial import Params, Value
from tuner.data.scaling import KINDS as SCALINGS
from tuner.errors import PluginError, near
from tuner.trainers.row_weights import KINDS

OPTIMIZERS, SCHEDULES = "tuner.optimizers", "tuner.schedules"
"""The entry points that optimizers and schedules are registered under."""

FULL = "full"
"""The batch size of plain gradient descent: all rows of the training split."""

INT8 = "int8"
"""The quantization to 8-bit integers."""


@dataclass(frozen=True, slots=True)
class Range:
    """The numbers a setting may have."""

    low: float
    high: float = float("inf")
    below: bool = False
    whole: bool = False
    also: tuple[str, ...] = ()

    def fault(self, value: Value) -> str | None:
        """What is wrong with a value; None when nothing is."""
        if value in self.also or (self._is_number(value) and self._holds(float(value))):
            return None
        return f"{value!r} makes no sense; give {self._words()}"

    def _is_number(self, value: Value) -> bool:
        return isinstance(value, int if self.whole else int | float) and not isinstance(value, bool)

    def _holds(self, value: float) -> bool:
        return self.low <= value and (value < self.high if self.below else value <= self.high)

    def _words(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        top = f" and {'below' if self.below else 'at most'} {self.high:g}"
        words = f"{kind} of at least {self.low:g}{top if self.high < float('inf') else ''}"
        return " or ".join([words, *(f'"{name}"' for name in self.also)])


@dataclass(frozen=True, slots=True)
class Names:
    """The names, or the truth values, a setting may have."""

    known: tuple[Value, ...]

    def fault(self, value: Value) -> str | None:
        """What is wrong with a value; None when nothing is."""
        if any(type(value) is type(name) and value == name for name in self.known):
            return None
        return f"unknown name {value!r}; {near(str(value), (str(name).lower() for name in self.known))}"


@dataclass(frozen=True, slots=True)
class Registered:
    """What is registered in a group, or a reference to a function or class."""

    group: str

    def fault(self, value: Value) -> str | None:
        """What is wrong with a value; None when nothing is."""
        if not isinstance(value, str):
            return f"{value!r} is no name; give one, or package.module:attr or ./file.py:attr"
        try:
            found = registry.load(value, self.group)
        except PluginError as error:
            return str(error)
        return None if callable(found) or ":" not in value else f"{value} is no function and no class"


_NOT_NEGATIVE, _SHARE, _COUNT = Range(0), Range(0, 1, below=True), Range(0, whole=True)
_SWITCH = Names((True, False))
_INITS = ("small_normal", "xavier_uniform", "xavier_normal", "he_uniform", "he_normal", "orthogonal")
_ACTIVATIONS = ("identity", "sigmoid", "tanh", "relu", "leaky_relu", "gelu", "silu")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one trial trains; a parameter that a study leaves out has the value given here.

    Attributes:
        learning_rate: the peak rate; another default for each optimizer, see `DEFAULT_FOR`.
        optimizer: the rule of the update.
        momentum: of momentum and nesterov.
        beta1: decay of the mean gradient (adam, adamw).
        beta2: decay of the mean squared gradient (adam, adamw).
        rms_decay: decay of the mean squared gradient (rmsprop).
        epsilon: what adagrad, rmsprop, adam and adamw add to the root of the squared gradient.
        schedule: the shape of the rate over all steps.
        warmup: share of all steps in which the rate rises linearly; one_cycle has its own rise.
        step_decay: what the rate is multiplied by at each drop (step).
        step_drops: how many drops, evenly spaced (step).
        exponential_decay: the share of the rate that is left at the end (exponential).
        one_cycle_rise: share of all steps before the peak (one_cycle).
        restarts: how often the rate goes back to its peak (warm_restarts).
        restart_growth: how many times as long as the last part each further one is (warm_restarts).
        plateau_factor: what the rate is multiplied by where the validation loss stopped falling (plateau).
        plateau_patience: epochs without a lower validation loss that are waited for (plateau).
        clipping: what the gradient is clipped by.
        clip_norm: the largest 2-norm of the whole gradient (norm).
        clip_value: the largest magnitude of any of its elements (value).
        clip_parameters: the largest magnitude that a step leaves of a parameter; 0: any.
        ema: what a step leaves of the average of the weights, which is judged and kept; 0: there is none.
        batch_size: rows per batch, or ``"full"``; the whole split where it is smaller.
        accumulation: batches per step.
        l1: added to the gradient as ``l1 * sign(p)``, before clipping.
        l2: added to the gradient as ``l2 * p``, after clipping.
        weight_decay: decoupled: ``p *= 1 - rate * weight_decay`` at each step.
        dropout: share of the activations that is dropped behind each hidden layer.
        label_smoothing: share of a class label that is spread over all classes.
        input_noise: standard deviation of Gaussian noise on the scaled inputs, codes of categories apart.
        init: the distribution of the first weights; biases start at zero.
        init_gain: what the first weights are multiplied by.
        width: units of a hidden or a recurrent layer or of an encoder, channels of a convolution (cnn: of the
            first block).
        depth: hidden, recurrent or encoder layers, convolutions, blocks (cnn).
        activation: the nonlinearity.
        layer_norm: layer normalization before each activation.
        batch_norm: batch normalization there, before that of layers.
        kernel_size: how many pixels each way, or steps, a convolution sees.
        pooling: how the pixels of a patch (cnn) or the steps of a sequence become one; None: by the network.
        residual: a block's inputs are added to what it makes of them (cnn).
        dense_units: of one more hidden layer before the outputs; 0: none.
        cell: the units of `rnn`: gru, lstm or rnn.
        bidirectional: layers of `rnn` in both directions.
        heads: of self-attention.
        token_size: numbers that a token is embedded as.
        embedding_size: numbers that a category is embedded as, in columns with many of them (mlp); 0: such a
            column becomes zeros and ones, as it does for any other network.
        scaling: of the inputs; None: what the data says.
        image_crop: of images a part is stretched to the whole; this share of the area is left out at most.
        image_rotation: images turn by up to so many degrees each way, their edges repeated.
        image_shift: images move by up to so many pixels each way, their edges repeated.
        image_flip: images are mirrored left to right, every second one on average.
        image_flip_vertical: images are mirrored top to bottom, every second one on average.
        image_brightness: one number is added to all of a scaled image, up to this one each way.
        image_contrast: how far an image is from its mean is multiplied by one more or less this at most.
        image_saturation: how far it is from grey likewise, where it has three channels.
        image_cutout: the side in pixels of a square anywhere in each image that becomes 0.
        time_shift: series move by up to so many steps each way, their first or last step repeated.
        token_dropout: share of the tokens of a text that become unknown.
        mixup: alpha of the Beta distribution that mixed pairs of rows are drawn from; 0: none. A row keeps
            the categories that are embedded.
        class_weight: what the classes count in the training loss; None: what the study says.
        pruned: share of the units of each hidden layer that are left out, channels of convolutions and states
            of recurrent layers too. Those with the smallest norms go, see `pruning`, and `unit_pruning` of a
            network of one's own.
        pruned_first: the same of the first hidden or recurrent layer, convolution or block, or of weights
            of the first matrix, which may be a table of embeddings; None: as of all.
        pruning: what `pruned` leaves out: "units", or "weights", the smallest of each matrix, which become 0.
        pruning_ramp: share of all steps over which more and more weights go; 0: all before the first one.
        from_scratch: whether first weights are drawn although there is a teacher.
        distil_weight: what the outputs of `[trainer] teacher` count in the training loss, and the truth for
            the rest.
        distil_temperature: what both outputs are divided by before they are compared (Hinton et al. 2015).
        quantization: "int8": costs, losses and scores are those of the network in 8-bit integers, which is
            what predicts later; it trains as ever.
    """

    learning_rate: Annotated[float, _NOT_NEGATIVE] = 1e-3
    optimizer: Annotated[str, Registered(OPTIMIZERS)] = "adam"
    momentum: Annotated[float, _SHARE] = 0.9
    beta1: Annotated[float, _SHARE] = 0.9
    beta2: Annotated[float, _SHARE] = 0.999
    rms_decay: Annotated[float, _SHARE] = 0.99
    epsilon: Annotated[float, _NOT_NEGATIVE] = 1e-8
    schedule: Annotated[str, Registered(SCHEDULES)] = "constant"
    warmup: Annotated[float, _SHARE] = 0.0
    step_decay: Annotated[float, Range(0, 1)] = 0.3
    step_drops: Annotated[int, Range(1, whole=True)] = 2
    exponential_decay: Annotated[float, Range(1e-12, 1)] = 0.05
    one_cycle_rise: Annotated[float, _SHARE] = 0.3
    restarts: Annotated[int, _COUNT] = 2
    restart_growth: Annotated[float, Range(1)] = 2.0
    plateau_factor: Annotated[float, Range(1e-12, 1)] = 0.3
    plateau_patience: Annotated[int, _COUNT] = 2
    clipping: Annotated[str, Names(("none", "norm", "value"))] = "none"
    clip_norm: Annotated[float, Range(1e-12)] = 1.0
    clip_value: Annotated[float, Range(1e-12)] = 0.5
    clip_parameters: Annotated[float, _NOT_NEGATIVE] = 0.0
    ema: Annotated[float, _SHARE] = 0.0
    batch_size: Annotated[int | Literal["full"], Range(1, whole=True, also=(FULL,))] = 32
    accumulation: Annotated[int, Range(1, whole=True)] = 1
    l1: Annotated[float, _NOT_NEGATIVE] = 0.0
    l2: Annotated[float, _NOT_NEGATIVE] = 0.0
    weight_decay: Annotated[float, _NOT_NEGATIVE] = 0.0
    dropout: Annotated[float, _SHARE] = 0.0
    label_smoothing: Annotated[float, _SHARE] = 0.0
    input_noise: Annotated[float, _NOT_NEGATIVE] = 0.0
    init: Annotated[str, Names(_INITS)] = "he_uniform"
    init_gain: Annotated[float, _NOT_NEGATIVE] = 1.0
    width: Annotated[int, Range(1, whole=True)] = 32
    depth: Annotated[int, _COUNT] = 2
    activation: Annotated[str, Names(_ACTIVATIONS)] = "relu"
    layer_norm: Annotated[bool, _SWITCH] = False
    batch_norm: Annotated[bool, _SWITCH] = False
    kernel_size: Annotated[int, Range(1, whole=True)] = 3
    pooling: Annotated[str | None, Names(("last", "max", "mean"))] = None
    residual: Annotated[bool, _SWITCH] = False
    dense_units: Annotated[int, _COUNT] = 0
    cell: Annotated[str, Names(("gru", "lstm", "rnn"))] = "gru"
    bidirectional: Annotated[bool, _SWITCH] = False
    heads: Annotated[int, Range(1, whole=True)] = 4
    token_size: Annotated[int, Range(1, whole=True)] = 32
    embedding_size: Annotated[int, _COUNT] = 0
    scaling: Annotated[str | None, Names(SCALINGS)] = None
    image_crop: Annotated[float, _SHARE] = 0.0
    image_rotation: Annotated[float, Range(0, 180)] = 0.0
    image_shift: Annotated[int, _COUNT] = 0
    image_flip: Annotated[bool, _SWITCH] = False
    image_flip_vertical: Annotated[bool, _SWITCH] = False
    image_brightness: Annotated[float, _NOT_NEGATIVE] = 0.0
    image_contrast: Annotated[float, Range(0, 1)] = 0.0
    image_saturation: Annotated[float, Range(0, 1)] = 0.0
    image_cutout: Annotated[int, _COUNT] = 0
    time_shift: Annotated[int, _COUNT] = 0
    token_dropout: Annotated[float, _SHARE] = 0.0
    mixup: Annotated[float, _NOT_NEGATIVE] = 0.0
    class_weight: Annotated[str | None, Names(KINDS)] = None
    pruned: Annotated[float, _SHARE] = 0.0
    pruned_first: Annotated[float | None, _SHARE] = None
    pruning: Annotated[str, Names(("units", "weights"))] = "units"
    pruning_ramp: Annotated[float, _SHARE] = 0.0
    from_scratch: Annotated[bool, _SWITCH] = False
    distil_weight: Annotated[float, Range(0, 1)] = 0.0
    distil_temperature: Annotated[float, Range(1)] = 2.0
    quantization: Annotated[str, Names(("none", INT8))] = "none"

    @classmethod
    def of(cls, params: Params) -> Self:
        """The recipe of a configuration; names that belong to a network of one's own are passed over."""
        given: dict[str, Value] = {name: value for name, value in params.items() if name in NAMES}
        optimizer = str(given.get("optimizer", _DEFAULT_OPTIMIZER))
        for name, defaults in DEFAULT_FOR.items():
            if optimizer in defaults:
                given.setdefault(name, defaults[optimizer])
        return cls(**given)  # type: ignore[arg-type]

    @property
    def widths(self) -> tuple[int, ...]:
        """What pruning leaves of `width` in each of `depth` layers."""
        shares = (self.first_share, *[self.pruned] * (self.depth - 1))[: self.depth]
        return tuple(self._left(share, self.width) for share in shares)

    @property
    def first_share(self) -> float:
        """What the first layer loses."""
        return self.pruned if self.pruned_first is None else self.pruned_first

    @property
    def dense_width(self) -> int:
        """What it leaves of `dense_units`."""
        return self._left(self.pruned, self.dense_units)

    @property
    def prunes_units(self) -> bool:
        """Whether units are left out of other layers than the first alone."""
        return self.pruning == "units" and bool(self.pruned)

    @property
    def prunes_weights(self) -> bool:
        """Whether single weights become zero, and the network keeps its shape."""
        return self.pruning == "weights" and bool(self.pruned or self.pruned_first)

    @property
    def is_quantized(self) -> bool:
        """Whether the network is judged and used in 8-bit integers."""
        return self.quantization == INT8

    def _left(self, pruned: float, units: int) -> int:
        """How many units of a layer pruning leaves."""
        return max(1, round(units * (1 - pruned))) if units and self.pruning == "units" else units


NAMES: tuple[str, ...] = tuple(field.name for field in fields(Recipe))
"""Every parameter that the recipe knows."""

_DEFAULT_OPTIMIZER = str(next(field.default for field in fields(Recipe) if field.name == "optimizer"))

DEFAULT_FOR: Mapping[str, Mapping[str, float]] = {
    "learning_rate": {"sgd": 0.1, "momentum": 0.03, "nesterov": 0.03, "adagrad": 0.03},
    "weight_decay": {"adamw": 0.01},
}
"""Defaults that depend on the optimizer; Adam's decay is decoupled in adamw alone unless it is searched."""

AUGMENTATIONS: dict[InputKind, tuple[str, ...]] = {
    InputKind.TABLE: ("input_noise",),
    InputKind.IMAGE: (
        *("image_crop", "image_rotation", "image_shift", "image_flip", "image_flip_vertical"),
        *("image_brightness", "image_contrast", "image_saturation", "image_cutout", "input_noise"),
    ),
    InputKind.SERIES: ("time_shift", "input_noise"),
    InputKind.TOKENS: ("token_dropout",),
}
AUGMENTATIONS[InputKind.SEVERAL] = tuple(dict.fromkeys(n for each in AUGMENTATIONS.values() for n in each))
"""What is done to the training batches of each kind of inputs, in this order; mixup comes last.

The other settings have no meaning for a kind.
"""

LIMITS: Mapping[str, Range | Names | Registered] = {
    name: hint.__metadata__[0] for name, hint in get_type_hints(Recipe, include_extras=True).items()
}
"""What each setting may be."""

TAUGHT: tuple[str, ...] = (
    "pruned",
    "pruned_first",
    "pruning",
    "pruning_ramp",
    "from_scratch",
    "distil_weight",
    "distil_temperature",
)
"""The settings that have a meaning only beside `[trainer] teacher`."""


def range_faults(name: str, values: Parameter | Value) -> list[str]:
    """What is wrong with a searched parameter or a fixed value of this name, a sentence each.

    Args:
        name: one of `NAMES`.
        values: the parameter, all of whose values are looked at, or one value.
    """
    found = (LIMITS[name].fault(end) for end in ends(values))
    return list(dict.fromkeys(fault for fault in found if fault is not None))


def ends(values: Parameter | Value) -> tuple[Value, ...]:
    """The choices of a parameter or the ends of its range, or one value."""
    if isinstance(values, Choice):
        return tuple(values.choices)
    return (values,) if isinstance(values, bool | int | float | str) else (values.low, values.high)
