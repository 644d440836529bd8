from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tuner
from tests.cli.program import Tune
from tuner.data import encode
from tuner.trainers import load_model

QUICK: dict[str, Any] = {"trainer.epochs": 3, "trainer.workers": 1, "trainer.rows": 1, "data.test": 0.0}


@pytest.fixture
def flowers(folder: Path) -> Path:
    """A study 'flowers' of a table with numbers, categories, dates and gaps, and its file."""
    rng = np.random.default_rng(0)
    rows = 150
    kind = rng.choice(["rose", "=tulip", "lily"], rows)
    size = {"rose": 1.0, "=tulip": 5.0, "lily": 9.0}
    table = pd.DataFrame(
        {
            "height": [size[each] + rng.normal(0, 0.5) for each in kind],
            "town": rng.choice(["Ulm", "Kiel", "Hof"], rows),
            "seen": pd.date_range("2024-01-01", periods=rows).strftime("%Y-%m-%d"),
            "kind": kind,
        }
    )
    table.loc[::9, "height"] = np.nan
    path = folder / "flowers.csv"
    table.to_csv(path, index=False)
    tuner.start("flowers.csv", target="kind", trials=2, settings=QUICK)
    return path


def test_predictions_are_those_of_the_study(tune: Tune, flowers: Path) -> None:
    ended = tune("predict", "flowers", "flowers.csv", "-o", "out.csv")
    assert (ended.code, ended.out, ended.err) == (0, "out.csv\n", "")
    table = pd.read_csv("out.csv")
    kinds = ["=tulip", "lily", "rose"]
    assert list(table) == ["prediction", *(f"probability_{kind}" for kind in kinds)]
    shares = table.iloc[:, 1:].to_numpy()
    assert shares.sum(axis=1) == pytest.approx(1, abs=1e-5)
    # A spreadsheet would run it without the apostrophe.
    predicted = table["prediction"].str.removeprefix("'")
    assert [kinds[i] for i in shares.argmax(axis=1)] == predicted.tolist()
    study = tuner.load("flowers")
    data = tuner.check("flowers.csv", target="kind", settings=QUICK).data
    assert data is not None
    reading = study.best.reading
    assert reading is not None
    model = load_model(study.best.folder)
    frame = pd.read_csv(flowers)
    x = encode(frame, data.encoding)
    judged = [int(np.flatnonzero((x == row).all(axis=1))[0]) for row in data.validation.x]
    right = (predicted == frame["kind"])[judged].mean()
    assert right == pytest.approx(reading.val_score)
    assert np.array_equal(model.predict(frame), predicted)


def test_rows_may_come_in_any_order_of_columns_by_a_pipe_and_from_an_exported_model(
    tune: Tune, flowers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = tune("predict", "flowers", "flowers.csv").out
    frame = pd.read_csv(flowers, dtype=str)
    frame[["seen", "kind", "town", "height"]].assign(more=1).to_csv("other.csv", index=False)
    assert tune("predict", "flowers", "other.csv").out == straight
    frame.drop(columns="kind").to_parquet("other.parquet")
    assert tune("predict", "flowers", "other.parquet").out == straight
    tuner.export("flowers", "out")
    assert tune("predict", "out", "flowers.csv", "--out", "-").out == straight
    assert tune("predict", "out/model", "flowers.csv").out == straight

    class Pipe:
        buffer = io.BytesIO(flowers.read_bytes())

    monkeypatch.setattr("sys.stdin", Pipe())
    assert tune("predict", "flowers", "-").out == straight


def test_another_trial_and_the_rows_own_columns(tune: Tune, flowers: Path) -> None:
    kept = tune("predict", "flowers", "flowers.csv", "--trial", "0", "--keep", "-o", "out.csv")
    assert kept.code == 0
    table = pd.read_csv("out.csv")
    assert list(table)[:5] == ["height", "town", "seen", "kind", "prediction"]
    assert table["town"].tolist() == pd.read_csv(flowers)["town"].tolist()
    again = tune("predict", "flowers", "out.csv", "--keep")
    assert (again.code, again.err) == (
        2,
        "error: out.csv: has a column 'prediction' already; rename it, or leave keep out\n",
    )


def test_what_training_never_had_is_told(tune: Tune, flowers: Path, caplog: pytest.LogCaptureFixture) -> None:
    frame = pd.read_csv(flowers, dtype=str)
    frame.loc[:1, "town"] = "Bonn"
    frame.loc[4, "height"] = "tall"
    frame.loc[2, "seen"] = None
    frame.to_csv("new.csv", index=False)
    assert tune("predict", "flowers", "new.csv").code == 0
    assert [record.getMessage() for record in caplog.records] == [
        "column 'height': 1 row holds 'tall', which cannot be read as numbers; the training median is taken",
        "column 'town': 2 rows hold 'Bonn', which training never had; they count as none of the known ones",
        "column 'seen': 1 row holds no value, of which training had none; the training median is taken",
    ]
    caplog.clear()
    tuner.confirm("flowers", top=1, repeats=3)
    assert not [each for each in caplog.records if "column" in each.getMessage()]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("flowers", "none.csv"), "none.csv: no such file"),
        (
            ("flowers", "flowers.doc"),
            "flowers.doc: not a known kind of file; its name must end in one of",
        ),
        (("flowers", "short.csv"), "short.csv: columns are missing: town; found: height, seen"),
        (("rows", "flowers.csv"), "no study 'rows'"),
        ((".", "flowers.csv"), ".: holds no model; give a folder that `tune export` wrote, or a study"),
        (("flowers", "flowers.csv", "--trial", "9"), "has no trial 9"),
        (("flowers", "flowers.csv", "-o", "flowers.csv"), "flowers.csv: holds the rows; name another file"),
        (("flowers", "flowers.csv", "-o", "no/out.csv"), "no/out.csv: cannot be written: No such file"),
    ],
)
def test_errors_say_what_and_where(tune: Tune, flowers: Path, arguments: tuple[str, ...], said: str) -> None:
    Path("short.csv").write_text("height,seen\n1,2024-01-01\n")
    ended = tune("predict", *arguments)
    assert ended.code == 2
    assert said in ended.err
    assert ended.err.count("\n") == 1


def test_a_function_that_keeps_weights_cannot_predict(tune: Tune, folder: Path) -> None:
    Path("kept.py").write_text(
        "import numpy as np\n"
        "def train(params, context):\n"
        "    context.keep({'w': np.ones(2)})\n"
        "    yield {'val_loss': params['x']}\n"
    )
    space = {"x": tuner.Float(low=0, high=1)}
    tuner.start(trainer="./kept.py:train", name="kept", space=space, trials=1)
    Path("rows.csv").write_text("a\n1\n")
    ended = tune("predict", "kept", "rows.csv")
    assert ended.code == 2
    assert "rows.csv: only" in ended.err


def test_images_and_numbers_to_predict_come_without_names(tune: Tune, folder: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3))
    np.savez("all.npz", X=x, y=x[:, 0] * 2)
    np.savez("new.npz", X=x)
    tuner.start("all.npz", trials=1, settings=QUICK)
    ended = tune("predict", "all", "new.npz")
    assert ended.code == 0
    assert len(ended.out.splitlines()) == 61
    assert ended.out.startswith("prediction\n")
    assert "no columns to keep" in tune("predict", "all", "new.npz", "--keep").err
