"""TrialView: one trial of a stored study, with its curve and its model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner.artifacts import log_tail
from tuner.core.overfitting import Overfitting
from tuner.core.trial import Reading, TrialRecord
from tuner.errors import TrialError
from tuner.judging.confirmation import Confirmation
from tuner.results import snippets
from tuner.store import Database

if TYPE_CHECKING:
    from tuner.results.study import Study


_WHOLE_LOG = 10_000_000
"""Bytes; a log is much shorter."""


@dataclass(frozen=True)
class TrialView:
    """One trial of a stored study.

    Attributes:
        confirmation: the confirmation that recommends it; its model is then from a repeat.
    """

    study: Study
    record: TrialRecord
    confirmation: Confirmation | None = None

    @property
    def number(self) -> int:
        """The trial's number; 0 is the default configuration."""
        return self.record.number

    @property
    def params(self) -> dict[str, Any]:
        """The trial's configuration, as its trainer was given it."""
        return self.study.spec.search_space().given(self.record.params)

    @property
    def value(self) -> float | None:
        """The best epoch's metric."""
        return self.record.value

    @property
    def reading(self) -> Reading | None:
        """The best epoch's reading."""
        return self.record.best

    @cached_property
    def curve(self) -> list[Reading]:
        """Every epoch's reading."""
        with Database.open(self.study.url, models=self.study.models) as database:
            return database.curves(self.study.name, self.number).get(self.number, [])

    @property
    def log(self) -> str:
        """What it has printed and logged so far, read anew at each access; the middle of much is left out.

        Empty for nothing, and of trials that trained as rows of one program.
        """
        return log_tail(self.study.files, self.number, _WHOLE_LOG)

    @property
    def comment(self) -> str | None:
        """What somebody has written on it, see `tuner.comment`."""
        return self.study.comments.get(self.number)

    @property
    def overfitting(self) -> Overfitting:
        """The gap at the best epoch and at the last, and where the trial begins to over-fit."""
        return Overfitting.of(self.curve, self.reading)

    @property
    def model_path(self) -> Path | None:
        """The folder of the best epoch's model; None where it was not kept."""
        return Path(self.record.model_path) if self.record.model_path else None

    @property
    def folder(self) -> Path:
        """Likewise, after checking that it is there.

        Raises:
            TrialError: it was not kept, is missing, or belongs to another study.
        """
        what, found, study = f"trial {self.number} of '{self.study.name}': its model", None, self.study
        confirmed = self.confirmation and self.confirmation.model_path
        if confirmed and study.confirmed_files is not None:
            found = study.confirmed_files.get(int(Path(confirmed).name))
        if found is None and self.record.model_path is not None:
            found = study.files.get(self.number)
        if found is None and self.model_path is not None:
            raise TrialError(f"{what} is not in {self.model_path}; put the folder back")
        if found is None:
            kept = ", ".join(str(r.number) for r in study.records if r.model_path) or "none"
            raise TrialError(f"{what} was not kept; kept are: {kept} ([trainer] keep says how many)")
        return found

    def model(self) -> Any:
        """The best epoch's model.

        Returns:
            An `nn.Module` in evaluation mode that takes encoded, unscaled inputs (torch), the
            fitted estimator (sklearn), or what a user's function kept, by name. A list of them where
            the model is the mean of several.

        Raises:
            TrialError: the model was not kept or cannot be read.
        """
        from tuner.trainers import load_model

        return load_model(self.folder).module

    def _repr_html_(self) -> str:
        return snippets.of_trial(self)
