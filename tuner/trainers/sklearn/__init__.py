"""The sklearn trainer: any estimator, epoch by epoch through `partial_fit` where it has one."""

from tuner.trainers.sklearn.model import SklearnModel, load
from tuner.trainers.sklearn.trainer import SklearnTrainer

__all__ = ["SklearnModel", "SklearnTrainer", "load"]
