"""PreparedModel: what kept networks and estimators share: raw rows in, the data's own words out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tuner.core.dataset import TargetUnits, Task
from tuner.data import rows_of, tell
from tuner.data.targets import names_of
from tuner.trainers import threshold
from tuner.trainers.model import encoded


@dataclass(frozen=True)
class PreparedModel(ABC):
    """A model that prepares rows by itself.

    Attributes:
        description: what model.json says.
    """

    description: Mapping[str, Any]
    takes: ClassVar[str]
    """What it is that takes the inputs, for messages."""

    def predict(self, rows: Any) -> NDArray[Any]:
        """Predict from raw rows: a data frame of any library, or an array (N, D) or (N, C, H, W).

        Columns of a data frame may stand in any order, and further ones beside them. What is new to the
        model in them, e.g. a category that training never had, is logged as a warning.

        Returns:
            (N,) names of classes, (N, L) of several labels, or (N,) or (N, T) targets in their own units.

        Raises:
            TrialError: the rows do not fit the model.
        """
        x, table = self._prepared(rows), self.description
        decides = threshold.KEY in table
        return in_words(threshold.predicted(self.shares(x), table) if decides else self.said(x), table)

    def probabilities(self, rows: Any) -> NDArray[np.float32]:
        """The probability of each class, (N, C), in the order of ``description["context"]["classes"]``.

        Of several labels that of the second class of each, (N, L); see ``description["labels"]``.

        Raises:
            TrialError: the rows do not fit the model, or it has no probabilities.
        """
        return self.shares(self._prepared(rows))

    @property
    def predicts(self) -> bool:
        """Always."""
        return True

    @abstractmethod
    def said(self, x: NDArray[Any]) -> NDArray[Any]:
        """What it makes of encoded, unscaled rows: see `in_words`."""

    @abstractmethod
    def shares(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """The probabilities of classes or labels for encoded, unscaled rows."""

    def _prepared(self, rows: Any) -> NDArray[np.float32]:
        rows = rows_of(rows)
        tell(rows, self.description["encoding"])
        return encoded(rows, self.description, self.takes)


def in_words(said: NDArray[Any], description: Mapping[str, Any]) -> NDArray[Any]:
    """Indices of classes (N,), labels (N, L) or standardized targets (N,) or (N, T), as the data has them."""
    if labels := description.get("labels"):
        return names_of(said, labels)
    if description["context"]["task"] == Task.CLASSIFICATION:
        named: NDArray[Any] = np.take(description["context"]["classes"], said)
        return named
    return TargetUnits.from_table(description["target"]).restored(said)
