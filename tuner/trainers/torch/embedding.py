"""CategoryEmbedding: what a network learns of each category, in place of the category's code."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn import init as torch_init

from tuner.fused.row_layer import Draw
from tuner.trainers.torch.first_weights import EMBEDDING_DEVIATION
from tuner.trainers.torch.mlp import sizes_of


class CategoryEmbedding(nn.Module):
    """Inputs (N, D + C), the last C of them codes, to (N, D + the sum of `sizes`).

    Attributes:
        sizes: how many numbers each category becomes, for each column of codes.
        outputs: how many numbers a row becomes.
    """

    def __init__(self, inputs: int, categories: Sequence[int], size: int) -> None:
        """Set up tables.

        Args:
            inputs: D + C.
            categories: how many codes each of the C columns has.
            size: see `sizes_of`.
        """
        super().__init__()
        self.sizes = sizes_of(categories, size)
        self.outputs = inputs - len(categories) + sum(self.sizes)
        self.tables = nn.ModuleList(map(nn.Embedding, categories, self.sizes))

    def forward(self, x: Tensor) -> Tensor:
        """Look the categories up."""
        numbers = x.shape[1] - len(self.tables)
        found = [table(x[:, numbers + i].long()) for i, table in enumerate(self.tables)]
        return torch.cat([x[:, :numbers], *found], dim=1)

    def initialize(self, draw: Draw, generator: Generator) -> None:  # noqa: ARG002
        """Draw first embeddings, whatever the recipe draws weights from."""
        for table in self.parameters():
            torch_init.normal_(table, std=EMBEDDING_DEVIATION, generator=generator)
