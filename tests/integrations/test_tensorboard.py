"""What is written is read with TensorBoard's own reader."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tuner

# Its generated code and its reader bring warnings of their own.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module", autouse=True)
def quiet() -> None:
    logging.getLogger("tensorboard").setLevel(logging.ERROR)


def read(number: int, folder: str = "runs/copied") -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(Path(folder) / f"trial-{number:05d}"))
    found.Reload()
    return found


def curve(events: Any, tag: str) -> list[tuple[int, float]]:
    return [(each.step, each.value) for each in events.Scalars(tag)]


def test_every_trial_has_its_curves_its_parameters_and_its_value(tracked: Callable[..., tuner.Study]) -> None:
    study = tracked("tensorboard")
    from tensorboard.plugins.hparams import metadata

    assert any(record.paused_at for record in study.records)
    for record in study.records:
        events, stored = read(record.number), study.trial(record.number).curve
        for tag in ("train_loss", "val_loss", "gap", "trees"):
            expected: Any = [(each.epoch, pytest.approx(each.get(tag))) for each in stored]
            assert curve(events, tag) == expected
        assert "val_score" not in events.Tags()["scalars"]  # it was never measured
        assert curve(events, "value") == [(record.best.epoch, pytest.approx(record.value))]  # type: ignore[union-attr]
        plugin = events.PluginTagToContent("hparams")
        begun = metadata.parse_session_start_info_plugin_data(plugin[metadata.SESSION_START_INFO_TAG])
        assert begun.hparams["rate"].number_value == record.params["rate"]
        assert begun.hparams["kind"].string_value == record.params["kind"]
        assert metadata.SESSION_END_INFO_TAG in plugin


def test_a_resumed_study_writes_what_is_missing_and_nothing_twice(
    tracked: Callable[..., tuner.Study],
) -> None:
    tracked("tensorboard", folder="there")
    files = sorted(Path("there").rglob("*.tuner"))
    before = {path: path.read_bytes() for path in files}
    # As a kill leaves it: one trial is not there, another one is half written.
    files[1].unlink()
    files[2].write_bytes(before[files[2]][:150])
    study = tracked("tensorboard", trials=6, folder="there")
    assert files[0].read_bytes() == before[files[0]]
    assert len(list(Path("there").rglob("*.tuner"))) == len(study.records) == 6
    for record in study.records:
        found = curve(read(record.number, "there/copied"), "val_loss")
        assert [step for step, _ in found] == list(range(1, record.epochs + 1))
