"""Layout: where a multilayer perceptron's weights lie in one flat array, and its workspace in another.

Pads every layer so that kernels need no remainders; padding is zero and has to stay zero. Kernels get its
offsets as one table of integers. Checkpoints hold the flat arrays: those of another layout are of no use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

ROWS = 4
"""Rows of a kernel's tile; the first axis of every product is a multiple of it."""

LANES = 8
"""Singles of a vector; the second axis of every product is a multiple of it."""

CHUNK = 64
"""Samples that go through the network at once; larger batches add up the gradients of several chunks."""

ROW_FIELDS = (
    "fan_in", "fan_out", "rows", "columns", "stride", "weight", "bias", "scale", "shift",
    "activation", "slope", "normal", "spread", "delta", "transposed",
)  # fmt: skip
(
    FAN_IN, FAN_OUT, IN_ROWS, COLUMNS, STRIDE, WEIGHT, BIAS, SCALE, SHIFT,
    ACTIVATION, SLOPE, NORMAL, INVERSE_STD, DELTA, TRANSPOSED,
) = range(len(ROW_FIELDS))  # fmt: skip
"""Columns of `Layout.table`.

Sizes: fan_in and fan_out; rows and columns of the stored matrix; the distance of its rows, which is
also that of the layer's samples in the workspace. Places of parameters: weight, bias, and scale and
shift of layer normalization (-1: none). Places in the workspace: outputs behind the activation, its
slope, the normalized outputs and one over their deviation, the loss's derivative, the transposed matrix.
"""

_LINE = 16
"""Singles of a cache line; every block starts at one."""


@dataclass(frozen=True)
class Layout:
    """`depth` hidden layers of `width` units between inputs and outputs.

    Matrices are stored as (fan_in, fan_out), the transpose of `torch.nn.Linear`'s.
    """

    inputs: int
    width: int
    depth: int
    outputs: int
    layer_norm: bool

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of every layer, the inputs first."""
        return (self.inputs, *[self.width] * self.depth, self.outputs)

    @property
    def input_stride(self) -> int:
        """Distance of samples in padded inputs."""
        return _round_up(self.inputs, LANES)

    @property
    def table(self) -> NDArray[np.int64]:
        """One row of `ROW_FIELDS` per layer, the hidden ones first."""
        return _allocated(self)[0]

    @property
    def parameters(self) -> int:
        """Singles of the flat array of parameters."""
        return _allocated(self)[1]

    @property
    def workspace(self) -> int:
        """Singles of the workspace; its first `CHUNK` * `input_stride` hold the gathered inputs."""
        return _allocated(self)[2]

    def pack(self, state: Mapping[str, Floats]) -> Floats:
        """Lay parameters out in a new flat array.

        Args:
            state: by `names`, shaped as `torch.nn` does.
        """
        flat = aligned(self.parameters)
        for name, place, shape, transposed in self._blocks():
            self._view(flat, place, shape)[...] = state[name].T if transposed else state[name]
        return flat

    def unpack(self, flat: Floats) -> dict[str, Floats]:
        """Copy parameters out of a flat array; the inverse of `pack`."""
        return {
            name: np.ascontiguousarray(view.T if transposed else view)
            for name, place, shape, transposed in self._blocks()
            for view in [self._view(flat, place, shape)]
        }

    def views(self, flat: Any) -> dict[str, Any]:
        """Views of a flat array or tensor by name, shaped as they are stored."""
        return {name: self._view(flat, place, shape) for name, place, shape, _ in self._blocks()}

    @property
    def names(self) -> tuple[str, ...]:
        """``"0.weight"``, ``"0.bias"``, ``"0.scale"``, ``"0.shift"``, ``"1.weight"``, ..."""
        return tuple(name for name, *_ in self._blocks())

    def _blocks(self) -> list[tuple[str, int, tuple[int, ...], bool]]:
        found: list[tuple[str, int, tuple[int, ...], bool]] = []
        for index, row in enumerate(self.table.tolist()):
            fan_in, fan_out = row[FAN_IN], row[FAN_OUT]
            found.append((f"{index}.weight", row[WEIGHT], (fan_in, fan_out), True))
            found.append((f"{index}.bias", row[BIAS], (fan_out,), False))
            if row[SCALE] >= 0:
                found.append((f"{index}.scale", row[SCALE], (fan_out,), False))
                found.append((f"{index}.shift", row[SHIFT], (fan_out,), False))
        return found

    def _view(self, flat: Any, place: int, shape: tuple[int, ...]) -> Any:
        if len(shape) == 1:
            return flat[place : place + shape[0]]
        stride = _stride(_round_up(shape[1], LANES))
        return flat[place : place + shape[0] * stride].reshape(shape[0], stride)[:, : shape[1]]


def padded(x: NDArray[Any]) -> Floats:
    """Copy inputs (N, ...) to (N, `Layout.input_stride`), padded with zeros."""
    x = x.reshape(len(x), -1)
    stride = _round_up(x.shape[1], LANES)
    whole = aligned(len(x) * stride).reshape(len(x), stride)
    whole[:, : x.shape[1]] = x
    return whole


def aligned(size: int) -> Floats:
    """Zeros that start at a cache line."""
    raw = np.zeros(size + _LINE, np.float32)
    start = -(raw.ctypes.data // raw.itemsize) % _LINE
    return raw[start : start + size]


@lru_cache(maxsize=1024)
def _allocated(layout: Layout) -> tuple[NDArray[np.int64], int, int]:
    """The table, and the sizes of parameters and workspace."""
    parameters, workspace = _Allocator(), _Allocator()
    workspace.allocate(CHUNK * layout.input_stride)
    rows: list[list[int]] = []
    for index, (fan_in, fan_out) in enumerate(pairwise(layout.sizes)):
        norm = layout.layer_norm and index < layout.depth
        columns, in_rows = _round_up(fan_out, LANES), _round_up(fan_in, LANES)
        stride = _stride(columns)
        before = rows[-1][STRIDE] if rows else 0
        places = [
            parameters.allocate(in_rows * stride),
            parameters.allocate(stride),
            parameters.allocate(stride) if norm else -1,
            parameters.allocate(stride) if norm else -1,
            workspace.allocate(CHUNK * stride),
            workspace.allocate(CHUNK * stride),
            workspace.allocate(CHUNK * stride) if norm else -1,
            workspace.allocate(CHUNK) if norm else -1,
            workspace.allocate(CHUNK * stride),
            workspace.allocate(columns * before) if rows else -1,
        ]
        rows.append([fan_in, fan_out, in_rows, columns, stride, *places])
    return np.array(rows, np.int64), parameters.size, workspace.size


class _Allocator:
    def __init__(self) -> None:
        self.size = 0

    def allocate(self, count: int) -> int:
        start = self.size
        self.size += _round_up(count, _LINE)
        return start


def _round_up(count: int, multiple: int) -> int:
    return -(-count // multiple) * multiple


def _stride(columns: int) -> int:
    """The distance of rows; never a large power of two, which would crowd few sets of the cache."""
    return columns + _LINE if columns >= 8 * _LINE and columns % (2 * _LINE) == 0 else columns
