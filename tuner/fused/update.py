"""One step of the recipe: penalties, clipping and the one update that all optimizers are, compiled.

Called once per step and row, when the batch's gradient is complete. The tests hold each rule to
`torch.optim`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tuner.compiled import njit_inline, njit_reassoc
from tuner.fused.fast_math import FAINT, ONE, ZERO, f32


@njit_inline
def update(n: Any, rate: float, step: Any, p: Any, g: Any, m: Any, v: Any) -> float:
    """Update parameters and moments in place.

    Args:
        n: the recipe's `recipe.UpdateCoefficients`.
        rate: the learning rate.
        step: counted from 1.
        p: flat parameters.
        g: flat gradient; it is overwritten.
        m: flat mean gradient.
        v: flat mean squared gradient.

    Returns:
        The 2-norm of the gradient, with l1 and before clipping.
    """
    norm = clip(n, p, g)
    move(n, rate, step, p, g, m, v)
    return norm


@njit_inline
def clip(n: Any, p: Any, g: Any) -> float:
    """The first half of `update`: l1 and clipping; gives the gradient's norm before clipping."""
    if n.l1 > 0:
        _pull(g, p, f32(n.l1))
    norm = math.sqrt(_sum_squares(g))
    if n.clip_norm > 0:
        share = n.clip_norm / (norm + 1e-6)  # as torch's clip_grad_norm_
        if not share >= 1:
            _scale(g, f32(share))
    if n.clip_value > 0:
        _clamp(g, f32(n.clip_value))
    return norm


@njit_inline
def move(n: Any, rate: float, step: Any, p: Any, g: Any, m: Any, v: Any) -> None:
    """The second half of `update`, element by element: of any part of the parameters."""
    size, root = rate, 1.0
    if n.unbiased:
        size = rate / (1 - n.first_keep**step)
        root = 1 / math.sqrt(1 - n.second_keep**step)
    l2, keep, rate_now = f32(n.l2), f32(1 - rate * n.weight_decay), f32(size)
    plain, averaged = f32(n.plain), f32(n.averaged)
    first_keep, first_add = f32(n.first_keep), f32(n.first_add)
    if n.second:
        second_keep, second_add = f32(n.second_keep), f32(n.second_add)
        divisor, floor = f32(root), f32(n.floor)
        for i in range(len(p)):
            d = g[i] + l2 * p[i]
            a = first_keep * m[i] + first_add * d
            b = second_keep * v[i] + second_add * d * d
            m[i] = ZERO if abs(a) < FAINT else a
            v[i] = ZERO if b < FAINT else b
            p[i] = keep * p[i] - rate_now * (plain * d + averaged * a) / (divisor * f32(np.sqrt(b)) + floor)
    else:
        for i in range(len(p)):
            d = g[i] + l2 * p[i]
            a = first_keep * m[i] + first_add * d
            m[i] = ZERO if abs(a) < FAINT else a
            p[i] = keep * p[i] - rate_now * (plain * d + averaged * a)
    if n.clip_parameters > 0:
        _clamp(p, f32(n.clip_parameters))


@njit_inline
def average(n: Any, step: Any, p: Any, a: Any) -> None:
    """Move the flat average of the parameters towards them in place; the first step's are the average."""
    share = ONE if step == 1 else f32(n.average_add)
    for i in range(len(a)):
        a[i] = p[i] if share == ONE else a[i] + share * (p[i] - a[i])


@njit_reassoc
def _sum_squares(g: Any) -> Any:
    total = ZERO
    for i in range(len(g)):
        total += g[i] * g[i]
    return total


@njit_inline
def _pull(g: Any, p: Any, strength: Any) -> None:
    for i in range(len(g)):
        sign = ONE if p[i] > ZERO else -ONE if p[i] < ZERO else ZERO
        g[i] += strength * sign


@njit_inline
def _scale(g: Any, share: Any) -> None:
    for i in range(len(g)):
        g[i] *= share


@njit_inline
def _clamp(g: Any, limit: Any) -> None:
    for i in range(len(g)):
        d = g[i]
        d = limit if d > limit else d
        g[i] = -limit if d < -limit else d
