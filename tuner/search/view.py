"""An Optuna study that shows a sampler exactly the trials it should see.

It lives in memory for one draw, or one generation, and is thrown away: the store is the truth, and a
sampler's own notes on trials and studies would depend on the order in which trials ended.
"""

from __future__ import annotations

import copy
from collections.abc import Container, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.storages import InMemoryStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from tuner.core.space import SearchSpace
from tuner.core.trial import Value
from tuner.search.distributions import distribution, from_number, is_single

_SOMETIME = datetime(2000, 1, 1)
"""When trials are said to have run; samplers do not look."""


class FixedTrials(InMemoryStorage):
    """A storage of Optuna's that holds given trials and never changes them."""

    def __init__(self, trials: Sequence[FrozenTrial]) -> None:
        super().__init__()
        self._fixed = list(trials)

    def get_all_trials(
        self,
        study_id: int,  # noqa: ARG002
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """Every trial, or those in some states."""
        trials = [t for t in self._fixed if states is None or t.state in states]
        return copy.deepcopy(trials) if deepcopy else trials

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Samplers leave notes for other processes here; there are none."""


class Subspace:
    """Some parameters of a space as Optuna sees them, with the columns they have in a history's rows."""

    def __init__(self, space: SearchSpace, names: Sequence[str]) -> None:
        columns = {name: column for column, (name, _) in enumerate(space)}
        self._parameters = {name: space.parameters[name] for name in names}
        self._columns = [columns[name] for name in names]
        self.distributions: dict[str, BaseDistribution] = {
            name: distribution(parameter) for name, parameter in self._parameters.items()
        }

    @classmethod
    def unconditional(cls, space: SearchSpace) -> Subspace:
        """The parameters that every configuration has and that have more than one value."""
        return cls(space, [n for n, p in space if not p.when and not is_single(p)])

    def trial(
        self,
        number: int,
        row: NDArray[np.float64] | None = None,
        value: float | Sequence[float] | None = None,
        notes: Mapping[str, Any] | None = None,
        violation: float = 0.0,
    ) -> FrozenTrial:
        """A trial for a sampler: complete where it has a value, else running.

        Args:
            number: the trial's number; its id too.
            row: (D,) numbers; parameters that are `nan` there are left out. None: no parameter yet.
            value: less is better; of several objectives one each.
            notes: the trial's system attributes.
            violation: by how much it violates the study's constraints.
        """
        cells = {} if row is None else dict(zip(self.distributions, row[self._columns].tolist(), strict=True))
        known = {name: self.distributions[name] for name, cell in cells.items() if cell == cell}
        values = [value] if isinstance(value, float | int) else value
        # `create_trial` would check again what comes from the space, which costs as much as the rest.
        trial = FrozenTrial(
            number=number,
            trial_id=number,
            state=TrialState.RUNNING if values is None else TrialState.COMPLETE,
            value=None,
            values=values,
            datetime_start=_SOMETIME,
            datetime_complete=None if values is None else _SOMETIME,
            params={name: found.to_external_repr(cells[name]) for name, found in known.items()},
            distributions=known,
            user_attrs={},
            system_attrs=dict(notes or {}),
            intermediate_values={},
        )
        if violation:
            trial.set_constraint("violation", violation)
        return trial

    def values(self, params: Mapping[str, Any]) -> dict[str, Value]:
        """What a sampler chose, as values of the space."""
        return {
            name: from_number(self._parameters[name], self.distributions[name].to_internal_repr(value))
            for name, value in params.items()
        }


def study(trials: Sequence[FrozenTrial], objectives: int = 1) -> Study:
    """A study that minimizes all its objectives and shows these trials."""
    return optuna.create_study(storage=FixedTrials(trials), directions=["minimize"] * objectives)
