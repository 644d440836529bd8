"""Int8Network: a network as onnxruntime computes it in 8-bit integers, for what is measured and predicted.

Needs `tuner[onnx]`; imported where a trial's `quantization` asks for it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from tuner.trainers.torch.onnx_graph import graph_of
from tuner.trainers.torch.onnx_runtime import quantized, session_of


class Int8Network(nn.Module):
    """A network's weights as they are now, rounded; its inputs are rounded as they come, each row by itself.

    All rows at once would share one scale, and a row with one very large number would wipe out all others.
    """

    def __init__(self, network: nn.Module, x: Tensor) -> None:
        """Take over a network.

        Args:
            network: on the CPU; left as it is.
            x: (N, ...) inputs as it takes them, at least one.

        Raises:
            PluginError: onnx or onnxruntime is not installed.
            TrialError: the network cannot be written as a graph.
        """
        super().__init__()
        self._session = session_of(quantized(graph_of(network, x[:1].repeat(2, *[1] * (x.ndim - 1)))))

    def forward(self, x: Tensor) -> Tensor:
        """Take inputs as the network does; give what it gives, without a way back."""
        (given,) = self._session.get_inputs()
        rows = np.split(x.numpy(force=True), len(x) or 1)
        found = np.concatenate([self._session.run(None, {given.name: row})[0] for row in rows])
        return torch.from_numpy(found).to(x.device)
