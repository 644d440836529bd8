"""ScaledNetwork: a kept network behind its scaling, as a module of PyTorch, and how it is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from tuner.core.dataset import InputPart
from tuner.trainers.global_rng import GlobalRng
from tuner.trainers.torch.context import NetworkContext
from tuner.trainers.torch.input_parts import joined, layers_of
from tuner.trainers.torch.networks import build
from tuner.trainers.torch.unit_pruning import fit
from tuner.trainers.weights import FILE


class ScaledNetwork(nn.Module):
    """A network behind its scaling: encoded, unscaled inputs in; logits or standardized targets out.

    Attributes:
        network: what was trained.
        shift: (D,) of tables, (C, 1, 1) of images, (F,) of series, (0,) of tokens; subtracted from inputs.
        factor: shaped like `shift`; what they are multiplied by then.
        knots: (D, Q) for tables, (C, Q) for images; where the curves bend that inputs go through first; none
            where the scaling is linear, and none of codes of categories, which come last.
        levels: shaped like `knots`; what these become.
        masked: see `Dataset.masked`.
        parts: of several inputs: each of them, and what scales it.
    """

    shift: Tensor
    factor: Tensor
    knots: Tensor | None
    levels: Tensor | None

    def __init__(
        self,
        network: nn.Module,
        shift: Tensor,
        factor: Tensor,
        knots: Tensor | None = None,
        levels: Tensor | None = None,
        masked: bool = False,
        parts: Sequence[tuple[InputPart, ScaledNetwork]] = (),
    ) -> None:
        super().__init__()
        self.masked, self.parts = masked, tuple(part for part, _ in parts)
        self.scalings = nn.ModuleList(scaling for _, scaling in parts)
        self.network = network
        self.register_buffer("shift", shift)
        self.register_buffer("factor", factor)
        self.register_buffer("knots", knots)
        self.register_buffer("levels", levels)

    def forward(self, x: Tensor) -> Tensor:
        """Take inputs as `Split.x` has them; give (N, outputs)."""
        outputs: Tensor = self.network(self.scaled(x))
        return outputs[:, None] if outputs.ndim == 1 else outputs

    def scaled(self, x: Tensor) -> Tensor:
        """As `Scaling.apply` does it."""
        if self.parts:
            each: Any = zip(layers_of(self.parts), self.scalings, strict=True)
            return joined([own.scaled(layer(x)) for layer, own in each])
        if not self.shift.numel():
            return x
        rows = x.flatten(0, 1) if x.ndim == 3 else x
        if self.knots is not None and self.levels is not None:
            rows = _bent(rows, self.knots, self.levels)
        found = ((rows - self.shift) * self.factor).reshape(x.shape)
        return found * x[:, :, -1:] if self.masked else found


def _bent(x: Tensor, knots: Tensor, levels: Tensor) -> Tensor:
    """Each column, or channel, through its curve, as `Scaling.apply` does."""
    count = len(knots)
    columns = x[:, :count].movedim(1, 0).flatten(1)  # (D, N)
    right = torch.searchsorted(knots, columns.contiguous(), right=True).clamp(1, knots.shape[1] - 1)
    (low, high), (below, above) = ((t.gather(1, right - 1), t.gather(1, right)) for t in (knots, levels))
    share = ((columns - low) / (high - low)).nan_to_num(0.0).clamp(0, 1)
    bent = below + share * (above - below)
    return torch.cat([bent.reshape(count, len(x), *x.shape[2:]).movedim(0, 1), x[:, count:]], dim=1)


def read(folder: Path, description: Mapping[str, Any], context: NetworkContext) -> ScaledNetwork:
    """Build a network and give it the weights in its folder.

    Raises:
        Exception: whatever the network's own code raises.
    """
    tensors = load_file(folder / FILE)
    own = _scaling_of(tensors)
    parts = [
        (part, ScaledNetwork(nn.Identity(), **_scaling_of(tensors, f"parts.{i}."), masked=part.masked))
        for i, part in enumerate(context.parts)
    ]
    with GlobalRng(0):  # building draws initial weights that are not used
        network = build(description["network"], context.params, context, folder)
    weights = {n.removeprefix("network."): tensor for n, tensor in tensors.items()}
    if description.get("pruned"):
        fit(network, {name: tensor.shape for name, tensor in weights.items()})
    network.load_state_dict(weights)
    return ScaledNetwork(network, **own, masked=context.masked, parts=parts).eval()


def _scaling_of(tensors: dict[str, Tensor], prefix: str = "") -> dict[str, Any]:
    """The arrays of a scaling, taken out of a model's tensors."""
    names = [name for name in ("shift", "factor", "knots", "levels") if f"{prefix}{name}" in tensors]
    # Copied: an empty array in a file has an address of its own, with which torch.export.save cannot cope.
    return {name: tensors.pop(f"{prefix}{name}").clone() for name in names}
