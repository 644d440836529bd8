from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tuner.trainers.command.metrics import MetricsFile, from_line


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"val_loss": 0.5, "step": 3, "name": "x", "on": true}', {"val_loss": 0.5, "step": 3}),
        ("epoch 3: train_loss=0.25 val_loss=5e-1", {"train_loss": 0.25, "val_loss": 0.5}),
        ("312/312 - 2s - loss: 0.3512 - val_loss: 0.5", {"loss": 0.3512, "val_loss": 0.5}),
        ("val_loss=nan, lr=1e-05.", {"val_loss": pytest.approx(float("nan"), nan_ok=True), "lr": 1e-5}),
        ("val_loss = -.5 acc/top1=.75 eta: 12:30 done=50%", {"val_loss": -0.5, "acc/top1": 0.75}),
        ("Namespace(lr=0.1, epochs=10)", {}),
        ("val_loss is 3", {}),
        ("{not json", {}),
        ("[1, 2]", {}),
        ('50%|#####| @tuner {"val_loss": 0.5, "state": "/a"}', {"val_loss": 0.5, "state": "/a"}),
    ],
)
def test_numbers_are_found_in_what_a_command_prints(line: str, expected: dict[str, Any]) -> None:
    assert from_line(None, {"val_loss"})(line) == expected


def test_a_regular_expression_finds_its_groups_and_nothing_else() -> None:
    find = from_line(r"loss (?P<val_loss>\S+)(?: acc (?P<acc>\S+))?", {"val_loss"})
    assert find("step 3 loss 0.5 acc 0.75") == {"val_loss": 0.5, "acc": 0.75}
    assert find("loss 0.5") == {"val_loss": 0.5}
    assert find("loss none") == {}
    assert find("val_loss=0.5") == {}
    assert find('@tuner {"val_loss": 0.25}') == {"val_loss": 0.25}


def test_a_csv_is_read_as_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    file = MetricsFile(path)
    assert list(file.rows()) == []
    path.write_text("epoch,val_loss,note\n1,0.5,good\n2,0.")
    assert list(file.rows()) == [{"epoch": 1.0, "val_loss": 0.5}]
    assert list(file.rows()) == []
    with path.open("a") as more:
        more.write("25,\n3,0.125")
    assert list(file.rows()) == [{"epoch": 2.0, "val_loss": 0.25}]
    assert list(file.rows(last=True)) == [{"epoch": 3.0, "val_loss": 0.125}]


def test_what_stood_in_a_file_before_is_not_read_and_one_that_begins_anew_is(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("epoch,val_loss\n1,0.5\n")
    file = MetricsFile(path)
    with path.open("a") as more:
        more.write("2,0.25\n")
    assert list(file.rows()) == [{"epoch": 2.0, "val_loss": 0.25}]
    path.write_text("val_loss\n3\n")
    assert list(file.rows()) == [{"val_loss": 3.0}]


def test_lines_of_json_are_read_as_they_grow(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    file = MetricsFile(path)
    path.write_text('{"val_loss": 0.5}\n{"val_l')
    assert list(file.rows()) == [{"val_loss": 0.5}]
    with path.open("a") as more:
        more.write('oss": 0.25}\n')
    assert list(file.rows()) == [{"val_loss": 0.25}]
