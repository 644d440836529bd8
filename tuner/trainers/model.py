"""Model: what a trial leaves behind, read back from its folder.

model.json names as ``"trainer"`` the format of its folder: an entry point, which is a function
``load(folder)`` that returns a `Model`. Of a trial that was trained several times the folder holds all
members, and their mean, see `averaged`, is its model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tuner import registry
from tuner.artifacts import DESCRIPTION, MEMBERS
from tuner.errors import TrialError, TunerError, near

GROUP = "tuner.formats"
"""The entry points that formats are registered under."""


class Model(Protocol):
    """A trained model with everything that its inputs need."""

    @property
    def module(self) -> Any:
        """The network (an `nn.Module`), the estimator or, from a function, the kept arrays by name.

        A list of them, of a mean of several models.
        """

    @property
    def description(self) -> Mapping[str, Any]:
        """What model.json says: ``"trainer"``, ``"params"``, the best epoch and how inputs are prepared."""

    def predict(self, rows: Any) -> NDArray[Any]:
        """Predict from raw rows, as they stand in the source.

        Args:
            rows: a DataFrame, or an array (N, D) or (N, C, H, W).

        Returns:
            (N,) names of classes, or (N,) or (N, T) targets in their original units.

        Raises:
            TrialError: the rows do not fit the model, or it cannot predict by itself.
        """

    def losses(self, rows: Any, truth: NDArray[Any]) -> NDArray[np.float64]:
        """The loss of each row, (N,); their mean is what a reading calls a loss.

        Args:
            rows: as `predict` takes them.
            truth: as `predict` returns it. A class that the model never met in training counts as if it
                had been given the probability that is the resolution of the model's floats: 2^-23 by a
                network, which is a loss of 15.9. Where the loss is a share of errors, the row is one.

        Raises:
            TrialError: likewise.
        """

    @property
    def predicts(self) -> bool:
        """Whether it can predict by itself."""

    @property
    def size_bytes(self) -> int:
        """Of its weights; models of one kind with fewer bytes are the simpler ones."""


def load_members(folder: str | Path) -> tuple[Model, ...]:
    """Read the models in the folder that `TrialBatch.save` wrote, or in what `tune export` wrote.

    Returns:
        One, or one for each training of the trial.

    Raises:
        TrialError: the folder is missing or damaged; one line.
    """
    folder = Path(folder)
    if not (folder / DESCRIPTION).is_file() and (folder / "model" / DESCRIPTION).is_file():
        folder = folder / "model"
    further = (path for path in (folder / MEMBERS).glob("*") if path.is_dir())
    return tuple(_load(path) for path in (folder, *sorted(further, key=lambda path: int(path.name))))


def _load(folder: Path) -> Model:
    description = describe(folder)
    name = description.get("trainer")
    try:
        known = registry.registered(GROUP)
        if name not in known:
            raise TrialError(f"its trainer is {name!r}; {near(str(name), known)}")
        load: Callable[[Path], Model] = registry.load(str(name), GROUP)
        return load(folder)
    except TunerError as error:
        if str(folder) in str(error):
            raise
        raise TrialError(f"{folder}: the model cannot be loaded: {_line(error)}") from error
    except Exception as error:
        raise TrialError(
            f"{folder}: the model cannot be loaded: {type(error).__name__}: {_line(error)}"
        ) from error


def describe(folder: Path) -> dict[str, Any]:
    """Read the description of the model in a folder.

    Raises:
        TrialError: it is missing or damaged; one line.
    """
    path = folder / DESCRIPTION
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise TrialError(f"{folder}: holds no model: {DESCRIPTION} is missing") from error
    except (OSError, ValueError) as error:
        raise TrialError(f"{path}: cannot be read: {_line(error)}") from error
    if not isinstance(description, dict):
        raise TrialError(f"{path}: a table is needed, found {type(description).__name__}")
    return description


def _line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
