"""RowPool: rows advanced together, epoch by epoch, in threads.

May be used from several threads at once, for different rows. `trainers.torch.fused` turns trials into rows,
and what is measured into readings.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tuner.fused import epoch_kernel
from tuner.fused.layout import Layout
from tuner.fused.row import EpochResult, FusedRow, Scratch


class RowPool:
    """Threads in which rows train, and the arrays that those of a thread use in turn."""

    def __init__(self, threads: int = 1) -> None:
        """Args: threads: how many rows train at the same time."""
        self._local = threading.local()
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def advance(self, rows: Mapping[int, FusedRow]) -> dict[int, EpochResult]:
        """Train rows for one epoch, and say what each measured; one that diverges `nan` or `inf`."""
        if self._pool is None or len(rows) == 1:
            return {index: self._advanced(row) for index, row in rows.items()}
        # The longest first, so that no thread is left alone with it at the end.
        turns = sorted(rows, key=lambda index: -rows[index].layout.parameters)
        found = self._pool.map(self._advanced, (rows[index] for index in turns))
        measured = dict(zip(turns, found, strict=True))
        return {index: measured[index] for index in rows}

    def _advanced(self, row: FusedRow) -> EpochResult:
        return row.advance(epoch_kernel.epoch, self._scratch(row.layout))

    def _scratch(self, layout: Layout) -> Scratch:
        """This thread's scratch for a layout."""
        own: dict[Any, Scratch] = self._local.__dict__
        if layout not in own:
            own[layout] = Scratch.of(layout)
        return own[layout]
