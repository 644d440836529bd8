"""FusedRows: rows, each empty or training one trial, advanced together epoch by epoch.

A row is emptied and filled at any time, whatever the others do. Different rows may be used from different
threads at once. `trainers.torch.fused` turns trials into rows, and what is measured into readings.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tuner.fused import epoch_kernel
from tuner.fused.layout import Floats, Layout
from tuner.fused.recipe import RowRecipe
from tuner.fused.row import EpochResult, FusedRow, RowState, Scratch
from tuner.fused.row_data import RowInputs, RowTargets


class FusedRows:
    """Rows of multilayer perceptrons; several may share their inputs and targets.

    Rows may differ in everything, shape and batch size included: each epoch of a row is one
    program that sees nothing of the others, so a trial's numbers are bitwise the same in any row
    and company. They may differ in their last bits between processors.
    """

    def __init__(self, capacity: int, epochs: int, threads: int = 1) -> None:
        """Set up empty rows.

        Args:
            capacity: how many.
            epochs: of a trial that nothing stops; schedules stretch over them.
            threads: how many rows train at the same time.
        """
        self.capacity = capacity
        self._epochs = epochs
        self._rows: dict[int, FusedRow] = {}
        self._local = threading.local()
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def place(
        self,
        row: int,
        recipe: RowRecipe,
        targets: RowTargets,
        inputs: RowInputs,
        start: Mapping[str, Floats] | RowState,
    ) -> None:
        """Fill an empty row.

        Args:
            row: its index.
            recipe: how it trains.
            targets: what it learns.
            inputs: from what, of the same splits.
            start: the first parameters by `Layout.names`, or the `state` of a row anywhere.

        Raises:
            ValueError: the row is not empty, there is no such row, or the state is none of such a row.
        """
        if not 0 <= row < self.capacity or row in self._rows:
            raise ValueError(f"row {row} is not an empty row of these")
        self._rows[row] = FusedRow(recipe, targets, inputs, self._epochs, start)

    def advance(self, rows: Collection[int] | None = None) -> dict[int, EpochResult]:
        """Train occupied rows for one epoch; a row that diverges measures `nan` or `inf`.

        Args:
            rows: which ones; all where it is None.

        Returns:
            What each row measured, by index; nothing of rows that have trained all their epochs.
        """
        chosen = sorted(self._rows) if rows is None else [row for row in sorted(rows) if row in self._rows]
        due = [index for index in chosen if self._rows[index].epoch < self._epochs]
        if self._pool is None or len(due) == 1:
            return {row: self._advanced(self._rows[row]) for row in due}
        # The longest first, so that no thread is left alone with it at the end.
        turns = sorted(due, key=lambda row: -self._rows[row].layout.parameters)
        measured = dict(zip(turns, self._pool.map(self._advanced, map(self._rows.get, turns)), strict=True))
        return {row: measured[row] for row in due}

    def keep(self, row: int) -> None:
        """Note a row's parameters as its model."""
        self._rows[row].keep()

    def kept(self, row: int) -> dict[str, Floats] | None:
        """The parameters that were noted, shaped as `torch.nn` does; None before the first time."""
        return self._rows[row].kept()

    def judged(self, row: int) -> dict[str, Floats]:
        """A row's parameters as they are measured now, shaped likewise."""
        return self._rows[row].judged()

    def steps(self, row: int) -> int:
        """How many steps an epoch of a row has."""
        return self._rows[row].steps

    def state(self, row: int) -> RowState:
        """A copy of all that `place` needs to go on with a row, here or elsewhere."""
        return self._rows[row].state()

    def clear(self, row: int) -> None:
        """Empty a row."""
        self._rows.pop(row, None)

    def _advanced(self, row: FusedRow) -> EpochResult:
        return row.advance(epoch_kernel.epoch, self._scratch(row.layout))

    def _scratch(self, layout: Layout) -> Scratch:
        """This thread's scratch for a layout."""
        own: dict[Any, Scratch] = self._local.__dict__
        if layout not in own:
            own[layout] = Scratch.of(layout)
        return own[layout]
