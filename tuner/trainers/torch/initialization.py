"""The first weights: small normal, Xavier, He or orthogonal, with a gain.

Touches weight matrices, convolution kernels and their biases; nothing else.
"""

from __future__ import annotations

from torch import Generator, Tensor, nn
from torch.nn import init as torch_init

LAYERS = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)
"""The layers that are initialized."""

SMALL = 0.01
"""The standard deviation of small_normal at gain 1."""


def initialize(module: nn.Module, init: str, gain: float, generator: Generator) -> None:
    """Draw the weights of every linear and convolution layer anew, in order; biases become zero.

    With fan_in and fan_out the inputs and outputs of a layer's unit, `uniform` bounds and `normal`
    standard deviations are ``gain`` times

    * xavier_uniform sqrt(6 / (fan_in + fan_out)), xavier_normal sqrt(2 / (fan_in + fan_out))
      (Glorot and Bengio 2010, eq. 16),
    * he_uniform sqrt(6 / fan_in), he_normal sqrt(2 / fan_in) (He et al. 2015, eq. 10),
    * small_normal `SMALL`; orthogonal: a (semi-)orthogonal matrix (Saxe et al. 2014).
    """
    for layer in module.modules():
        if isinstance(layer, LAYERS):
            _draw(layer.weight, init, gain, generator)
            if layer.bias is not None:
                torch_init.zeros_(layer.bias)


def _draw(weight: Tensor, init: str, gain: float, generator: Generator) -> None:
    match init:
        case "small_normal":
            torch_init.normal_(weight, std=SMALL * gain, generator=generator)
        case "xavier_uniform":
            torch_init.xavier_uniform_(weight, gain=gain, generator=generator)
        case "xavier_normal":
            torch_init.xavier_normal_(weight, gain=gain, generator=generator)
        case "he_uniform":
            torch_init.kaiming_uniform_(weight, nonlinearity="relu", generator=generator)
            weight.data.mul_(gain)
        case "he_normal":
            torch_init.kaiming_normal_(weight, nonlinearity="relu", generator=generator)
            weight.data.mul_(gain)
        case "orthogonal":
            torch_init.orthogonal_(weight, gain=gain, generator=generator)
