"""Layout: where a multilayer perceptron's weights lie in one flat array, and its workspace in another.

Pads every layer so that kernels need no remainders; padding is zero and has to stay zero. Kernels get its
offsets as one table of integers. Checkpoints hold the flat arrays: those of another layout are of no use.
"""

from __future__ import annotations

import math
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
"""Samples that go through the network at once; larger batches add up the gradients of several chunks.

With batch normalization a whole batch does.
"""

(
    FAN_IN, FAN_OUT, IN_ROWS, COLUMNS, STRIDE, WEIGHT, BIAS, SCALE, SHIFT,
    ACTIVATION, SLOPE, NORMAL, INVERSE_STD, DELTA, TRANSPOSED, INPUT_DELTA,
    BATCH_SCALE, BATCH_SHIFT, BATCH_NORMAL, BATCH_NUMBERS, BATCH_MEAN, BATCH_VARIANCE,
) = range(22)  # fmt: skip
"""Columns of `Layout.table`.

Sizes: fan_in and fan_out; rows and columns of the stored matrix; the distance of its rows, which is
also that of the layer's samples in the workspace. Places of parameters: weight, bias, and scale and
shift of layer normalization (-1: none). Places in the workspace: outputs behind the activation, its
slope, the normalized outputs and one over their deviation, the loss's derivative, the transposed matrix;
of the first layer this matrix and the loss's derivative by its inputs, where these hold embeddings: both of
the inputs alone that `embedded_from` says (-1: none). Of batch normalization: its scale and shift, the
normalized outputs, four numbers of each unit, and the running averages, which lie behind all parameters
(-1: none).
"""

_VECTORS = (
    ("bias", BIAS), ("batch_scale", BATCH_SCALE), ("batch_shift", BATCH_SHIFT), ("mean", BATCH_MEAN),
    ("variance", BATCH_VARIANCE), ("scale", SCALE), ("shift", SHIFT),
)  # fmt: skip
"""The parameters of a layer beside its matrix, those that it has in this order."""

PLACE, SIZE, COLUMN = range(3)
"""Columns of `Layout.embeddings`: the place of a table among the parameters, how many numbers each of its
categories has, one behind the other, and where these begin in a sample."""

_LINE = 16
"""Singles of a cache line; every block starts at one."""


@dataclass(frozen=True)
class Layout:
    """Hidden layers between inputs and outputs.

    Matrices are stored as (fan_in, fan_out), the transpose of `torch.nn.Linear`'s.

    Attributes:
        inputs: numbers of a sample, codes of categories apart.
        widths: units of each hidden layer.
        tables: how many categories, and how many numbers each becomes, for each code that comes behind them.
        batch_norm: batch normalization before that of layers.
        chunk: samples that go through the network at once, see `CHUNK`.
    """

    inputs: int
    widths: tuple[int, ...]
    outputs: int
    layer_norm: bool
    tables: tuple[tuple[int, int], ...] = ()
    batch_norm: bool = False
    chunk: int = CHUNK

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of every layer, the inputs first."""
        embedded = sum(size for _, size in self.tables)
        return (self.inputs + embedded, *self.widths, self.outputs)

    @property
    def input_stride(self) -> int:
        """Distance of samples in the workspace, and in padded inputs that hold no codes."""
        return _round_up(self.sizes[0], LANES)

    @property
    def table(self) -> NDArray[np.int64]:
        """A row of integers for each layer, the hidden ones first; the columns are `FAN_IN` and so on."""
        return _allocated(self)[0]

    @property
    def embeddings(self) -> NDArray[np.int64]:
        """(C, 3): `PLACE`, `SIZE` and `COLUMN` of each table."""
        return _allocated(self)[3]

    @property
    def parameters(self) -> int:
        """Singles of the flat array of parameters, with the running averages of batches behind them."""
        return _allocated(self)[1]

    @property
    def trained(self) -> int:
        """Singles of it that are trained."""
        return _allocated(self)[4]

    @property
    def workspace(self) -> int:
        """Singles of the workspace; its first `chunk` * `input_stride` hold the gathered inputs."""
        return _allocated(self)[2]

    def pack(self, state: Mapping[str, Floats]) -> Floats:
        """Lay parameters out in a new flat array.

        Args:
            state: by `names`, shaped as `torch.nn` does.
        """
        flat = aligned(self.parameters)
        for name, place, shape, transposed in self._blocks():
            self._view(flat, name, place, shape)[...] = state[name].T if transposed else state[name]
        return flat

    def unpack(self, flat: Floats) -> dict[str, Floats]:
        """Copy parameters out of a flat array; the inverse of `pack`."""
        return {
            name: np.ascontiguousarray(view.T if transposed else view)
            for name, place, shape, transposed in self._blocks()
            for view in [self._view(flat, name, place, shape)]
        }

    @property
    def names(self) -> tuple[str, ...]:
        """``"0.weight"``, ``"0.bias"``, ``"0.scale"``, ``"0.shift"``, ...; first ``"embedding.0"``, ...

        Of batch normalization ``"0.batch_scale"``, ``"0.batch_shift"``, ``"0.mean"``, ``"0.variance"``.
        """
        return tuple(name for name, *_ in self._blocks())

    def _blocks(self) -> list[tuple[str, int, tuple[int, ...], bool]]:
        found: list[tuple[str, int, tuple[int, ...], bool]] = []
        for index, (row, shape) in enumerate(zip(self.embeddings.tolist(), self.tables, strict=True)):
            found.append((f"embedding.{index}", row[PLACE], shape, False))
        for index, row in enumerate(self.table.tolist()):
            fan_in, fan_out = row[FAN_IN], row[FAN_OUT]
            found.append((f"{index}.weight", row[WEIGHT], (fan_in, fan_out), True))
            found += [
                (f"{index}.{name}", row[at], (fan_out,), False) for name, at in _VECTORS if row[at] >= 0
            ]
        return found

    def _view(self, flat: Any, name: str, place: int, shape: tuple[int, ...]) -> Any:
        if len(shape) == 1 or name.startswith("embedding"):
            return flat[place : place + math.prod(shape)].reshape(shape)
        stride = _stride(_round_up(shape[1], LANES))
        return flat[place : place + shape[0] * stride].reshape(shape[0], stride)[:, : shape[1]]


def embedded_from(column: Any) -> Any:
    """The first input that has a derivative, a multiple of `LANES`, where embeddings begin at a column."""
    return column // LANES * LANES


def padded(x: NDArray[Any]) -> Floats:
    """Copy inputs (N, ...) and lengthen samples with zeros to a multiple of `LANES`."""
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
def _allocated(layout: Layout) -> tuple[NDArray[np.int64], int, int, NDArray[np.int64], int]:
    """The table, the sizes of parameters and workspace, the tables of embeddings, and what is trained."""
    parameters, workspace = _Allocator(), _Allocator()
    chunk = layout.chunk
    workspace.allocate(chunk * layout.input_stride)
    embeddings, column = np.zeros((len(layout.tables), 3), np.int64), layout.inputs
    for index, (categories, size) in enumerate(layout.tables):
        embeddings[index] = parameters.allocate(categories * size), size, column
        column += size
    rows: list[list[int]] = []
    for index, (fan_in, fan_out) in enumerate(pairwise(layout.sizes)):
        norm, batch_norm = (
            each and index < len(layout.widths) for each in (layout.layer_norm, layout.batch_norm)
        )
        columns, in_rows = _round_up(fan_out, LANES), _round_up(fan_in, LANES)
        stride = _stride(columns)
        before = rows[-1][STRIDE] if rows else 0
        if not rows and layout.tables:
            before = in_rows - embedded_from(layout.inputs)
        places = [
            parameters.allocate(in_rows * stride),
            parameters.allocate(stride),
            parameters.allocate(stride) if norm else -1,
            parameters.allocate(stride) if norm else -1,
            workspace.allocate(chunk * stride),
            workspace.allocate(chunk * stride),
            workspace.allocate(chunk * stride) if norm else -1,
            workspace.allocate(chunk) if norm else -1,
            workspace.allocate(chunk * stride),
            workspace.allocate(columns * before) if before else -1,
            workspace.allocate(chunk * before) if before and not rows else -1,
            parameters.allocate(stride) if batch_norm else -1,
            parameters.allocate(stride) if batch_norm else -1,
            workspace.allocate(chunk * stride) if batch_norm else -1,
            workspace.allocate(4 * stride) if batch_norm else -1,
        ]
        rows.append([fan_in, fan_out, in_rows, columns, stride, *places])
    trained = parameters.size
    for row in rows:
        row += [parameters.allocate(row[STRIDE]) if row[BATCH_SCALE] >= 0 else -1 for _ in range(2)]
    return np.array(rows, np.int64), parameters.size, workspace.size, embeddings, trained


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
