"""The networks: mlp, cnn, rnn, conv1d, bag, transformer, or any function build(params, context) -> Module.

Inputs come scaled, and outputs are what the loss takes. Each family has a file, `building` calls what builds;
which inputs and which settings each takes is in `shipped`, which imports no PyTorch.
"""

from tuner.trainers.torch.networks.bag import bag
from tuner.trainers.torch.networks.blocks import ACTIVATIONS
from tuner.trainers.torch.networks.building import build
from tuner.trainers.torch.networks.convolution import cnn, conv1d
from tuner.trainers.torch.networks.perceptron import mlp
from tuner.trainers.torch.networks.recurrent import rnn
from tuner.trainers.torch.networks.transformer import transformer

__all__ = [
    "ACTIVATIONS",
    "bag",
    "build",
    "cnn",
    "conv1d",
    "mlp",
    "rnn",
    "transformer",
]
