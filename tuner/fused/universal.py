"""The one universal update: a step of any optimizer, each row with its own numbers.

On a CPU compiled row by row, elsewhere in PyTorch operations over all rows, from
`recipe.UpdateCoefficients`. Used by `trainers.torch.stacked_epoch`; fused rows of the mlp call `update`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tuner.compiled import njit_cached
from tuner.fused.recipe import UpdateCoefficients
from tuner.fused.update import clip, move


@njit_cached
def _step(
    n: Any, rate: float, step: Any, stops: Any, shares: Any, p: Any, g: Any, m: Any, v: Any
) -> float:  # fmt: skip
    norm, start = clip(n, p, g), 0
    for part in range(len(stops)):
        at = slice(start, stops[part])
        move(n, rate * shares[part], step, p[at], g[at], m[at], v[at])
        start = stops[part]
    g[:] = 0
    return norm


class UniversalUpdate:
    """The optimizers of K rows.

    Attributes:
        p: (K, S) parameters; like the others they are changed in place.
        g: (K, S) gradients, to which autograd adds.
        m: (K, S) mean gradients.
        v: (K, S) mean squared gradients.
    """

    def __init__(
        self,
        numbers: Sequence[UpdateCoefficients],
        p: Tensor,
        m: Tensor,
        v: Tensor,
        parts: Sequence[tuple[int, float]] = (),
    ) -> None:
        """Take over parameters and moments, and the numbers of each row.

        The parts are of the parameters of every row: where each ends, and what the rate in it is multiplied
        by.
        """
        self.p, self.g, self.m, self.v = p, torch.zeros_like(p), m, v
        ends, shares = zip(*(parts or [(p.shape[1], 1.0)]), strict=True)
        self._parts = np.array(ends, np.int64), np.array(shares, np.float64)
        sizes = torch.tensor(np.diff(self._parts[0], prepend=0))
        self._shares = torch.tensor(shares, dtype=p.dtype).repeat_interleave(sizes).to(p.device)  # (S,)
        self._numbers = tuple(numbers)
        self._norms = torch.zeros(len(p), dtype=p.dtype, device=p.device)
        self._arrays: list[tuple[Any, ...]] = []
        if p.device.type == "cpu" and p.dtype is torch.float32:
            stacks = [t.numpy() for t in (p, self.g, m, v)]
            self._arrays = [tuple(stack[row] for stack in stacks) for row in range(len(p))]

    def norms(self) -> list[float]:
        """For each row the sum over its steps of the gradient's 2-norm, with l1 and before clipping."""
        found: list[float] = self._norms.tolist()
        return found

    def step(self, rates: Sequence[tuple[int, float, int]]) -> None:
        """Update rows and set their gradients to zero.

        Args:
            rates: row, learning rate and number of the step, counted from 1, of each row that steps.
        """
        if not rates:
            return
        if not self._arrays:
            self._step_batched(rates)
            return
        for row, rate, step in rates:
            self._norms[row] += _step(self._numbers[row], rate, step, *self._parts, *self._arrays[row])

    @torch.no_grad()
    def _step_batched(self, rates: Sequence[tuple[int, float, int]]) -> None:
        """Rows that do not step get coefficients that change nothing."""
        table = np.tile(_IDLE, (len(self.p), 1))
        for row, rate, step in rates:
            table[row] = _coefficients(self._numbers[row], rate, step)
        columns = torch.as_tensor(table, dtype=self.p.dtype).to(self.p.device)[:, :, None].unbind(1)
        steps, l1, l2, most, limit, keep1, add1, keep2, add2, *rest = columns
        plain, averaged, root, floor, decay, rate_, largest = rest
        p, m, v = self.p, self.m, self.v
        g = self.g + l1 * p.sign()
        norm = torch.linalg.vector_norm(g, dim=1, keepdim=True)
        self._norms += torch.where(steps > 0, norm, 0)[:, 0]
        # As torch's clip_grad_norm_; without a limit the share is one even where the norm is infinite.
        g = torch.where(most < math.inf, g * (most / (norm + 1e-6)).clamp(max=1), g)
        g = g.clamp(-limit, limit) + l2 * p
        m.copy_(torch.where(steps > 0, keep1 * m + add1 * g, m))
        v.copy_(torch.where(steps > 0, keep2 * v + add2 * g * g, v))
        change = rate_ * self._shares * (plain * g + averaged * m) / (root * v.sqrt() + floor)
        p.copy_(torch.where(steps > 0, ((1 - decay * self._shares) * p - change).clamp(-largest, largest), p))
        self.g.masked_fill_(steps > 0, 0)


_IDLE = np.array([0, 0, 0, math.inf, math.inf, 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, math.inf], np.float64)


def _coefficients(n: UpdateCoefficients, rate: float, step: int) -> tuple[float, ...]:
    """What `_step_batched` needs, in its order; see `recipe.UpdateRule`."""
    size, root = rate, 1.0
    if n.unbiased:
        size = rate / (1 - n.first_keep**step)
        root = 1 / math.sqrt(1 - n.second_keep**step)
    return (
        1, n.l1, n.l2, n.clip_norm or math.inf, n.clip_value or math.inf,
        n.first_keep, n.first_add, n.second_keep, n.second_add, n.plain, n.averaged,
        root if n.second else 0, n.floor if n.second else 1, rate * n.weight_decay, size,
        n.clip_parameters or math.inf,
    )  # fmt: skip
