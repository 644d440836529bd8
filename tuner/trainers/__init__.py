"""How trials train: torch, sklearn, function, ...; each imported only when named."""

from tuner.trainers.averaged import ensemble, load_model
from tuner.trainers.members import epoch_cost, open_batch, validate, why_unfused
from tuner.trainers.model import Model, load_members
from tuner.trainers.outline import outline
from tuner.trainers.resolve import resolve

__all__ = [
    "Model",
    "ensemble",
    "epoch_cost",
    "load_members",
    "load_model",
    "open_batch",
    "outline",
    "resolve",
    "validate",
    "why_unfused",
]
