"""Models that cannot be kept, as the commands tell of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.program import TRAINER, Tune

UNKEPT = TRAINER.replace("        yield {", '        context.keep({"w": "no array"})\n        yield {', 1)
KEPT = UNKEPT.replace('"no array"', "[1.0]")


def test_trials_without_a_model_are_shown_confirmed_and_not_exported_in_words(
    tune: Tune, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "trainer.py").write_text(UNKEPT)
    started = tune("start", "study.toml")
    assert started.code == 0, started.err
    assert caplog.text.count("was not kept") == 1, "it is said of every trial"
    shown = " ".join(tune("show", "study", "0").out.split())
    assert "finished, val_loss 0.475 its model was not kept: TypeError: w: a str cannot be kept" in shown
    assert "Traceback" in shown
    refused = tune("export", "study", "out")
    assert refused.code == 2
    assert "was not kept; kept are: none" in refused.err
    confirmed = tune("confirm", "study", "--quiet")
    assert confirmed.code == 0, confirmed.err
    assert "0 failed" not in confirmed.out
    assert tune("report", "study").code == 0
    assert tune("verify").code == 0


def test_disk_that_takes_no_models_is_said_in_one_line_and_resumed(tune: Tune, folder: Path) -> None:
    (folder / "trainer.py").write_text(KEPT)
    (folder / "tuner_models").write_text("in the way")
    stopped = tune("start", "study.toml", "--quiet")
    assert stopped.code == 2
    (line,) = stopped.err.strip().splitlines()
    assert line.startswith(f"error: {folder / 'tuner_models'}")
    assert "the model of trial 0 cannot be written: " in line
    assert "make room there" in line
    assert "`tune resume`" in line
    (folder / "tuner_models").unlink()
    assert tune("resume", "--quiet").code == 0
    table = tune("show", "study", "--json").json
    assert (table["state"], len(table["trials"])) == ("finished", 6)
    assert not [each for each in table["trials"] if each["state"] == "failed"]
    assert table["trials"][0]["model_path"]
