"""Compiled convolutions beside torch's own, forwards and backwards."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tuner.fused.convolution import convolved, padding_of
from tuner.fused.convolution_kernel import LARGEST, PLAIN, POSITIVE
from tuner.fused.layers import batched

SHAPES = [
    # K, B, C, H, W, filters, kernel, padding
    (2, 3, 3, 7, 6, 5, (3, 3), (1, 1)),
    (2, 2, 8, 8, 8, 16, (3, 3), (1, 1)),
    (3, 2, 1, 9, 8, 4, (5, 5), (2, 2)),
    (2, 2, 4, 6, 6, 8, (2, 2), (1, 1)),
    (1, 3, 5, 7, 7, 9, (1, 1), (0, 0)),
    (2, 1, 8, 4, 16, 8, (1, 3), (0, 1)),
    (2, 2, 3, 8, 8, 8, (3, 3), (0, 0)),
    (1, 2, 2, 2, 16, 8, (1, 4), (0, 2)),
]


def by_torch(x: Tensor, weight: Tensor, bias: Tensor, padding: tuple[int, int], kind: int) -> Tensor:
    found = torch.stack(
        [functional.conv2d(*given, padding=padding) for given in zip(x, weight, bias, strict=True)]
    )
    if kind != PLAIN:
        found = found.relu()
    if kind == LARGEST:
        found = torch.stack([functional.max_pool2d(each, 2) for each in found])
    return found


@pytest.mark.parametrize("kind", [PLAIN, POSITIVE, LARGEST])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_sums_and_derivatives_are_those_of_torch(
    shape: tuple[int, int, int, int, int, int, tuple[int, int], tuple[int, int]], kind: int
) -> None:
    rows, samples, channels, height, width, filters, kernel, padding = shape
    torch.manual_seed(0)
    x = torch.randn(rows, samples, channels, height, width, requires_grad=True)
    weight = torch.randn(rows, filters, channels, *kernel, requires_grad=True)
    bias = torch.randn(rows, filters, requires_grad=True)
    found = convolved(x, weight, bias, padding, kind)
    wanted = by_torch(x, weight, bias, padding, kind)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    slopes = torch.randn_like(wanted)
    mine, theirs = (torch.autograd.grad(each, (x, weight, bias), slopes) for each in (found, wanted))
    assert all(each.abs().max() > 0.1 for each in theirs)
    for one, two in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-4)


def test_the_first_of_equal_pixels_is_the_largest_and_what_is_no_number_stays() -> None:
    x = torch.tensor([[0.0, 2, 1, 1], [2, 1, 1, 1], [-1, -2, math.nan, 1], [-3, 0, 1, 2]]).view(1, 1, 1, 4, 4)
    x.requires_grad_()
    weight, bias = torch.ones(1, 1, 1, 1, 1), torch.zeros(1, 1)
    found = convolved(x, weight, bias, (0, 0), LARGEST)
    assert torch.equal(found.isnan().flatten(), torch.tensor([False, False, False, True]))
    assert found.flatten()[:3].tolist() == [2, 1, 0]
    (slopes,) = torch.autograd.grad(found, x, torch.ones_like(found))
    wanted = [[0, 1, 1, 0], [0, 0, 0, 0], [0, 0], [0, 0]]
    assert [slopes[0, 0, 0, y, : len(line)].tolist() for y, line in enumerate(wanted)] == wanted


def test_inputs_that_all_rows_share_are_not_copied_and_give_the_same() -> None:
    torch.manual_seed(0)
    x, weight, bias = torch.randn(1, 4, 3, 6, 6), torch.randn(3, 8, 3, 3, 3), torch.randn(3, 8)
    shared = convolved(x.expand(3, -1, -1, -1, -1), weight, bias, (1, 1))
    assert torch.equal(shared, convolved(x.repeat(3, 1, 1, 1, 1), weight, bias, (1, 1)))


def test_a_row_does_not_depend_on_the_others() -> None:
    torch.manual_seed(0)
    x, weight, bias = torch.randn(4, 5, 3, 6, 6), torch.randn(4, 6, 3, 3, 3), torch.randn(4, 6)
    weight[0] = math.nan
    for rows in ([2], [0, 2], [3, 2, 1]):
        found = convolved(x[rows], weight[rows], bias[rows], (1, 1), LARGEST)
        at = rows.index(2)
        assert torch.equal(found[at], convolved(x[2:3], weight[2:3], bias[2:3], (1, 1), LARGEST)[0])


def test_rows_are_the_same_however_many_threads_share_them() -> None:
    torch.manual_seed(0)
    tensors = torch.randn(5, 2, 3, 6, 6), torch.randn(5, 6, 3, 3, 3), torch.randn(5, 6)
    for tensor in tensors:
        tensor.requires_grad_()
    found, before = [], torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            out = convolved(*tensors, (1, 1), LARGEST)
            found.append([out, *torch.autograd.grad(out.square().sum(), tensors)])
    finally:
        torch.set_num_threads(before)
    for others in found[1:]:
        assert all(map(torch.equal, found[0], others))


def test_what_the_kernel_does_not_compute_is_left_to_torch() -> None:
    assert padding_of(nn.Conv2d(2, 4, 3, padding=1)) == (1, 1)
    for more in ({"stride": 2}, {"dilation": 2}, {"groups": 2}, {"padding": "same"}, {"padding": 3}):
        assert padding_of(nn.Conv2d(2, 4, 3, **more)) is None


class Twice(nn.Module):
    """What stands behind a convolution is also read by something else."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.pool = nn.Conv2d(2, 3, 3, padding=1, bias=False), nn.MaxPool2d(2)
        self.flat = nn.Flatten()

    def forward(self, x: Tensor) -> Any:
        x = self.body(x).relu()
        return self.flat(self.pool(x)) + self.flat(self.pool(x + x))


@pytest.mark.parametrize(
    "module",
    [
        Twice(),
        nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True), nn.Flatten()),
        nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(3, 2, 1), nn.Flatten()),
        nn.Sequential(nn.Conv2d(2, 4, 3), nn.GELU(), nn.AvgPool2d(2), nn.GroupNorm(2, 4), nn.Flatten()),
        nn.Sequential(nn.Conv2d(2, 4, 3, stride=2), nn.ReLU(), nn.Conv2d(4, 3, 1), nn.ReLU(), nn.Flatten()),
        nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 2), nn.Flatten()),
    ],
    ids=["twice", "ceiling", "overlapping", "mean", "strided", "two"],
)
def test_a_network_computes_the_same_whatever_stands_behind_its_convolutions(module: nn.Module) -> None:
    module.eval()
    names = {name: name for name, _ in module.named_parameters()}
    forward, x = batched(module, names), torch.randn(2, 3, 2, 9, 10)
    tensors = {name: torch.stack([p, 2 * p]).detach() for name, p in module.named_parameters()}
    found = forward(tensors, x, (), None)
    for row in range(2):
        own = {name: tensor[row] for name, tensor in tensors.items()}
        wanted = torch.func.functional_call(module, own, (x[row],)).flatten(1)
        torch.testing.assert_close(found[row], wanted, rtol=1e-4, atol=1e-5)
