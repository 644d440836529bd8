"""AveragedModel: the models of one configuration's trainings, which predict together.

Networks that differ in their seeds and training rows err differently, so that the mean of what they say is
seldom worse, and often better, than what one of them says; its probabilities are less sure of themselves
(Lakshminarayanan et al. 2017; of training rows drawn anew, Breiman 1996).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.core.dataset import Task
from tuner.errors import TrialError
from tuner.trainers import threshold
from tuner.trainers.model import Model, load_members


def load_model(folder: str | Path) -> Model:
    """Read a model from the folder that `TrialBatch.save` wrote, or from what `tune export` wrote.

    Returns:
        Of a trial with several members their mean, an `AveragedModel`; the first one, if they cannot
        predict by themselves.

    Raises:
        TrialError: the folder is missing or damaged; one line.
    """
    return ensemble([folder])


def ensemble(folders: Sequence[str | Path]) -> Model:
    """The mean of the models in several such folders, e.g. those of a study's best trials.

    Raises:
        TrialError: a folder is missing or damaged, or the models predict different classes; one line.
    """
    members = tuple(member for folder in folders for member in load_members(folder))
    if len(folders) > 1:
        if not all(member.predicts for member in members):
            raise TrialError("only the training function can predict with these models, so they have no mean")
        if any(_meaning(member) != _meaning(members[0]) for member in members):
            raise TrialError("the models predict different classes, so they have no mean")
    if len(members) == 1 or not all(member.predicts for member in members):
        return members[0]
    return AveragedModel(members)


def _meaning(model: Model) -> Any:
    context = model.description["context"]
    return list(context["classes"]), context["outputs"], model.description.get("labels")


@dataclass(frozen=True)
class AveragedModel:
    """The mean of several models of one study; a `Model`.

    Attributes:
        members: at least two that predict by themselves. Each prepares raw rows in its own way.
    """

    members: tuple[Model, ...]

    @property
    def module(self) -> Sequence[Any]:
        """What each member has; there is no single network that predicts as all of them do."""
        return [member.module for member in self.members]

    @property
    def description(self) -> Mapping[str, Any]:
        """The first member's, with how many there are and the mean of their thresholds."""
        tables = [member.description for member in self.members]
        found = {**tables[0], "members": len(tables)}
        if all(threshold.KEY in table for table in tables):
            at = float(np.mean([table[threshold.KEY]["at"] for table in tables]))
            found[threshold.KEY] = {**tables[0][threshold.KEY], "at": at}
        return found

    def predict(self, rows: Any) -> NDArray[Any]:
        """See `Model.predict`; of classes by the mean of the members' probabilities, or else of their votes.

        Raises:
            TrialError: the rows do not fit the model.
        """
        from tuner.trainers.prepared_model import in_words

        table = self.description
        if table["context"]["task"] == Task.REGRESSION:
            return self._mean("predict", rows)
        if not all(hasattr(member, "probabilities") for member in self.members):
            return self._voted(rows)
        try:
            shares = self.probabilities(rows)
        except TrialError:
            # Of estimators without them; rows that do not fit are refused here, too.
            return self._voted(rows)
        if table.get("labels"):
            return in_words((shares > 0.5).astype(np.int64), table)
        decides = threshold.KEY in table
        return in_words(threshold.predicted(shares, table) if decides else shares.argmax(axis=1), table)

    def probabilities(self, rows: Any) -> NDArray[np.float32]:
        """The mean of the members' probabilities, (N, C) or of several labels (N, L).

        Raises:
            TrialError: the rows do not fit the model, or a member has no probabilities.
        """
        return self._mean("probabilities", rows).astype(np.float32)

    def losses(self, rows: Any, truth: NDArray[Any]) -> NDArray[np.float64]:
        """The loss of the mean prediction, in the first member's units.

        It is at most the mean of the members' losses, which is what readings and values of the study are,
        where the loss is convex in what is averaged, as cross-entropy and squared error are. Estimators
        of scikit-learn do not tell it, and that mean is returned.

        Raises:
            TrialError: the rows do not fit the model.
        """
        losses_of = getattr(self.members[0], "losses_of", None)
        if losses_of is not None:
            is_of_numbers = self.description["context"]["task"] == Task.REGRESSION
            told: NDArray[np.float64] = losses_of(
                self.predict(rows) if is_of_numbers else self.probabilities(rows), truth
            )
            return told
        found: NDArray[np.float64] = np.mean([member.losses(rows, truth) for member in self.members], axis=0)
        return found

    @property
    def predicts(self) -> bool:
        """Always."""
        return True

    @property
    def size_bytes(self) -> int:
        """Of all members' weights."""
        return sum(member.size_bytes for member in self.members)

    def _mean(self, what: str, rows: Any) -> NDArray[Any]:
        found: NDArray[Any] = np.mean(self._each(what, rows), axis=0)
        return found

    def _each(self, what: str, rows: Any) -> list[NDArray[Any]]:
        """What every member says; of what is new to them in the rows, the first one tells."""
        from tuner.data import untold

        found = []
        for place, member in enumerate(self.members):
            with untold() if place else nullcontext():
                found.append(np.asarray(getattr(member, what)(rows)))
        return found

    def _voted(self, rows: Any) -> NDArray[Any]:
        from tuner.trainers.prepared_model import in_words

        classes = np.array(self.description["context"]["classes"])
        told = np.stack(self._each("predict", rows))  # (M, N), or of several labels (M, N, L)
        if labels := self.description.get("labels"):
            ones = (told == [pair[1] for pair in labels.values()]).mean(axis=0)
            return in_words((ones > 0.5).astype(np.int64), self.description)
        votes = (told[..., None] == classes).sum(axis=0)
        return in_words(votes.argmax(axis=1), self.description)
