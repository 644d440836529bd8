"""Pruners of Optuna's own kind, which a study names by their class.

Imported only where a study names one. What such a pruner compares trials with is a study in memory that
grows by each reading it is asked about; while a stored study is replayed it is asked about all of them.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from datetime import datetime
from typing import Any, Literal

import optuna
from optuna.pruners import BasePruner
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from tuner.core import words
from tuner.core.spec import StudySpec
from tuner.core.trial import Reading, Stop, Trial
from tuner.errors import PluginError, described
from tuner.optuna_log import quiet


class OptunaPruner:
    """A pruner that is made without arguments; its stops are inconclusive, and trial 0 is never ended.

    A trial counts as complete once it has trained its last epoch, and as pruned where this rule ended it.
    """

    def __init__(self, name: str, pruner: type[BasePruner], spec: StudySpec) -> None:
        self._name, self._objective, self._epochs = (
            pruner.__name__,
            spec.primary_objective(),
            spec.trainer.epochs,
        )
        self._trials = _Trials()
        direction: Literal["minimize", "maximize"] = "minimize" if self._objective.minimize else "maximize"
        with quiet():
            try:
                self._pruner = pruner()
            except Exception as error:
                raise PluginError(
                    f"{name}: cannot be set up without arguments: {described(error)}"
                ) from error
            self._study = optuna.create_study(
                storage=self._trials, study_name=spec.name, direction=direction, pruner=self._pruner
            )

    def decide(self, trial: Trial, curve: Sequence[Reading]) -> Stop | None:
        """Stop where the pruner says so."""
        values = {reading.epoch: self._objective.of(reading) for reading in curve}
        shown, last = self._trials.show(trial.number, values), curve[-1]
        if last.epoch >= self._epochs or last.is_last:
            shown.state, shown.values = TrialState.COMPLETE, [values[last.epoch]]
            return None
        with quiet():
            if trial.number == 0 or not self._pruner.prune(self._study, shown):
                return None
        shown.state = TrialState.PRUNED
        reason = f"epoch {last.epoch}: {words.number(values[last.epoch])} is not good enough for {self._name}"
        return Stop("pruner", reason, conclusive=False)


class _Trials(InMemoryStorage):
    """Holds the trials by their numbers, which are their ids too, and the notes that pruners leave."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: dict[int, FrozenTrial] = {}
        self._notes: dict[int, list[dict[str, Any]]] = {}

    def show(self, number: int, values: dict[int, float]) -> FrozenTrial:
        """Let a trial have reported these values; its notes become those from before the last of them."""
        notes = self._notes.setdefault(number, [{}])
        if number in self._shown and len(notes) == len(values) - 1:
            notes.append(dict(self._shown[number].system_attrs))
        del notes[len(values) :]
        self._shown[number] = FrozenTrial(
            number=number, trial_id=number, state=TrialState.RUNNING, value=None,
            datetime_start=datetime(2000, 1, 1), datetime_complete=None, params={}, distributions={},
            user_attrs={}, system_attrs=dict(notes[-1]), intermediate_values=values,
        )  # fmt: skip
        return self._shown[number]

    def get_all_trials(
        self,
        study_id: int,  # noqa: ARG002
        deepcopy: bool = True,  # noqa: ARG002
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """Every trial, or those in some states."""
        return [t for t in self._shown.values() if states is None or t.state in states]

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        """Of those that are complete."""
        return BaseStorage.get_best_trial(self, study_id)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """The trial of a number."""
        return self._shown[trial_id]

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Keep a note."""
        self._shown[trial_id].system_attrs[key] = value
