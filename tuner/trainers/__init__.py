"""How trials train: torch, sklearn, function, ...; each imported only when named."""

from tuner.trainers.averaged import AveragedTrainer
from tuner.trainers.model import Model, load_model
from tuner.trainers.redrawn import RedrawnTrainer
from tuner.trainers.resolve import resolve, resolve_for

__all__ = ["AveragedTrainer", "Model", "RedrawnTrainer", "load_model", "resolve", "resolve_for"]
