from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tuner.trainers.torch.embedding import CategoryEmbedding
from tuner.trainers.torch.first_weights import FirstWeights
from tuner.trainers.torch.initialization import initialize

EXACT = ("xavier_uniform", "he_uniform")
ROUNDED = ("small_normal", "xavier_normal", "he_normal", "orthogonal")
SHAPES = ((64, 64), (10, 64), (16, 3), (3, 5), (1, 7))


@pytest.mark.parametrize("init", [*EXACT, *ROUNDED])
@pytest.mark.parametrize("gain", [1.0, 1.3])
def test_they_are_those_that_torch_draws(init: str, gain: float) -> None:
    module = nn.Sequential(*(nn.Linear(fan_in, fan_out) for fan_out, fan_in in SHAPES))
    initialize(module, init, gain, torch.Generator().manual_seed(7))
    draw = FirstWeights(init, gain, 7)
    for layer, shape in zip(module, SHAPES, strict=True):
        wanted, found = layer.get_parameter("weight").detach().numpy(), draw.linear(shape)
        assert found.dtype == np.float32
        if init in EXACT:
            assert np.array_equal(found, wanted)
        else:
            assert np.allclose(found, wanted, rtol=1e-4, atol=2e-6)


def test_embeddings_have_a_distribution_of_their_own() -> None:
    embedding = CategoryEmbedding(4, (40, 9), 8)
    initialize(embedding, "he_uniform", 1.0, torch.Generator().manual_seed(2))
    draw = FirstWeights("he_uniform", 1.0, 2)
    for table in embedding.parameters():
        assert np.allclose(draw.embedding(tuple(table.shape)), table.detach().numpy(), rtol=1e-4, atol=1e-6)
