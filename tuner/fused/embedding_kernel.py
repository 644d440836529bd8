"""Embeddings of categories ahead of the first layer: looked up, and their gradient; compiled.

Called by `epoch_kernel`. A sample holds its codes, as numbers, where `Layout.inputs` end; in the workspace
their embeddings stand there.
"""

from __future__ import annotations

from typing import Any

from tuner.compiled import njit_inline
from tuner.fused.fast_math import ZERO
from tuner.fused.layout import (
    COLUMN,
    COLUMNS,
    DELTA,
    FAN_OUT,
    IN_ROWS,
    INPUT_DELTA,
    PLACE,
    ROWS,
    SIZE,
    STRIDE,
    TRANSPOSED,
    WEIGHT,
    embedded_from,
)
from tuner.fused.matmul_kernel import NOTHING, product, transpose

_embedded_from = njit_inline(embedded_from)


@njit_inline
def look_up(embeddings: Any, parameters: Any, x: Any, row: Any) -> None:
    """Put the embeddings of a sample into its row of the workspace.

    Args:
        embeddings: `Layout.embeddings`.
        parameters: the flat parameters.
        x: the sample, with its codes.
        row: where it goes.
    """
    for c in range(len(embeddings)):
        size, column = embeddings[c, SIZE], embeddings[c, COLUMN]
        place = embeddings[c, PLACE] + int(x[embeddings[0, COLUMN] + c]) * size
        for j in range(size):
            row[column + j] = parameters[place + j]


@njit_inline
def transpose_first(embeddings: Any, table: Any, parameters: Any, work: Any) -> None:
    """Transpose the part of the first matrix that `differentiate` goes through."""
    if len(embeddings) > 0:
        layer, start = table[0], _embedded_from(embeddings[0, COLUMN])
        columns, width = layer[IN_ROWS] - start, layer[STRIDE]
        transpose(
            columns, layer[COLUMNS], parameters, layer[WEIGHT] + start * width, width,
            work, layer[TRANSPOSED], columns,
        )  # fmt: skip


@njit_inline
def differentiate(
    embeddings: Any, table: Any, work: Any, gradient: Any, x: Any, rows: Any, added: Any
) -> None:
    """Compute the gradient of a chunk's embeddings from the first layer's delta, as `backward` left it.

    Args:
        embeddings: `Layout.embeddings`.
        table: `Layout.table`.
        work: the workspace, as `transpose_first` left it, too.
        gradient: the flat gradient.
        x: the samples, with their codes.
        rows: which of them the chunk is.
        added: whether to add to the gradient or to replace it.
    """
    layer, first = table[0], embeddings[0, COLUMN]
    start, tables = _embedded_from(first), len(embeddings)
    columns, width = layer[IN_ROWS] - start, layer[STRIDE]
    product(
        -(-len(rows) // ROWS) * ROWS, columns, layer[FAN_OUT], work, layer[DELTA], width, 1,
        work, layer[TRANSPOSED], columns, work, layer[INPUT_DELTA], columns, NOTHING, 0, 0, 0,
    )  # fmt: skip
    if not added:
        # The tables lie ahead of the first matrix.
        gradient[: layer[WEIGHT]] = ZERO
    for i in range(len(rows)):
        delta = work[layer[INPUT_DELTA] + i * columns : layer[INPUT_DELTA] + (i + 1) * columns]
        for c in range(tables):
            size, column = embeddings[c, SIZE], embeddings[c, COLUMN] - start
            place = embeddings[c, PLACE] + int(x[rows[i], first + c]) * size
            for j in range(size):
                gradient[place + j] += delta[column + j]
