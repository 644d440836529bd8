"""Links: how a pool speaks to its workers, one `Link` each.

Nothing here raises because a worker is gone: `recv` says so, once, with `EOFError` or `OSError`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from tuner.core.trial import Stop
from tuner.executors.limits import Limits, Watched
from tuner.executors.orders import Orders
from tuner.executors.serving import Answer


class Link(Protocol):
    """One worker, as its pool sees it. It speaks first, and then once for each message of orders."""

    def send(self, orders: Orders | None) -> None:
        """Give it orders; None: write checkpoints and end."""

    def recv(self) -> Answer:
        """What it has answered.

        Raises:
            EOFError, OSError: it is gone.
        """

    def broken(self, limits: Limits, trials: int, log: Path, watched: Watched) -> Stop | None:
        """Why its trials end now, if one is beyond a limit; see `Limits.broken`."""

    def kill(self) -> None:
        """End it at once, with the processes that it has started."""

    def ending(self) -> str:
        """Wait for its end, and say in words how it ended."""

    def tail(self) -> str:
        """The end of what it and the user's code in it have printed, as far as it is known here."""

    def close(self, timeout_s: float) -> None:
        """Wait for its end for so long, else end it by force, and release everything."""
