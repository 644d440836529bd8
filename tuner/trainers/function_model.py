"""FunctionModel: what a training function kept, read again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from tuner import registry
from tuner.errors import TrialError
from tuner.trainers import weights
from tuner.trainers.kept_model import FILES
from tuner.trainers.model import describe


@dataclass(frozen=True)
class FunctionModel:
    """What a function kept, and the params it got.

    Attributes:
        module: arrays or tensors by name; the network with these weights, where the function said what
            builds it; or the folder of the files that it kept.
        size_bytes: of its weights, or of its files.
    """

    module: Any
    description: Mapping[str, Any]
    size_bytes: int

    def predict(self, rows: Any) -> NDArray[Any]:  # noqa: ARG002
        """Raises TrialError: only the function knows what its network takes."""
        name = self.description["function"]
        if FILES in self.description:
            how = f"load the files in {self.module} as {name} saved them"
        elif "build" in self.description:
            how = "call module, which has these weights"
        else:
            how = "build it from description['params'] and load module into it"
        raise TrialError(f"only {name} knows the network of these weights; {how}")

    def losses(self, rows: Any, truth: NDArray[Any]) -> NDArray[Any]:  # noqa: ARG002
        """Raises TrialError, see `predict`."""
        return self.predict(rows)

    @property
    def predicts(self) -> bool:
        """Never."""
        return False


def load(folder: Path) -> FunctionModel:
    """Read what a function kept; what builds its network is run."""
    description = describe(folder)
    if FILES in description:
        files = folder / FILES
        return FunctionModel(files, description, sum(each.stat().st_size for each in files.rglob("*")))
    arrays = weights.read(folder, description["arrays"])
    size = sum(value.nbytes for value in arrays.values())
    made = description.get("build")
    if made is None:
        return FunctionModel(arrays, description, size)
    module = registry.load(made["reference"], folder=folder)(**made["kwargs"])
    module.load_state_dict(arrays)
    return FunctionModel(module, description, size)
