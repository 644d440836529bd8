"""Model: what a trial leaves behind, read back from its folder.

model.json names as ``"trainer"`` the format of its folder: an entry point, which is a function
``load(folder)`` that returns a `Model`. Of a trial that was trained several times the folder holds all
members, and their mean, see `averaged`, is its model.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tuner import registry
from tuner.artifacts import DESCRIPTION, MEMBERS
from tuner.core.trial import NUMBERS, Reading, Trial
from tuner.errors import DataError, TrialError, TunerError, described, first_line, near

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
    return tuple(map(_load, member_folders(folder)))


def member_folders(folder: str | Path) -> tuple[Path, ...]:
    """Where the models lie that `load_members` reads."""
    folder = Path(folder)
    if not (folder / DESCRIPTION).is_file() and (folder / "model" / DESCRIPTION).is_file():
        folder = folder / "model"
    further = (path for path in (folder / MEMBERS).glob("*") if path.is_dir())
    return (folder, *sorted(further, key=lambda path: int(path.name)))


def _load(folder: Path) -> Model:
    description = describe(folder)
    name = description.get("trainer")
    try:
        known = registry.registered(GROUP)
        if name not in known:
            raise TrialError(f"its trainer is {name!r}; {near(str(name), known)}")
        load: Callable[[Path], Model] = registry.load(str(name), GROUP)
        return load(folder)
    except Exception as error:
        if isinstance(error, TunerError) and str(folder) in str(error):
            raise
        raise TrialError(f"{folder}: the model cannot be loaded: {described(error)}") from error


def describe(folder: Path, version: int | None = None) -> dict[str, Any]:
    """Read the description of the model in a folder.

    Args:
        folder: the model's.
        version: the one version of its format that can be read; None: any.

    Raises:
        TrialError: it is missing, damaged or of another version; one line.
    """
    path = folder / DESCRIPTION
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise TrialError(f"{folder}: holds no model: {DESCRIPTION} is missing") from error
    except (OSError, ValueError) as error:
        raise TrialError(f"{path}: cannot be read: {first_line(error)}") from error
    if not isinstance(description, dict):
        raise TrialError(f"{path}: a table is needed, found {type(description).__name__}")
    found = description.get("format")
    if version not in (None, found):
        raise TrialError(f"{folder}: has format {found!r}, this version reads {version}; update tuner")
    return description


def description_of(trial: Trial, best: Reading, trainer: str, version: int) -> dict[str, Any]:
    """How a trained model's description begins, as JSON has it."""
    numbers = {name: number for name in NUMBERS if math.isfinite(number := best.get(name))}
    return {
        "format": version,
        "trainer": trainer,
        "number": trial.number,
        "params": dict(trial.params),
        "best": {"epoch": best.epoch, **numbers},
    }


def write_description(folder: Path, description: Mapping[str, Any]) -> None:
    """Write what `describe` reads."""
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")


def encoded(rows: Any, description: Mapping[str, Any], what: str) -> NDArray[np.float32]:
    """Raw rows as a network's or an estimator's unscaled inputs.

    Args:
        rows: as `Model.predict` takes them.
        description: of the model.
        what: takes the inputs, for the message.

    Raises:
        TrialError: they do not fit the model.
    """
    from tuner.data import encode

    context = description["context"]
    try:
        x = encode(rows, description["encoding"], context["features"])
    except DataError as error:
        raise TrialError(str(error)) from error
    needed = tuple(context["input_shape"])
    if x.shape[1:] != needed:
        raise TrialError(f"rows have shape {x.shape[1:]} each; the {what} needs {needed}")
    return x


def indices(truth: NDArray[Any], description: Mapping[str, Any]) -> NDArray[np.int64]:
    """Names of classes as a model's indices, (N,), -1 for one that it never met; 0 or 1 of labels, (N, L)."""
    if labels := description.get("labels"):
        return np.asarray(truth == [pair[1] for pair in labels.values()], np.int64)
    places = {name: place for place, name in enumerate(description["context"]["classes"])}
    return np.array([places.get(name, -1) for name in truth], np.int64)
