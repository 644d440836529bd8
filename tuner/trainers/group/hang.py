"""Whether a group's ranks wait for one of them in vain: seen from their parent, without a limit for epochs.

A rank that computes uses the processor, and one that waits for the others in a collective notes so
(`note_waiting`, from a thread beside its training). Where no rank has used the processor for a while and some
wait, nothing will come.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import IO

from tuner.machine import descendants, ticks

SILENT_S = 20.0
"""For how long no rank may use the processor while others wait."""

_MOST_TICKS = 3
"""Hundredths of a second that a rank which waits may use in that time, for each rank."""

_NOTE_S = 1.0
_PAUSE_S = 5.0
_COLLECTIVES = ("torch/distributed/distributed_c10d.py", "torch/nn/parallel/distributed.py")


class HangWatch:
    """What the ranks of one group have computed and note."""

    def __init__(self, notes: IO[bytes]) -> None:
        """Watch from now on.

        Args:
            notes: where the ranks note whether they wait, a byte each.
        """
        self._notes = notes
        self._since = self._looked = time.monotonic()
        self._used = -1

    def begin(self) -> None:
        """An order was given."""
        self._used = -1

    def hung(self, pids: Sequence[int], silent: Collection[int]) -> list[int]:
        """The ranks of which nothing more will come, and for which others wait.

        Args:
            pids: of all ranks, by number.
            silent: the numbers of those that have not answered.
        """
        used = sum(ticks(each) for pid in pids for each in (pid, *descendants(pid)))
        now = time.monotonic()
        # Whoever has not looked for long was stopped itself, and its ranks with it.
        has_computed = self._used < 0 or used - self._used > _MOST_TICKS * len(pids)
        if has_computed or now - self._looked > _PAUSE_S:
            self._since, self._used = now, used
        self._looked = now
        if now - self._since < SILENT_S or not Path("/proc/self/stat").exists():
            return []
        notes = os.pread(self._notes.fileno(), len(pids), 0)
        waiting = {rank for rank in range(len(notes)) if notes[rank : rank + 1] == b"1"}
        return sorted(set(silent) - waiting) if waiting else []


def note_waiting(notes: int, rank: int) -> None:
    """Note again and again whether the main thread waits in a collective; does not return."""
    main = threading.main_thread().ident or 0
    while True:
        frame = sys._current_frames().get(main)
        is_waiting = False
        while frame is not None and not is_waiting:
            is_waiting = frame.f_code.co_filename.endswith(_COLLECTIVES)
            frame = frame.f_back
        os.pwrite(notes, b"1" if is_waiting else b"0", rank)
        time.sleep(_NOTE_S)
