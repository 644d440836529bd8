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
@pytest.mark.parametrize("term", TERMS)
def test_update_follows_one_formula_for_all_rules(rule: str, term: str) -> None:
    """p = w p - s (e g + f m) / (h sqrt(v) + k), with m = a m + b g and v = c v + d g^2."""
    params, module = settings(rule, term), network()
    recipe = Recipe.of(params)
    update = TorchUpdate(recipe, module, {}, {})
    p = flat(module)
    m, v = np.zeros_like(p), np.zeros_like(p)
    a, b, c, d, e, f, h = {
        "sgd": (0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0),
        "momentum": (0.8, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
        "nesterov": (0.8, 1.0, 0.0, 0.0, 1.0, 0.8, 0.0),
        "adagrad": (0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0),
        "rmsprop": (0.0, 0.0, 0.9, 0.1, 1.0, 0.0, 1.0),
        "adam": (0.85, 0.15, 0.97, 0.03, 0.0, 1.0, 1.0),
        "adamw": (0.85, 0.15, 0.97, 0.03, 0.0, 1.0, 1.0),
    }[rule]
    for t in range(1, 31):
        rate, s, k = 0.02 / t, 0.02 / t, 1e-8 if h else 1.0
        update.clear()
        backward(module, t)
        g = np.concatenate([q.grad.numpy().ravel() for q in module.parameters() if q.grad is not None])
        g = g + recipe.l1 * np.sign(p)
        if recipe.clipping == "value":
            g = np.clip(g, -recipe.clip_value, recipe.clip_value)
        if recipe.clipping == "norm":
            g = g * min(1.0, recipe.clip_norm / (np.linalg.norm(g) + 1e-6))
        g = g + recipe.l2 * p
        m, v = a * m + b * g, c * v + d * g**2
        if rule in ("adam", "adamw"):
            s, root = rate / (1 - 0.85**t), h / math.sqrt(1 - 0.97**t)
        else:
            root = h
        p = (1 - rate * recipe.weight_decay) * p - s * (e * g + f * m) / (root * np.sqrt(v) + k)
        update.step(rate)
        assert flat(module) == pytest.approx(p, rel=1e-9, abs=1e-12)


def test_nesterov_without_momentum_is_sgd() -> None:
    ours, theirs = network(), network()
    for module, recipe in (
        (ours, Recipe(optimizer="nesterov", momentum=0.0)),
        (theirs, Recipe(optimizer="sgd")),
    ):
        update = TorchUpdate(recipe, module, {}, {})
        for t in range(3):
            update.clear()
            backward(module, t)
            update.step(0.1)
    assert flat(ours) == pytest.approx(flat(theirs), rel=1e-12)


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
