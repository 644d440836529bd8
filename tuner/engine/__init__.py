"""The loop: fill, poll, record, decide; sees only ports."""

from tuner.engine.loop import Engine
from tuner.engine.retention import ModelRetention

__all__ = ["Engine", "ModelRetention"]
