"""Matrix products of small networks: one tile kept in registers, and loops over tiles.

The tile is written as vectors of the compiler's intermediate language, since no loop in Python is
certain to become the same. All widths are multiples of `LANES`, which `layout` provides for. A product
is summed in a fixed order, on which the last digits of every fused study depend.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types

from tuner.compiled import llvm_intrinsic, njit_inline
from tuner.fused.layout import LANES, ROWS

_SIZE, _LANE = ir.IntType(64), ir.IntType(32)
_SINGLE = ir.FloatType()
_VECTOR = ir.VectorType(_SINGLE, LANES)


def _tile(vectors: int) -> Any:
    """The function ``C = D + A B`` for a C of `ROWS` rows and so many vectors of columns.

    It takes the arrays and the index of the first element of each, the distance of A's rows and of
    its columns, of B's rows, of C's rows and of D's rows, and the length of the sums.
    """

    @llvm_intrinsic
    def tile(
        _: Any, a: Any, a0: Any, a_row: Any, a_col: Any, b: Any, b0: Any, b_row: Any,  # noqa: ARG001
        c: Any, c0: Any, c_row: Any, d: Any, d0: Any, d_row: Any, terms: Any,  # noqa: ARG001
    ) -> Any:  # fmt: skip
        n = types.intp
        return types.void(a, n, n, n, b, n, n, c, n, n, d, n, n, n), generate

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        a, a0, a_row, a_col, b, b0, b_row, c, c0, c_row, d, d0, d_row, terms = args

        def start(array: Any, kind: Any, index: Any) -> Any:
            return builder.gep(context.make_array(kind)(context, builder, array).data, [index])

        def times(value: Any, count: int) -> Any:
            return builder.mul(value, ir.Constant(_SIZE, count))

        def vector(pointer: Any, offset: Any) -> Any:
            return builder.bitcast(builder.gep(pointer, [offset]), _VECTOR.as_pointer())

        def places(pointer: Any, row: Any) -> list[Any]:
            return [
                vector(pointer, builder.add(times(row, m), ir.Constant(_SIZE, LANES * v)))
                for m in range(ROWS)
                for v in range(vectors)
            ]

        kinds = signature.args
        a, b = start(a, kinds[0], a0), start(b, kinds[4], b0)
        c, d = start(c, kinds[7], c0), start(d, kinds[10], d0)
        rows = [builder.gep(a, [times(a_row, m)]) for m in range(ROWS)]
        before = [builder.load(place, align=4) for place in places(d, d_row)]
        entry = builder.block
        loop, end = builder.append_basic_block("term"), builder.append_basic_block("end")
        builder.branch(loop)
        builder.position_at_end(loop)
        term = builder.phi(_SIZE)
        term.add_incoming(ir.Constant(_SIZE, 0), entry)
        sums = [builder.phi(_VECTOR) for _ in before]
        offset = builder.mul(term, b_row)
        right = [
            builder.load(vector(b, builder.add(offset, ir.Constant(_SIZE, LANES * v))), align=4)
            for v in range(vectors)
        ]
        after = []
        for m, row in enumerate(rows):
            left = _spread(builder, builder.load(builder.gep(row, [builder.mul(term, a_col)])))
            for v in range(vectors):
                product = builder.fmul(left, right[v], flags=("contract",))
                after.append(builder.fadd(product, sums[m * vectors + v], flags=("contract",)))
        following = builder.add(term, ir.Constant(_SIZE, 1))
        term.add_incoming(following, loop)
        for total, old, new in zip(sums, before, after, strict=True):
            total.add_incoming(old, entry)
            total.add_incoming(new, loop)
        builder.cbranch(builder.icmp_signed("<", following, terms), loop, end)
        builder.position_at_end(end)
        for place, total in zip(places(c, c_row), after, strict=True):
            builder.store(total, place, align=4)
        return context.get_dummy_value()

    return tile


def _spread(builder: Any, number: Any) -> Any:
    """The number in every lane of a vector."""
    nothing = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(nothing, number, ir.Constant(_LANE, 0))
    return builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(_LANE, LANES), [0] * LANES))


_wide, _narrow = _tile(2), _tile(1)

NOTHING = np.zeros(2 * LANES, np.float32)
"""A matrix of zeros, for `product`."""


@llvm_intrinsic
def _transpose_tile(_: Any, a: Any, a0: Any, a_row: Any, b: Any, b0: Any, b_row: Any) -> Any:  # noqa: ARG001
    """Transpose a square of `LANES`: swap its quarters, then those of each quarter, and so on."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        a, a0, a_row, b, b0, b_row = args

        def places(array: Any, kind: Any, start: Any, row: Any) -> list[Any]:
            data = context.make_array(kind)(context, builder, array).data
            at = [builder.add(start, builder.mul(row, ir.Constant(_SIZE, i))) for i in range(LANES)]
            return [builder.bitcast(builder.gep(data, [i]), _VECTOR.as_pointer()) for i in at]

        def mixed(one: Any, two: Any, lanes: list[int]) -> Any:
            return builder.shuffle_vector(one, two, ir.Constant(ir.VectorType(_LANE, LANES), lanes))

        rows = [builder.load(place, align=4) for place in places(a, signature.args[0], a0, a_row)]
        for half in (4, 2, 1):
            low = [LANES + j - half if j & half else j for j in range(LANES)]
            high = [LANES + j if j & half else j + half for j in range(LANES)]
            for i in range(LANES):
                if not i & half:
                    one, two = rows[i], rows[i + half]
                    rows[i], rows[i + half] = mixed(one, two, low), mixed(one, two, high)
        for row, place in zip(rows, places(b, signature.args[3], b0, b_row), strict=True):
            builder.store(row, place, align=4)
        return context.get_dummy_value()

    n = types.intp
    return types.void(a, n, n, b, n, n), generate


@njit_inline
def transpose(rows: Any, columns: Any, a: Any, a0: Any, a_row: Any, b: Any, b0: Any, b_row: Any) -> None:
    """``B = A^T`` on flat float32 arrays; rows and columns of A are multiples of `LANES`."""
    for i in range(0, rows, LANES):
        for j in range(0, columns, LANES):
            _transpose_tile(a, a0 + i * a_row + j, a_row, b, b0 + j * b_row + i, b_row)


@njit_inline
def product(
    rows: Any, columns: Any, terms: Any,
    a: Any, a0: Any, a_row: Any, a_col: Any,
    b: Any, b0: Any, b_row: Any,
    c: Any, c0: Any, c_row: Any,
    d: Any, d0: Any, d_row: Any, d_col: Any,
) -> None:  # fmt: skip
    """``C = D + A B`` on flat float32 arrays; C and D may be the same.

    Args:
        rows: of A and C, a multiple of `ROWS`.
        columns: of B and C, a multiple of `LANES`.
        terms: columns of A and rows of B, at least 1.
        a: the array of A, whose elements are at ``a[a0 + i * a_row + k * a_col]``.
        a0: place of A's first element.
        a_row: distance of its rows.
        a_col: distance of its columns.
        b: the array of B, whose elements are at ``b[b0 + k * b_row + j]``.
        b0: place of B's first element.
        b_row: distance of its rows.
        c: the array of C, whose elements are at ``c[c0 + i * c_row + j]``.
        c0: place of C's first element.
        c_row: distance of its rows.
        d: the array of D, likewise; `NOTHING` with no distances is zero everywhere.
        d0: place of D's first element.
        d_row: distance of its rows; 0 where they are all the same.
        d_col: 1, or 0 where the first two vectors of a row come again and again.
    """
    j = 0
    while j + 2 * LANES <= columns:
        for i in range(0, rows, ROWS):
            _wide(
                a, a0 + i * a_row, a_row, a_col, b, b0 + j, b_row,
                c, c0 + i * c_row + j, c_row, d, d0 + i * d_row + j * d_col, d_row, terms,
            )  # fmt: skip
        j += 2 * LANES
    if j < columns:
        for i in range(0, rows, ROWS):
            _narrow(
                a, a0 + i * a_row, a_row, a_col, b, b0 + j, b_row,
                c, c0 + i * c_row + j, c_row, d, d0 + i * d_row + j * d_col, d_row, terms,
            )  # fmt: skip
