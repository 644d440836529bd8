from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from tests.trainers.torch import plain
from tuner.errors import TrialError
from tuner.trainers.torch.recipe import Recipe
from tuner.trainers.torch.update import TorchUpdate

RULES = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw")
BASE: dict[str, Any] = {
    "learning_rate": 0.02,
    "momentum": 0.8,
    "rms_decay": 0.9,
    "beta1": 0.85,
    "beta2": 0.97,
    "weight_decay": 0.0,
}
TERMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "penalties": {"l1": 0.01, "l2": 0.02, "weight_decay": 0.1},
    "norm": {"l1": 0.01, "l2": 0.02, "clipping": "norm", "clip_norm": 0.7},
    "value": {"l1": 0.01, "l2": 0.02, "clipping": "value", "clip_value": 0.1, "weight_decay": 0.1},
}


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()


def flat(module: nn.Module) -> NDArray[np.float64]:
    return np.concatenate([p.detach().numpy().ravel() for p in module.parameters()])


def settings(rule: str, term: str) -> dict[str, Any]:
    params = {**BASE, **TERMS[term], "optimizer": rule}
    if rule == "adamw":
        params["l2"] = 0.0  # torch's AdamW has no coupled decay to compare with
    return params


def backward(module: nn.Module, seed: int) -> None:
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    (module(x) ** 2).mean().backward()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("term", TERMS)
def test_flat_update_equals_torch_optim_on_separate_tensors(rule: str, term: str) -> None:
    params, ours, theirs = settings(rule, term), network(), network()
    update = TorchUpdate(Recipe.of(params), ours, {}, {})
    weights = list(theirs.parameters())
    optimizer = plain.optimizer(params, weights)
    for t in range(30):
        rate = 0.02 * (1 - t / 30)
        update.clear()
        backward(ours, t)
        optimizer.zero_grad()
        backward(theirs, t)
        norm = plain.step(params, weights, optimizer, rate)
        assert float(update.step(rate)) == pytest.approx(norm, rel=1e-12)
    assert flat(ours) == pytest.approx(flat(theirs), rel=1e-10, abs=1e-13)


@pytest.mark.parametrize("rule", RULES)
def test_what_torch_optim_kept_for_an_earlier_tuner_goes_on(rule: str) -> None:
    def single() -> nn.Module:
        torch.manual_seed(0)
        return nn.Linear(3, 2, bias=False).double()

    params, ours, theirs = settings(rule, "plain"), single(), single()
    weights = list(theirs.parameters())
    optimizer = plain.optimizer(params, weights)

    def step(t: int) -> None:
        optimizer.zero_grad()
        backward(theirs, t)
        plain.step(params, weights, optimizer, 0.02)

    for t in range(4):
        step(t)
    kept = {
        at: {name: part.flatten().clone() if torch.is_tensor(part) else part for name, part in its.items()}
        for at, its in optimizer.state_dict()["state"].items()
    }
    ours.load_state_dict(theirs.state_dict())
    update = TorchUpdate(Recipe.of(params), ours, {}, {})
    update.restore(kept)
    for t in range(4, 8):
        step(t)
        update.clear()
        backward(ours, t)
        update.step(0.02)
    assert flat(ours) == pytest.approx(flat(theirs), rel=1e-10, abs=1e-13)


def test_frozen_parameters_stay() -> None:
    module = network()
    first = module[0]
    assert isinstance(first, nn.Linear)
    first.weight.requires_grad_(False)
    before = first.weight.clone()
    update = TorchUpdate(Recipe(weight_decay=0.5), module, {}, {})
    backward(module, 0)
    update.step(0.1)
    assert torch.equal(first.weight, before)


def test_tied_and_mixed_precision_parameters_train() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4))
    module[1].weight = module[0].weight
    module[2].double()
    module[1].register_forward_hook(lambda _, __, outputs: outputs.double())
    update = TorchUpdate(Recipe(clipping="norm"), module, {}, {})
    before = [p.detach().clone() for p in module.parameters()]
    module(torch.ones(2, 4)).sum().backward()
    assert math.isfinite(float(update.step(0.1)))
    assert module[1].weight is module[0].weight
    assert [p.dtype for p in module.parameters()].count(torch.float64) == 2
    assert not any(torch.equal(p, q) for p, q in zip(module.parameters(), before, strict=True))


def test_network_without_parameters_is_refused() -> None:
    with pytest.raises(TrialError, match="no trainable parameter"):
        TorchUpdate(Recipe(), nn.Identity(), {}, {})
