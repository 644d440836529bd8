from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from tuner.core.dataset import Task
from tuner.errors import TrialError
from tuner.trainers.torch.losses import Loss, OwnLoss, build


def named(name: str, units: int, task: Task = Task.CLASSIFICATION) -> Loss:
    return build(name, units, task)


def logits(rows: int, columns: int) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(rows + columns)) * 2


def test_cross_entropy_is_the_mean_log_loss() -> None:
    loss, outputs, y = named("cross_entropy", 4), logits(30, 4), torch.arange(30) % 4
    assert loss.outputs == 4
    value = float(loss(outputs, loss.targets(y)))
    assert value == pytest.approx(metrics.log_loss(y, loss.probabilities(outputs.double()).numpy()), rel=1e-5)


def test_two_classes_need_one_logit_under_binary_cross_entropy() -> None:
    loss, outputs, y = named("binary_cross_entropy", 2), logits(30, 1), torch.arange(30) % 2
    assert loss.outputs == 1
    shares = loss.probabilities(outputs.double())
    assert shares.shape == (30, 2)
    value = float(loss(outputs, loss.targets(y)))
    assert value == pytest.approx(metrics.log_loss(y, shares.numpy()), rel=1e-5)
    assert torch.equal(loss.indices(outputs), shares.argmax(1))


def test_more_classes_are_told_from_the_rest_one_by_one() -> None:
    loss, outputs, y = named("binary_cross_entropy", 3), logits(30, 3), torch.arange(30) % 3
    assert loss.outputs == 3
    single = [metrics.log_loss(y == c, outputs[:, c].double().sigmoid().numpy()) for c in range(3)]
    assert float(loss(outputs, loss.targets(y))) == pytest.approx(np.mean(single), rel=1e-5)
    assert torch.allclose(loss.probabilities(outputs).sum(1), torch.ones(30))


def test_regression_losses_are_means_over_rows_and_targets() -> None:
    outputs, y = logits(30, 2), logits(30, 2) + logits(31, 2)[:30]
    error = (outputs - y).double().numpy()
    small = np.abs(error) <= 1
    expected = {
        "mse": np.mean(error**2),
        "mae": np.mean(np.abs(error)),
        "huber": np.mean(np.where(small, error**2 / 2, np.abs(error) - 0.5)),
    }
    for name, value in expected.items():
        loss = named(name, 2, Task.REGRESSION)
        assert float(loss(outputs, loss.targets(y))) == pytest.approx(value, rel=1e-5)


def test_single_target_may_come_without_its_axis() -> None:
    loss = named("mse", 1, Task.REGRESSION)
    assert loss.targets(torch.zeros(5)).shape == (5, 1)


@pytest.mark.parametrize("name", ["cross_entropy", "binary_cross_entropy"])
@pytest.mark.parametrize("classes", [2, 4])
@given(smoothing=st.floats(0, 0.9))
def test_smoothing_mixes_the_label_with_all_classes(name: str, classes: int, smoothing: float) -> None:
    loss, y = named(name, classes), torch.arange(12) % classes
    outputs = logits(12, loss.outputs)
    targets = loss.targets(y)
    found = float(loss(outputs, targets, smoothing))
    parts = loss.outputs if name == "cross_entropy" else 2
    soft = loss.soft(targets) * (1 - smoothing) + smoothing / parts
    assert found == pytest.approx(float(loss(outputs, soft)), rel=1e-4)


@pytest.mark.parametrize("name", ["cross_entropy", "binary_cross_entropy"])
@pytest.mark.parametrize("classes", [2, 3])
def test_soft_targets_give_the_same_loss_as_hard_ones(name: str, classes: int) -> None:
    loss, y = named(name, classes), torch.arange(12) % classes
    outputs, targets = logits(12, loss.outputs), loss.targets(y)
    assert float(loss(outputs, loss.soft(targets))) == pytest.approx(float(loss(outputs, targets)), rel=1e-5)


def focal(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    each = torch.nn.functional.cross_entropy(outputs, targets, reduction="none")
    return (1 - torch.exp(-each)) ** 2 * each


def mean_focal(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return focal(outputs, targets).mean()


@pytest.mark.parametrize("function", [focal, mean_focal])
def test_function_of_ones_own_gives_samples_or_their_mean(function: Callable[..., torch.Tensor]) -> None:
    loss, y = OwnLoss("focal", 3, Task.CLASSIFICATION, function), torch.arange(12) % 3
    outputs, targets = logits(12, loss.outputs), loss.targets(y)
    assert torch.allclose(loss.rows(outputs, targets), focal(outputs, y))
    assert float(loss(outputs, targets)) == pytest.approx(float(focal(outputs, y).mean()))
    plain = OwnLoss("plain", 3, Task.CLASSIFICATION, torch.nn.functional.cross_entropy)
    shipped = named("cross_entropy", 3)
    assert float(plain(outputs, targets, 0.1)) == pytest.approx(float(shipped(outputs, targets, 0.1)))


def test_function_that_gives_no_loss_of_the_samples_is_told() -> None:
    loss = OwnLoss("wrong", 1, Task.REGRESSION, lambda outputs, targets: outputs[:2])
    with pytest.raises(TrialError, match=r"wrong: returned shape \(2, 1\); return a loss for every sample"):
        loss(torch.zeros(5, 1), loss.targets(torch.zeros(5)))
