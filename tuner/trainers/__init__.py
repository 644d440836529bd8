"""How trials train: torch, sklearn, function, ...; each imported only when named."""

from tuner.trainers.model import Model, load_model
from tuner.trainers.resolve import resolve

__all__ = ["Model", "load_model", "resolve"]
