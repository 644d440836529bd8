"""What libraries print by handlers of their own goes into the trial's log, as all else that it prints."""

from __future__ import annotations

import logging


def to_root(*names: str) -> None:
    """Let these loggers hand on what they are given, in place of printing it on the terminal."""
    for name in names:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
