"""The loop: fill, poll, record, decide; sees only ports."""

from tuner.engine.keeper import Keeper
from tuner.engine.loop import Engine

__all__ = ["Engine", "Keeper"]
