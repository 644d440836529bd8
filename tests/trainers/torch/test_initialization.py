from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from tests.trainers.torch import plain
from tuner.testing.trainer import blobs
from tuner.trainers.torch.first_weights import SMALL
from tuner.trainers.torch.initialization import initialize

UNIFORM = {"xavier_uniform": math.sqrt(6 / (300 + 200)), "he_uniform": math.sqrt(6 / 300)}
NORMAL = {"xavier_normal": math.sqrt(2 / (300 + 200)), "he_normal": math.sqrt(2 / 300), "small_normal": SMALL}


def drawn(init: str, gain: float, seed: int = 1) -> torch.Tensor:
    layer = nn.Linear(300, 200)
    initialize(layer, init, gain, torch.Generator().manual_seed(seed))
    assert torch.count_nonzero(layer.bias) == 0
    return layer.weight.detach()


@pytest.mark.parametrize("gain", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("init", UNIFORM)
def test_uniform_weights_fill_their_range(init: str, gain: float) -> None:
    weight, bound = drawn(init, gain), gain * UNIFORM[init]
    assert float(weight.abs().max()) == pytest.approx(bound, rel=1e-3)
    assert float(weight.std()) == pytest.approx(bound / math.sqrt(3), rel=0.02)


@pytest.mark.parametrize("gain", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("init", NORMAL)
def test_normal_weights_have_their_deviation(init: str, gain: float) -> None:
    weight = drawn(init, gain)
    assert float(weight.std()) == pytest.approx(gain * NORMAL[init], rel=0.02)
    assert float(weight.abs().max()) > 3.5 * gain * NORMAL[init]


@pytest.mark.parametrize("gain", [0.5, 2.0])
def test_orthogonal_weights_are_orthogonal(gain: float) -> None:
    weight = drawn("orthogonal", gain)
    assert torch.allclose(weight @ weight.T, gain**2 * torch.eye(200), atol=1e-4)


@pytest.mark.parametrize("init", [*UNIFORM, *NORMAL, "orthogonal"])
def test_weights_come_from_the_generator_alone(init: str) -> None:
    torch.manual_seed(1)
    first = drawn(init, 1.0)
    torch.manual_seed(2)
    assert torch.equal(first, drawn(init, 1.0))
    assert not torch.equal(first, drawn(init, 1.0, seed=2))


def test_convolutions_count_their_kernel_and_normalization_is_left_alone() -> None:
    module = nn.Sequential(nn.Conv2d(50, 100, 3), nn.GroupNorm(1, 100), nn.BatchNorm2d(100))
    initialize(module, "he_normal", 1.0, torch.Generator().manual_seed(0))
    conv, norm, batch = module
    assert isinstance(conv, nn.Conv2d)
    assert float(conv.weight.detach().std()) == pytest.approx(math.sqrt(2 / (50 * 9)), rel=0.02)
    for layer in (norm, batch):
        assert torch.all(layer.get_parameter("weight") == 1)


def test_each_initialization_trains_differently() -> None:
    losses = [
        plain.curve(blobs(), {"init": init, "init_gain": gain})[0].val_loss
        for init in [*UNIFORM, *NORMAL, "orthogonal"]
        for gain in (0.5, 1.0)
    ]
    assert len(set(losses)) == len(losses)
