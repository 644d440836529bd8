"""The first weights: small normal, Xavier, He or orthogonal, with a gain.

Touches weight matrices, convolution kernels and their biases, and those layers of the shipped networks that
have first weights of their own, such as embeddings; nothing else. `first_weights` draws the same for an `mlp`
without PyTorch.
"""

from __future__ import annotations

from functools import partial

from torch import Generator, Tensor, nn
from torch.nn import init as torch_init

from tuner.fused.row_layer import RowLayer
from tuner.trainers.torch.embedding import CategoryEmbedding
from tuner.trainers.torch.first_weights import SMALL

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


def initialize(module: nn.Module, init: str, gain: float, generator: Generator) -> None:
    """Draw the weights of every linear and convolution layer anew, in order; biases become zero.

    With fan_in and fan_out the inputs and outputs of a layer's unit, `uniform` bounds and `normal`
    standard deviations are ``gain`` times

    * xavier_uniform sqrt(6 / (fan_in + fan_out)), xavier_normal sqrt(2 / (fan_in + fan_out))
      (Glorot and Bengio 2010, eq. 16),
    * he_uniform sqrt(6 / fan_in), he_normal sqrt(2 / fan_in) (He et al. 2015, eq. 10),
    * small_normal `SMALL`; orthogonal: a (semi-)orthogonal matrix (Saxe et al. 2014).
    """
    draw = partial(_draw, init=init, gain=gain, generator=generator)
    for layer in module.modules():
        if isinstance(layer, CategoryEmbedding | RowLayer):
            layer.initialize(draw, generator)
        elif isinstance(layer, LAYERS):
            draw(layer.weight)
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
