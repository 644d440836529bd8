"""Where trials run: in this process, or in worker processes."""

from tuner.executors.inline import Inline
from tuner.executors.processes import Processes

__all__ = ["Inline", "Processes"]
