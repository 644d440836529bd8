"""from_optuna: an objective of Optuna's as a training function, unchanged.

The objective is a `BlockingCall`, which comes back to the generator around it with each epoch that it
reports. What it searches is learned as it runs: every `suggest_*` says what it
asks for, and the study's space grows by that (see `Reading.asked`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import update_wrapper
from typing import Any, Literal

from tuner.core.space import Choice, Float, Int, Parameter, is_same, label
from tuner.core.trial import Reading, Stop
from tuner.trainers.blocking import BlockingCall, TrialOver
from tuner.trainers.context import TrialContext

_UNBOUNDED = 1_000_000
"""Epochs of a trial: as many as the objective reports."""


class FromOptuna:
    """A training function that calls ``objective(trial)``; see `from_optuna`."""

    def __init__(
        self, objective: Callable[[Any], Any], direction: Literal["minimize", "maximize"] | None = None
    ) -> None:
        self.objective, self.direction = objective, direction
        update_wrapper(self, objective, updated=())
        del self.__dict__["__wrapped__"]  # its signature is another one

    @property
    def study_defaults(self) -> Mapping[str, Any]:
        """Keys of a study file that suit an objective, where nothing else is said."""
        return {
            "objective": {"metric": "value", "direction": self.direction or "minimize"},
            "search": {"pruner": "median"},
            "trainer": {"epochs": _UNBOUNDED},
            "space": {"learned": True},
        }

    def __call__(self, params: Mapping[str, Any], context: TrialContext) -> Iterator[Reading | Stop]:
        """Run the objective, and yield what it reports."""
        call = BlockingCall()
        trial = DefinedTrial(params, context, call)
        try:
            found = yield from call.run(self.objective, trial)
        except BaseException as error:
            if not _is_pruned(error):
                raise
            if call.is_over:
                return
            yield from trial.left()
            yield Stop("pruned", "the objective pruned it", conclusive=False)
            return
        yield from trial.left()
        yield from trial.returned(found)


class DefinedTrial:
    """What an objective gets: the part of `optuna.Trial` that defines a space and reports values.

    Attributes:
        number: the trial's number.
        params: what it has asked for so far.
        user_attrs: what `set_user_attr` was given; not stored.
    """

    def __init__(self, params: Mapping[str, Any], context: TrialContext, call: BlockingCall) -> None:
        self.number = context.number
        self.params: dict[str, Any] = {}
        self.user_attrs: dict[str, Any] = {}
        self._call = call
        self._given, self._objectives = params, context.objectives
        self._asked: dict[str, Any] = {}
        self._kept_back: float | None = None
        self._step = -1
        self._best: float | None = None

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """As in Optuna."""
        return float(self._value(name, Float(low=low, high=high, step=step, log=log)))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """As in Optuna."""
        return int(self._value(name, Int(low=low, high=high, step=None if step == 1 else step, log=log)))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """As in Optuna."""
        named = self._value(name, Choice(choices=list(choices)))
        return next(choice for choice in choices if is_same(label(choice), named))

    def report(self, value: float, step: int) -> None:
        """Report a value for a step; the trial is judged by it at the next `should_prune` or `report`."""
        if len(self._objectives) > 1:
            raise NotImplementedError("report: a trial of several objectives is not pruned")
        self._emit()
        if self._call.is_over:
            self._call.leave()
        if step > self._step:
            self._kept_back, self._step = float(value), step

    def should_prune(self) -> bool:
        """Whether the study has stopped the trial: raise ``optuna.TrialPruned`` then, or return."""
        self._emit()
        return self._call.is_over

    def set_user_attr(self, key: str, value: Any) -> None:
        """Note something; it is not stored."""
        self.user_attrs[key] = value

    def __getattr__(self, name: str) -> Any:
        known = ", ".join(each for each in dir(type(self)) if not each.startswith("_"))
        raise AttributeError(f"a trial has no {name!r} here; it has {known}, number, params, user_attrs")

    def left(self) -> Iterator[Reading]:
        """The value that was reported last, if it was not emitted yet."""
        if self._kept_back is not None:
            yield self._reading([self._kept_back])

    def returned(self, found: Any) -> Iterator[Reading]:
        """The reading of what the objective returned, unless it is the best of what it has reported.

        Raises:
            TypeError: it is no number, or not as many as there are objectives.
        """
        values = list(found) if isinstance(found, Sequence) and not isinstance(found, str) else [found]
        if len(values) != len(self._objectives):
            raise TypeError(f"the objective returned {found!r}; {len(self._objectives)} numbers are needed")
        try:
            numbers = [float(value) for value in values]
        except (TypeError, ValueError):
            raise TypeError(f"the objective returned {found!r}; a number is needed") from None
        if not all(map(math.isfinite, numbers)):
            raise ValueError(f"the objective returned {found!r}, which is not finite")
        if len(numbers) > 1 or numbers[0] != self._best:
            yield self._reading(numbers, is_last=True)

    def _value(self, name: str, parameter: Parameter) -> Any:
        if name not in self.params:
            self._asked[name] = parameter.model_dump(mode="json", exclude_none=True)
        value = label(self._given[name]) if name in self._given else parameter.default
        if isinstance(parameter, Float) and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not parameter.contains(value):
            raise ValueError(
                f"{name}: {value!r} was chosen, but the objective asks for {parameter.describe()}; "
                f"give the study the new range: space={{{name!r}: ...}}"
            )
        found = parameter.given(value) if isinstance(parameter, Choice) else value
        self.params[name] = found
        return value

    def _emit(self) -> None:
        """Give the value that was kept back to the study, and wait for what it says."""
        if self._kept_back is not None and not self._call.is_over:
            self._call.emit(self._reading([self._kept_back]))

    def _reading(self, numbers: Sequence[float], *, is_last: bool = False) -> Reading:
        """One epoch, with what was asked for since the last one; the session gives it number and time."""
        asked, self._asked, self._kept_back = self._asked, {}, None
        names = [objective.metric for objective in self._objectives]
        reading = Reading.of(0, dict(zip(names, numbers, strict=True)))
        if self._best is None or self._objectives.primary.better(numbers[0], self._best):
            self._best = numbers[0] if math.isfinite(numbers[0]) else self._best
        return replace(reading, is_last=is_last, asked=asked)


def _is_pruned(error: BaseException) -> bool:
    """Whether it is what an objective raises to be pruned; by name, for Optuna need not be there."""
    return isinstance(error, TrialOver | GeneratorExit) or any(
        kind.__name__ == "TrialPruned" and kind.__module__.startswith("optuna")
        for kind in type(error).__mro__
    )


def from_optuna(
    objective: Callable[[Any], Any], direction: Literal["minimize", "maximize"] | None = None
) -> FromOptuna:
    """An objective of Optuna's as a trainer: ``tuner.start(trainer=tuner.from_optuna(objective))``.

    The space is learned from its `suggest_*` calls: a parameter that is met for the first time has the
    middle of its range, or its first choice, and is searched from then on. What it reports is judged by the
    study's rules and pruner (`median` unless the study says otherwise), and `should_prune` says what they
    decided. A trial's value is what the objective returns.

    Args:
        objective: a function of a trial with `suggest_float`, `suggest_int`, `suggest_categorical`, `report`,
            `should_prune`, `set_user_attr`, `number` and `params`.
        direction: what is better; the imported study's, else ``"minimize"``, where it is left out.
    """
    return FromOptuna(objective, direction)
