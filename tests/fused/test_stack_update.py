from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from tuner.fused import RowRecipe, UpdateRule, adagrad, adam, momentum, rmsprop, sgd
from tuner.fused.recipe import coefficients
from tuner.fused.universal import UniversalUpdate

BARE = RowRecipe(widths=(1,), rate=lambda step, steps: 0.1, rule=sgd(), seed=lambda name: 0)
SIZE, STEPS = 7, 6

OPTIMIZERS: dict[str, tuple[UpdateRule, Callable[..., torch.optim.Optimizer]]] = {
    "sgd": (sgd(), torch.optim.SGD),
    "momentum": (momentum(0.8), lambda p, lr: torch.optim.SGD(p, lr, momentum=0.8)),
    "nesterov": (
        momentum(0.7, nesterov=True),
        lambda p, lr: torch.optim.SGD(p, lr, momentum=0.7, nesterov=True),
    ),
    "adagrad": (adagrad(1e-8), lambda p, lr: torch.optim.Adagrad(p, lr, eps=1e-8)),
    "rmsprop": (rmsprop(0.9, 1e-8), lambda p, lr: torch.optim.RMSprop(p, lr, alpha=0.9, eps=1e-8)),
    "adam": (adam(0.8, 0.95, 1e-8), lambda p, lr: torch.optim.Adam(p, lr, betas=(0.8, 0.95), eps=1e-8)),
}  # fmt: skip

EXTRAS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "l1": {"l1": 0.05},
    "l2": {"l2": 0.1},
    "weight decay": {"weight_decay": 0.2},
    "norm": {"clip_norm": 0.5},
    "value": {"clip_value": 0.2},
    "parameters": {"clip_parameters": 0.3},
    "everything": {"l1": 0.01, "l2": 0.05, "weight_decay": 0.1, "clip_norm": 1.0, "clip_parameters": 1.0},
}


def start(dtype: torch.dtype, rows: int = 3) -> tuple[Tensor, Tensor]:
    """Parameters (K, S), and gradients for each step (T, K, S)."""
    generator = torch.Generator().manual_seed(3)
    p = torch.randn(rows, SIZE, generator=generator, dtype=torch.float64)
    return p.to(dtype), torch.randn(STEPS, rows, SIZE, generator=generator, dtype=torch.float64).to(dtype)


def plain(p: Tensor, gradients: Tensor, recipe: RowRecipe, make: Any) -> tuple[Tensor, float]:
    """The loop a tutorial has; the parameters at its end and the sum of the norms."""
    leaf = p.clone().requires_grad_()
    optimizer, norms = make([leaf], lr=1.0), 0.0
    for step, gradient in enumerate(gradients):
        rate = 0.1 / (step + 1)
        leaf.grad = gradient + recipe.l1 * leaf.detach().sign()
        norms += float(leaf.grad.norm())
        if recipe.clip_norm:
            torch.nn.utils.clip_grad_norm_([leaf], recipe.clip_norm)
        if recipe.clip_value:
            torch.nn.utils.clip_grad_value_([leaf], recipe.clip_value)
        leaf.grad += recipe.l2 * leaf.detach()
        with torch.no_grad():
            leaf.mul_(1 - rate * recipe.weight_decay)
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
        if recipe.clip_parameters:
            leaf.data.clamp_(-recipe.clip_parameters, recipe.clip_parameters)
    return leaf.detach(), norms


def stacked(p: Tensor, gradients: Tensor, recipes: list[RowRecipe]) -> tuple[Tensor, list[float]]:
    update = UniversalUpdate(
        [coefficients(r) for r in recipes], p.clone(), torch.zeros_like(p), torch.zeros_like(p)
    )
    for step, gradient in enumerate(gradients):
        update.g += gradient
        update.step([(row, 0.1 / (step + 1), step + 1) for row in range(len(p))])
        assert not update.g.any()
    return update.p, update.norms()


@pytest.mark.parametrize("extra", EXTRAS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    ("dtype", "within"), [(torch.float64, 1e-9), (torch.float32, 1e-5)], ids=["together", "compiled"]
)
def test_every_optimizer_steps_as_torch_does_beside_others(
    optimizer: str, extra: str, dtype: torch.dtype, within: float
) -> None:
    rule, make = OPTIMIZERS[optimizer]
    recipe = replace(BARE, rule=rule, **EXTRAS[extra])
    p, gradients = start(dtype)
    recipes = [replace(BARE, rule=adam(0.9, 0.99, 1e-6), l1=1.0), recipe, replace(BARE, clip_value=1e-3)]
    found, norms = stacked(p, gradients, recipes)
    wanted, norm = plain(p[1], gradients[:, 1], recipe, make)
    torch.testing.assert_close(found[1], wanted, rtol=within, atol=within)
    assert norms[1] == pytest.approx(norm, rel=max(within, 1e-9))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_row_whose_batch_is_not_complete_stays_and_gathers_gradients(dtype: torch.dtype) -> None:
    p, gradients = start(dtype, rows=2)
    recipes = [replace(BARE, rule=adam(0.9, 0.99, 1e-8), weight_decay=0.5)] * 2
    update = UniversalUpdate(
        [coefficients(r) for r in recipes], p.clone(), torch.zeros_like(p), torch.zeros_like(p)
    )
    for gradient in gradients[:3]:
        update.g += gradient
        update.step([(0, 0.1, 1)])
        update.step([])
    assert torch.equal(update.p[1], p[1])
    assert not update.m[1].any()
    torch.testing.assert_close(update.g[1], gradients[:3, 1].sum(0))
    assert update.norms()[1] == 0
    update.step([(1, 0.1, 1)])
    assert not torch.equal(update.p[1], p[1])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_row_that_diverges_leaves_the_others_alone(dtype: torch.dtype) -> None:
    p, gradients = start(dtype)
    recipes = [replace(BARE, rule=adam(0.9, 0.99, 1e-8), clip_norm=1.0)] * 3
    wanted, _ = stacked(p, gradients, recipes)
    gradients[1, 0] = torch.nan
    gradients[2, 2] = torch.inf
    found, _ = stacked(p, gradients, recipes)
    assert torch.equal(found[1], wanted[1])
    assert found[0].isnan().all()
