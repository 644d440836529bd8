"""KeptModel: what a function handed over in its best epoch; FunctionModel: the same, read again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from tuner import registry
from tuner.errors import TrialError, described
from tuner.trainers import weights
from tuner.trainers.model import describe
from tuner.trainers.references import brought, reference_to
from tuner.trainers.scratch import ScratchFolder

FILES = "files"
"""The folder in a model's with what a framework has saved."""


@dataclass(slots=True)
class KeptModel:
    """The model of one trial.

    Attributes:
        scratch: where files are copied to.
        handed: what the function handed over last.
        kept: a copy of it from the best epoch: arrays or tensors by name, or a folder; empty for none.
        unkept: why there is none, where it could not be copied.
        build: what makes a module for the weights, and its arguments.
    """

    scratch: ScratchFolder
    handed: Any = None
    kept: dict[str, Any] | Path = field(default_factory=dict)
    unkept: str | None = None
    build: dict[str, Any] | None = None

    def hand(self, model: Any, build: Callable[..., Any] | None, kwargs: Mapping[str, Any] | None) -> None:
        """See `TrialContext.keep`."""
        self.handed = model
        if build is None:
            if kwargs is not None:
                raise TypeError("keep: kwargs are given to build; give that, too")
            return
        try:
            arguments = json.loads(json.dumps(dict(kwargs or {})))
            self.build = {"reference": reference_to(build), "kwargs": arguments}
        except (TypeError, ValueError) as error:
            raise TypeError(f"keep: build or kwargs cannot be kept: {error}") from error

    def take(self) -> None:
        """Copy what was handed over last, if anything was."""
        if self.handed is None:
            return
        try:
            files = isinstance(self.handed, Path)
            self.kept, self.unkept = self._copied() if files else weights.copied(self.handed), None
        except Exception as error:  # noqa: BLE001
            self.kept, self.unkept = {}, described(error)

    def write(self, folder: Path) -> dict[str, Any]:
        """Write it into a model's folder.

        Returns:
            What the folder's description says of it; empty where there is none.

        Raises:
            TrialError: what was handed over cannot be kept.
        """
        if self.unkept is not None:
            raise TrialError(self.unkept)
        if isinstance(self.kept, Path):
            shutil.copytree(self.kept, folder / FILES)
            return {FILES: True}
        if not self.kept:
            return {}
        found: dict[str, Any] = {"arrays": weights.write(self.kept, folder)}
        if self.build is not None:
            found["build"] = self.build | {"reference": brought(self.build["reference"], folder)}
        return found

    def table(self) -> dict[str, Any]:
        """All of it, for a snapshot."""
        return {"kept": self.kept, "unkept": self.unkept, "build": self.build}

    def restore(self, table: Mapping[str, Any]) -> None:
        """Take over what `table` gave."""
        self.kept, self.unkept, self.build = table["kept"], table.get("unkept"), table.get("build")

    def _copied(self) -> Path:
        source, target = self.handed, self.scratch.part("kept")
        shutil.rmtree(target)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            target.mkdir()
            shutil.copy2(source, target)
        return target


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
