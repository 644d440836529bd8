"""Where trials run: in this process, or in worker processes."""

from tuner.executors.inline import Inline
from tuner.executors.kinds import AUTO, ExecutorKind, Setup, chosen, kind
from tuner.executors.processes import Processes
from tuner.executors.standby import Standby

__all__ = ["AUTO", "ExecutorKind", "Inline", "Processes", "Setup", "Standby", "chosen", "kind"]
