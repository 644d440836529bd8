"""Shipped networks: which inputs each takes, and which of the recipe's settings. Imports no PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tuner.core.dataset import InputKind
from tuner.core.trial import Params


@dataclass(frozen=True, slots=True)
class ShippedNetwork:
    """What is known of a network.

    Attributes:
        kinds: the inputs that it takes.
        settings: the parameters of the recipe that shape it.
        poolings: how it sums up what it has found, the default first; none where it has nothing to sum up.
    """

    kinds: frozenset[InputKind]
    settings: frozenset[str]
    poolings: tuple[str, ...] = ()


_TABLE, _IMAGE, _SERIES, _TOKENS, _SEVERAL = InputKind
_COMMON = frozenset({"width", "depth", "dropout", "activation"})
_STEPS = frozenset({_SERIES, _TOKENS})

PRUNED = ("pruned", "pruned_first")
"""The settings that leave out units."""

SHIPPED: Mapping[str, ShippedNetwork] = {
    "mlp": ShippedNetwork(
        frozenset({_TABLE, _IMAGE, _SERIES}),
        _COMMON | {"layer_norm", "batch_norm", "embedding_size", *PRUNED},
    ),
    "cnn": ShippedNetwork(
        frozenset({_IMAGE}),
        _COMMON | {"layer_norm", "batch_norm", "kernel_size", "pooling", "residual", "dense_units", *PRUNED},
        ("max", "mean"),
    ),
    "rnn": ShippedNetwork(
        _STEPS,
        _COMMON | {"layer_norm", "cell", "bidirectional", "pooling", "dense_units", "token_size", *PRUNED},
        ("last", "mean", "max"),
    ),
    "conv1d": ShippedNetwork(
        _STEPS,
        _COMMON | {"layer_norm", "kernel_size", "pooling", "dense_units", "token_size", *PRUNED},
        ("max", "mean"),
    ),
    "bag": ShippedNetwork(
        frozenset({_TOKENS}), _COMMON | {"layer_norm", "batch_norm", "token_size", *PRUNED}
    ),
    "transformer": ShippedNetwork(_STEPS, _COMMON | {"heads", "pooling"}, ("mean", "max")),
    "several": ShippedNetwork(
        frozenset({_SEVERAL}),
        _COMMON
        | {"layer_norm", "kernel_size", "residual", "dense_units", "cell", "bidirectional", "heads"}
        | {"token_size"},
    ),
}
"""The networks whose parameters and first weights are the recipe's."""

NETWORK: frozenset[str] = frozenset[str]().union(*(network.settings for network in SHIPPED.values()))
"""The settings that only these networks read; in a network of one's own their names are free."""


def taking(kind: InputKind) -> list[str]:
    """The networks that take inputs of a kind."""
    return [name for name, network in SHIPPED.items() if kind in network.kinds]


DEFAULTS: Mapping[InputKind, str] = {
    _TABLE: "mlp",
    _IMAGE: "cnn",
    _SERIES: "conv1d",
    _TOKENS: "bag",
    _SEVERAL: "several",
}
"""The network of a study that names none."""


def own_setting(name: str) -> tuple[InputKind, str] | None:
    """What a name such as tokens_width says to `several` of one kind of inputs: the kind, and the setting.

    The setting may be "network". None of a name such as width, which all of them share.
    """
    prefix, _, setting = name.partition("_")
    kind = next((kind for kind in DEFAULTS if kind == prefix and kind is not _SEVERAL), None)
    if kind is None:
        return None
    settings = frozenset[str]().union(*(SHIPPED[model].settings for model in taking(kind)))
    known = (settings & SHIPPED["several"].settings) | {"network"}
    return (kind, setting) if setting in known else None


def own_params(kind: InputKind, params: Params) -> tuple[str, Params]:
    """The network of one kind of inputs within `several`, and its parameters: its own before the shared ones.

    A shared `dense_units` is of all inputs together.
    """
    shared = {name: value for name, value in params.items() if name != "dense_units"}
    found = {own_setting(name): value for name, value in params.items()}
    own = {each[1]: value for each, value in found.items() if each is not None and each[0] == kind}
    return str(own.pop("network", DEFAULTS[kind])), shared | own


def pooling_of(model: str, asked: str | None) -> str:
    """How a network sums up what it has found."""
    return asked or SHIPPED[model].poolings[0]
