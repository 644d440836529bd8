"""Data in memory: inferred as a file is, shown, resumed, and what stands in the way of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.datasets import load_iris

import tuner
from tests import processes
from tuner.core.space import Float, Int
from tuner.errors import TrialError

QUICK: dict[str, Any] = {"trainer.epochs": 2, "trainer.workers": 1, "trainer.rows": 1}


def keys(study: tuner.Study) -> dict[str, Any]:
    """A spec but for where its data comes from and its name."""
    table = study.spec.to_table()
    return {k: v for k, v in table.items() if k != "name"} | {"data": {**table["data"], "source": ""}}


def test_a_frame_is_inferred_as_its_file_is(houses: Path) -> None:
    file = tuner.start("house.csv", target="price", trials=2, settings=QUICK)
    frame = pd.read_csv(houses)
    for name, data in {"pandas": frame, "pyarrow": pa.Table.from_pandas(frame)}.items():
        study = tuner.start(name=name, data=data, target="price", trials=2, settings=QUICK)
        assert keys(study) == keys(file)
        assert [r.value for r in study.records] == [r.value for r in file.records]
    for name, source in {"path": houses, "text": "house.csv"}.items():
        study = tuner.start(name=name, data=source, target="price", trials=2, settings=QUICK)
        assert keys(study) == keys(file)


def test_data_from_a_path_gives_the_study_its_name(houses: Path) -> None:
    assert tuner.start(data=houses, target="price", trials=1, settings=QUICK).name == "house"


def test_a_pair_and_a_bunch_need_no_space(images: Path) -> None:
    study = tuner.start(name="iris", data=load_iris(), trials=1, settings=QUICK)
    assert study.spec.trainer.model == "mlp"
    assert reaches_a_linear_model(study)
    assert study.summary.facts["task"] == "classification"
    with np.load(images) as arrays:
        pair = arrays["X"], arrays["y"]
    study = tuner.start(name="images", data=pair, trials=1, settings=QUICK)
    assert study.spec.trainer.model == "cnn"
    assert not reaches_a_linear_model(study)


def reaches_a_linear_model(study: tuner.Study) -> bool:
    depth, l1 = (study.spec.space.parameters[name] for name in ("depth", "l1"))
    assert isinstance(depth, Int)
    assert isinstance(l1, Float)
    return (depth.low, l1.high) == (0, 0.1)


def test_a_study_file_without_a_space_is_given_one(houses: Path) -> None:
    Path("mine.toml").write_text(
        '[data]\nsource = "house.csv"\ntarget = "price"\n[trainer]\nepochs = 2\nrows = 1\n'
        "[budget]\ntrials = 1\n"
    )
    study = tuner.start("mine.toml")
    alone = tuner.check("house.csv", target="price").spec
    assert study.spec.space == alone.space
    assert (study.spec.trainer.epochs, study.spec.budget.trials) == (2, 1)
    assert study.spec.stop == alone.stop


def test_nothing_is_inferred_for_a_network_of_ones_own_or_a_faulty_file(houses: Path) -> None:
    data = {"source": "house.csv", "target": "price"}
    with pytest.raises(tuner.SpecError, match="space: is missing"):
        tuner.start({"data": data, "trainer": {"model": "./net.py:build"}})
    with pytest.raises(tuner.SpecError, match=r"data\.tarket: unknown key") as raised:
        tuner.start({"data": {**data, "tarket": "x"}})
    assert "space" not in str(raised.value)


def test_a_table_in_the_place_of_the_study_is_told_where_it_belongs(houses: Path) -> None:
    with pytest.raises(tuner.SpecError, match=r"study: found a DataFrame; data is given as data="):
        tuner.start(pd.read_csv(houses), target="price")  # type: ignore[arg-type]


def test_a_resumed_study_asks_for_its_data_and_refuses_other_data(houses: Path) -> None:
    frame = pd.read_csv(houses)
    tuner.start(name="f", data=frame, target="price", trials=1, settings=QUICK)
    with pytest.raises(tuner.SpecError, match=r"from Python, which is not stored; .*tuner.resume\('f'"):
        tuner.resume("f", trials=2)
    with pytest.raises(tuner.SpecError, match="is not the data that 'f' was started with"):
        tuner.resume("f", trials=2, data=frame.assign(rooms=1))
    table = pa.Table.from_pandas(frame)
    assert len(tuner.resume("f", trials=2, data=table).records) == 2
    assert tuner.confirm("f", data=frame, top=1, repeats=3).test is not None


def test_a_test_split_in_memory_is_read_by_the_confirmation_alone() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 3))
    data: dict[str, Any] = {"X": x, "y": x[:, 0] > 0, "X_test": x[:20] + 0.1, "y_test": x[:20, 0] > 0}
    study = tuner.start(name="t", data=data, trials=1, settings=QUICK)
    assert "those for the test are not read" in " ".join(study.notes)
    tested = tuner.confirm("t", data=data, top=1, repeats=3).test
    assert tested is not None
    assert tested.rows == 20


def test_an_existing_study_is_refused_resumed_or_replaced(houses: Path) -> None:
    frame = pd.read_csv(houses)

    def start(**more: Any) -> tuner.Study:
        return tuner.start(name="s", data=frame, target="price", settings=QUICK, **more)

    first = start(trials=2, exists="resume")
    with pytest.raises(tuner.StudyExists, match="already there"):
        start(trials=2)
    again = start(trials=2, exists="resume")
    assert again.summary.identity == first.summary.identity
    assert len(start(trials=3, exists="resume").records) == 3
    assert len(start(exists="resume").records) == 3
    with pytest.raises(tuner.SpecError, match=r"trainer\.epochs: 2 -> 3"):
        tuner.start(
            name="s", data=frame, target="price", settings={**QUICK, "trainer.epochs": 3}, exists="resume"
        )
    tuner.confirm("s", data=frame, top=1, repeats=3)
    with pytest.raises(tuner.DataError):
        tuner.start(name="s", data=frame, target="nothing", exists="replace")
    assert len(tuner.load("s").records) == 3
    new = start(trials=1, exists="replace")
    assert new.summary.identity != first.summary.identity
    assert new.notes[0].startswith("This study replaces one of 3 trials that was started on")
    assert len(new.records) == 1
    assert new.confirmation is None
    assert tuner.studies()["name"].tolist() == ["s"]
    with pytest.raises(tuner.SpecError, match="exists: found 'maybe'"):
        start(exists="maybe")


def test_a_study_file_may_be_started_again_and_again(houses: Path) -> None:
    Path("mine.toml").write_text('[data]\nsource = "house.csv"\ntarget = "price"\n')
    for trials in (1, 2, 2):
        study = tuner.start("mine.toml", trials=trials, settings=QUICK, exists="resume")
        assert len(study.records) == trials
    assert len(tuner.resume("mine", trials=3).records) == 3


def test_studies_are_a_frame_with_a_row_each() -> None:
    assert tuner.studies().empty
    tuner.start(name="iris", data=load_iris(), trials=2, settings=QUICK)
    frame = tuner.studies()
    told = frame[["name", "state", "trials", "metric"]].to_numpy().tolist()
    assert told == [["iris", "finished", 2, "val_loss"]]
    assert frame.loc[0, "best_value"] == tuner.load("iris").best.value
    assert str(frame["created_at"].dt.tz) == "UTC"
    assert list(tuner.studies(storage="sqlite:///none.db")) == list(frame)


def test_figures_go_by_their_names() -> None:
    study = tuner.start(name="iris", data=load_iris(), trials=2, settings=QUICK)
    assert "convergence" in study.figures
    assert "compare" not in list(study.figures)
    assert len(study.figures) == len(list(study.figures))
    assert study.figures.convergence == study.figures["convergence"] == study.plot("convergence")
    assert "curves" in dir(study.figures)
    assert "convergence" in repr(study.figures)
    with pytest.raises(AttributeError, match="did you mean 'curves'"):
        study.figures.curve  # noqa: B018
    with pytest.raises(KeyError):
        study.figures["curve"]


def test_a_study_of_failures_raises_with_the_commonest_reason() -> None:
    def train(params: Mapping[str, Any], context: Any) -> float:
        raise RuntimeError("out of luck" if context.number else "first time")

    with pytest.raises(TrialError, match=r"no trial has a value; trial 1 and 3 others: RuntimeError: out"):
        tuner.start(trainer=train, space={"x": tuner.Float(low=0, high=1)}, trials=5)


def test_trials_have_the_numbers_that_a_function_reports() -> None:
    def train(params: Mapping[str, Any], context: Any) -> Iterator[dict[str, float]]:
        for epoch in range(2):
            yield {"val_loss": params["x"], "reward": 10.0 + epoch, "value": 7.0}

    study = tuner.start(trainer=train, space={"x": tuner.Float(low=0, high=1)}, trials=3)
    assert study.trials["reward"].tolist() == [10.0] * 3
    assert study.trials["reading.value"].tolist() == [7.0] * 3


def test_nothing_is_shown_where_output_is_no_terminal_unless_it_is_asked_for() -> None:
    code = (
        "import sys, tuner; from sklearn.datasets import load_iris\n"
        "settings = {'trainer.epochs': 2, 'trainer.rows': 1, 'trainer.workers': 1}\n"
        "for progress in ('auto', True, False):\n"
        "    keys = {'name': str(progress), 'trials': 1, 'settings': settings, 'progress': progress}\n"
        "    tuner.start(data=load_iris(), **keys)\n"
        "    print('next', file=sys.stderr)\n"
    )
    done = processes.run("-c", code, check=True)
    assert done.stdout == ""
    shown = [part.count("locked for the test") for part in done.stderr.split("next\n")]
    assert shown == [0, 1, 0, 0]


def test_progress_is_one_of_three() -> None:
    with pytest.raises(tuner.SpecError, match="progress: found 'yes'; give \"auto\", True or False"):
        tuner.start("digits", progress="yes")  # type: ignore[arg-type]


def test_check_takes_data_from_python(houses: Path) -> None:
    checked = tuner.check(data=pd.read_csv(houses), target="price")
    assert checked.spec.name == "study"
    assert any("Each category gets a column" in note for note in checked.notes)


def test_a_running_study_is_not_replaced() -> None:
    refused: list[str] = []

    def train(params: Mapping[str, Any], context: Any) -> float:
        with pytest.raises(tuner.StudyLocked) as raised:
            tuner.start(name="s", data=load_iris(), trials=1, settings=QUICK, exists="replace")
        refused.append(str(raised.value))
        return 1.0

    study = tuner.start(trainer=train, space={"x": tuner.Float(low=0, high=1)}, name="s", trials=1)
    assert len(refused) == 1
    assert len(study.refresh().records) == 1


def test_columns_that_are_numbered_are_named_by_their_numbers() -> None:
    chance = np.random.default_rng(0)
    frame = pd.DataFrame(np.c_[chance.normal(size=(60, 2)), np.arange(60) % 2])
    one: Any = 2
    assert tuner.check(data=frame, target=one).data is not None
    several = tuner.check(data=frame, target=[0, 1])  # type: ignore[list-item]
    assert several.spec.data is not None
    assert several.spec.data.targets == ("0", "1")
    with pytest.raises(tuner.SpecError, match="target: names no column"):
        tuner.check(data=frame, target=[])


@pytest.mark.parametrize("name", ["book.xlsx", "rows.csv.gz", "rows.json"])
def test_a_file_in_a_form_that_is_not_read_says_how_it_is(name: str) -> None:
    Path(name).write_bytes(b"PK")
    with pytest.raises(tuner.SpecError, match=f"{name}: is neither a study .* save the table as CSV or Parq"):
        tuner.check(name, target="y")
