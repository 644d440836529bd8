from __future__ import annotations

import ast
import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tuner
from tests import processes
from tuner.api import run
from tuner.core.data_spec import DataSpec
from tuner.core.spec import StudySpec
from tuner.data import locked
from tuner.data.split import divide
from tuner.errors import SpecError, StudyNotFound, TrialError
from tuner.judging.confirmation import Confirmation
from tuner.judging.measures import calibration_error
from tuner.judging.sentences import sentences
from tuner.store import Database

URL = "sqlite:///tuner.db"
STUDY: dict[str, Any] = {
    "name": "small",
    "data": {"source": "rows.npz"},
    "trainer": {"use": "torch", "model": "mlp", "epochs": 3, "executor": "inline", "rows": 1},
    "budget": {"trials": 4},
    "confirm": {"top": 2, "repeats": 3},
    "space": {"use": ["optimization"]},
}


def rows(path: Path, seed: int = 0, poison: bool = False) -> None:
    """Two classes, the test split brought along."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(150, 4)).astype(np.float32)
    y = (x[:, 0] + 0.3 * rng.normal(size=150) > 0).astype(int)
    test, truth = x[100:].copy(), y[100:].copy()
    if poison:
        test[:], truth[:] = 1e6, 0
    np.savez(path, X=x[:100], y=y[:100], X_test=test, y_test=truth)


def probabilities(folder: str, inputs: Any) -> Any:
    model: Any = tuner.load_model(folder)
    return model.probabilities(inputs)


@pytest.fixture
def started(tmp_path: Path) -> tuner.Study:
    rows(tmp_path / "rows.npz")
    return tuner.start(STUDY, storage=URL)


def test_confirming_trains_again_recommends_and_opens_the_test_once(started: tuner.Study) -> None:
    found = tuner.confirm("small", storage=URL)
    assert [len(each.values) for each in found.candidates] == [3, 3, 3]
    assert found.candidates[-1].number == 0
    assert {record.origin for record in tuner.load("small~confirm", storage=URL).records} == {"confirming"}
    assert found.redrawn
    assert found.test is not None
    assert found.test.rows == 50
    assert found.test.score.low <= found.test.score.estimate <= found.test.score.high
    assert found.overtuning is not None
    assert found.overtuning.path[0].number == 0
    assert len(found.locked_reads) == 1
    assert found.locked_reads[0].command == "confirm small"
    assert started.refresh().confirmation == found
    assert tuner.load_model(str(found.model_path)).predicts
    assert tuner.studies(storage=URL)["name"].tolist() == ["small"]
    assert "95 % confidence interval" in " ".join(sentences(started.verdict))


def test_test_rows_of_classes_that_no_model_met_are_errors(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(150, 4)).astype(np.float32)
    y = (x[:, 0] > 0).astype(int)
    truth = np.where(np.arange(50) % 2, 2, y[100:])
    np.savez(tmp_path / "rows.npz", X=x[:100], y=y[:100], X_test=x[100:], y_test=truth)
    tuner.start(STUDY, storage=URL)
    test = tuner.confirm("small", storage=URL).test
    assert test is not None
    assert test.rows == 50
    assert test.score.estimate <= 0.5
    assert 8 < test.loss.estimate < 9  # Half of the rows have -log(2^-23) = 15.9.


@pytest.mark.slow
def test_no_interval_of_a_cross_entropy_holds_a_number_below_zero(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 2)).astype(np.float32)
    y = (x[:, 0] > 0).astype(int)
    truth = y[370:].copy()
    truth[np.argmax(abs(x[370:, 0]))] ^= 1
    np.savez(tmp_path / "rows.npz", X=x[:370], y=y[:370], X_test=x[370:], y_test=truth)
    long = {**STUDY["trainer"], "epochs": 25}
    tuner.start(
        {
            **STUDY,
            "trainer": long,
            "space": {"batch_size": {"type": "choice", "choices": [8, 9], "default": 8}},
        },
        storage=URL,
    )
    test = tuner.confirm("small", storage=URL).test
    assert test is not None
    assert test.loss.low > 0


def test_a_second_confirmation_shows_the_first_and_opens_nothing(
    started: tuner.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = tuner.confirm("small", storage=URL)
    monkeypatch.setattr(locked, "unlock", None)
    assert tuner.confirm("small", storage=URL) == found
    assert tuner.resume("small", trials=5, storage=URL, confirm=True).confirmation == found
    assert "The search went on after this" in " ".join(sentences(started.refresh().verdict))


def test_opening_the_test_again_has_to_be_asked_for_and_is_told(started: tuner.Study) -> None:
    first = tuner.confirm("small", storage=URL)
    second = tuner.confirm("small", storage=URL, reopen=True)
    assert second.confirmed_by != first.confirmed_by
    assert [opening.command for opening in second.locked_reads] == ["confirm small", "confirm small --reopen"]
    assert "read twice" in " ".join(sentences(started.refresh().verdict))


def test_repeats_of_all_candidates_train_on_the_same_split(started: tuner.Study) -> None:
    tuner.confirm("small", storage=URL)
    with Database.open(URL) as database:
        spec = database.study("small~confirm").spec
        trained = database.records("small~confirm")
    assert [record.number for record in trained] == list(range(9))
    assert all(trained[n].params == trained[n % 3].params for n in range(9))
    assert spec["search"]["pruner"] == "none"
    assert "folds" not in spec["data"]


def test_only_the_recommended_model_stays_and_is_exported(started: tuner.Study, tmp_path: Path) -> None:
    found = tuner.confirm("small", storage=URL)
    with Database.open(URL) as database:
        kept = [r.model_path for r in database.records("small~confirm") if r.model_path is not None]
    assert kept == [found.model_path]
    files = tuner.export("small", tmp_path / "out", storage=URL)
    theirs = (Path(str(found.model_path)) / "model.safetensors").read_bytes()
    assert (tmp_path / "out" / "model" / "model.safetensors").read_bytes() == theirs
    assert files
    assert json.loads((tmp_path / "out" / "best.json").read_text())["confirmed"]["study"] == "small"


def test_a_confirmation_that_was_cut_off_after_the_opening_goes_on_under_it(
    started: tuner.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(locked, "unlock", cut)
        with pytest.raises(KeyboardInterrupt):
            tuner.confirm("small", storage=URL)
    with Database.open(URL) as database:
        (before,) = database.confirmations("small")
    assert before.opened
    assert before.result is None
    found = tuner.confirm("small", storage=URL)
    assert [opening.at for opening in found.locked_reads] == [before.at]


def over(database: Database) -> int:
    """How many repeats have ended."""
    with contextlib.suppress(StudyNotFound):
        return sum(record.state.is_over for record in database.records("small~confirm"))
    return 0


@pytest.mark.slow
def test_a_confirmation_that_was_killed_ends_as_one_that_was_not(tmp_path: Path) -> None:
    code = "import sys, tuner; tuner.confirm('small', storage=sys.argv[1])"
    found: list[Confirmation] = []
    for name in ("whole", "killed"):
        folder = tmp_path / name
        folder.mkdir()
        rows(folder / "rows.npz")
        url = f"sqlite:///{folder}/tuner.db"
        tuner.start({**STUDY, "data": {"source": str(folder / "rows.npz")}}, storage=url)
        if name == "killed":
            process = processes.start("-c", code, url, cwd=folder)
            with Database.open(url) as database:
                while process.poll() is None and over(database) < 2:
                    time.sleep(0.05)
            process.kill()
            process.wait()
        found.append(tuner.confirm("small", storage=url))
    whole, killed = (replace(each, locked_reads=(), model_path=None) for each in found)
    assert whole == killed


def test_a_study_without_data_is_confirmed_by_its_repeats_alone() -> None:
    def train(params: Any, context: Any) -> Any:
        rng = np.random.default_rng(context.seed)
        yield {"train_loss": 1.0, "val_loss": (params["x"] - 0.7) ** 2 + 0.001 * rng.normal()}

    space = {"x": tuner.Float(low=0.0, high=1.0, default=0.1)}
    tuner.start(trainer=train, space=space, name="parabola", trials=8, storage=URL)
    found = tuner.confirm("parabola", storage=URL, trainer=train, repeats=4)
    assert found.test is None
    assert "no [data]" in str(found.untested)
    assert found.locked_reads == ()
    assert found.choice.recommended != 0
    assert not found.redrawn


def test_what_makes_no_sense_is_refused(started: tuner.Study) -> None:
    with pytest.raises(SpecError, match="at least 3"):
        tuner.confirm("small", repeats=2, storage=URL)
    tuner.confirm("small", storage=URL)
    with pytest.raises(SpecError, match="confirm that one"):
        tuner.confirm("small~confirm", storage=URL)


def test_start_confirms_where_it_is_asked_to_and_the_study_allows_it(tmp_path: Path) -> None:
    rows(tmp_path / "rows.npz")
    assert tuner.start(STUDY, storage=URL, confirm=True).confirmation is not None
    quiet = {**STUDY, "name": "quiet", "confirm": {"auto": False}}
    assert tuner.start(quiet, storage=URL, confirm=True).confirmation is None
    timed = {**STUDY, "name": "timed", "budget": {"trials": 4, "seconds": 600}}
    assert tuner.start(timed, storage=URL, confirm=True).confirmation is None


def test_what_would_train_for_long_is_confirmed_only_when_it_is_asked_for() -> None:
    def train(params: dict[str, Any], context: Any) -> Any:
        yield {"val_loss": params["x"]}

    space = {"x": tuner.Float(low=0.1, high=1.0, default=0.5)}
    study = tuner.start(trainer=train, space=space, name="s", trials=3, storage=URL)
    spec = StudySpec.parse({**study.spec.to_table(), "trainer": {"epochs": 9}}, "s")
    records = [replace(each, epochs=9, seconds=90.0) for each in study.records]
    assert run.takes_long(spec, records)  # 30 trainings of 90 seconds after three
    assert not run.takes_long(spec, [replace(each, seconds=1.0) for each in records])
    assert not run.takes_long(spec, records * 20)
    compiled = [replace(each, seconds=9000.0 if each.number == 0 else 1.0) for each in records]
    assert not run.takes_long(spec, compiled[:1] + compiled[1:] * 2)


def test_a_study_whose_trials_all_failed_cannot_be_confirmed() -> None:
    def train(params: Any, context: Any) -> Any:
        raise ValueError("never")

    space = {"x": tuner.Float(low=0.0, high=1.0, default=0.1)}
    with pytest.raises(TrialError, match="no trial has a value"):
        tuner.start(trainer=train, space=space, name="fails", trials=2, storage=URL)
    with pytest.raises(TrialError, match="nothing to confirm"):
        tuner.confirm("fails", trainer=train, storage=URL)


def test_nothing_but_the_confirmation_imports_the_locked_rows() -> None:
    package = Path(tuner.__file__).parent
    importers = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "tuner.data":
                named = {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module == "tuner.data.locked":
                named = {"locked"}
            elif isinstance(node, ast.Import):
                named = {"locked"} if any(a.name == "tuner.data.locked" for a in node.names) else set()
            else:
                continue
            if "locked" in named:
                importers.add(path.relative_to(package).as_posix())
    assert importers == {"api/confirming.py"}


@pytest.mark.parametrize("kind", ["npz", "function", "time", "random", "folds", "reshuffle"])
def test_poisoned_test_rows_change_nothing_before_the_confirmation(tmp_path: Path, kind: str) -> None:
    told = []
    for poison in (False, True):
        folder = tmp_path / f"{poison}"
        folder.mkdir()
        source = poisoned(folder, kind, poison)
        url = f"sqlite:///{folder}/tuner.db"
        table = {**STUDY, "data": source, "search": {"pruner": "none"}}
        study = tuner.start(table, storage=url, trials=2)
        study = tuner.resume("small", storage=url, trials=3)
        tuner.export("small", folder / "out", storage=url)
        weights = (folder / "out" / "model" / "model.safetensors").read_bytes()
        records = [(r.params, r.value, r.best and r.best.val_loss) for r in study.records]
        told.append((records, study.best.number, weights, study.summary.facts["notes"][0]))
    assert told[0] == told[1]


def poisoned(folder: Path, kind: str, poison: bool) -> dict[str, Any]:
    """A source whose test rows are as they should be, or are nonsense."""
    if kind == "npz":
        rows(folder / "rows.npz", poison=poison)
        return {"source": str(folder / "rows.npz")}
    if kind == "function":
        rows(folder / "rows.npz", poison=poison)
        text = f"import numpy as np\ndef load():\n    return dict(np.load({str(folder / 'rows.npz')!r}))\n"
        (folder / "source.py").write_text(text)
        return {"source": f"{folder / 'source.py'}:load"}
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 3)).round(6)
    y = x[:, 0] + 0.1 * rng.normal(size=120)
    lines = [[*row, value, time] for row, value, time in zip(x.tolist(), y.tolist(), range(120), strict=True)]
    how: dict[str, Any] = {"source": str(folder / "rows.csv"), "target": "y"}
    further: dict[str, dict[str, Any]] = {
        "time": {"split": "time", "time": "when"},
        "random": {},
        "folds": {"folds": 2},
        "reshuffle": {"reshuffle": True},
    }
    how |= further[kind]
    keys = np.arange(120) if kind == "time" else None
    for row in divide(120, keys, DataSpec(**how), "rows").test if poison else ():
        lines[row][:4] = [1e9, -1e9, 0.0, 1e9]
    text = "\n".join(["a,b,c,y,when", *(",".join(map(str, line)) for line in lines)])
    (folder / "rows.csv").write_text(text)
    return how


def by_luck(params: Mapping[str, Any], context: Any) -> Iterator[dict[str, float]]:
    """A loss that the seed decides."""
    yield {"val_loss": 1 + float(np.random.default_rng(context.seed).uniform())}


def test_findings_go_by_what_training_again_has_shown() -> None:
    space = {"x": tuner.Float(low=0, high=1, default=0.5)}
    settings = {"confirm.auto": False, "confirm.top": 3, "confirm.repeats": 3, "trainer.epochs": 1}
    study = tuner.start(trainer=by_luck, space=space, trials=12, name="luck", settings=settings)
    assert "noisy" not in {each.name for each in study.findings()}
    tuner.confirm("luck", trainer=by_luck)
    (noisy,) = [each for each in study.refresh().findings() if each.name == "noisy"]
    assert 0.05 < float(noisy.numbers["spread"]) < 1


def test_the_mean_of_the_recommended_trainings_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows(tmp_path / "rows.npz")
    confirm = {**STUDY["confirm"], "average": True}
    study = tuner.start({**STUDY, "confirm": confirm}, storage=URL)
    with monkeypatch.context() as patched:
        patched.setattr("tuner.api.confirming._tidy", lambda *_: None)  # Killed before its last step.
        found = tuner.confirm("small", storage=URL)
    with Database.open(URL) as database:
        files, place = database.artifacts("small~confirm"), int(Path(str(found.model_path)).name)
        each = [files.get(number) for number in range(place, 9, 3)]
    inputs = np.load(tmp_path / "rows.npz")["X_test"]
    expected = np.mean([probabilities(str(path), inputs) for path in each], axis=0)
    assert tuner.confirm("small", storage=URL) == found
    assert found.averaged == 3
    model: Any = tuner.load_model(study.refresh().recommended.folder)
    assert len(model.members) == 3
    np.testing.assert_allclose(model.probabilities(inputs), expected, rtol=1e-6)
    truth = np.load(tmp_path / "rows.npz")["y_test"].astype(str)
    assert found.test is not None
    assert found.test.kept_score is not None
    assert found.test.kept_score.estimate == pytest.approx((model.predict(inputs) == truth).mean())
    assert found.test.of_kept[0].estimate == pytest.approx(model.losses(inputs, truth).mean(), rel=1e-5)
    assert found.test.of_kept[0].estimate < found.test.loss.estimate
    off = calibration_error(truth.astype(np.intp), model.probabilities(inputs))
    assert found.test.calibration == pytest.approx(off)
    assert "The kept model is the mean of 3 of these models" in " ".join(sentences(study.verdict))
    tuner.export("small", "out", storage=URL)
    np.testing.assert_array_equal(probabilities("out", inputs), model.probabilities(inputs))


@pytest.mark.parametrize("score", ["roc_auc", "log_loss"])
def test_a_score_of_probabilities_of_the_kept_mean_is_told(tmp_path: Path, score: str) -> None:
    rows(tmp_path / "rows.npz")
    confirm, trainer = {**STUDY["confirm"], "average": True}, {**STUDY["trainer"], "score": score}
    tuner.start({**STUDY, "confirm": confirm, "trainer": trainer}, storage=URL)
    test = tuner.confirm("small", storage=URL).test
    assert test is not None
    assert test.kept_score is not None
    assert 0 < test.kept_score.estimate < 1
