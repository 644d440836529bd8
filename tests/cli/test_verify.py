from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.cli.program import Tune


def spoil(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / "tuner.db")) as connection, connection:
        connection.execute(statement)


def test_a_sound_database_is_said_to_be_sound(stored: Tune) -> None:
    epochs = sum(trial["epochs"] for trial in stored("show", "study", "--json").json["trials"])
    ended = stored("verify")
    assert (ended.code, ended.out) == (0, f"tuner.db: no fault in 1 study, 6 trials, {epochs} epochs\n")
    table = stored("verify", "--json").json
    assert table == {
        "database": "tuner.db", "sound": True, "studies": 1, "trials": 6, "epochs": epochs, "findings": [],
    }  # fmt: skip


def test_a_fault_is_named_with_what_to_do_and_ends_the_command_with_2(stored: Tune, folder: Path) -> None:
    spoil(folder, "DELETE FROM tuner_epochs WHERE epoch = 2")
    ended = stored("verify")
    assert ended.code == 2
    first, *_, last = ended.out.splitlines()
    assert first.startswith("fault: study, trial 0: epochs are missing: 2; restore a copy of the database")
    assert "faults in 1 study" in last
    table = stored("verify", "--json")
    assert table.code == 2
    assert table.json["sound"] is False
    assert table.json["findings"][0]["trial"] == 0


def test_a_database_that_is_not_there_is_the_users_to_mend(tune: Tune) -> None:
    ended = tune("verify")
    assert (ended.code, ended.out) == (2, "")
    assert "no such file" in ended.err


def test_show_tells_how_often_trials_were_interrupted(stored: Tune, folder: Path) -> None:
    assert "interrupted" not in stored("show", "study").out
    spoil(folder, "UPDATE tuner_trials SET interruptions = 2 WHERE number = 0")
    shown = stored("show", "study").out
    assert "1 trial interrupted, 2 times in all" in shown
    assert "interrupted" in shown.partition("val_loss")[2]
    assert "interrupted 2 times" in stored("show", "study", "0").out
    assert "interrupted" not in stored("show", "study", "1").out


def test_resume_takes_over_a_changed_file_only_where_that_is_allowed(stored: Tune, folder: Path) -> None:
    file = folder / "study.toml"
    # The database was written in another folder.
    stored("delete", "study", "--yes")
    assert stored("start", "study.toml", "--quiet").code == 0
    file.write_text(file.read_text().replace("high = 1.0", "high = 2.0"))
    refused = stored("resume", "study.toml", "--trials", "7", "--quiet")
    assert refused.code == 2
    assert "space.x.high: 1.0 -> 2.0" in refused.err
    assert len(refused.err.splitlines()) == 1
    assert stored("resume", "study", "--trials", "7", "--quiet", "--ignore-changes").code == 0
    assert stored("resume", "study.toml", "--trials", "8", "--quiet", "--allow-changes").code == 0
    assert stored("resume", "study", "--trials", "9", "--quiet").code == 0
    assert "space.x.high: 1.0 -> 2.0" in stored("show", "study").out
    assert stored("verify").code == 0
