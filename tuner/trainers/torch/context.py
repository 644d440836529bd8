"""The networks' names, how they are found, and `NetworkContext`: what one must fit. Imports no PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

from tuner import registry
from tuner.core.dataset import Dataset, InputKind, InputPart, Task
from tuner.core.spec import StudySpec
from tuner.core.trial import Params, Trial
from tuner.trainers.torch.shipped import DEFAULTS

if TYPE_CHECKING:
    from torch import nn

GROUP = "tuner.networks"
"""The entry points that networks are registered under."""

MLP = "mlp"
"""The network that compiled rows train."""


@dataclass(frozen=True, slots=True)
class NetworkContext:
    """What a network must fit.

    Attributes:
        input_shape: (D,) of tables and of several inputs, (C, H, W) of images, (T, F) of series, (T,) of
            tokens, without the batch.
        outputs: how many numbers it puts out for each row: one per class, one per target, a
            single logit for binary cross-entropy of two classes.
        task: classification or regression.
        classes: the classes' names in the order of their indices.
        features: the columns' names, of tables and of series.
        params: the trial's parameters, fixed ones included.
        categories: the last inputs are codes of categories, 0, 1, ..., and so many different ones each; only
            `mlp` has such inputs, and only where `embedding_size` is above 0.
        vocabulary: of tokens, which come as whole numbers (int32), how many different ones there are; 0 is
            what stands behind the end of a text. 0 of other inputs.
        masked: the last feature of series is 1 where a sequence has a step and 0 behind its end.
        parts: what stands side by side, where there are several inputs. A network of one's own gets each by
            its name then, in a dictionary of tensors, shaped and typed as it would be alone.
    """

    input_shape: tuple[int, ...]
    outputs: int
    task: Task
    classes: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    params: Params = field(default_factory=dict)
    categories: tuple[int, ...] = ()
    vocabulary: int = 0
    masked: bool = False
    parts: tuple[InputPart, ...] = ()

    @property
    def kind(self) -> InputKind:
        """What the inputs of a row are."""
        return InputKind.of(self.input_shape, self.vocabulary, self.parts)


def context_of(trial: Trial, data: Dataset, outputs: int) -> NetworkContext:
    """What a trial's network must fit, with so many outputs as its loss takes."""
    alike = {each.name: getattr(data, each.name) for each in fields(NetworkContext) if each.name != "params"}
    return NetworkContext(**alike | {"outputs": outputs, "params": trial.params})


Builder = Callable[[Params, NetworkContext], "nn.Module"]


def model_of(spec: StudySpec, data: Dataset) -> str:
    """The network that a study names, or that of its inputs."""
    return spec.trainer.model or DEFAULTS[data.kind]


def builder(model: str, folder: Path | None = None) -> Builder:
    """Find the function that builds a network.

    Args:
        model: a name or a reference.
        folder: what relative file references start from; the working folder.

    Raises:
        PluginError: the reference leads nowhere.
    """
    found: Builder = registry.load(model, GROUP, folder)
    return found
