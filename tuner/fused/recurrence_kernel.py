"""One step of recurrent cells for K rows on a CPU, compiled: what lies between the matrix products.

`recurrence` does these products and calls one kernel for each step. Arrays are contiguous float32, units
before samples, so that a gate of a row is one run of numbers; H is how many units there are. Loops go over
few arrays each: the compiler does not vectorize those over many, which might overlap.
"""

from __future__ import annotations

from typing import Any

from tuner.compiled import njit_cached, njit_inline
from tuner.fused.fast_math import ONE, ZERO, sigmoid, tanh


@njit_inline
def _open(x: Any, h: Any, gate: Any) -> None:
    for i in range(len(gate)):
        gate[i] = sigmoid(x[i] + h[i])


@njit_inline
def _bend(x: Any, h: Any, new: Any) -> None:
    for i in range(len(new)):
        new[i] = tanh(x[i] + h[i])


@njit_inline
def _add(total: Any, more: Any) -> None:
    for i in range(len(total)):
        total[i] += more[i]


@njit_inline
def _before_gate(slope: Any, other: Any, gate: Any, found: Any) -> None:
    """From derivatives behind a gate that multiplied other numbers."""
    for i in range(len(found)):
        found[i] = slope[i] * other[i] * gate[i] * (ONE - gate[i])


@njit_inline
def _fill(array: Any, start: Any, size: Any, samples: Any, sample: Any, value: Any) -> None:
    """The numbers of one sample."""
    for i in range(start * samples + sample, (start + size) * samples, samples):
        array[i] = value


@njit_inline
def _stay(there: Any, k: Any, state: Any, new: Any) -> None:
    """Leave the states of samples as they were whose sequences have no such step."""
    samples = there.shape[1]
    for b in range(samples):
        if there[k, b] == ZERO:
            for i in range(b, len(new), samples):
                new[i] = state[i]


@njit_cached
def gru(inner: Any, again: Any, there: Any, before: Any, after: Any, kept: Any) -> None:
    """Advance gated recurrent units (Cho et al. 2014), with the reset behind the product, as torch's.

    Args:
        inner: (K, 3 H B), what the inputs say of the reset and the update gate and of the new state.
        again: (K, 3 H B), what the state says of them.
        there: (K, B), 0 where a sequence has no such step: the state stays.
        before: (K, H B) states.
        after: (K, H B) states, to be filled.
        kept: (K, 4 H B) for the way back, to be filled: the gates, the new state, what `again` said of it.
    """
    rows, size = before.shape
    samples = there.shape[1]
    for k in range(rows):
        x, h, state, new, note = inner[k], again[k], before[k], after[k], kept[k]
        reset, update = note[:size], note[size : 2 * size]
        fresh, said = note[2 * size : 3 * size], h[2 * size :]
        _open(x[: 2 * size], h[: 2 * size], note[: 2 * size])
        for i in range(size):
            new[i] = reset[i] * said[i]
        _bend(x[2 * size :], new, fresh)
        note[3 * size :] = said
        for i in range(size):
            new[i] = fresh[i] + update[i] * (state[i] - fresh[i])
        for b in range(samples):
            if there[k, b] == ZERO:
                _fill(note, 0, size // samples, samples, b, ZERO)
                _fill(note, size // samples, size // samples, samples, b, ONE)
        _stay(there, k, state, new)


@njit_cached
def gru_back(
    given: Any, there: Any, before: Any, kept: Any, slope: Any, inner: Any, again: Any  # noqa: ARG001
) -> None:  # fmt: skip
    """The way back through `gru`.

    Args:
        given: (K, H B) derivatives by the states of this step from outside.
        there: see `gru`.
        before: see `gru`.
        kept: see `gru`.
        slope: (K, H B) derivatives by these states from later steps; becomes that part of those by the
            states before that does not go through `again`.
        inner: (K, 3 H B) derivatives, to be filled.
        again: (K, 3 H B) derivatives, to be filled.
    """
    rows, size = before.shape
    for k in range(rows):
        d, x, h, state, note = slope[k], inner[k], again[k], before[k], kept[k]
        reset, update = note[:size], note[size : 2 * size]
        fresh, said = note[2 * size : 3 * size], note[3 * size :]
        second, new, last = x[size : 2 * size], x[2 * size :], h[2 * size :]
        _add(d, given[k])
        for i in range(size):
            new[i] = d[i] * (ONE - update[i]) * (ONE - fresh[i] * fresh[i])
        _before_gate(new, said, reset, x[:size])
        for i in range(size):
            second[i] = d[i] * (state[i] - fresh[i]) * update[i] * (ONE - update[i])
        h[: 2 * size] = x[: 2 * size]
        for i in range(size):
            last[i] = new[i] * reset[i]
        for i in range(size):
            d[i] *= update[i]


@njit_cached
def lstm(inner: Any, again: Any, there: Any, before: Any, after: Any, kept: Any) -> None:
    """Advance long short-term memory (Hochreiter and Schmidhuber 1997; forget gates: Gers et al. 2000).

    Args:
        inner: (K, 4 H B), what the inputs say of input and forget gate, new cell, output gate.
        again: (K, 4 H B), what the state says of them.
        there: see `gru`.
        before: (K, 2 H B) states and cells.
        after: likewise, to be filled.
        kept: (K, 5 H B) for the way back, to be filled: the gates, the tangent of the cell.
    """
    rows, samples = there.shape
    size = before.shape[1] // 2
    for k in range(rows):
        x, h, note, past = inner[k], again[k], kept[k], before[k, size:]
        enters, stays, fresh = note[:size], note[size : 2 * size], note[2 * size : 3 * size]
        leaves, shown = note[3 * size : 4 * size], note[4 * size :]
        out, cell = after[k, :size], after[k, size:]
        _open(x[: 2 * size], h[: 2 * size], note[: 2 * size])
        _bend(x[2 * size : 3 * size], h[2 * size : 3 * size], fresh)
        _open(x[3 * size :], h[3 * size :], leaves)
        for i in range(size):
            cell[i] = stays[i] * past[i] + enters[i] * fresh[i]
        for i in range(size):
            shown[i] = tanh(cell[i])
        for i in range(size):
            out[i] = leaves[i] * shown[i]
        for b in range(samples):
            if there[k, b] == ZERO:
                _fill(note, 0, 5 * size // samples, samples, b, ZERO)
                _fill(note, size // samples, size // samples, samples, b, ONE)
        _stay(there, k, before[k], after[k])


@njit_cached
def lstm_back(
    given: Any, there: Any, before: Any, kept: Any, slope: Any, inner: Any, again: Any
) -> None:  # fmt: skip
    """The way back through `lstm`; as `gru_back`, but `slope` is (K, 2 H B), the last two (K, 4 H B)."""
    rows, samples = there.shape
    size = before.shape[1] // 2
    for k in range(rows):
        x, note, past = inner[k], kept[k], before[k, size:]
        enters, stays, fresh = note[:size], note[size : 2 * size], note[2 * size : 3 * size]
        leaves, shown, new = note[3 * size : 4 * size], note[4 * size :], x[2 * size : 3 * size]
        d, cell = slope[k, :size], slope[k, size:]
        _add(d, given[k])
        for i in range(size):
            cell[i] += d[i] * leaves[i] * (ONE - shown[i] * shown[i])
        _before_gate(d, shown, leaves, x[3 * size :])
        _before_gate(cell, fresh, enters, x[:size])
        _before_gate(cell, past, stays, x[size : 2 * size])
        for i in range(size):
            new[i] = cell[i] * enters[i] * (ONE - fresh[i] * fresh[i])
        for i in range(size):
            cell[i] *= stays[i]
        again[k] = x
        for b in range(samples):
            if there[k, b] > ZERO:
                _fill(d, 0, size // samples, samples, b, ZERO)


@njit_cached
def elman(inner: Any, again: Any, there: Any, before: Any, after: Any, kept: Any) -> None:
    """Advance plain recurrent units (Elman 1990): the tangent of the sum; see `gru`, nothing is `kept`."""
    for k in range(len(before)):
        _bend(inner[k], again[k], after[k])
        kept[k] = after[k]
        _stay(there, k, before[k], after[k])


@njit_cached
def elman_back(
    given: Any, there: Any, before: Any, kept: Any, slope: Any, inner: Any, again: Any  # noqa: ARG001
) -> None:  # fmt: skip
    """The way back through `elman`; see `gru_back`, but that the last two are (K, H B)."""
    rows, samples = there.shape
    for k in range(rows):
        d, x, new = slope[k], inner[k], kept[k]
        _add(d, given[k])
        for i in range(len(d)):
            x[i] = d[i] * (ONE - new[i] * new[i])
        for b in range(samples):
            if there[k, b] == ZERO:
                _fill(x, 0, len(d) // samples, samples, b, ZERO)
            else:
                _fill(d, 0, len(d) // samples, samples, b, ZERO)
        again[k] = x
