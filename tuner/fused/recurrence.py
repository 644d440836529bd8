"""Recurrence: recurrent cells over sequences of different lengths, for K rows at once.

Named and computed as torch's own (`nn.GRU`, `nn.LSTM`, `nn.RNN`), which have no rule for rows side by side.
Single precision on a CPU takes compiled steps; anything else the same steps in PyTorch operations, which are
what the former are held to.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import init as torch_init

from tuner.fused import recurrence_kernel as kernels
from tuner.fused.row_layer import Draw, RowLayer


@dataclass(frozen=True, slots=True)
class Cell:
    """A kind of recurrent unit.

    Attributes:
        gates: how many sums of inputs and state a unit has.
        states: how many numbers it remembers; the first one is its output.
        notes: how many numbers its way back needs.
        step: the kernel of a step.
        back: the kernel of the way back.
    """

    gates: int
    states: int
    notes: int
    step: Any
    back: Any


CELLS: Mapping[str, Cell] = {
    "gru": Cell(3, 1, 4, kernels.gru, kernels.gru_back),
    "lstm": Cell(4, 2, 5, kernels.lstm, kernels.lstm_back),
    "rnn": Cell(1, 1, 1, kernels.elman, kernels.elman_back),
}
"""The kinds by name."""


class Recurrence(RowLayer):
    """One layer in one direction: inputs (B, T, I) and which steps are there (B, T, 1) to states (B, T, H).

    A step that is not there leaves the state as it is, so that the state of the last step, or of the first
    one where it goes backwards, is that at the end of the sequence. Where only that is wanted it is all that
    comes out, as the only step: (B, 1, H).
    """

    def __init__(
        self, cell: str, inputs: int, width: int, backwards: bool = False, ends: bool = False
    ) -> None:
        super().__init__()
        self.cell, self.backwards, self.ends = cell, backwards, ends
        units = CELLS[cell].gates * width
        self.weight_ih = nn.Parameter(torch.empty(units, inputs))
        self.weight_hh = nn.Parameter(torch.empty(units, width))
        self.bias_ih = nn.Parameter(torch.empty(units))
        self.bias_hh = nn.Parameter(torch.empty(units))
        for parameter in self.parameters():
            torch_init.uniform_(parameter, -1 / math.sqrt(width), 1 / math.sqrt(width))

    def rows(self, own: Mapping[str, Tensor], /, *inputs: Tensor) -> Tensor:
        """(K, B, T, I) and (K, B, T, 1) to (K, B, T, H)."""
        x, there = inputs
        x = x.permute(2, 0, 3, 1).contiguous()  # (T, K, I, B)
        there = there[..., 0].permute(2, 0, 1).contiguous()  # (T, K, B)
        order = range(len(x))[:: -1 if self.backwards else 1]
        given = (x, there, own["weight_ih"], own["weight_hh"], own["bias_ih"], own["bias_hh"])
        # An exporter writes down what PyTorch itself computes.
        is_compiled = x.device.type == "cpu" and not torch.compiler.is_compiling()
        if is_compiled and all(t.dtype is torch.float32 for t in given):
            apply: Any = _CompiledSteps.apply
            states: Tensor = apply(*given, self.cell, order, self.ends)
        else:
            states = plain_steps(*given, self.cell, order)
            states = states[order[-1]][None] if self.ends else states
        return states.permute(1, 3, 0, 2)

    def initialize(self, draw: Draw, generator: Generator, /) -> None:
        """Draw the weights of inputs; those of states are orthogonal (Saxe et al. 2014), gate by gate.

        The gates by which an lstm forgets begin open (Jozefowicz et al. 2015), all other biases at zero.
        """
        of = CELLS[self.cell]
        for weight in self.weight_ih.data.chunk(of.gates):
            draw(weight)
        for weight in self.weight_hh.data.chunk(of.gates):
            torch_init.orthogonal_(weight, generator=generator)
        for bias in (self.bias_ih, self.bias_hh):
            torch_init.zeros_(bias)
        if self.cell == "lstm":
            torch_init.ones_(self.bias_ih.data.chunk(of.gates)[1])


class _CompiledSteps(torch.autograd.Function):
    """`plain_steps`, or only the last state, and the derivatives by its inputs, weights and biases."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, there: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor,
        bias_hh: Tensor, cell: str, order: Sequence[int], ends: bool,
    ) -> Tensor:  # fmt: skip
        of, (steps, rows, _, samples) = CELLS[cell], x.shape
        units, size = weight_hh.shape[1:]
        # State i is that before step `order[i]`.
        states = x.new_zeros(steps + 1, rows, of.states * size, samples)
        # Where there is no way back they are always the same ones, which stay in the processor's cache.
        noted = steps if any(ctx.needs_input_grad) else 1
        notes = x.new_empty(noted, rows, of.notes * size * samples)
        inner, again = x.new_empty(2, rows, units, samples)
        flat_inner, flat_again = (t.view(rows, -1).numpy() for t in (inner, again))
        memory, kept, masks = states.flatten(2).numpy(), notes.numpy(), there.numpy()
        for i, t in enumerate(order):
            torch.baddbmm(bias_ih[..., None], weight_ih, x[t], out=inner)
            torch.baddbmm(bias_hh[..., None], weight_hh, states[i, :, :size], out=again)
            of.step(flat_inner, flat_again, masks[t], memory[i], memory[i + 1], kept[i % noted])
        ctx.save_for_backward(x, there, weight_ih, weight_hh, states, notes)
        ctx.cell, ctx.order, ctx.ends = cell, order, ends
        found = states[1:, :, :size]
        if ends:
            return found[-1:].clone()
        return found.flip(0) if order[0] else found.contiguous()

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        x, there, weight_ih, weight_hh, states, notes = ctx.saved_tensors
        of, (_, rows, _, samples) = CELLS[ctx.cell], x.shape
        units, size = weight_hh.shape[1:]
        outside = slopes[0].contiguous().flatten(2).numpy()  # (T, K, H B)
        none = np.zeros_like(outside[0]) if ctx.ends else None
        memory, kept, masks = states.flatten(2).numpy(), notes.numpy(), there.numpy()
        inner, again = x.new_empty(2, rows, units, samples)
        slope = x.new_zeros(rows, of.states * size, samples)
        flat_inner, flat_again, flat_slope = (t.view(rows, -1).numpy() for t in (inner, again, slope))
        dx, first = torch.empty_like(x), slope[:, :size]
        weights = torch.zeros_like(weight_ih), torch.zeros_like(weight_hh)
        biases = x.new_zeros(2, rows, units)
        for i, t in reversed([*enumerate(ctx.order)]):
            given = outside[t] if none is None else outside[0] if i + 1 == len(ctx.order) else none
            of.back(given, masks[t], memory[i], kept[i], flat_slope, flat_inner, flat_again)
            torch.bmm(weight_ih.mT, inner, out=dx[t])
            weights[0].baddbmm_(inner, x[t].mT)
            weights[1].baddbmm_(again, states[i, :, :size].mT)
            biases[0] += inner.sum(2)
            biases[1] += again.sum(2)
            first += torch.bmm(weight_hh.mT, again)
        return dx, None, *weights, *biases, None, None, None


def plain_steps(
    x: Tensor, there: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor, bias_hh: Tensor,
    cell: str, order: Sequence[int],
) -> Tensor:  # fmt: skip
    """A recurrence in PyTorch operations.

    Args:
        x: (T, K, I, B) inputs.
        there: (T, K, B), 0 where a sequence has no such step.
        weight_ih: (K, G H, I), of the inputs.
        weight_hh: (K, G H, H), of the states.
        bias_ih: (K, G H).
        bias_hh: (K, G H).
        cell: one of `CELLS`.
        order: the steps as they are gone through.

    Returns:
        (T, K, H, B)
    """
    steps, rows, _, samples = x.shape
    state = memory = x.new_zeros(rows, weight_hh.shape[2], samples)
    states = [state] * steps
    for t in order:
        inner = torch.baddbmm(bias_ih[..., None], weight_ih, x[t])
        again = torch.baddbmm(bias_hh[..., None], weight_hh, state)
        cells = memory
        if cell == "gru":
            i, h = inner.chunk(3, 1), again.chunk(3, 1)
            fresh = torch.tanh(i[2] + torch.sigmoid(i[0] + h[0]) * h[2])
            new = fresh + torch.sigmoid(i[1] + h[1]) * (state - fresh)
        elif cell == "lstm":
            enters, stays, fresh, leaves = (inner + again).chunk(4, 1)
            cells = torch.sigmoid(stays) * memory + torch.sigmoid(enters) * torch.tanh(fresh)
            new = torch.sigmoid(leaves) * torch.tanh(cells)
        else:
            new = torch.tanh(inner + again)
        here = there[t, :, None] > 0
        state, memory = torch.where(here, new, state), torch.where(here, cells, memory)
        states[t] = state
    return torch.stack(states)
