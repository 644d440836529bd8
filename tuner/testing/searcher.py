"""What every searcher must do; a suite that third parties can run on their own.

Derive a test class, say how a searcher is made, and pytest runs the rest::

    class TestMySearcher(SearcherContract):
        def searcher(self, space: SearchSpace, seed: int = 0) -> Searcher:
            return MySearcher(space, seed)
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tuner.core.ports import Searcher
from tuner.core.space import Choice, Float, Int, Parameter, SearchSpace
from tuner.core.trial import Params, Trial, TrialRecord, TrialState, Value

FEW = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.differing_executors])


def conditional_space() -> SearchSpace:
    """Every kind of parameter, two conditions deep, one value fixed."""
    return SearchSpace.compose(
        {
            "rate": Float(low=1e-4, high=1.0, default=0.01, log=True, default_for={"method": {"sgd": 1}}),
            "method": Choice(choices=("sgd", "adam", "none"), default="adam", try_first=("sgd",)),
            "momentum": Float(low=0.0, high=0.99, default=0.9, when={"method": ("sgd",)}),
            "damped": Choice(choices=(True, False, 1), default=False, when={"method": ("sgd", "adam")}),
            "damping": Float(low=0.0, high=0.3, step=0.1, default=0.1, when={"damped": (True,)}),
            "width": Int(low=16, high=256, log=True, default=64),
            "depth": Int(low=1, high=6, step=2, default=3),
            "only": Int(low=7, high=7, default=7),
        },
        {"activation": "relu"},
    )


def changed_spaces() -> dict[str, SearchSpace]:
    """What may become of `conditional_space` while a study rests."""
    before = dict(conditional_space().parameters)
    fixed = conditional_space().fixed
    method = Choice(choices=("sgd", "adam", "other"), default="other")
    changes: dict[str, dict[str, Parameter | None]] = {
        "narrowed": {
            "rate": Float(low=1e-3, high=0.1, default=0.01, log=True),
            "method": Choice(choices=("sgd", "adam"), default="adam"),
            "depth": Int(low=1, high=5, step=4, default=1),
            "width": Int(low=32, high=128, log=True, default=64),
        },
        "widened": {
            "rate": Float(low=1e-6, high=10.0, default=0.01, log=True),
            "width": Int(low=8, high=512, log=True, default=64),
            "only": Int(low=6, high=8, default=7),
        },
        "gained": {
            "clip": Float(low=0.1, high=9.0, default=1.0, default_for={"method": {"sgd": 2.0}}),
            "nesterov": Choice(choices=(False, True), default=False, when={"method": ("sgd",)}),
        },
        "lost": {"damping": None, "width": None},
        "mixed": {"method": method, "width": None, "gain": Float(low=0.0, high=1.0, default=0.5)},
    }
    spaces = {
        name: SearchSpace.compose({n: p for n, p in {**before, **change}.items() if p is not None}, fixed)
        for name, change in changes.items()
    }
    spaces["fixed"] = SearchSpace.compose(before, {**fixed, "depth": 3})
    spaces["activated"] = SearchSpace.compose(before, {"activation": "tanh"})
    return spaces


def small_space() -> SearchSpace:
    """Seven configurations."""
    return SearchSpace.compose(
        {
            "a": Choice(choices=("x", "y", "z"), default="x"),
            "b": Int(low=1, high=3, default=1, when={"a": ("x",)}),
            "c": Float(low=0.0, high=0.5, step=0.5, default=0.5, when={"a": ("y", "z")}),
        }
    )


def worth(params: Params) -> float:
    """A loss that depends on every kind of parameter."""
    total = 0.0
    for name, value in params.items():
        if isinstance(value, str):
            total += (len(name) * 7 + len(value)) % 5
        else:
            total += abs(math.log(abs(float(value)) + 0.1) + 0.7)
    return total


def ended(trials: Sequence[Trial], seed: int = 0) -> list[TrialRecord]:
    """Records of trials that ended in every possible way, each by its own number."""
    records = []
    for trial in trials:
        rng = random.Random(f"{seed}/{trial.number}")
        record = TrialRecord(
            trial.number, trial.params, TrialState.FINISHED, worth(trial.params), epochs=9, conclusive=True
        )
        cut = replace(record, state=TrialState.STOPPED, epochs=rng.randint(1, 8), conclusive=False)
        ways = [
            record,
            record,
            record,
            replace(cut, conclusive=True),
            cut,
            cut,
            replace(cut, value=None),
            replace(cut, rule="divergence"),
            replace(cut, state=TrialState.FAILED, value=None),
        ]
        records.append(rng.choice(ways))
    return records


def paused(trials: Sequence[Trial]) -> list[TrialRecord]:
    """Records of trials that wait after a third of their epochs, one of them without a value."""
    return [
        TrialRecord(
            t.number,
            t.params,
            TrialState.PAUSED,
            None if t.number % 9 == 8 else 2 * worth(t.params),
            epochs=3,
        )
        for t in trials
    ]


@st.composite
def spaces(draw: st.DrawFn) -> SearchSpace:
    """Small spaces of any shape, with conditions."""
    parameters: dict[str, Parameter] = {}
    for index in range(draw(st.integers(1, 5))):
        choices = {n: p.choices for n, p in parameters.items() if isinstance(p, Choice)}
        when: dict[str, tuple[Value, ...]] = {}
        conditional = draw(st.booleans())
        if choices and conditional:
            other = draw(st.sampled_from(sorted(choices)))
            when = {other: (draw(st.sampled_from(choices[other])),)}
        parameters[f"p{index}"] = _parameter(draw, when)
    constants: list[Value] = [0, 1.5, "text", False]
    return SearchSpace.compose(parameters, {"constant": draw(st.sampled_from(constants))})


def _parameter(draw: st.DrawFn, when: dict[str, tuple[Value, ...]]) -> Parameter:
    kind = draw(st.sampled_from(["float", "log", "step", "int", "intlog", "intstep", "choice"]))
    if kind == "choice":
        every: list[Value] = ["a", "b", "", 1, 1.0, True, False, -3, 0.1]
        choices = draw(
            st.lists(st.sampled_from(every), min_size=1, max_size=4, unique_by=lambda v: (type(v), v))
        )
        return Choice(choices=tuple(choices), default=choices[0], when=when)
    if kind.startswith("int"):
        low = draw(st.integers(1, 40))
        high = low + draw(st.integers(0, 60))
        step = draw(st.integers(1, 7)) if kind == "intstep" else None
        return Int(low=low, high=high, default=low, log=kind == "intlog", step=step, when=when)
    start = draw(st.floats(1e-6, 10.0))
    end = start + draw(st.floats(0.0, 100.0))
    size = draw(st.sampled_from([0.1, 0.25, 0.3, 1.0])) if kind == "step" else None
    return Float(low=start, high=end, default=start, log=kind == "log", step=size, when=when)


class SearcherContract:
    """Derive from it."""

    trials = 60
    """How many trials the longer tests ask for."""

    takes_any_space = True
    """Whether a space of any size can be searched, at little cost."""

    def searcher(self, space: SearchSpace, seed: int = 0) -> Searcher:
        """A searcher that knows nothing yet; it minimizes."""
        raise NotImplementedError

    def run(self, searcher: Searcher, trials: int, batch: int = 4) -> list[TrialRecord]:
        """Ask and tell; the last batch is left running."""
        records: list[TrialRecord] = []
        running: list[Trial] = []
        while len(records) + len(running) < trials:
            told = ended(running)
            searcher.tell(told)
            records += told
            running = list(searcher.ask(batch))
            if not running:
                break
        return records + [TrialRecord(t.number, t.params, TrialState.RUNNING) for t in running]

    def test_first_trial_is_the_default_configuration(self) -> None:
        first = self.searcher(conditional_space()).ask(1)[0]
        assert first.number == 0
        assert first.params == conditional_space().defaults()

    def test_configurations_belong_to_the_space_and_numbers_are_consecutive(self) -> None:
        space = conditional_space()
        records = self.run(self.searcher(space), self.trials, batch=7)
        assert [r.number for r in records] == list(range(len(records)))
        assert len(records) >= min(self.trials, 40)
        for record in records:
            assert space.faults(record.params) == []
            assert list(record.params) == ["activation", *(n for n, _ in space if n in record.params)]

    def test_values_are_plain_and_have_the_parameters_type(self) -> None:
        records = self.run(self.searcher(conditional_space()), self.trials)
        kinds = {
            name: {type(r.params[name]) for r in records if name in r.params}
            for name, _ in conditional_space()
        }
        assert kinds["rate"] == kinds["momentum"] == {float}
        assert kinds["width"] == kinds["depth"] == kinds["only"] == {int}
        assert kinds["damped"] <= {bool, int}

    @FEW
    @given(space=spaces(), seed=st.integers(0, 3))
    def test_any_space_can_be_searched_without_repeating_a_configuration(
        self, space: SearchSpace, seed: int
    ) -> None:
        if not self.takes_any_space:
            return
        records = self.run(self.searcher(space, seed), 16)
        assert [space.faults(r.params) for r in records] == [[]] * len(records)
        assert len({_exactly(r.params) for r in records}) == len(records)

    def test_finite_space_is_used_up_exactly(self) -> None:
        searcher = self.searcher(small_space())
        records = self.run(searcher, 100, batch=2)
        assert len({_exactly(r.params) for r in records}) == len(records) == 7
        assert searcher.ask(3) == []

    def test_failed_configuration_is_never_chosen_again(self) -> None:
        searcher = self.searcher(small_space())
        first = searcher.ask(4)
        searcher.tell([TrialRecord(t.number, t.params, TrialState.FAILED) for t in first])
        rest = searcher.ask(10)
        assert len(rest) == 3
        assert not {_exactly(t.params) for t in rest} & {_exactly(t.params) for t in first}

    @pytest.mark.parametrize("seed", [0, 1])
    def test_replayed_searcher_goes_on_as_the_first_one_would(self, seed: int) -> None:
        """Trials end, pause, and go on or end after a pause, told anew or not, in any order."""
        space, rng = conditional_space(), random.Random(seed)
        first = self.searcher(space)
        records: dict[int, TrialRecord] = {}
        for batch in [self.trials // 2, *[3, 5] * (self.trials // 16)]:
            trials = self.asked_alike(space, first, records, batch, also_replayed=len(records) != 0)
            records |= {t.number: TrialRecord(t.number, t.params, TrialState.RUNNING) for t in trials}
            told: list[TrialRecord] = []
            for number, record in records.items():
                trial = Trial(number, record.params, 0)
                if record.state is TrialState.RUNNING and rng.random() < 0.8:
                    told += rng.choice([ended, paused, paused])([trial])
                elif record.state is TrialState.PAUSED and rng.random() < 0.3:
                    told += (
                        ended([trial]) if rng.random() < 0.7 else [replace(record, state=TrialState.RUNNING)]
                    )
            rng.shuffle(told)
            first.tell(told)
            records |= {r.number: r for r in told}
        assert any(r.state is TrialState.PAUSED for r in records.values())

    def asked_alike(
        self,
        space: SearchSpace,
        searcher: Searcher,
        records: Mapping[int, TrialRecord],
        count: int,
        *,
        also_replayed: bool = True,
    ) -> list[Trial]:
        """Ask a searcher, and a fresh one that is replayed with what the other was told."""
        second = self.searcher(space)
        second.replay([records[number] for number in sorted(records)])
        trials = list(searcher.ask(count))
        if also_replayed:
            assert list(second.ask(count)) == trials
        return trials

    def test_paused_trial_counts_as_one_that_was_cut_there(self) -> None:
        def after(state: TrialState) -> Sequence[Trial]:
            searcher = self.searcher(conditional_space())
            searcher.replay([replace(r, state=state) if r.number in waiting else r for r in history])
            return searcher.ask(2)

        trials = self.searcher(conditional_space()).ask(self.trials)
        waiting = {r.number: r for r in paused(trials) if r.number % 4 == 1}
        history = [waiting.get(r.number, r) for r in ended(trials)]
        assert after(TrialState.PAUSED) == after(TrialState.STOPPED)

    def test_what_a_paused_trial_had_shown_is_void_once_it_is_told_again(self) -> None:
        trials = self.searcher(conditional_space()).ask(self.trials)
        direct, roundabout = self.searcher(conditional_space()), self.searcher(conditional_space())
        direct.replay(ended(trials))
        for records in (paused(trials[::-1]), paused(trials[::3]), ended(trials[::-1])):
            roundabout.tell(records)
        assert roundabout.ask(2) == direct.ask(2)

    def test_order_of_telling_does_not_matter(self) -> None:
        def after(records: list[TrialRecord]) -> Sequence[Trial]:
            searcher = self.searcher(conditional_space())
            searcher.replay(history)
            for record in records:
                searcher.tell([record])
            return searcher.ask(2)

        history = self.run(self.searcher(conditional_space()), self.trials, batch=10)
        running = [Trial(r.number, r.params, 0) for r in history if not r.state.is_over]
        assert len(running) > 3
        assert after(ended(running)) == after(ended(running)[::-1])

    def test_running_trials_of_a_stored_study_can_be_told_later(self) -> None:
        searcher = self.searcher(conditional_space())
        history = self.run(self.searcher(conditional_space()), 20)
        searcher.replay(history)
        running = [Trial(r.number, r.params, 0) for r in history if not r.state.is_over]
        searcher.tell(ended(running))
        assert searcher.ask(1)[0].number == len(history)

    def lived(self, space: SearchSpace) -> list[TrialRecord]:
        """A study that rests: most trials are over, some paused or running."""
        trials = self.searcher(space, seed=1).ask(min(self.trials, 30))
        records = {r.number: r for r in [*ended(trials), *paused(trials[5::7])]}
        running = {t.number: TrialRecord(t.number, t.params, TrialState.RUNNING) for t in trials[6::7]}
        return list((records | running).values())

    @pytest.mark.parametrize("change", sorted(changed_spaces()))
    def test_space_may_have_changed_since_the_history_was_made(self, change: str) -> None:
        space = changed_spaces()[change]
        history = self.lived(conditional_space())
        searcher = self.searcher(space)
        searcher.replay(history)
        known = {r.number: r for r in history}
        for count in (3, 1):
            trials = self.asked_alike(space, searcher, known, count)
            assert [t.number for t in trials] == list(range(len(known), len(known) + count))
            assert [space.faults(t.params) for t in trials] == [[]] * count
            assert not {_exactly(t.params) for t in trials} & {_exactly(r.params) for r in known.values()}
            told = [*ended(trials[1:]), *paused(trials[:1])]
            searcher.tell(told)
            known |= {r.number: r for r in told}

    @pytest.mark.parametrize("change", sorted(changed_spaces()))
    def test_what_trials_outside_of_the_space_were_worth_does_not_matter(self, change: str) -> None:
        def after(records: list[TrialRecord]) -> Sequence[Trial]:
            searcher = self.searcher(space)
            searcher.replay(records)
            return searcher.ask(2)

        space = changed_spaces()[change]
        history = self.lived(conditional_space())
        other = [r if self.fits(r.params, space) else self.otherwise(r) for r in history]
        assert other != history or change not in ("narrowed", "fixed", "activated")
        assert after(other) == after(history)

    def fits(self, params: Params, space: SearchSpace) -> bool:
        """Whether every value lies in the space where it still has the parameter."""
        parameters = {n: Choice(choices=(v,), default=v) for n, v in space.fixed.items()} | dict(space)
        return all(parameters[n].contains(v) for n, v in params.items() if n in parameters)

    def otherwise(self, record: TrialRecord) -> TrialRecord:
        """The same trial with another fate."""
        worse = replace(record, state=TrialState.FINISHED, conclusive=True, epochs=9, value=-9.0)
        return worse if record.number % 2 else replace(worse, state=TrialState.FAILED, value=None)

    def test_parameter_that_is_new_counts_with_its_default(self) -> None:
        searcher = self.searcher(changed_spaces()["gained"])
        searcher.replay(
            [TrialRecord(0, conditional_space().defaults(), TrialState.FINISHED, 1.0, conclusive=True)]
        )
        trials = searcher.ask(9)
        assert changed_spaces()["gained"].defaults() not in [t.params for t in trials]
        assert [t.number for t in trials] == list(range(1, 10))

    def test_history_of_quite_another_space_is_taken_in(self) -> None:
        other = SearchSpace.compose(
            {
                "rate": Choice(choices=("low", "high"), default="low"),
                "width": Float(low=0.0, high=1.0, default=0.5),
                "gone": Int(low=0, high=5, default=0),
            }
        )
        history = self.run(self.searcher(other), 9)
        searcher = self.searcher(conditional_space())
        searcher.replay(history)
        records = self.run(searcher, 12)
        assert [r.number for r in records] == list(range(len(history), len(history) + len(records)))
        assert [conditional_space().faults(r.params) for r in records] == [[]] * len(records)

    def test_seeds_lead_to_different_searches(self) -> None:
        trials = [self.searcher(conditional_space(), seed).ask(10) for seed in (0, 1)]
        assert [t.params for t in trials[0]] != [t.params for t in trials[1]]


def _exactly(params: Params) -> str:
    return repr(sorted((name, value) for name, value in params.items()))
