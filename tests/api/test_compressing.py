"""A study's model made smaller by a study of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import tuner
from tuner import SpecError, Study, StudyExists, TrialError
from tuner.api import standalone
from tuner.api.compressing import compression
from tuner.core.space import Float
from tuner.core.trial import Origin
from tuner.judging.sentences import sentences

SPEC: dict[str, Any] = {
    "name": "made",
    "data": {"source": "memory", "test": 0.3},
    "trainer": {"model": "mlp", "epochs": 3, "rows": 2, "threads": 1, "workers": 1},
    "search": {"pruner": "none"},
    "budget": {"trials": 2},
    "confirm": {"top": 1, "repeats": 3},
    "baselines": {"use": []},
    "space": {
        "fixed": {"width": 16, "depth": 1},
        "learning_rate": {"type": "float", "low": 0.01, "high": 0.1, "default": 0.03, "log": True},
    },
}
SMALL = {"confirm.top": 1, "confirm.repeats": 3}


@pytest.fixture(scope="module")
def data() -> tuple[NDArray[Any], NDArray[Any]]:
    generator = np.random.default_rng(0)
    y = np.arange(240) % 3
    return generator.normal(size=(240, 4)) + np.eye(3, 4)[y] * 3, y


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, data: Any) -> str:
    """A database with a study that has a kept model, its confirmation, and its compression."""
    url = f"sqlite:///{tmp_path_factory.mktemp('made') / 'tuner.db'}"
    tuner.start(SPEC, data=data, storage=url, confirm=True, progress=False)
    tuner.compress("made", data=data, trials=8, settings=SMALL, storage=url, progress=False)
    return url


def compressed(url: str) -> Study:
    return tuner.load("made-compressed", storage=url)


def test_compression_is_a_study_from_the_searchs_own_model_on_the_same_rows(place: str) -> None:
    study, made = compressed(place), tuner.load("made", storage=place)
    number = made.recommended.number
    assert study.spec.trainer.teacher == str(made.trial(number).folder)
    assert study.spec.data == made.spec.data
    assert set(study.spec.objectives().names) >= {"val_loss", "size_bytes[onnx]", "latency_ms[onnx]"}
    assert study.default.params["pruned"] == 0
    sizes = {
        view.number: view.reading.get("size_bytes[onnx]")
        for view in map(study.trial, range(4))
        if view.reading
    }
    assert sizes[3] < sizes[0]
    given = [record.params for record in study.records if record.origin is Origin.GIVEN]
    assert given[0]["quantization"] == "int8"
    assert given[1]["pruned"] == 0.5


def test_limit_on_what_one_runtime_has_measured_needs_not_name_it(place: str) -> None:
    study = compressed(place)
    assert (
        study.best_within({"latency_ms": 1e3}).number == study.best_within({"latency_ms[onnx]": 1e3}).number
    )
    with pytest.raises(TrialError, match=r"no trial has size_bytes\[onnx\] of at most 1; raise the limit"):
        study.best_within({"size_bytes": 1})


def test_margin_is_tested_on_the_locked_rows_and_told(place: str) -> None:
    study = compressed(place)
    found = study.confirmation
    assert found is not None
    assert not found.redrawn
    assert found.compressed is not None
    (test,) = found.compressed.tests
    assert (test.measure, test.margin) == ("accuracy", 0.005)
    assert found.compressed.size_before > 0
    said = " ".join(sentences(study.verdict))
    assert "it is the smallest candidate that keeps every constraint" in said
    assert "Beside the model that it was made from" in said


def test_compression_goes_on_as_if_it_had_never_stopped(place: str, data: Any) -> None:
    # Latencies are never the same twice, and the sampler learns from them.
    own = {"objective.also": {"size_bytes[onnx]": "minimize"}}
    whole = tuner.compress(
        "made", to="whole", data=data, trials=14, settings=own, confirm=False, storage=place, progress=False
    )
    tuner.compress(
        "made", to="cut", data=data, trials=7, settings=own, confirm=False, storage=place, progress=False
    )
    cut = tuner.resume("cut", data=data, trials=14, storage=place, progress=False)
    assert [(r.params, r.value) for r in cut.records] == [(r.params, r.value) for r in whole.records]
    assert {name for r in whole.records for name in r.params} >= {"pruned", "distil_weight", "quantization"}


def test_exported_model_says_what_the_stored_score_says(place: str, data: Any, tmp_path: Path) -> None:
    study = compressed(place)
    x, y = data
    number = next(r.number for r in study.records if r.params["quantization"] == "int8" and r.model_path)
    tuner.export("made-compressed", tmp_path / "out", trial=number, kind="onnx", data=data, storage=place)
    judged = tuner.check(study.spec, data=data).data
    assert judged is not None
    model = standalone.ExportedModel(tmp_path / "out")
    found = model.predict(judged.validation.x)
    truth = np.array(judged.classes)[judged.validation.y]
    reading = study.trial(number).reading
    assert reading is not None
    assert float(np.mean(found == truth)) == pytest.approx(reading.val_score)
    assert len(x) == len(y)


def test_compressed_model_is_compressed_from_what_is_left_of_it(place: str) -> None:
    study = compressed(place)
    spec = compression(study, "again", {"loss": 0.01}, {"size_bytes": 500})
    view = study.trial(study.recommended.number)
    shares = spec.space.parameters["pruned"]
    assert isinstance(shares, Float)
    assert shares.default == shares.low == 0
    assert spec.space.fixed["width"] == round(16 * (1 - float(view.params["pruned"])))
    assert "pruned_first" not in spec.space.parameters, "one layer has one share"
    assert spec.objective.at_most["size_bytes[onnx]"] == 500
    assert view.reading is not None
    assert spec.objective.at_most["val_loss"] > view.reading.val_loss
    assert spec.confirm.lose_at_most == {"loss": 0.01}


@pytest.mark.parametrize("kind", ["units", "weights"])
def test_what_has_lost_units_or_weights_loses_either_again(kind: str, tmp_path: Path, data: Any) -> None:
    url = f"sqlite:///{tmp_path / 'tuner.db'}"
    own: dict[str, Any] = {"data": data, "confirm": False, "storage": url, "progress": False}
    tuner.start(SPEC, data=data, storage=url, progress=False, settings={"budget.trials": 1})
    half = {"space.fixed.pruning": kind, "space.pruned.low": 0.5, "space.pruned.default": 0.5}
    tuner.compress("made", to="half", trials=1, settings=half, **own)
    for again in ("units", "weights"):
        settings = {"space.fixed.pruning": again, "space.fixed.from_scratch": False}
        study = tuner.compress("half", to=again, trials=1, settings=settings, **own)
        assert study.summary.counts["failed"] == 0
        assert study.default.params["pruned"] == (0.5 if kind == again == "weights" else 0)
        assert study.spec.space.fixed["width"] == (8 if kind == "units" else 16)


def test_weights_that_are_zero_stay_zero_where_a_model_is_compressed_again(tmp_path: Path, data: Any) -> None:
    """Before, the first trial was dense, and units were left out of it."""
    url = f"sqlite:///{tmp_path / 'tuner.db'}"
    own: dict[str, Any] = {"data": data, "confirm": False, "storage": url, "progress": False}
    tuner.start(SPEC, data=data, storage=url, progress=False, settings={"budget.trials": 1})
    few: dict[str, Any] = {"objective.also": {"nonzero": "minimize"}}
    half = few | {"space.fixed.pruning": "weights", "space.pruned.low": 0.5, "space.pruned.default": 0.5}
    studies = [tuner.compress("made", to="half", trials=1, settings=half, **own)]
    studies.append(tuner.compress("half", to="again", trials=1, settings=few, **own))
    first, again = (study.default.reading for study in studies)
    assert first is not None
    assert again is not None
    assert again.get("nonzero") == first.get("nonzero")
    assert studies[1].spec.space.fixed["pruning"] == "weights"
    assert studies[1].spec.search_space().parameters["pruned"].low == 0.5  # type: ignore[union-attr]


def test_first_of_several_layers_has_a_share_of_its_own(tmp_path: Path, data: Any) -> None:
    url = f"sqlite:///{tmp_path / 'tuner.db'}"
    two = {"space.fixed": {"width": 16, "depth": 2}, "budget.trials": 1}
    tuner.start(SPEC, data=data, settings=two, storage=url, progress=False)
    study = tuner.compress("made", data=data, trials=4, confirm=False, storage=url, progress=False)
    shares = [(r.params["pruned"], r.params["pruned_first"]) for r in study.records]
    assert (0.5, 0.5) in shares
    assert any(one != other for one, other in shares)


def test_what_is_tried_first_is_what_the_space_has(place: str, data: Any) -> None:
    """Before, what was fixed to another value, or narrowed, was refused."""
    own: dict[str, Any] = {"data": data, "trials": 6, "confirm": False, "storage": place, "progress": False}
    fixed = {"space.fixed.quantization": "none", "space.pruned.high": 0.6}
    study = tuner.compress("made", to="narrowed", settings=fixed, **own)
    given = [record.params["pruned"] for record in study.records if record.origin is Origin.GIVEN]
    assert given == [0.5]
    assert {record.params["quantization"] for record in study.records} == {"none"}


@pytest.mark.parametrize(
    ("name", "given", "error", "says"),
    [
        (
            "made",
            {"lose_at_most": {"accuracy": 0.1}},
            SpecError,
            "unknown name 'accuracy'; known: loss",
        ),
        ("made", {"lose_at_most": {"score": -1}}, SpecError, "score has -1; give a number from 0 up"),
        ("made", {"at_most": {"speed": 1}}, SpecError, "unknown name 'speed'; known: latency_ms, size_bytes"),
        ("made", {"at_most": {"size_bytes": 0}}, SpecError, "size_bytes has 0; give a number above 0"),
        ("made", {}, StudyExists, "made-compressed"),
        ("made~confirm", {}, SpecError, "holds trainings of 'made'; compress that one"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(
    place: str, data: Any, name: str, given: dict[str, Any], error: type, says: str
) -> None:
    with pytest.raises(error, match=says):
        tuner.compress(name, data=data, storage=place, progress=False, **given)


OWN = """
from torch import nn
def build(params, context):
    width = int(params["width"])
    return nn.Sequential(
        nn.Linear(context.input_shape[0], width), nn.CELU(), nn.Linear(width, width), nn.CELU(),
        nn.Linear(width, context.outputs),
    )
def line(params, context):
    return nn.Linear(context.input_shape[0], context.outputs)
"""


def test_network_of_ones_own_loses_units_goes_on_and_predicts_what_was_stored(
    tmp_path: Path, data: Any
) -> None:
    url, file = f"sqlite:///{tmp_path / 'tuner.db'}", tmp_path / "net.py"
    file.write_text(OWN)
    own: dict[str, Any] = {"data": data, "storage": url, "progress": False}
    tuner.start(SPEC, settings={"trainer.model": f"{file}:build", "budget.trials": 1}, **own)
    few: dict[str, Any] = {"settings": {"objective.also": {"size_bytes": "minimize"}}, "confirm": False}
    whole = tuner.compress("made", to="whole", trials=9, **few, **own)
    tuner.compress("made", to="cut", trials=5, **few, **own)
    cut = tuner.resume("cut", trials=9, **own)
    assert [(r.params, r.value) for r in cut.records] == [(r.params, r.value) for r in whole.records]
    assert whole.spec.trainer.model == f"{file}:build"
    assert {"pruned", "quantization", "distil_weight"} <= whole.spec.space.parameters.keys()
    assert whole.spec.space.parameters.keys().isdisjoint({"pruned_first", "from_scratch"})
    half = next(r for r in whole.records if r.params["pruned"] == 0.5)
    assert half.best is not None
    assert half.best.get("size_bytes") == 4 * ((4 + 1) * 8 + (8 + 1) * 8 + (8 + 1) * 3)
    tuner.export("whole", tmp_path / "out", trial=half.number, kind="onnx", data=data, storage=url)
    judged = tuner.check(whole.spec, data=data).data
    assert judged is not None
    found = standalone.ExportedModel(tmp_path / "out").predict(judged.validation.x)
    share = np.mean(found == np.array(judged.classes)[judged.validation.y])
    assert share == pytest.approx(half.best.val_score)
    again = tuner.compress("whole", to="again", trials=4, **few, **own)
    assert again.summary.counts["failed"] == 0


def test_network_of_ones_own_that_loses_no_units_is_refused_until_it_need_not(
    tmp_path: Path, data: Any
) -> None:
    url, file = f"sqlite:///{tmp_path / 'tuner.db'}", tmp_path / "net.py"
    file.write_text(OWN)
    own: dict[str, Any] = {"data": data, "storage": url, "progress": False}
    tuner.start(SPEC, settings={"trainer.model": f"{file}:line", "budget.trials": 1}, **own)
    with pytest.raises(
        SpecError, match=r"space\.pruned: torch-pruning cannot leave out units of this network"
    ):
        tuner.compress("made", **own)
    for kept in ({"space.fixed.pruned": 0}, {"space.fixed.pruning": "weights"}):
        few: dict[str, Any] = {"objective.also": {"nonzero": "minimize"}, **kept}
        to = "-".join(map(str, kept.values()))
        assert tuner.compress("made", to=to, trials=3, settings=few, confirm=False, **own).records[2].best


def test_data_in_memory_is_asked_for(place: str) -> None:
    with pytest.raises(SpecError, match="pass it again as data="):
        tuner.compress("made", to="other", storage=place, progress=False)


def test_studies_without_a_network_of_ours_or_without_a_kept_model_are_refused(
    tmp_path: Path, data: Any
) -> None:
    url = f"sqlite:///{tmp_path / 'tuner.db'}"

    def train(params: Any, context: Any) -> Any:
        yield {"train_loss": params["rate"], "val_loss": params["rate"]}

    space = {"rate": {"type": "float", "low": 0.1, "high": 1.0, "default": 0.5}}
    tuner.start(name="own", trainer=train, space=space, trials=1, storage=url, progress=False)
    with pytest.raises(SpecError, match="only networks of the torch trainer are compressed"):
        tuner.compress("own", storage=url, progress=False)
    spec = {**SPEC, "budget": {"trials": 1}, "data": {**SPEC["data"], "folds": 3}}
    tuner.start(spec, data=data, storage=url, progress=False)
    with pytest.raises(SpecError, match="folds or reshuffle"):
        tuner.compress("made", data=data, storage=url, progress=False)
    tuner.start({**SPEC, "name": "bare", "budget": {"trials": 1}}, data=data, storage=url, progress=False)
    study = tuner.load("bare", storage=url)
    folder = study.trial(0).folder
    folder.rename(tmp_path / "away")
    with pytest.raises(TrialError, match=r"nothing to compress: .* put the folder back"):
        tuner.compress("bare", data=data, storage=url, progress=False)
