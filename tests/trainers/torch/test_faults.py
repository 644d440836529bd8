from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainers.torch import nets
from tests.trainers.torch.plain import images, series, several, texts
from tuner.core.dataset import Dataset
from tuner.core.spec import StudySpec
from tuner.testing.trainer import blobs, line
from tuner.trainers.torch import TorchTrainer
from tuner.trainers.torch.shipped import DEFAULTS

FLOAT = {"type": "float", "low": 0.0, "high": 0.5, "default": 0.1}


def faults(data: Dataset | None, space: dict[str, Any] | None = None, **trainer: Any) -> list[str]:
    table = {"trainer": trainer, "space": {"dropout": FLOAT, **(space or {})}}
    return list(TorchTrainer().validate(StudySpec.parse(table), data))


def fault(data: Dataset | None, space: dict[str, Any] | None = None, **trainer: Any) -> str:
    [only] = faults(data, space, **trainer)
    assert "\n" not in only
    return only


def choice(*values: Any) -> dict[str, Any]:
    return {"type": "choice", "choices": list(values), "default": values[0]}


def test_network_follows_from_the_data_where_none_is_named() -> None:
    assert faults(blobs()) == faults(images()) == faults(line()) == []


def test_missing_data_is_named() -> None:
    assert fault(None) == 'data: is missing; the torch trainer needs [data] source = "..."'


def test_unknown_network_gets_the_near_name() -> None:
    assert fault(blobs(), model="mpl").startswith(
        "trainer.model: unknown name 'mpl'; known: bag, cnn, conv1d, mlp, rnn, several, transformer; "
        "did you mean 'mlp'?"
    )


def test_reference_that_leads_nowhere_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "no such file" in fault(blobs(), model="./net.py:build")
    (tmp_path / "net.py").write_text("build = 3\n")
    assert "is no function" in fault(blobs(), model="./net.py:build")
    assert "did you mean 'build'?" in fault(blobs(), model="./net.py:bild")


def test_cnn_needs_images() -> None:
    assert fault(blobs(), model="cnn") == (
        "trainer.model: cnn needs images (C, H, W), found rows of shape (5,); give one of mlp"
    )
    assert faults(images(), model="mlp") == []


@pytest.mark.parametrize(
    ("model", "data", "told"),
    [
        (
            "bag",
            series(),
            "bag needs tokens (T,), found series of shape (7, 3); give one of mlp, rnn, conv1d, transformer",
        ),
        (
            "mlp",
            texts(),
            "mlp needs rows (D,) or images (C, H, W) or series (T, F), found tokens of shape (6,); "
            "give one of rnn, conv1d, bag, transformer",
        ),
        (
            "rnn",
            images(),
            "rnn needs series (T, F) or tokens (T,), found images of shape (1, 8, 8); give one of mlp, cnn",
        ),
    ],
    ids=["bag", "mlp", "rnn"],
)
def test_network_must_take_the_kind_of_inputs(model: str, data: Dataset, told: str) -> None:
    assert fault(data, model=model) == f"trainer.model: {told}"


def test_each_kind_of_inputs_has_a_network_of_its_own() -> None:
    found = [DEFAULTS[data.kind] for data in (blobs(), images(), series(), texts(), several())]
    assert found == ["mlp", "cnn", "conv1d", "bag", "several"]
    assert all(faults(data) == [] for data in (series(), texts()))


def test_setting_of_another_network_is_named() -> None:
    assert fault(blobs(), {"kernel_size": choice(1, 3)}) == (
        "space.kernel_size: mlp has no such parameter; it is one of cnn, conv1d"
    )
    assert fault(images(), {"fixed": {"pooling": "last"}}) == (
        "space.fixed.pooling: cnn does not pool by 'last'; known: max, mean"
    )
    assert faults(texts(), {"pooling": choice("last", "mean")}, model="rnn") == []


def test_loss_and_score_must_fit_the_task() -> None:
    assert fault(blobs(), loss="mse") == (
        "trainer.loss: 'mse' is not for classification; give one of binary_cross_entropy, cross_entropy"
    )
    assert fault(line(), score="f1") == (
        "trainer.score: 'f1' is not for regression; give one of mae, mape, quantile, r2, rmse"
    )


def test_device_must_be_there() -> None:
    if not torch.cuda.is_available():
        assert "torch sees no CUDA GPU" in fault(blobs(), device="cuda:1")
    assert "unknown name 'tpu'" in fault(blobs(), device="tpu")
    assert faults(blobs(), device="auto") == []


def test_unknown_metric_and_settings_are_named() -> None:
    table = {"objective": {"metric": "val_acc", "direction": "maximize"}, "space": {"dropout": FLOAT}}
    [only] = TorchTrainer().validate(StudySpec.parse(table), blobs())
    assert only.startswith("objective.metric: unknown name 'val_acc'")
    assert "takes none, found momentum" in fault(blobs(), settings={"momentum": 0.9})


def test_unknown_parameter_gets_the_near_name_where_the_network_is_shipped(tmp_path: Path) -> None:
    own = {"learning_rat": FLOAT, "fixed": {"widht": 3}}
    first, second = faults(blobs(), own)
    assert first.startswith("space.learning_rat: mlp has no such parameter")
    assert first.endswith("did you mean 'learning_rate'?")
    assert second.startswith("space.fixed.widht:")
    path = tmp_path / "net.py"
    path.write_text("def build(params, context): ...\n")
    assert faults(blobs(), {**own, "width": choice("small", "large")}, model=f"{path}:build") == []


@pytest.mark.parametrize(
    ("name", "parameter", "told"),
    [
        (
            "batch_size",
            choice(32, "all"),
            "'all' makes no sense; give a whole number of at least 1 or \"full\"",
        ),
        ("batch_size", choice(0, "full"), "0 makes no sense"),
        ("dropout", {**FLOAT, "high": 1.0}, "1.0 makes no sense; give a number of at least 0 and below 1"),
        ("momentum", {**FLOAT, "high": 1.5}, "1.5 makes no sense"),
        ("learning_rate", {**FLOAT, "low": -1.0}, "-1.0 makes no sense; give a number of at least 0"),
        ("width", {**FLOAT, "low": 0.1}, "0.1 makes no sense; give a whole number of at least 1"),
        ("optimizer", choice("adam", "adm"), "unknown name 'adm'"),
        ("layer_norm", choice("yes", "no"), "unknown name 'yes'; known: false, true"),
        ("layer_norm", choice(0, 1), "unknown name 0; known: false, true"),
        ("scaling", choice("standard", "minmax"), "did you mean 'min-max'?"),
    ],
)
def test_range_that_makes_no_sense_is_named(name: str, parameter: dict[str, Any], told: str) -> None:
    found = faults(blobs(), {name: parameter})
    assert found[0].startswith(f"space.{name}: ")
    assert told in " ".join(found)


@pytest.mark.parametrize(
    ("data", "told"), [(texts(), "no word"), (series(), "different lengths")], ids=["tokens", "series"]
)
def test_what_cannot_be_mixed_is_said(data: Dataset, told: str) -> None:
    searched = fault(data, {"mixup": FLOAT}, model=nets.of("Words"))
    assert searched.startswith("space.mixup: ")
    assert told in searched
    assert fault(data, {"fixed": {"mixup": 0.3}}, model=nets.of("Words")) == searched
    assert faults(data, {"mixup": FLOAT, "fixed": {"mixup": 0.0}}, model=nets.of("Words")) == []


def test_every_fault_is_told_at_once() -> None:
    assert len(faults(blobs(), {"momentun": FLOAT}, model="mlpp", loss="mse", score="r2", device="tpu")) == 4
