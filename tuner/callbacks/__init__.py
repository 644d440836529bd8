"""Stop rules inside and across trials: pruner, patience, divergence, gap, time."""

from tuner.callbacks.rules import build

__all__ = ["build"]
