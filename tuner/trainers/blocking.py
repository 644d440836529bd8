"""BlockingCall: a function that runs to its end, as a generator of what it reports meanwhile.

The function runs in a greenlet of its own, in the thread of whoever asks the generator for the next report:
the function's thread, its random generators and its devices are those that a generator would have. Where it
reports it stands still, perhaps for ever.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from typing import Any, NoReturn

from greenlet import GreenletExit, getcurrent, greenlet  # type: ignore[import-untyped]

_LOG = logging.getLogger(__name__)

_LEFT_BEHIND: list[greenlet] = []
"""Calls that cannot be ended. They are held, for their end would begin with whatever frees them."""


class TrialOver(GreenletExit):  # type: ignore[misc]
    """The study has ended the trial that reports; no `Exception`, so ``except Exception`` lets it through."""


class BlockingCall:
    """One call of a function.

    Attributes:
        is_over: whether the function was told that nobody waits for what it reports.
        reports: how many times it has reported.
    """

    def __init__(self) -> None:
        self.is_over = False
        self.reports = 0
        self._is_told = False
        self._caller: Any = None
        self._inside: Any = None
        self._thread = 0

    def run(self, function: Callable[..., Any], *args: Any) -> Generator[Any, None, Any]:
        """Call the function, and yield what it hands to `emit`; closing ends it.

        Returns:
            What the function returns.
        """
        call = greenlet(function)
        call.gr_context = copy_context()
        self._caller, self._thread = getcurrent(), threading.get_ident()
        try:
            found = call.switch(*args)
            while not call.dead:
                try:
                    yield found
                except GeneratorExit:
                    self._end(call)
                    raise
                found = self._inside.switch()
            return found
        finally:
            self._caller = None

    def emit(self, report: Any) -> bool:
        """Hand over a report, from within the function, and wait; whether the trial goes on.

        Raises:
            RuntimeError: the function does not run, or another thread calls.
        """
        if self._caller is None:
            raise RuntimeError("nothing can be reported here: a generator yields its readings")
        if self._thread != threading.get_ident():
            raise RuntimeError("report from the thread that the training function was called in")
        if self.is_over:
            self.leave()
        self.reports += 1
        self._wait(report)
        return not self.is_over

    def leave(self) -> NoReturn:
        """End the function from within; one that has swallowed its end before stands still from now on.

        Raises:
            TrialOver: the first time.
        """
        if not self._is_told:
            self._is_told = True
            raise TrialOver("the study has ended this trial")
        while True:
            self._wait(None)

    def _wait(self, report: Any) -> None:
        """Give the thread back to the caller; returns when that wants the function to go on."""
        self._inside = getcurrent()
        with _modes():
            self._caller.switch(report)

    def _end(self, call: greenlet) -> None:
        self.is_over = True
        if self._thread == threading.get_ident():
            self._inside.switch()
        if not call.dead:
            _LEFT_BEHIND.append(call)
            _LOG.warning("the training function does not end when its trial is over; it is left where it is")


def _modes() -> AbstractContextManager[Any]:
    """What a function has set for its own calculations must not hold for others: torch without gradients."""
    torch = sys.modules.get("torch")
    return nullcontext() if torch is None else torch.inference_mode(False)
