"""What `tune export --format` writes predicts what the study's model does, where tuner is not installed."""

from __future__ import annotations

import ast
import inspect
import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tuner
from tuner.api import deploying, predict_json
from tuner.api.standalone import ExportedModel
from tuner.errors import SpecError, TrialError

QUICK: dict[str, Any] = {"trainer.epochs": 3, "trainer.workers": 1, "trainer.rows": 1, "confirm.auto": False}

ALONE = """
import builtins, runpy, sys
real = builtins.__import__
def guarded(name, *rest, **more):
    if name.partition(".")[0] in ("torch", "tuner", "pandas", "onnx", "sklearn", "pyarrow", "scipy"):
        raise ImportError(name + " is not there")
    return real(name, *rest, **more)
builtins.__import__ = guarded
sys.argv = ["predict.py", sys.argv[2]]
runpy.run_path("out/predict.py", run_name="__main__")
"""


@pytest.fixture
def fruit(tmp_path: Path) -> Path:
    """A table with numbers, gaps, categories and truth values."""
    rng = np.random.default_rng(0)
    kind = rng.choice(["apple", "pear", "plum"], 160)
    size = np.array([{"apple": 3.0, "pear": 6.0, "plum": 1.0}[each] for each in kind])
    table = pd.DataFrame({
        "size": size + rng.normal(0, 0.7, 160), "town": rng.choice(["Ulm", "Kiel", "n/a"], 160),
        "ripe": rng.choice(["yes", "no"], 160), "count": rng.integers(1, 9, 160), "kind": kind,
    })  # fmt: skip
    table.loc[::11, "size"] = np.nan
    path = tmp_path / "fruit.csv"
    table.to_csv(path, index=False)
    return path


def test_predict_py_gives_the_stored_score_without_tuner_torch_and_pandas(fruit: Path) -> None:
    study = tuner.start("fruit.csv", target="kind", trials=2, settings=QUICK)
    files = tuner.export("fruit", "out", kind="onnx")
    assert {"predict.py", "predict.json", "model.onnx", "MODEL_CARD.md"} <= {file.name for file in files}
    card = Path("out/MODEL_CARD.md").read_text()
    assert "Run on" in card
    assert "no prediction differs" in card
    from tuner.data.load import split_rows

    spec = study.spec.data
    assert spec is not None
    frame = pd.read_csv(fruit)
    chosen, _ = split_rows(spec, Path.cwd())
    assert isinstance(chosen, pd.DataFrame)
    judged = frame.loc[chosen.index]
    taught, _ = split_rows(spec, Path.cwd(), train=True)
    assert isinstance(taught, pd.DataFrame)
    assert not set(taught.index) & set(chosen.index)
    assert len(taught) + len(chosen) <= (1 - spec.test) * len(frame) + 1
    judged.drop(columns="kind").to_csv("rows.csv", index=False)
    predicted = alone("rows.csv")
    assert predicted == tuner.predict("fruit", "rows.csv")["prediction"].tolist()
    reading = study.best.reading
    assert reading is not None
    assert np.mean(np.array(predicted) == judged["kind"]) == pytest.approx(reading.val_score)


def alone(rows: str) -> list[str]:
    """What `out/predict.py` says of rows, a line each, where nothing but numpy and onnxruntime is."""
    Path("alone.py").write_text(ALONE)
    run = [sys.executable, "alone.py", "predict.py", rows]
    ended = subprocess.run(run, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()[1:]


def _orders(path: Path) -> None:
    """A table of every kind of column, with gaps and oddities, and targets that need a logarithm."""
    rng = np.random.default_rng(3)
    n, day = 240, pd.Timestamp("2023-01-20 07:15")
    size = rng.normal(5, 2, n)
    stamps = [day + pd.Timedelta(hours=float(h)) for h in rng.uniform(0, 9000, n)]
    said = [
        "late again and broken",
        "all fine thank you",
        "Grüße aus Köln, sehr gut",
        "never came at all, sadly",
    ]
    table = pd.DataFrame({
        "amount": [f"{v * 1000:,.2f} €".replace(",", "_").replace(".", ",").replace("_", ".") for v in size],
        "share": [f"{v:.1f}%" for v in rng.uniform(0, 100, n)],
        "weight": [f"{v:.0f} g" if v < 500 else f"{v / 1000:.2f} kg" for v in rng.uniform(100, 3000, n)],
        "day": [stamp.strftime("%d.%m.%Y") for stamp in stamps],
        "sent": [stamp.strftime("%Y-%m-%d %H:%M") for stamp in stamps],
        "month": [stamp.strftime("%b %Y") for stamp in stamps],
        "hour": [stamp.strftime("%H:%M") for stamp in stamps],
        "took": [f"{int(v * 60) // 60}h {int(v * 60) % 60}m" if v > 1 else f"{v:.0f} min" for v in size],
        "paid": rng.choice(["ja", "nein"], n), "flag": rng.choice([True, False], n),
        "grade": rng.choice(["low", "mid", "high"], n), "town": rng.choice(["Ulm", "ulm ", "Kiel", "n/a"], n),
        "note": [f"{rng.choice(said)} {i}" for i in range(n)],
        "price": np.exp(size), "cost": np.exp(rng.normal(0, 1, n)) + size.clip(0.1),
    })  # fmt: skip
    for place, column in enumerate(table.columns[:-2]):
        if table[column].dtype != bool:
            table.loc[place :: 23 + place, column] = ["", "-", "?"][place % 3]
    table.to_csv(path, index=False)


_GRADES = {"grade": {"kind": "ordinal", "order": ["low", "mid", "high"]}, "hour": {"missing": ["12:00"]}}


@pytest.mark.parametrize(("target", "goal"), [("price", "log"), (["price", "cost"], None)])
def test_rows_of_every_kind_of_column_are_read_as_the_study_reads_them(
    target: Any, goal: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _orders(tmp_path / "orders.csv")
    more = {"data.columns": _GRADES} | ({"data.target_scaling": goal} if goal else {})
    tuner.start("orders.csv", target=target, trials=1, settings=QUICK | more)
    tuner.export("orders", "out", kind="onnx")
    how = json.loads(Path("out/predict.json").read_text())["members"][0]["encoding"]["columns"]
    assert {table["kind"] for table in how} >= {
        "number",
        "date",
        "time",
        "boolean",
        "ordinal",
        "category",
        "text",
    }
    told = np.array([[float(cell) for cell in line.split(",")] for line in alone("orders.csv")])
    expected = tuner.predict("orders", "orders.csv").to_numpy()
    assert told == pytest.approx(expected, rel=1e-3)


def test_texts_are_read_as_the_study_reads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    words = ["gut", "schön", "İyi", "schlecht", "öde", "ΜΈΓΑΣ", "42", "nicht", "ＡＢＣ", "e\u0301te\u0301"]
    rows = [" ".join(rng.choice(words, rng.integers(1, 9))) + "!" for _ in range(160)]
    kinds = ["good" if "gut" in row else "bad" for row in rows]
    pd.DataFrame({"text": [*rows[:-1], "..."], "kind": kinds}).to_csv("texts.csv", index=False)
    for tokens in ("words", "characters"):
        settings = QUICK | {
            "data.text": "text",
            "data.tokens": tokens,
            "trainer.model": "bag",
            "name": tokens,
        }
        tuner.start("texts.csv", target="kind", trials=1, settings=settings)
        shutil.rmtree("out", ignore_errors=True)
        tuner.export(tokens, "out", kind="onnx")
        assert alone("texts.csv") == tuner.predict(tokens, "texts.csv")["prediction"].tolist()


def test_arrays_of_every_kind_are_read_as_the_study_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rng, y = np.random.default_rng(0), np.arange(80) % 2
    lengths = rng.integers(2, 7, 80)
    inputs: dict[str, Any] = {
        "pictures": rng.integers(0, 255, (80, 8, 8, 3)).astype(np.uint8),
        "series": [rng.normal(size=(each, 2)) for each in lengths],
        "tokens": [rng.integers(1, 9, each) for each in lengths],
    }
    models = {"pictures": "cnn", "series": "conv1d", "tokens": "bag"}
    monkeypatch.setattr(deploying, "MOST_OFF", 1.0)  # after three epochs they are not sure of anything
    for name, x in inputs.items():
        tuner.start(data=(x, y), trials=1, settings=QUICK | {"name": name, "trainer.model": models[name]})
        tuner.export(name, name + "-out", kind="onnx", data=(x, y))
        for kind in ("onnx-int8", "onnx-int8-static"):
            tuner.export(name, f"{name}-{kind}", kind=kind, data=(x, y))
            assert "Run on" in Path(f"{name}-{kind}", "MODEL_CARD.md").read_text()
        own, exported = tuner.load_model(name + "-out"), ExportedModel(name + "-out")
        assert exported.probabilities(x) == pytest.approx(own.probabilities(x), abs=1e-4)  # type: ignore[attr-defined]


def test_parts_of_predict_py_share_no_names() -> None:
    names: Counter[str] = Counter()
    for module in predict_json.MODULES:
        names.update({name for node in ast.parse(inspect.getsource(module)).body for name in _defined(node)})
    assert not [name for name, count in names.items() if count > 1]


def _defined(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    targets = node.targets if isinstance(node, ast.Assign) else []
    yield from (each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name))


def test_a_mean_of_models_is_exported_as_one(houses: Path) -> None:
    tuner.start("house.csv", target="price", trials=1, settings={**QUICK, "trainer.repeats": 2})
    tuner.export("house", "out", kind="onnx")
    rows = pd.read_csv(houses)
    expected = tuner.load_model("out").predict(rows)
    assert ExportedModel("out").predict(rows) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("target", "trainer"), [("price", "torch"), ("kind", "torch"), ("kind", "sklearn")])
def test_the_best_kept_models_predict_together(target: str, trainer: str, houses: Path, fruit: Path) -> None:
    file = houses.name if target == "price" else fruit.name
    more = {"trainer.use": trainer, "trainer.keep": 3, "name": "several"}
    space = _LINEAR if trainer == "sklearn" else None
    study = tuner.start(file, target=target, trials=4, settings=QUICK | more, space=space)
    best = study.best_kept(2)
    ranked = sorted(study.records, key=study.spec.objectives().key)
    assert [trial.number for trial in best] == [record.number for record in ranked[:2]]
    rows, each = pd.read_csv(file), [tuner.load_model(trial.folder) for trial in best]
    told = tuner.predict("several", rows, ensemble=2)
    if target == "price":
        mean = np.mean([model.predict(rows) for model in each], axis=0)
        assert told["prediction"].to_numpy() == pytest.approx(mean, rel=1e-5)
    else:
        shares: Any = np.mean([model.probabilities(rows) for model in each], axis=0)  # type: ignore[attr-defined]
        assert told.filter(like="probability").to_numpy() == pytest.approx(shares, abs=1e-5)
    kind = "onnx" if trainer == "torch" else "skops"
    tuner.export("several", "out", ensemble=2, kind=kind)
    own = tuner.load_model("out").predict(rows)
    found = ExportedModel("out").predict(rows)
    assert found == pytest.approx(own, rel=1e-4) if target == "price" else (found == own).all()
    card = Path("out/MODEL_CARD.md").read_text()
    assert f"# Model of trials {best[0].number}, {best[1].number} of study several" in card
    assert "validation rows: loss" in card
    assert "the locked test was not opened" in card
    with pytest.raises(TrialError, match=r"9 models is asked for, [34] were kept; give 2 to [34]"):
        tuner.export("several", "more", ensemble=9)
    with pytest.raises(SpecError, match="give either trial or ensemble"):
        tuner.predict("several", rows, ensemble=2, trial=1)


def test_integers_of_8_bits_are_smaller_and_say_what_they_change(fruit: Path) -> None:
    space = {"width": {"type": "choice", "choices": [128], "default": 128}}
    tuner.start("fruit.csv", target="kind", trials=1, settings=QUICK, space=space)
    tuner.export("fruit", "whole", kind="onnx")
    tuner.export("fruit", "small", kind="onnx-int8")
    sizes = [Path(folder, "model.onnx").stat().st_size for folder in ("whole", "small")]
    assert sizes[0] > 2.5 * sizes[1]
    card = Path("small/MODEL_CARD.md").read_text()
    assert "8-bit integers" in card
    assert "Run on" in card
    rows = pd.read_csv(fruit)
    shares = [ExportedModel(folder).probabilities(rows) for folder in ("whole", "small")]
    assert np.abs(shares[0] - shares[1]).max() < 0.05
    number = rows.select_dtypes("number").columns[0]
    odd = pd.concat([rows, rows.head(1).assign(**{number: 1e9})])
    assert np.array_equal(ExportedModel("small").probabilities(odd)[:-1], shares[1])


def test_images_leave_as_onnx_and_in_both_formats_of_pytorch(images: Path) -> None:
    space = {"batch_norm": {"type": "choice", "choices": [True], "default": True}}
    tuner.start("pictures.npz", trials=1, settings={**QUICK, "trainer.model": "cnn"}, space=space)
    for kind in ("onnx", "onnx-int8-static", "torchscript", "torch-export"):
        tuner.export("pictures", kind, kind=kind)
        assert "Run on" in Path(kind, "MODEL_CARD.md").read_text(), kind
    x = np.load(images)["X"]
    expected = tuner.load_model("onnx").predict(x)
    assert (ExportedModel("onnx").predict(x) == expected).all()
    Path("onnx/model.onnx").write_bytes(b"no graph")
    with pytest.raises(ValueError, match=r"model\.onnx: is missing or damaged"):
        ExportedModel("onnx")
    Path("onnx/predict.json").write_text("[]")
    with pytest.raises(ValueError, match="holds no exported model"):
        ExportedModel("onnx")


def test_what_cannot_be_exported_is_refused_and_leaves_no_folder(houses: Path) -> None:
    with pytest.raises(SpecError, match=r"unknown name 'onxn'.*did you mean 'onnx'"):
        tuner.export("house", "out", kind="onxn")
    with pytest.raises(SpecError, match="half precision on a CPU no faster"):
        tuner.export("house", "out", kind="onnx-fp16")
    settings = {**QUICK, "trainer.use": "sklearn", "trainer.model": "sklearn.kernel_ridge:KernelRidge"}
    space = {"alpha": {"type": "float", "low": 0.1, "high": 1.0, "default": 0.5}}
    tuner.start("house.csv", target="price", trials=1, settings=settings, space=space)
    with pytest.raises(TrialError, match="for networks of the torch trainer"):
        tuner.export("house", "out", kind="torchscript")
    pytest.importorskip("skl2onnx", reason="skl2onnx is not installed: estimators as ONNX are not tested")
    with pytest.raises(
        TrialError, match=r"KernelRidge cannot be written as an ONNX graph.*use --format skops"
    ):
        tuner.export("house", "out", kind="onnx")
    assert not Path("out").exists()
    tuner.export("house", "out", kind="skops")
    rows = pd.read_csv(houses)
    assert ExportedModel("out").predict(rows) == pytest.approx(
        tuner.load_model("out").predict(rows), rel=1e-5
    )


_LINEAR: dict[str, Any] = {
    "alpha": {"type": "float", "low": 1e-4, "high": 1e-2, "default": 1e-3, "log": True}
}
_TREES: dict[str, Any] = {"max_depth": {"type": "int", "low": 2, "high": 5, "default": 4}}


@pytest.mark.parametrize(
    ("model", "target", "space"),
    [
        ("sgd", "kind", _LINEAR), ("mlp", "kind", _LINEAR), ("forest", "kind", _TREES),
        ("boosting", "kind", _TREES), ("boosting", ["kind", "town"], _TREES), ("boosting", "size", _TREES),
    ],
)  # fmt: skip
def test_estimators_leave_as_onnx_and_say_what_they_said(
    model: str, target: Any, space: Any, fruit: Path
) -> None:
    pytest.importorskip("skl2onnx", reason="skl2onnx is not installed: estimators as ONNX are not tested")
    table = pd.read_csv(fruit).dropna()
    if isinstance(target, list):
        table["kind"] = table["kind"] == "plum"
        table["town"] = table["town"] == "Ulm"
    table.to_csv(fruit, index=False)
    settings = {**QUICK, "trainer.use": "sklearn", "trainer.model": model, "trainer.epochs": 1}
    tuner.start("fruit.csv", target=target, trials=1, settings=settings, space=space)
    tuner.export("fruit", "out", kind="onnx")
    assert "no prediction differs" in Path("out/MODEL_CARD.md").read_text()
    rows, own, exported = pd.read_csv(fruit), tuner.load_model("out"), ExportedModel("out")
    if target == "size":
        assert exported.predict(rows) == pytest.approx(own.predict(rows), rel=1e-4)
        return
    assert (exported.predict(rows) == own.predict(rows)).all()
    if model == "sgd":  # of a loss without probabilities
        with pytest.raises(ValueError, match="has no probabilities"):
            exported.probabilities(rows)
    else:
        assert exported.probabilities(rows) == pytest.approx(own.probabilities(rows), abs=1e-4)  # type: ignore[attr-defined]
