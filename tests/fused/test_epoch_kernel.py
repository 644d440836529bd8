"""The compiled kernels beside the reference in plain PyTorch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fused.made import RULES, recipe, targets, trained, weighed
from tests.fused.reference import ReferencePool
from tuner.fused import Activation, EpochResult, LossKind, RowPool, RowRecipe


def agree(recipe: RowRecipe, tolerance: float = 2e-4, **given: Any) -> list[EpochResult]:
    native, torch = (trained(recipe, 3, kind=kind, **given) for kind in (RowPool, ReferencePool))
    for one, two in zip(native, torch, strict=True):
        assert np.isfinite([one.train_loss, one.val_loss, one.grad_norm]).all()
        for name in ("train_loss", "val_loss", "grad_norm", "learning_rate"):
            assert getattr(one, name) == pytest.approx(getattr(two, name), rel=tolerance, abs=1e-6)
        np.testing.assert_allclose(one.val_outputs, two.val_outputs, rtol=10 * tolerance, atol=1e-3)
    assert native[0].train_loss != native[2].train_loss
    return native


@pytest.mark.parametrize("name", RULES)
def test_every_rule_agrees(name: str) -> None:
    agree(recipe(rule=RULES[name], l1=1e-3, l2=1e-2, weight_decay=0.1))


@pytest.mark.parametrize("activation", list(Activation))
@pytest.mark.parametrize("layer_norm", [False, True])
def test_every_activation_agrees(activation: Activation, layer_norm: bool) -> None:
    agree(recipe(activation=activation, layer_norm=layer_norm, dropout=0.3))


@pytest.mark.parametrize("kind", list(LossKind))
def test_every_loss_agrees(kind: LossKind) -> None:
    agree(recipe(smoothing=0.1, mixup=0.5), targets=targets(kind))


@pytest.mark.parametrize("kind", list(LossKind))
@pytest.mark.parametrize("mixup", [0.0, 0.5])
def test_weighted_samples_agree(kind: LossKind, mixup: float) -> None:
    weighted = agree(recipe(smoothing=0.1, mixup=mixup), targets=weighed(kind))
    assert (
        weighted[0].val_loss
        != trained(recipe(smoothing=0.1, mixup=mixup), 1, targets=targets(kind))[0].val_loss
    )


def test_weights_of_one_change_nothing() -> None:
    plain = targets()
    ones = {name: getattr(plain, name) for name in ("train", "sample", "validation")}
    ones = {name: each.weighed(np.ones(len(each.labels))) for name, each in ones.items()}
    same = replace(plain, **ones)
    for one, two in zip(trained(recipe(mixup=0.3)), trained(recipe(mixup=0.3), targets=same), strict=True):
        assert two.val_outputs == pytest.approx(one.val_outputs, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(
    "given",
    [
        {"dropout": 0.5},
        {"noise": 0.5},
        {"mixup": 0.4},
        {"dropout": 0.4, "noise": 0.3, "mixup": 0.4, "batch": None},
        {"clip_norm": 0.1},
        {"clip_value": 0.01},
        {"clip_parameters": 0.2},
        {"ema": 0.8},
        {"ema": 0.3, "layer_norm": True, "clip_norm": 0.1, "mixup": 0.4},
        {"widths": (), "noise": 0.3},
        {"widths": (9, 9, 9, 9), "dropout": 0.1},
        {"widths": (136, 136), "noise": 0.1},
        {"batch": 1},
        {"batch": 69, "dropout": 0.2},
        {"tables": ((7, 2),), "l1": 1e-3},
        {"tables": ((40, 5), (3, 1), (12, 16)), "batch": None, "layer_norm": True},
        {"tables": ((9, 3), (4, 8)), "noise": 0.3, "mixup": 0.4, "clip_norm": 0.1},
        {"tables": ((9, 3),), "widths": ()},
    ],
    ids=str,
)
def test_every_setting_agrees(given: dict[str, Any]) -> None:
    agree(recipe(**given))


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.fixed_dictionaries(
        {
            "widths": st.lists(st.integers(1, 40), max_size=3).map(tuple),
            "layer_norm": st.booleans(),
            "activation": st.sampled_from(
                [Activation.TANH, Activation.GELU, Activation.SILU, Activation.SIGMOID]
            ),
            "batch": st.one_of(st.none(), st.integers(1, 80)),
            "rule": st.sampled_from(list(RULES.values())),
            "l1": st.floats(0, 1e-3),
            "l2": st.floats(0, 1e-2),
            "weight_decay": st.floats(0, 0.3),
            "dropout": st.floats(0, 0.6),
            "noise": st.floats(0, 0.5),
            "mixup": st.sampled_from([0.0, 0.3]),
            "smoothing": st.floats(0, 0.3),
            "clip_norm": st.sampled_from([None, 0.3]),
            "clip_parameters": st.sampled_from([0.0, 0.5]),
            "ema": st.sampled_from([0.0, 0.9]),
        }
    )
)
def test_any_recipe_agrees(given: dict[str, Any]) -> None:
    if 1 in given["widths"]:
        given["layer_norm"] = False  # the only unit is its own mean
    agree(recipe(rate=lambda step, steps: 0.005, **given), 1e-3)
