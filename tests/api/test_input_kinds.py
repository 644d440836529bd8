"""Studies of inputs that are no table: searched, confirmed on locked rows, and predicted from raw rows."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tuner
from tests.findings.trained import RATE
from tuner.api.raw_rows import RawRows
from tuner.api.standalone import ExportedModel
from tuner.core.data_spec import DataSpec
from tuner.data import locked
from tuner.errors import SpecError, TrialError

pytestmark = pytest.mark.usefixtures("forked_workers")

QUICK: dict[str, Any] = {
    "trainer.epochs": 3,
    "trainer.workers": 1,
    "trainer.score": "accuracy",
    "search.pruner": "none",
    "confirm.auto": False,
    "confirm.repeats": 3,
    "confirm.top": 1,
}


def texts(folder: Path) -> dict[str, Any]:
    chance = np.random.default_rng(0)
    moods = {"glad": ["fine", "good", "sun"], "sad": ["rain", "bad", "grey"]}
    rows = [
        (" ".join(chance.choice([*moods[mood], "and", "the"], 1 + i % 7)), mood)
        for i, mood in enumerate(chance.choice(list(moods), 240))
    ]
    pd.DataFrame(rows, columns=["said", "mood"]).to_csv(folder / "said.csv", index=False)
    return {"data.source": "said.csv", "data.target": "mood", "data.text": "said", "trainer.model": "Words"}


def tokens(folder: Path) -> dict[str, Any]:
    chance = np.random.default_rng(1)
    y = chance.integers(0, 2, 240)
    x = chance.integers(2, 9, (240, 6)) + 3 * y[:, None]
    x[::3, 4:] = 0
    np.savez(folder / "tokens.npz", X=x, y=y)
    return {"data.source": "tokens.npz", "data.kind": "tokens", "trainer.model": "Words"}


def series(folder: Path) -> dict[str, Any]:
    chance = np.random.default_rng(2)
    y = chance.integers(0, 2, 240)
    x = chance.normal(size=(240, 5, 2)) + y[:, None, None]
    x[::3, 3:] = np.nan
    np.savez(folder / "series.npz", X=x, y=y)
    return {"data.source": "series.npz", "trainer.model": "Steps"}


def visits(folder: Path) -> dict[str, Any]:
    chance = np.random.default_rng(3)
    rows = [
        (f"p{i}", day, chance.normal() + 2 * (i % 2), chance.choice(["ward", "home"]), "ab"[i % 2])
        for i in range(240)
        for day in range(1 + i % 5)
    ]
    pd.DataFrame(rows, columns=["who", "day", "dose", "place", "well"]).to_csv(
        folder / "visits.csv", index=False
    )
    own = {"data.source": "visits.csv", "data.target": "well", "data.sequence": "who", "data.order": "day"}
    return own | {"trainer.model": "Steps"}


def windows(folder: Path) -> dict[str, Any]:
    chance = np.random.default_rng(4)
    hour = np.arange(320)
    rising = (hour % 24 < 12) ^ (chance.random(320) < 0.02)
    table = {"hour": hour, "load": np.abs(hour % 24 - 12) + chance.normal(0, 0.3, 320), "rises": rising}
    pd.DataFrame(table).to_csv(folder / "hours.csv", index=False)
    own = {"data.source": "hours.csv", "data.target": "rises", "data.time": "hour", "data.window": 6}
    return own | {"trainer.model": "Steps"}


def photos(folder: Path) -> dict[str, Any]:
    image = pytest.importorskip("PIL.Image")
    chance = np.random.default_rng(5)
    for kind in ("above", "below"):
        (folder / "photos" / kind).mkdir(parents=True)
        for i in range(120):
            pixels = chance.integers(0, 120, (8, 8), np.uint8)
            pixels[slice(0, 4) if kind == "above" else slice(4, 8)] += 120
            image.fromarray(pixels).save(folder / "photos" / kind / f"{i}.png")
    return {"data.source": "photos/", "trainer.model": "convolutions"}


def reviews(folder: Path) -> dict[str, Any]:
    """Texts beside numbers and categories, of which each alone says less than all together."""
    chance = np.random.default_rng(6)
    good, cheap = chance.integers(0, 2, (2, 240))
    words = [["rain", "bad", "the"], ["sun", "fine", "the"]]
    table = {
        "said": [" ".join(chance.choice(words[mood], 2 + i % 5)) for i, mood in enumerate(good)],
        "price": chance.normal(60 - 40 * cheap, 8),
        "shop": np.where(chance.random(240) < 0.2, "", np.where(cheap == 1, "corner", "mall")),
        "bought": np.where(good + cheap + chance.normal(0, 0.2, 240) > 0.5, "yes", "no"),
    }
    pd.DataFrame(table).to_csv(folder / "reviews.csv", index=False)
    own = {
        "data.source": "reviews.csv",
        "data.target": "bought",
        "data.columns": {"said": {"kind": "tokens"}},
    }
    return own | {"trainer.model": "Sides"}


def goods(folder: Path) -> dict[str, Any]:
    """Names of pictures in a table of numbers."""
    photos(folder)
    chance = np.random.default_rng(7)
    files = [f"photos/{kind}/{i}.png" for i in range(120) for kind in ("above", "below")]
    weight = chance.normal(size=240)
    table = {
        "picture": files,
        "weight": weight,
        "sold": ["above" in f or w > 1 for f, w in zip(files, weight, strict=True)],
    }
    pd.DataFrame(table).to_csv(folder / "goods.csv", index=False)
    own = {"data.source": "goods.csv", "data.target": "sold", "data.columns": {"picture": {"kind": "image"}}}
    return own | {"trainer.model": "Sides"}


def sides(folder: Path) -> dict[str, Any]:
    chance = np.random.default_rng(8)
    y = chance.integers(0, 2, 240)
    arrays: dict[str, Any] = {
        "image": chance.integers(0, 100, (240, 6, 6), np.uint8) + (60 * y[:, None, None]).astype(np.uint8),
        "table": chance.normal(size=(240, 3)) + y[:, None],
        "tokens": chance.integers(2, 9, (240, 4)) + 3 * y[:, None],
        "series": chance.normal(size=(240, 5)),
    }
    np.savez(folder / "sides.npz", y=y, **arrays)
    return {"data.source": "sides.npz", "trainer.model": "Sides"}


SOURCES: dict[str, Callable[[Path], dict[str, Any]]] = {
    "texts": texts,
    "tokens": tokens,
    "series": series,
    "visits": visits,
    "windows": windows,
    "photos": photos,
    "reviews": reviews,
    "goods": goods,
    "sides": sides,
}

PREDICT = """
import json, os, sys
import numpy as np
import tuner
from pathlib import Path
from tuner.core.data_spec import DataSpec
from tuner.data import load
from tuner.data.resampling import rows_of

for line in sys.stdin:
    folder, spec = json.loads(line)
    os.chdir(folder)
    rows = load(DataSpec(**spec), Path(), resampling=True).resampling
    truth = np.array(rows.labels, dtype=object)[rows.y[rows.validation]]
    model = tuner.load_model("out")
    print(model.losses(rows_of(rows.x, rows.validation), truth).mean(), flush=True)
"""


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[subprocess.Popen[str]]:
    """Another process, which says for each line of a folder and its data what the loss of `out` is there."""
    with subprocess.Popen(
        [sys.executable, "-c", PREDICT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": ""},
    ) as process:
        yield process


@pytest.mark.parametrize("kind", SOURCES)
def test_a_model_predicts_the_stored_loss_from_raw_rows_in_another_process(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch, elsewhere: subprocess.Popen[str]
) -> None:
    monkeypatch.setenv("TUNER_BASELINES", "on")
    settings = QUICK | SOURCES[kind](tmp_path)
    settings["trainer.model"] = f"tests.trainers.torch.nets:{settings['trainer.model']}"
    settings.pop("confirm.auto")
    study = tuner.start({"name": kind}, space=RATE, trials=2, settings=settings, confirm=True)
    assert study.summary.counts["failed"] == 0
    confirmed = study.confirmation
    assert confirmed is not None
    assert confirmed.test is not None
    assert confirmed.test.score.estimate > 0.7
    assert {each.kind for each in confirmed.baselines} >= {"constant", "linear", "boosted_trees"}
    spec = {name.removeprefix("data."): value for name, value in settings.items() if name.startswith("data.")}
    tuner.export(kind, "out", trial=study.best.number)
    assert elsewhere.stdin is not None
    assert elsewhere.stdout is not None
    print(json.dumps([str(tmp_path), spec]), file=elsewhere.stdin, flush=True)
    assert float(elsewhere.stdout.readline()) == pytest.approx(study.best.value, rel=1e-5)
    assert len(locked.unlock(DataSpec(**spec), tmp_path)) > 40


@pytest.mark.parametrize("kind", SOURCES)
def test_estimators_learn_from_them(tmp_path: Path, kind: str) -> None:
    settings = QUICK | SOURCES[kind](tmp_path)
    settings |= {"trainer.use": "sklearn", "trainer.model": "sklearn.linear_model:LogisticRegression"}
    settings |= {"trainer.epochs": 1}
    space = {"C": tuner.Float(low=0.1, high=1.0, default=1.0)}
    study = tuner.start({"name": kind}, space=space, trials=2, settings=settings)
    assert study.best.reading is not None
    assert study.best.reading.val_score > 0.7
    assert tuner.confirm(kind).test is not None


def test_rows_of_a_file_are_predicted(tmp_path: Path) -> None:
    settings = QUICK | texts(tmp_path) | {"trainer.model": "tests.trainers.torch.nets:Words"}
    tuner.start({"name": "said"}, space=RATE, trials=1, settings=settings)
    pd.DataFrame({"more": [1, 2, 3], "said": ["good sun", "", "unheard"]}).to_csv("new.csv", index=False)
    found = tuner.predict("said", "new.csv", keep=True)
    assert list(found.columns) == ["more", "said", "prediction", "probability_glad", "probability_sad"]
    alone = tuner.predict("said", ["good sun"])
    assert alone["probability_glad"].iloc[0] == pytest.approx(found["probability_glad"].iloc[0])


def test_several_inputs_are_predicted_and_exported_by_their_names(tmp_path: Path) -> None:
    settings = QUICK | sides(tmp_path) | {"trainer.model": "several"}
    tuner.start({"name": "sides"}, space=RATE, trials=1, settings=settings)
    with np.load("sides.npz") as arrays:
        rows = {name: array[:5] for name, array in arrays.items() if name != "y"}
    np.savez("new.npz", **rows)
    found = tuner.predict("sides", "new.npz")
    assert found.equals(tuner.predict("sides", rows))
    with pytest.raises(TrialError, match="tokens, series missing; found: image, table"):
        tuner.predict("sides", {name: rows[name] for name in ("image", "table")})
    for each in ("onnx", "onnxruntime"):
        pytest.importorskip(each)
    tuner.export("sides", "graph", kind="onnx")
    model = ExportedModel("graph")
    assert model.predict(rows).tolist() == found["prediction"].astype(str).tolist()
    names = "give rows as a dictionary with the inputs image, table, tokens, series"
    for given, told in (
        ({name: rows[name] for name in ("image", "table")}, f"inputs are missing: tokens, series; {names}"),
        (rows["table"], names),
        (pd.DataFrame(rows["table"]), names),
        (rows | {"table": rows["table"][:, 1:]}, "table: rows have shape (2,) each; the model needs (3,)"),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(told)}"):
            model.predict(given)


def test_texts_beside_columns_are_asked_for_as_a_table() -> None:
    parts = [{"name": "said", "how": {"text": {"name": "said"}}}, {"name": "table", "how": {"columns": []}}]
    with pytest.raises(ValueError, match=r"^give rows .* inputs said, table, or as a table of columns$"):
        RawRows({"encoding": {"parts": parts}}).inputs(["good sun"])


def test_each_sequence_of_a_file_is_predicted(tmp_path: Path) -> None:
    settings = QUICK | visits(tmp_path) | {"trainer.model": "tests.trainers.torch.nets:Steps"}
    tuner.start({"name": "visits"}, space=RATE, trials=1, settings=settings)
    found = tuner.predict("visits", "visits.csv")
    assert list(found.columns) == ["who", "prediction", "probability_a", "probability_b"]
    assert len(found) == 240
    with pytest.raises(
        SpecError, match="the rows are steps, and sequences of them are predicted; leave keep out"
    ):
        tuner.predict("visits", "visits.csv", keep=True)


def test_a_folder_of_pictures_is_enough(tmp_path: Path) -> None:
    photos(tmp_path)
    study = tuner.start("photos/", trials=1, settings={**QUICK, "trainer.rows": 1})
    assert (study.name, study.spec.trainer.model) == ("photos", "cnn")
    assert study.spec.data is not None
    assert Path(study.spec.data.source) == tmp_path / "photos"
    found = tuner.predict("photos", "photos/above", keep=True)
    assert list(found.columns) == ["file", "prediction", "probability_above", "probability_below"]
    assert found["file"].str.endswith(".png").all()
    one = tuner.predict("photos", [found["file"].iloc[0]])
    assert one["probability_above"].iloc[0] == pytest.approx(found["probability_above"].iloc[0])


@pytest.mark.parametrize(
    ("kind", "model"),
    [
        *[("texts", "bag"), ("visits", "conv1d"), ("windows", "conv1d"), ("tokens", "bag")],
        *[("photos", "cnn"), ("reviews", "several"), ("goods", "several"), ("sides", "several")],
    ],
)
def test_data_alone_is_enough_for_a_network_that_suits_it(tmp_path: Path, kind: str, model: str) -> None:
    settings = SOURCES[kind](tmp_path)
    settings.pop("trainer.model")
    found = tuner.check({"name": kind}, settings=settings).spec
    assert found.trainer.model == model
    assert ("token_size" in found.space.parameters) is (kind in ("texts", "tokens", "reviews", "sides"))
    assert ("kernel_size" in found.space.parameters) is (model == "conv1d")
    fixed = found.search_space().fixed
    assert ("token_dropout" in fixed) is (kind in ("visits", "windows"))
    assert ("input_noise" in fixed) is (kind in ("texts", "tokens"))
    assert ("time_shift" in fixed) is (kind in ("texts", "tokens", "reviews"))


@pytest.mark.parametrize("model", ["bag", "conv1d", "rnn", "transformer"])
def test_any_network_of_sequences_is_given_a_space_and_learns_from_texts(tmp_path: Path, model: str) -> None:
    settings = QUICK | texts(tmp_path) | {"trainer.model": model, "trainer.epochs": 2}
    study = tuner.start({"name": model}, trials=2, settings=settings)
    assert study.summary.counts["failed"] == 0
    assert study.best.value is not None
    assert tuner.predict(model, ["good sun", ""])["prediction"].isin(["glad", "sad"]).all()
