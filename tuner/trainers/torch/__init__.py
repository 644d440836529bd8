"""The torch trainer: trials fused, side by side or one at a time, by the recipe of search_spaces/*.toml."""

from tuner.trainers.torch.context import NetworkContext
from tuner.trainers.torch.model import TorchModel, load
from tuner.trainers.torch.trainer import TorchTrainer

__all__ = ["NetworkContext", "TorchModel", "TorchTrainer", "load"]
