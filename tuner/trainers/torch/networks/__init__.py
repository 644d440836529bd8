"""The networks: mlp, cnn, rnn, conv1d, bag, transformer, several, or a function (params, context) -> Module.

Inputs come scaled, and outputs are what the loss takes. Each family has a file; which inputs and which
settings each takes is in `shipped`, which imports no PyTorch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from tuner.core.trial import Params
from tuner.errors import TrialError
from tuner.trainers.torch.context import NetworkContext, builder
from tuner.trainers.torch.input_parts import by_name
from tuner.trainers.torch.networks.bag import Bag
from tuner.trainers.torch.networks.blocks import ACTIVATIONS
from tuner.trainers.torch.networks.convolution import Conv1d, cnn
from tuner.trainers.torch.networks.perceptron import mlp
from tuner.trainers.torch.networks.recurrent import Rnn
from tuner.trainers.torch.networks.several import Several
from tuner.trainers.torch.networks.transformer import Transformer
from tuner.trainers.torch.shipped import SHIPPED
from tuner.trainers.torch.ties import tie

__all__ = ["ACTIVATIONS", "bag", "build", "cnn", "conv1d", "mlp", "rnn", "several", "transformer"]

bag, conv1d, rnn, several, transformer = Bag, Conv1d, Rnn, Several, Transformer
"""As entry points name them."""


def build(model: str, params: Params, context: NetworkContext, folder: Path | None = None) -> nn.Module:
    """Build a network on the CPU.

    Raises:
        PluginError: the reference leads nowhere.
        TrialError: what was built is no module, or its weights are tied in a way that training would undo.
    """
    module: Any = builder(model, folder)(params, context)
    if not isinstance(module, nn.Module):
        raise TrialError(f"{model}: gave a {type(module).__name__}; return a torch.nn.Module")
    try:
        tie(module)
    except TrialError as error:
        raise TrialError(f"{model}: {error}") from error
    return by_name(module, context.parts) if context.parts and model not in SHIPPED else module
