from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tuner.fused import recurrence
from tuner.fused.recurrence import CELLS, Recurrence

TORCH: dict[str, Any] = {"gru": nn.GRU, "lstm": nn.LSTM, "rnn": nn.RNN}
ROWS, SAMPLES, STEPS, INPUTS = 3, 5, 7, 4


def lengths() -> Tensor:
    """(K, B, T, 1): sequences of different lengths, among them none and all steps."""
    ends = torch.tensor([[7, 3, 1, 0, 5], [2, 2, 7, 6, 4], [1, 7, 0, 3, 3]])
    return (torch.arange(STEPS) < ends[..., None]).float()[..., None]


def weights(layer: Recurrence) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        name: torch.randn(ROWS, *p.shape, generator=generator).mul(0.4).requires_grad_()
        for name, p in layer.named_parameters()
    }


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("width", [1, 3, 8])
@pytest.mark.parametrize("cell", CELLS)
def test_each_row_is_torchs_own_layer_on_each_sequence_alone(cell: str, width: int, backwards: bool) -> None:
    layer = Recurrence(cell, INPUTS, width, backwards)
    own, there = weights(layer), lengths()
    x = torch.randn(ROWS, SAMPLES, STEPS, INPUTS, requires_grad=True)
    found = layer.rows(own, x, there)
    assert found.shape == (ROWS, SAMPLES, STEPS, width)
    end = found[:, :, 0 if backwards else -1]
    wanted = torch.zeros_like(end)
    for k in range(ROWS):
        theirs = TORCH[cell](INPUTS, width, batch_first=True)
        given = {f"{name}_l0": tensor[k] for name, tensor in own.items()}
        for b in range(SAMPLES):
            count = int(there[k, b].sum())
            if count:
                sequence = x[k, b : b + 1, :count]
                sequence = sequence.flip(1) if backwards else sequence
                states = torch.func.functional_call(theirs, given, (sequence,))[0]
                wanted[k, b] = states[0, -1]
                mine = found[k, b, :count].flip(0) if backwards else found[k, b, :count]
                torch.testing.assert_close(mine, states[0], atol=2e-6, rtol=1e-5)
    torch.testing.assert_close(end, wanted, atol=2e-6, rtol=1e-5)
    factor = torch.randn_like(end)
    leaves = [x, *own.values()]
    for one, two in zip(
        torch.autograd.grad((end * factor).sum(), leaves),
        torch.autograd.grad((wanted * factor).sum(), leaves),
        strict=True,
    ):
        torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_compiled_steps_are_those_in_pytorch_operations(cell: str, backwards: bool) -> None:
    layer = Recurrence(cell, INPUTS, 5, backwards)
    own, there = weights(layer), lengths()
    x = torch.randn(ROWS, SAMPLES, STEPS, INPUTS, requires_grad=True)
    factor = torch.randn(ROWS, SAMPLES, STEPS, 5)
    leaves = [x, *own.values()]
    found = layer.rows(own, x, there)
    gradients = torch.autograd.grad((found * factor).sum(), leaves)
    twice = layer.rows({n: t.double() for n, t in own.items()}, x.double(), there.double())
    wanted = torch.autograd.grad((twice * factor).sum(), leaves)
    torch.testing.assert_close(found, twice.float(), atol=2e-6, rtol=1e-5)
    for one, two in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-4)


def test_a_row_does_not_depend_on_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recurrence, "plain_steps", None)
    for cell in CELLS:
        layer = Recurrence(cell, INPUTS, 6)
        own, there = weights(layer), lengths()
        x = torch.randn(ROWS, SAMPLES, STEPS, INPUTS)
        whole = layer.rows(own, x, there)
        part = layer.rows({n: t[:2] for n, t in own.items()}, x[:2], there[:2])
        assert torch.equal(whole[:2], part)


@pytest.mark.parametrize("cell", CELLS)
def test_what_stands_behind_the_end_has_no_part(cell: str) -> None:
    layer = Recurrence(cell, INPUTS, 6)
    x, there = torch.randn(SAMPLES, STEPS, INPUTS), lengths()[0]
    x.requires_grad_()
    found = layer(x, there)
    (slope,) = torch.autograd.grad(found.sin().sum(), x)
    assert not slope[there[..., 0] == 0].any()
    assert slope[there[..., 0] > 0].any(dim=-1).all()


def half(weight: Tensor) -> None:
    weight.data.fill_(0.5)


def test_first_weights_of_states_are_orthogonal_and_lstms_begin_by_remembering() -> None:
    layer, generator = Recurrence("lstm", 3, 4), torch.Generator().manual_seed(0)
    layer.initialize(half, generator)
    assert layer.weight_ih.eq(0.5).all()
    for gate in layer.weight_hh.detach().chunk(4):
        torch.testing.assert_close(gate @ gate.T, torch.eye(4))
    assert layer.bias_ih.detach().view(4, 4).sum(1).tolist() == [0, 4, 0, 0]
    assert not layer.bias_hh.any()


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_the_end_alone_is_that_of_all_states_with_the_same_derivatives(cell: str, backwards: bool) -> None:
    whole = Recurrence(cell, INPUTS, 3, backwards)
    own, there = weights(whole), lengths()
    x = torch.randn(ROWS, SAMPLES, STEPS, INPUTS, requires_grad=True)
    alone = Recurrence(cell, INPUTS, 3, backwards, ends=True)
    wanted = whole.rows(own, x, there)[:, :, [0 if backwards else -1]]
    factor, leaves = torch.randn_like(wanted), [x, *own.values()]
    derivatives = torch.autograd.grad((wanted * factor).sum(), leaves)
    found = alone.rows(own, x, there)
    assert torch.equal(found, wanted)
    for one, two in zip(torch.autograd.grad((found * factor).sum(), leaves), derivatives, strict=True):
        assert torch.equal(one, two)
    double = {name: tensor.detach().double() for name, tensor in own.items()}
    torch.testing.assert_close(alone.rows(double, x.detach().double(), there.double()).float(), wanted)
    without = {name: tensor.detach() for name, tensor in own.items()}
    assert torch.equal(alone.rows(without, x.detach(), there), wanted)
