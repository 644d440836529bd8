"""The searcher: ask, tell and replay.

What it knows follows from the records it was told, in whatever order or number they came, so that a
searcher that replays a stored study goes on as the one before it would have.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any

from pydantic import TypeAdapter

from tuner import registry
from tuner.core.objectives import Objectives
from tuner.core.space import AnyParameter, Float, Parameter, SearchSpace
from tuner.core.spec import SearchSpec, StudySpec
from tuner.core.trial import Objective, Origin, Params, Trial, TrialRecord, TrialState, Value
from tuner.errors import PluginError
from tuner.search.distributions import from_share, is_single
from tuner.search.history import History
from tuner.search.samplers import Draw, Random, Sampler, Suggest

GROUP = "tuner.samplers"
"""The entry points that samplers are registered under."""

ATTEMPTS, RANDOM_ATTEMPTS = 10, 500
"""How often the sampler, and then chance, may draw what was drawn before."""

_PARAMETER: TypeAdapter[Parameter] = TypeAdapter(AnyParameter)


class OptunaSearcher:
    """Chooses configurations: the default one, the space's presets, then the sampler's.

    The same configuration is never chosen twice, whatever became of it. Every draw has a seed from
    the study's seed, the trial's number and the attempt; with an equal history and equal batches,
    all samplers go on identically after `replay`. A paused trial is learned from like one that was
    cut where it stands, until it is told again:

    * random, qmc, grid: the history does not matter beyond which configurations are taken.
    * tpe: from a bounded window of the history and from the trials that run; a batch is
      fitted once, so its trials do not see each other.
    * gp: likewise, except that each trial of a batch sees the ones before it.
    * cmaes: its state is recomputed from blocks of trial numbers, see `CMAES`.
    * nsga2: generations are counted in finished trials, see `NSGA2`.

    A trial that violates a bound ranks behind all others that have a value. For gp, cmaes and
    nsga2, conditional parameters (for cmaes also choices) are drawn at random.
    """

    def __init__(
        self,
        space: SearchSpace,
        spec: SearchSpec,
        objective: Objective | Objectives,
        *,
        learns: bool = False,
    ) -> None:
        """Set up without a history; only tpe and nsga2 look at more than the first objective.

        Args:
            space: what is searched.
            spec: how.
            objective: what for.
            learns: whether the space grows by what trainers ask for.

        Raises:
            SpecError: the sampler cannot work with the space, e.g. as its grid is too large.
            PluginError: the sampler cannot be found.
        """
        self._spec = spec
        self._objective = objective
        self._next = 0
        self._told: dict[int, TrialRecord] | None = {} if learns else None
        self._set_up(space)

    def _set_up(self, space: SearchSpace) -> None:
        spec = self._spec
        self._space = space
        self._history = History(space, self._objective)
        self._sampler = _build(space, spec)
        self._listed = self._list()
        self._random = Random(space, spec)
        self._single = {name: from_share(p, 0.5) for name, p in space if is_single(p)}
        self._floats = {name for name, p in space if isinstance(p, Float)}
        self._finite = all(
            not isinstance(p, Float) or p.step is not None or name in self._single for name, p in space
        )

    def ask(self, count: int) -> list[Trial]:
        """Choose up to `count` new configurations; fewer when the space is used up."""
        trials: list[Trial] = []
        draw: Draw | None = None
        while len(trials) < count:
            params = self._from_list()
            if params is None:
                draw = draw or self._sampler.fit(self._history)
                params = self._drawn(draw) if draw is not None else None
            if params is None:
                break
            trial = Trial(self._next, params, self._spec.seed)
            self._take(TrialRecord(trial.number, params, TrialState.RUNNING))
            trials.append(trial)
        return trials

    def prepare(self) -> None:
        """Load what later draws need, which takes up to a second; in any thread, once."""
        prepare = getattr(self._sampler, "prepare", None)
        if prepare is not None:
            prepare()

    def take(self, given: Params) -> Trial:
        """Take up a configuration that somebody else chose, tried before or not.

        Args:
            given: any of the space's parameters; the others have their defaults.

        Raises:
            SpecError: what is wrong with it, a sentence each.
        """
        params = self._plain(self._space.completed(given))
        trial = Trial(self._next, params, self._spec.seed, Origin.GIVEN)
        self._take(TrialRecord(trial.number, trial.params, TrialState.RUNNING))
        return trial

    def learn(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Search these parameters, too, where the space grows; what was told stands.

        A trial that lacks a new one counts as if it had its default, which is what it had.
        """
        if self._told is None:
            return {}
        wider = self._space.widened({name: _PARAMETER.validate_python(t) for name, t in asked.items()})
        if wider is self._space:
            return {}
        known = self._space.parameters
        self._set_up(wider)
        self._history.replay([self._told[number] for number in sorted(self._told)])
        return {n: p.model_dump(mode="json", exclude_none=True) for n, p in wider if p is not known.get(n)}

    def tell(self, records: Sequence[TrialRecord]) -> None:
        """Take in trials in any state, in any order and any number at a time.

        A record says all there is to know of its trial: one whose number was never asked for is
        taken in like any other, and one that is told again replaces what was known. A trial that
        is told to run or wait is not learned from, whatever it has shown.
        """
        for record in records:
            self._take(record)

    def replay(self, history: Sequence[TrialRecord]) -> None:
        """Take in a stored study, which may have been searched in another space.

        A trial that lacks a parameter counts as if it had its default, one that is gone is passed
        over. A trial with a value outside of the space is not learned from. Numbers go on, and no
        configuration is chosen that was tried exactly so.
        """
        self._history.replay(history)
        if self._told is not None:
            self._told |= {record.number: record for record in history}
        self._next = max((self._next, *(record.number + 1 for record in history)))

    def _take(self, record: TrialRecord) -> None:
        self._next = max(self._next, record.number + 1)
        self._history.add(record)
        if self._told is not None:
            self._told[record.number] = record

    def _list(self) -> Iterator[dict[str, Value]]:
        """What is asked for before the sampler: the default configuration first."""
        listed: Iterable[dict[str, Value]] | None = getattr(self._sampler, "listed", None)
        if listed is None:
            listed = self._space.presets() if self._spec.presets else ()
        return chain([self._space.defaults()], listed)

    def _from_list(self) -> dict[str, Value] | None:
        for params in self._listed:
            plain = self._plain(params)
            if not self._history.is_taken(plain):
                return plain
        return None

    def _drawn(self, draw: Draw) -> dict[str, Value] | None:
        for attempt in range(ATTEMPTS + RANDOM_ATTEMPTS):
            source = draw if attempt < ATTEMPTS else self._random.draw
            params = self._configuration(source(self._next, attempt))
            if not self._history.is_taken(params):
                return params
        if not self._finite:
            return None
        # At most one more than the taken ones have to be looked at.
        every = (self._plain(params) for params in self._space.grid(sys.maxsize))
        return next((params for params in every if not self._history.is_taken(params)), None)

    def _configuration(self, suggest: Suggest) -> dict[str, Value]:
        params: dict[str, Value] = dict(self._space.fixed)
        for name, parameter in self._space:
            if parameter.active_under(params):
                params[name] = self._single[name] if name in self._single else suggest(name, parameter)
        return params

    def _plain(self, params: Params) -> dict[str, Value]:
        """The same parameters, whole numbers made floats where the space says float."""
        return {
            name: float(value) if name in self._floats and type(value) is int else value
            for name, value in params.items()
        }


def _build(space: SearchSpace, spec: SearchSpec) -> Sampler:
    """The sampler that `spec` names.

    Raises:
        PluginError: the name leads nowhere, or to something that cannot sample.
        SpecError: the sampler cannot work with the space.
    """
    sampler: Sampler = registry.set_up(spec.sampler, _found(spec.sampler), space, spec)
    if not callable(getattr(sampler, "fit", None)):
        raise PluginError(f"{spec.sampler}: cannot sample; give a class with fit, or one of Optuna's")
    return sampler


def faults(spec: StudySpec) -> list[str]:
    """What of a study's objectives its sampler cannot take into account."""
    objective, name = spec.objective, spec.search.sampler
    if not (objective.also or objective.at_most or objective.at_least):
        return []
    found = _found(name)
    if objective.also and getattr(found, "objectives", 2) == 1:
        words = f"objective.also: the sampler '{name}' knows one objective"
        return [f'{words}; take search.sampler = "tpe" or "nsga2"']
    if (objective.at_most or objective.at_least) and not getattr(found, "constraints", True):
        words = f"objective: the sampler '{name}' knows no constraints"
        return [f'{words}; take search.sampler = "tpe", "nsga2" or "cmaes"']
    return []


def _found(name: str) -> Any:
    """The class, or the function, that makes a sampler; imported only now: some take seconds."""
    found = registry.load(name, GROUP)
    if isinstance(found, type) and any(c.__module__.startswith("optuna.samplers") for c in found.__mro__):
        from tuner.search.optuna_sampler import OptunaSampler

        return partial(OptunaSampler, found)
    return found
