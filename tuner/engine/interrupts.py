"""Interrupts: the signals that ask a study to end, turned into a word to the loop.

The first one lets the current turn end, if it does so soon; the second one does not wait. A turn can
have a limit too. Handlers run in the main thread and only set flags or raise KeyboardInterrupt; `loop`
writes checkpoints and ends the study.
"""

from __future__ import annotations

import math
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

GRACE_S = 1.0
"""How long the turn may take that is under way."""

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")


class Interrupts:
    """While entered, in the main thread, signals are taken; elsewhere nothing happens.

    Attributes:
        asked: whether the study is to end after this turn.
        at_once: whether it is to end without anything more being written.
    """

    def __init__(self) -> None:
        self.asked = False
        self.at_once = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        """Take the signals that are not ignored."""
        if threading.current_thread() is threading.main_thread():
            known = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
            for number in known:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._take)
            if hasattr(signal, "SIGALRM"):
                self._before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._end_turn)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Restore the signal handlers that were there before."""
        self.calm()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def limit(self, seconds: float) -> None:
        """Break off the turn that is under way so many seconds from now, and a moment; infinite: never."""
        if signal.SIGALRM in self._before and not self.asked and math.isfinite(seconds):
            signal.setitimer(signal.ITIMER_REAL, max(0.0, seconds) + GRACE_S)

    def calm(self) -> None:
        """Let the work that is under way end in peace: it is not broken off any longer."""
        if signal.SIGALRM in self._before:
            signal.setitimer(signal.ITIMER_REAL, 0.0)

    def _take(self, _number: int, _frame: FrameType | None) -> None:
        if self.asked:
            self.at_once = True
            raise KeyboardInterrupt
        self.asked = True
        if signal.SIGALRM in self._before:
            signal.setitimer(signal.ITIMER_REAL, GRACE_S)

    def _end_turn(self, _number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt
