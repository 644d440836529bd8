from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.cluster import Birch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer
from skops import io

from tuner import content
from tuner.core.dataset import Dataset, Split
from tuner.core.job import Job
from tuner.core.spec import StudySpec
from tuner.core.training import Exhausted, Failure, Snapshot, Trainer
from tuner.core.trial import Params, Reading, Trial, Value
from tuner.data import load
from tuner.errors import TrialError
from tuner.testing.trainer import TrainerContract, blobs, line, same, written_and_read
from tuner.trainers import load_model, open_batch, scores
from tuner.trainers.sklearn import SklearnTrainer
from tuner.trainers.sklearn.measures import measure


class SklearnContract(TrainerContract):
    def trainer(self) -> Trainer:
        return SklearnTrainer()


class TestMLPClassifier(SklearnContract):
    def job(self) -> Job:
        return Job(sklearn_study({"learning_rate_init": 0.01}, "mlp"), blobs(), rows=2)

    def params(self, number: int) -> Params:
        return {"learning_rate_init": 0.01 * (number + 1), "hidden_layer_sizes": 8, "batch_size": 16}

    def broken_params(self) -> Params:
        return {"learning_rate_init": "much"}

    def diverging_params(self) -> Params:
        return {"learning_rate_init": 1e300, "solver": "sgd"}


class TestSGDRegressor(SklearnContract):
    def job(self) -> Job:
        return Job(sklearn_study({"alpha": 0.01}, "sgd"), line(), rows=2)

    def params(self, number: int) -> Params:
        return {"alpha": 0.01 * (number + 1), "scaling": "min-max"}

    def broken_params(self) -> Params:
        return {"alpha": -1.0}

    def diverging_params(self) -> Params:
        return {"eta0": 1e300, "learning_rate": "constant"}


class TestRandomForest(SklearnContract):
    """Fits once, so a trial has one epoch."""

    def job(self) -> Job:
        return Job(sklearn_study({"max_depth": 3}, "forest", {"n_estimators": 5}), blobs(), rows=2)

    def params(self, number: int) -> Params:
        return {"max_depth": number % 2 + 1, "max_features": 2}

    def broken_params(self) -> Params:
        return {"max_depth": 0}


def sklearn_study(
    defaults: dict[str, Value],
    model: str | None = None,
    settings: dict[str, Any] | None = None,
    **trainer: Any,
) -> StudySpec:
    space = {name: {"type": "choice", "choices": [v], "default": v} for name, v in defaults.items()}
    section = {"use": "sklearn", "epochs": 3, "settings": settings or {}, **trainer}
    return StudySpec.parse({"trainer": section | ({"model": model} if model else {}), "space": space})


def train(spec: StudySpec, data: Dataset, params: Params, epochs: int = 3) -> list[Any]:
    batch = open_batch(SklearnTrainer(), Job(spec, data))
    batch.place(0, Trial(0, params, 0))
    return [batch.advance()[0] for _ in range(epochs)]


def readings(spec: StudySpec, data: Dataset, params: Params, epochs: int = 3) -> list[Reading]:
    outcomes = train(spec, data, params, epochs)
    assert all(isinstance(outcome, Reading) for outcome in outcomes), outcomes
    return outcomes


class HardVotes(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Has neither probabilities nor epochs, and draws from the global generator."""

    def __init__(self, share: float = 0.0) -> None:
        self.share = share

    def fit(self, x: Any, y: Any) -> HardVotes:
        self.classes_ = np.unique(y)
        self.center_ = np.stack([x[y == c].mean(0) for c in self.classes_])
        self.draw_ = float(np.random.random())
        return self

    def predict(self, x: Any) -> Any:
        return self.classes_[((x[:, None] - self.center_) ** 2).sum(2).argmin(1)]


OWN = f"{__name__}:HardVotes"


def test_epochs_go_on_from_one_another() -> None:
    curve = readings(sklearn_study({"alpha": 1e-4}), blobs(), {"learning_rate_init": 0.01}, epochs=6)
    assert curve[-1].train_loss < curve[2].train_loss < curve[0].train_loss
    assert curve[-1].train_score > 0.8


def test_an_estimator_without_partial_fit_has_one_epoch() -> None:
    first, second = train(sklearn_study({"max_depth": 3}, "forest"), blobs(), {"max_depth": 3}, 2)
    assert isinstance(first, Reading)
    assert second == Exhausted()


def test_losses_and_scores_are_those_of_sklearn() -> None:
    data = blobs()
    fitted = LogisticRegression().fit(data.train.x, data.train.y)
    x, y = data.validation.x, data.validation.y
    truth = (
        metrics.log_loss(y, fitted.predict_proba(x)),
        metrics.f1_score(y, fitted.predict(x), average="macro"),
    )
    assert measure(fitted, x, y, data, scores.f1) == pytest.approx(truth)


def test_a_class_that_training_never_saw_costs_as_much_as_can_be() -> None:
    data = blobs()
    seen = data.train.y > 0
    fitted = LogisticRegression().fit(data.train.x[seen], data.train.y[seen])
    y = np.zeros(5, np.int64)
    loss, score = measure(fitted, data.validation.x[:5], y, data, scores.accuracy)
    assert loss == pytest.approx(-math.log(np.finfo(np.float32).eps))
    assert score == 0


def test_without_probabilities_the_loss_is_the_share_of_errors() -> None:
    reading = readings(sklearn_study({"share": 0.0}, OWN), blobs(), {"share": 0.0}, 1)[0]
    assert reading.val_loss == pytest.approx(1 - reading.val_score)


def test_rmse_is_in_the_targets_units_and_the_loss_is_standardized() -> None:
    reading = readings(sklearn_study({"alpha": 0.0}, "sgd", score="rmse"), line(), {"alpha": 0.0})[-1]
    assert reading.val_score == pytest.approx(20 * math.sqrt(reading.val_loss))


def test_several_targets_are_fitted_together() -> None:
    data = line()
    two = [Split(s.x, np.stack([s.y, -s.y], 1)) for s in (data.train, data.validation)]
    data = dataclasses.replace(data, train=two[0], validation=two[1], target_scale=np.array([2.0, 3.0], "f4"))
    reading = readings(sklearn_study({"max_depth": 3}, "forest"), data, {"max_depth": 3}, 1)[0]
    assert 0 < reading.val_loss < 1


def test_images_are_flattened() -> None:
    data = blobs()
    images = [Split(np.stack([s.x] * 2, 1)[:, None], s.y) for s in (data.train, data.validation)]
    data = dataclasses.replace(data, train=images[0], validation=images[1], features=())
    assert data.input_shape == (1, 2, 5)
    assert readings(sklearn_study({"alpha": 0.1}), data, {"alpha": 0.1})


def test_training_loss_is_measured_on_no_more_rows_than_validation() -> None:
    data = blobs(rows=300)
    data = dataclasses.replace(data, validation=Split(data.validation.x[:7], data.validation.y[:7]))
    spec = sklearn_study({"share": 0.0}, OWN)
    score = readings(spec, data, {"share": 0.0}, 1)[0].train_score
    assert score * 7 == pytest.approx(round(score * 7))


def test_scaling_of_a_trial_replaces_the_data_sets() -> None:
    spec = sklearn_study({"alpha": 0.1})
    curves = [readings(spec, blobs(), {"alpha": 0.1, "scaling": kind}) for kind in ("none", "standard")]
    assert curves[0] != curves[1]
    assert [r.val_loss for r in readings(spec, blobs(), {"alpha": 0.1})] == [r.val_loss for r in curves[1]]


def own_job() -> Job:
    return Job(sklearn_study({"share": 0.0}, OWN), blobs())


def test_an_estimator_without_random_state_follows_the_trials_seed() -> None:
    draws = []
    for number in (0, 0, 1):
        session = SklearnTrainer().start(own_job(), Trial(number, {"share": 0.0}, 0))
        session.next()
        draws.append(session.kept.draw_)
    assert draws[0] == draws[1] != draws[2]


def test_wrong_value_fails_its_trial_with_the_estimators_own_words() -> None:
    failure = train(sklearn_study({"alpha": 0.1}), blobs(), {"alpha": -1.0}, 1)[0]
    assert isinstance(failure, Failure)
    assert "'alpha' parameter of MLPClassifier must be a float" in failure.error


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        (sklearn_study({"alhpa": 0.1}), "space.alhpa: MLPClassifier has no such parameter; known: "),
        (sklearn_study({"alhpa": 0.1}), "did you mean 'alpha'?"),
        (sklearn_study({"alpha": 0.1, "scaling": "minmax"}), "did you mean 'min-max'?"),
        (sklearn_study({"alpha": 0.1}, "cnn"), "trainer.model: unknown name 'cnn'; known: boosting"),
        (
            sklearn_study({"alpha": 0.1}, "sklearn.svm:SVM"),
            "trainer.model: sklearn.svm:SVM: sklearn.svm has no",
        ),
        (sklearn_study({"alpha": 0.1}, "math:pi"), "math:pi is a float; give the estimator's class"),
        (sklearn_study({"alpha": 0.1}, "pathlib:Path"), "pathlib:Path is no estimator: it has no fit"),
        (sklearn_study({"C": 0.1}, "sklearn.svm:SVR"), "SVR is not for classification"),
        (
            sklearn_study({"alpha": 0.1}, settings={"sizes": 3}),
            "trainer.settings: MLPClassifier cannot be built",
        ),
        (sklearn_study({"alpha": 0.1}, score="r2"), "'r2' is not for classification; give one of accuracy"),
        (sklearn_study({"alpha": 0.1}, precision="bfloat16"), "trainer.precision: scikit-learn"),
        (sklearn_study({"alpha": 0.1}, rates={"*": 0.1}), "trainer.rates: an estimator"),
        (sklearn_study({"alpha": 0.1}, loss="mae"), "measured by cross_entropy, found 'mae'; drop it"),
    ],
)
def test_faults_say_what_to_do(spec: StudySpec, fault: str) -> None:
    found = SklearnTrainer().validate(spec, blobs())
    assert any(fault in sentence for sentence in found), found


def test_the_shipped_study_has_no_faults_and_its_default_trains() -> None:
    path = content.find("study", "digits_sklearn")
    spec = StudySpec.parse(content.read(path), str(path))
    assert spec.data is not None
    data = load(spec.data, path.parent)
    assert SklearnTrainer().validate(spec, data) == []
    first, *_, last = readings(spec, data, spec.search_space().defaults())
    assert last.val_score > first.val_score + 0.3


def test_missing_data_is_a_fault() -> None:
    assert "needs [data]" in SklearnTrainer().validate(sklearn_study({"alpha": 0.1}), None)[0]


def saved(folder: Path, model: str | None, params: Params, data: Dataset) -> Path:
    folder.mkdir(exist_ok=True)
    batch = open_batch(SklearnTrainer(), Job(sklearn_study(dict(params), model), data))
    batch.place(0, Trial(4, params, 0))
    batch.advance()
    assert batch.save(0, folder)
    return folder


FRESH = """
import sys, json
from pathlib import Path
import numpy as np
from tuner.trainers import load_model
for folder in map(Path, sys.argv[1:]):
    rows = np.load(folder.with_suffix(".npy"))
    print(json.dumps(load_model(folder).predict(rows).tolist()))
"""


def test_saved_models_predict_alike_in_a_fresh_process(tmp_path: Path) -> None:
    here, folders = [], []
    quick: Params = {"random_state": 3, "max_iter": 5}
    for model, data, params in (("mlp", blobs(), {"random_state": 3}), ("boosting", line(), quick)):
        folder = saved(tmp_path / model, model, params, data)
        np.save(folder.with_suffix(".npy"), data.validation.x)
        loaded = load_model(folder)
        here.append(loaded.predict(data.validation.x).tolist())
        folders.append(str(folder))
        assert loaded.description["params"] == params
        assert loaded.description["best"]["epoch"] == 1
    told = subprocess.run([sys.executable, "-c", FRESH, *folders], capture_output=True, check=True, text=True)
    assert [json.loads(answer) for answer in told.stdout.splitlines()] == here


def test_probabilities_stand_in_the_order_of_the_classes(tmp_path: Path) -> None:
    data = blobs()
    model: Any = load_model(saved(tmp_path, "mlp", {"alpha": 0.1}, data))
    probabilities = model.probabilities(data.validation.x)
    assert probabilities.shape == (30, 3)
    assert (model.predict(data.validation.x) == np.take(data.classes, probabilities.argmax(1))).all()


def test_the_estimators_own_class_is_trusted_and_no_other(tmp_path: Path) -> None:
    folder = saved(tmp_path, OWN, {"share": 0.5}, blobs())
    assert type(load_model(folder).module) is HardVotes
    table = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(table | {"estimator": "sklearn.svm:SVC"}))
    with pytest.raises(TrialError, match=r"HardVotes, which may run any code; it is not loaded"):
        load_model(folder)


def test_functions_in_a_model_are_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path, "mlp", {"alpha": 0.5}, blobs())
    io.dump(FunctionTransformer(metrics.accuracy_score), folder / "model.skops")
    with pytest.raises(TrialError, match="accuracy_score, which may run any code"):
        load_model(folder)


def test_another_estimator_than_described_is_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path, "mlp", {"alpha": 0.5}, blobs())
    io.dump(LogisticRegression(), folder / "model.skops")
    with pytest.raises(TrialError, match="holds a LogisticRegression, not a MLPClassifier"):
        load_model(folder)


def test_an_estimator_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    session = SklearnTrainer().start(own_job(), Trial(4, {"share": 0.0}, 0))
    session.next()
    session.kept.part = Birch()
    with pytest.raises(TrialError, match=r"skops cannot write it: .*Birch"):
        session.save(tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "model.skops").unlink(),
        lambda folder: (folder / "model.skops").write_bytes(b"PK"),
        lambda folder: _without(folder, "scaling"),
        lambda folder: _without(folder, "estimator"),
        lambda folder: _without(folder, "context"),
        lambda folder: _without(folder, "format"),
        lambda folder: _emptied(folder / "model.skops"),
    ],
)
def test_damage_is_told_in_one_line(damage: Any, tmp_path: Path) -> None:
    folder = saved(tmp_path, "mlp", {"alpha": 0.5}, blobs())
    damage(folder)
    with pytest.raises(TrialError) as caught:
        load_model(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_rows_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    model = load_model(saved(tmp_path, "mlp", {"alpha": 0.5}, blobs()))
    with pytest.raises(TrialError, match="shape"):
        model.predict(np.zeros((2, 3)))


def _without(folder: Path, key: str) -> None:
    table = json.loads((folder / "model.json").read_text())
    del table[key]
    (folder / "model.json").write_text(json.dumps(table))


def _emptied(path: Path) -> None:
    with zipfile.ZipFile(path, "w"):
        pass


def test_an_estimator_from_a_file_of_ones_own_is_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = ("from sklearn.naive_bayes import GaussianNB", "class Mine(GaussianNB):", "    pass")
    Path("own.py").write_text("\n".join(lines))
    folder = saved(tmp_path / "model", "./own.py:Mine", {"var_smoothing": 1e-8}, blobs())
    monkeypatch.chdir("/")
    assert type(load_model(folder).module).__name__ == "Mine"
    (tmp_path / "own.py").unlink()
    with pytest.raises(TrialError, match="no such file"):
        load_model(folder)


BY_EPOCHS: list[tuple[str, Dataset, Params]] = [
    ("mlp", blobs(), {"hidden_layer_sizes": 6, "batch_size": 16}),
    ("mlp", line(), {"hidden_layer_sizes": 6, "solver": "sgd", "learning_rate": "invscaling"}),
    ("sgd", blobs(), {"loss": "log_loss", "average": True}),
    ("sgd", line(), {"loss": "huber", "learning_rate": "adaptive", "eta0": 0.1}),
    ("sklearn.linear_model:Perceptron", blobs(), {"penalty": "l2"}),
    ("sklearn.naive_bayes:GaussianNB", blobs(), {}),
    ("sklearn.naive_bayes:BernoulliNB", blobs(), {"alpha": 0.1}),
]


@pytest.mark.parametrize(("name", "data", "params"), BY_EPOCHS, ids=lambda each: str(each)[:40])
def test_estimators_by_epochs_go_on_bit_for_bit(name: str, data: Dataset, params: Params) -> None:
    spec = sklearn_study({"scaling": "standard"}, name)
    wanted = readings(spec, data, params, 4)
    snapshot, found = None, []
    for _ in range(4):
        batch = open_batch(SklearnTrainer(), Job(spec, data))
        batch.place(0, Trial(0, params, 0), snapshot)
        found.append(batch.advance()[0])
        state = batch.snapshot(0)
        assert state is not None
        snapshot = written_and_read(state)
    assert same(found, wanted)  # type: ignore[arg-type]


def test_an_estimator_that_fits_once_and_was_kept_has_nothing_more_to_train() -> None:
    batch = open_batch(SklearnTrainer(), Job(sklearn_study({"share": 0.0}, OWN), blobs()))
    batch.place(0, Trial(4, {"share": 0.0}, 0))
    assert batch.snapshot(0) is None
    batch.advance()
    snapshot = batch.snapshot(0)
    assert snapshot is not None
    batch.clear(0)
    batch.place(0, Trial(4, {"share": 0.0}, 0), written_and_read(snapshot))
    assert batch.advance() == {0: Exhausted()}


def test_an_estimator_that_skops_cannot_write_has_no_snapshot(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="tuner.trainers.sklearn.session")
    session = SklearnTrainer().start(own_job(), Trial(4, {"share": 0.0}, 0))
    session.next()
    session.estimator.part = Birch()
    assert session.snapshot() is session.snapshot() is None
    assert caplog.text.count("trial 4: its state cannot be kept") == 1


def test_a_snapshot_with_anything_but_estimators_in_it_fails_the_trial() -> None:
    batch = open_batch(SklearnTrainer(), Job(sklearn_study({"alpha": 0.1}), blobs()))
    batch.place(0, Trial(4, {"alpha": 0.1}, 0))
    batch.advance()
    snapshot = batch.snapshot(0)
    assert snapshot is not None
    foreign = np.frombuffer(io.dumps({"now": FunctionTransformer(metrics.accuracy_score)}), np.uint8)
    batch.clear(0)
    batch.place(
        0,
        Trial(4, {"alpha": 0.1}, 0),
        Snapshot(1, {**snapshot.arrays, "estimators": foreign}, snapshot.facts),
    )
    failure = batch.advance()[0]
    assert isinstance(failure, Failure)
    assert "the state of trial 4: holds" in failure.error
    assert "it is not loaded" in failure.error


def weighed(data: Dataset) -> Dataset:
    weight = np.random.default_rng(0).choice([0.5, 3.0], len(data.train)).astype(np.float32)
    held = np.random.default_rng(1).choice([0.5, 3.0], len(data.validation)).astype(np.float32)
    return dataclasses.replace(
        data,
        train=dataclasses.replace(data.train, weight=weight / weight.mean()),
        validation=dataclasses.replace(data.validation, weight=held / held.mean()),
    )


def one_epoch(spec: StudySpec, data: Dataset, params: Params) -> tuple[Reading, Any]:
    session = SklearnTrainer().start(Job(spec, data), Trial(0, params, 0))
    outcome = session.next()
    assert isinstance(outcome, Reading)
    return outcome, session.estimator


def test_rows_and_classes_are_weighted_as_scikit_learn_does() -> None:
    data = weighed(blobs())
    spec = sklearn_study(
        {"C": 1.0}, "sklearn.linear_model:LogisticRegression", {"max_iter": 500}, class_weight={"ant": 4.0}
    )
    found, estimator = one_epoch(spec, data, {"C": 1.0})
    x = (data.train.x - data.train.x.mean(0)) / data.train.x.std(0)
    held = (data.validation.x - data.train.x.mean(0)) / data.train.x.std(0)
    weight = np.where(data.train.y == 0, 4.0, 1.0) * data.train.weight
    theirs = LogisticRegression(max_iter=500).fit(x, data.train.y, sample_weight=weight / weight.mean())
    np.testing.assert_allclose(estimator.coef_, theirs.coef_, atol=1e-3)
    expected = metrics.log_loss(
        data.validation.y, theirs.predict_proba(held), sample_weight=data.validation.weight
    )
    assert found.val_loss == pytest.approx(expected, rel=1e-3)
    share = metrics.accuracy_score(
        data.validation.y, theirs.predict(held), sample_weight=data.validation.weight
    )
    assert found.val_score == pytest.approx(share)


def test_class_weights_are_searched_where_the_estimator_has_none_of_its_own() -> None:
    spec = sklearn_study({"class_weight": "none"}, "mlp")
    assert SklearnTrainer().validate(spec, blobs()) == []
    data = blobs()
    train = dataclasses.replace(data.train, y=np.where(data.train.y > 0, data.train.y, 1), x=data.train.x)
    train.y[:6] = 0
    data = dataclasses.replace(data, train=train)
    plain, _ = one_epoch(spec, data, {"class_weight": "none"})
    weighted, _ = one_epoch(spec, data, {"class_weight": "balanced"})
    assert plain.val_loss != weighted.val_loss
    forest = sklearn_study({"class_weight": "none"}, "forest", {"n_estimators": 5})
    assert SklearnTrainer().validate(forest, data) == []
    _, estimator = one_epoch(forest, data, {"class_weight": "none"})
    assert estimator.class_weight is None


def test_an_estimator_without_weights_says_so() -> None:
    spec = sklearn_study({"n_neighbors": 3}, "sklearn.neighbors:KNeighborsClassifier")
    assert SklearnTrainer().validate(spec, weighed(blobs())) == [
        "data.weight: KNeighborsClassifier fits rows without weights; drop it, or give another estimator"
    ]
    spec = sklearn_study({"class_weight": "none"}, "sklearn.neighbors:KNeighborsClassifier")
    assert SklearnTrainer().validate(spec, blobs()) == [
        "space.class_weight: KNeighborsClassifier fits rows without weights; drop it"
    ]


def test_a_target_learned_by_its_logarithm_is_told_in_its_own_units(tmp_path: Path) -> None:
    data = dataclasses.replace(line(), target_shift=5.0, target_scale=0.5, target_log=True)
    session = SklearnTrainer().start(
        Job(sklearn_study({"max_depth": 4}, "forest", {"n_estimators": 9}, score="mae"), data),
        Trial(0, {"max_depth": 4}, 0),
    )
    reading = session.next()
    assert isinstance(reading, Reading)
    session.save(tmp_path)
    model, truth = load_model(tmp_path), np.exp(data.validation.y * 0.5 + 5)
    told = model.predict(data.validation.x)
    assert metrics.mean_absolute_error(truth, told) == pytest.approx(reading.val_score, rel=1e-4)
    assert model.losses(data.validation.x, truth).mean() == pytest.approx(reading.val_loss, rel=1e-4)
