"""The way in from plain Optuna: its trials, its distributions, its objectives."""

from __future__ import annotations

import difflib
import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages.journal import JournalFileBackend, JournalStorage

import tuner
from tests import processes
from tuner.core.trial import Origin, TrialRecord
from tuner.errors import SpecError, StudyExists, TrialError
from tuner.findings import Evidence
from tuner.store import verify

optuna.logging.set_verbosity(optuna.logging.ERROR)
EXAMPLES = Path(__file__).parents[2] / "examples" / "from_optuna"
URL = "sqlite:///tuner.db"


def objective(trial: Any) -> float:
    rate = trial.suggest_float("rate", 1e-4, 1.0, log=True)
    kind = trial.suggest_categorical("kind", ["plain", "heavy", None])
    depth = trial.suggest_int("depth", 1, 4)
    weight = trial.suggest_float("weight", 0.0, 1.0) if kind == "heavy" else 0.5
    value = 0.0
    for step in range(5):
        value = abs(rate - 0.1) + 0.1 * depth + 0.2 * weight + 1.0 / (step + 1)
        trial.report(value, step * 10)
        if trial.should_prune():
            raise optuna.TrialPruned
    return value


def theirs(trials: int = 20, storage: Any = "sqlite:///old.db", name: str = "old") -> optuna.Study:
    study = optuna.create_study(storage=storage, study_name=name, sampler=optuna.samplers.RandomSampler(0))
    study.optimize(objective, n_trials=trials)
    return study


def assert_as_in_optuna(records: list[TrialRecord], trials: list[optuna.trial.FrozenTrial]) -> None:
    assert len(records) == len(trials)
    states = {"COMPLETE": "finished", "PRUNED": "stopped", "FAIL": "failed"}
    for record, trial in zip(records, trials, strict=True):
        assert record.origin is Origin.IMPORTED
        given = {n: "none" if v is None else v for n, v in trial.params.items()}
        assert record.params == given
        assert record.state == states[trial.state.name]
        if trial.state.name == "COMPLETE":
            assert record.value == trial.value


@pytest.mark.parametrize("kind", ["database", "journal", "memory"])
def test_a_study_of_optunas_is_imported_as_it_is_from_wherever_it_is_kept(kind: str) -> None:
    source: Any = {"database": "old.db", "journal": "old.log", "memory": None}[kind]
    storage: Any = {
        "database": lambda: "sqlite:///old.db",
        "journal": lambda: JournalStorage(JournalFileBackend("old.log")),  # type: ignore[no-untyped-call]
        "memory": lambda: None,
    }[kind]()
    old = theirs(storage=storage)
    old.enqueue_trial({"depth": 2})
    before = {path.name: path.read_bytes() for path in Path().glob("old.*")}
    study = tuner.import_trials(old if source is None else source, name="new")
    assert_as_in_optuna(study.records[1:], old.get_trials()[:20])
    assert study.summary.imported == 20
    assert (study.spec.objective.metric, study.spec.objective.direction) == ("value", "minimize")
    pruned = next(t for t in old.trials if t.state.name == "PRUNED")
    assert [r.get("value") for r in study.trial(pruned.number + 1).curve] == [
        pruned.intermediate_values[step] for step in sorted(pruned.intermediate_values)
    ]
    assert "1 trial that waited or ran there are left out" in study.notes[0]
    assert {path.name: path.read_bytes() for path in Path().glob("old.*")} == before
    assert verify(URL).is_sound


def test_its_distributions_become_the_space_with_the_choice_that_a_parameter_hangs_on() -> None:
    theirs()
    space = tuner.import_trials("old.db").spec.search_space()
    assert space.parameters["rate"].describe() == "0.0001 to 1, log"
    assert space.parameters["depth"].describe() == "1 to 4"
    assert space.parameters["kind"].describe() == "plain | heavy | none"
    assert space.parameters["weight"].when == {"kind": ("heavy",)}


def test_distributions_of_optunas_are_a_space() -> None:
    def train(params: Any, context: Any) -> float:
        assert params["kind"] in ("a", None)
        return float(params["x"] + params["n"])

    space = {
        "x": FloatDistribution(0.1, 1.0, step=0.1),
        "n": IntDistribution(1, 64, log=True),
        "kind": CategoricalDistribution(["a", None]),
    }
    study = tuner.start(trainer=train, space=space, name="s", trials=6)
    assert study.spec.search_space().parameters["x"].describe() == "0.1 to 1, step 0.1"
    assert study.spec.search_space().parameters["n"].describe() == "1 to 64, log"


def test_an_imported_study_goes_on_and_its_trials_are_neither_counted_nor_the_best() -> None:
    theirs()
    tuner.import_trials("old.db")
    with pytest.raises(SpecError, match="'old' was imported and has no trainer yet; go on from Python"):
        tuner.resume("old")
    trainer = tuner.from_optuna(objective)
    study = tuner.start(trainer=trainer, name="old", exists="resume", trials=5)
    assert study.summary.started == 5
    assert len(study.records) == 25
    assert study.best.record.origin is Origin.SEARCHED
    assert all("kind" in record.params for record in study.records)
    study = tuner.start(trainer=trainer, name="old", exists="resume", trials=8)
    assert len(study.records) == 28
    assert verify(URL).is_sound


def test_importing_again_adds_what_is_new_only() -> None:
    old = theirs(10)
    tuner.import_trials("old.db", name="new")
    old.optimize(objective, n_trials=4)
    study = tuner.import_trials("old.db", "old", name="new")
    assert_as_in_optuna(study.records[1:], old.trials)
    tuner.import_trials("old.db", "old", name="new")
    assert len(study.refresh().records) == 15


def test_a_csv_of_trials_is_enough() -> None:
    old = theirs()
    old.trials_dataframe().to_csv("trials.csv")
    study = tuner.import_trials("trials.csv", name="new")
    assert [r.value for r in study.records[1:] if r.state == "finished"] == [
        pytest.approx(t.value) for t in old.trials if t.state.name == "COMPLETE"
    ]
    assert study.spec.search_space().parameters["depth"].describe() == "1 to 4"
    Path("plain.csv").write_text("rate,layers,value\n0.1,2,0.5\n0.2,3,0.25\n0.001,1,0.75\n")
    study = tuner.import_trials("plain.csv", direction="maximize")
    assert study.name == "plain"
    assert study.spec.objective.direction == "maximize"
    assert study.spec.search_space().parameters["rate"].describe() == "0.001 to 0.2, log"
    assert [record.value for record in study.records[1:]] == [0.5, 0.25, 0.75]


@pytest.mark.parametrize(
    ("prepare", "source", "name", "words"),
    [
        (lambda: None, "no.db", None, "no.db: there is no such file; give Optuna's database, journal or CSV"),
        (lambda: theirs(2), "old.db", "odl", "old.db: no study 'odl'; known: old"),
        (
            lambda: (theirs(2), theirs(2, name="b")),
            "old.db",
            None,
            "holds 2 studies; name one",
        ),
        (lambda: Path("a.csv").write_text("x,y\n1,2\n"), "a.csv", None, "a.csv: has no column 'value'"),
        (
            lambda: optuna.create_study(storage="sqlite:///old.db", study_name="e"),
            "old.db",
            None,
            "no trial has",
        ),
    ],
)
def test_what_cannot_be_imported_is_told_in_a_sentence(
    prepare: Callable[[], Any], source: str, name: str | None, words: str
) -> None:
    prepare()
    with pytest.raises(SpecError, match=words):
        tuner.import_trials(source, name)


def test_values_that_cannot_be_compared_are_refused() -> None:
    theirs(3)

    def train(params: Any, context: Any) -> dict[str, float]:
        return {"val_score": float(params["rate"])}

    tuner.start(trainer=train, space={"rate": tuner.Float(0, 1)}, metric="val_score", name="s", trials=2)
    with pytest.raises(SpecError, match="'old' minimizes its value, and this study maximizes val_score"):
        tuner.import_trials("old.db", name="s")
    optuna.create_study(storage=URL, study_name="taken")
    with pytest.raises(StudyExists, match="'taken' is a study of plain Optuna there"):
        tuner.import_trials("old.db", "old", name="taken")


def test_the_space_of_an_objective_is_learned_as_it_runs() -> None:
    def branching(trial: Any) -> float:
        x = trial.suggest_float("x", 0.0, 1.0)
        other = trial.suggest_float("late", 0.0, 1.0) if trial.number >= 3 else 0.0
        return float(x + other)

    study = tuner.start(trainer=tuner.from_optuna(branching), name="s", trials=12)
    assert list(study.spec.search_space().parameters) == ["x", "late"]
    # Both at once, where the trials that show them are recorded in one turn.
    assert {spec.command for spec in study.specs[1:]} == {"learned from the trainer"}
    assert study.trial(0).params == {"x": 0.5, "late": 0.5}
    assert study.trial(0).value == 0.5
    assert len({record.params["late"] for record in study.records}) > 5
    assert verify(URL).is_sound


def test_what_the_objective_returns_is_its_value_whatever_it_reported() -> None:
    def humped(trial: Any) -> float:
        trial.suggest_float("x", 0.0, 1.0)
        for step, value in enumerate((3.0, 1.0, 2.0)):
            trial.report(value, step)
        return 2.0

    study = tuner.start(trainer=tuner.from_optuna(humped), name="s", trials=1)
    assert study.trial(0).value == 2.0
    assert [r.get("value") for r in study.trial(0).curve] == [3.0, 1.0, 2.0, 2.0]
    assert verify(URL).is_sound
    assert optuna.load_study(study_name="s", storage=URL).trials[0].value == 2.0


def test_should_prune_says_what_the_studys_rules_decide_and_the_objective_ends_by_itself() -> None:
    ended: list[int] = []

    def slow(trial: Any) -> float:
        x = trial.suggest_float("x", 0.0, 1.0)
        for step in range(20):
            trial.report(x + 1 / (step + 1), step)
            if trial.should_prune():
                ended.append(trial.number)
                raise optuna.TrialPruned
        return float(x)

    study = tuner.start(trainer=tuner.from_optuna(slow), name="s", trials=25, seed=1)
    stopped = [record.number for record in study.records if record.state == "stopped"]
    assert ended == stopped
    assert stopped
    assert all(study.records[number].rule == "pruner" for number in stopped)


def test_an_objective_that_prunes_itself_is_stopped_and_one_that_raises_fails() -> None:
    def moody(trial: Any) -> Any:
        trial.suggest_float("x", 0.0, 1.0)
        if trial.number == 1:
            trial.report(7.0, 0)
            raise optuna.TrialPruned
        if trial.number == 2:
            raise RuntimeError("no luck")
        return None if trial.number == 3 else 1.0

    study = tuner.start(trainer=tuner.from_optuna(moody), name="s", trials=5)
    assert [str(record.state) for record in study.records] == [
        "finished", "stopped", "failed", "failed", "finished"
    ]  # fmt: skip
    assert (study.records[1].rule, study.records[1].value) == ("pruned", 7.0)
    assert "no luck" in str(study.records[2].reason)
    assert "returned None; a number is needed" in str(study.records[3].reason)
    with pytest.raises(TrialError, match="a trial has no 'suggest_uniform' here"):
        tuner.start(trainer=tuner.from_optuna(lambda t: t.suggest_uniform("x", 0, 1)), name="o", trials=1)


def test_several_objectives_go_on_with_their_names() -> None:
    def two(trial: Any) -> tuple[float, float]:
        x = trial.suggest_float("x", 0.0, 1.0)
        return x, 1 - x

    old = optuna.create_study(
        storage="sqlite:///old.db", study_name="two", directions=["minimize", "maximize"]
    )
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        old.set_metric_names(["cost", "gain"])
    old.optimize(two, n_trials=6)
    study = tuner.start(trainer=tuner.from_optuna(two), known="old.db", name="new", trials=4)
    assert [objective.metric for objective in study.spec.objectives()] == ["cost", "gain"]
    assert [(r.value, r.best and r.best.get("gain")) for r in study.records[1:7]] == [
        tuple(trial.values) for trial in old.trials
    ]


LEARNING = """
import os, signal, sys
import tuner

def objective(trial):
    x = trial.suggest_float("x", 0.0, 1.0)
    kind = trial.suggest_categorical("kind", ["a", "b", "c"])
    late = trial.suggest_int("late", 1, 9) if trial.number >= 4 else 5
    for step in range(4):
        if trial.number == int(sys.argv[1]) and step == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        trial.report(x + late + (kind == "a") + 1 / (step + 1), step)
        if trial.should_prune():
            return 99.0
    return x + late + (kind == "a")

tuner.start(trainer=tuner.from_optuna(objective), name="s", trials=20, exists="resume", storage=sys.argv[2])
"""


def test_imported_trials_are_none_of_a_studys_own_wherever_those_are_counted() -> None:
    space = {"x": tuner.Float(0.0, 1.0)}

    def train(params: Any, context: Any) -> Any:
        yield {"val_loss": 1.0 + params["x"]}

    known = [({"x": n / 50}, n / 50) for n in range(40)]
    with_known = tuner.start(trainer=train, space=space, name="more", trials=6, known=known)
    without = tuner.start(trainer=train, space=space, name="less", trials=6)
    assert (sum(with_known.summary.counts.values()), with_known.summary.imported) == (6, 40)
    assert with_known.summary.trials_told == "6 trials and 40 imported"
    assert without.summary.trials_told == "6 trials"
    more, less = tuner.compare(["more", "less"]).sides
    assert (more.trials, less.trials) == (6, 6)
    assert more.epochs == less.epochs == 6
    assert more.reach is not None
    assert more.reach.trials <= 6
    assert int(Evidence(with_known.frame, planned=1).valued.sum()) == 6


def test_a_study_that_learns_its_space_is_killed_and_ends_as_if_it_never_was(tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text(LEARNING)

    def run(dies_in: int, url: str) -> int:
        return processes.run("run.py", str(dies_in), url, cwd=tmp_path).returncode

    assert run(-1, "sqlite:///whole.db") == 0
    for dies_in in (0, 4, 11):
        assert run(dies_in, "sqlite:///cut.db") == -signal.SIGKILL
    assert run(-1, "sqlite:///cut.db") == 0
    whole, cut = (tuner.load("s", storage=f"sqlite:///{tmp_path}/{name}.db") for name in ("whole", "cut"))
    told = [
        [(r.number, r.params, r.value, r.state, r.epochs) for r in study.records] for study in (whole, cut)
    ]
    assert told[0] == told[1]
    assert whole.spec.space == cut.spec.space


@pytest.mark.slow
def test_a_script_of_optunas_goes_on_with_three_changed_lines(tmp_path: Path) -> None:
    before, after = ((EXAMPLES / name).read_text().splitlines() for name in ("before.py", "after.py"))
    changed = [line for line in difflib.ndiff(before, after) if line.startswith("+") and line.strip("+ ")]
    assert len(changed) == 3
    assert len(before) <= 60
    # Drawn by chance, what is known has a middle that a search with that knowledge is well above.
    end = 'direction="maximize"'
    seeded = f"{end}, sampler=optuna.samplers.RandomSampler(seed=0)"
    for name, changes in (
        ("before.py", {"trials=200": "trials=60", end: seeded}),
        ("after.py", {"trials=50": "trials=20"}),
    ):
        shutil.copy(EXAMPLES / name, tmp_path)
        text = (tmp_path / name).read_text()
        for whole, small in {"EPOCHS = 8": "EPOCHS = 1", **changes}.items():
            assert whole in text
            text = text.replace(whole, small)
        (tmp_path / name).write_text(text)
        processes.run(name, cwd=tmp_path, check=True)
    study = tuner.load("digits", storage=f"sqlite:///{tmp_path}/tuner.db")
    assert (study.summary.imported, study.summary.started) == (60, 20)
    old = optuna.load_study(study_name="digits", storage=f"sqlite:///{tmp_path}/old.db")
    own = [record.value for record in study.records if record.origin is Origin.SEARCHED and record.number]
    middle = sorted(trial.value for trial in old.trials if trial.value is not None)[30]
    assert sum(value is not None and value > middle for value in own) > 10, json.dumps(own)
