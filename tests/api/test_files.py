"""What is kept is a study's own: whatever it is called, and wherever it is moved or copied."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import tuner
from tuner.api.stored import verify
from tuner.errors import SpecError, StoreError, StudyNotFound, TrialError, TunerError

SPACE = {"x": {"type": "float", "low": 0.0, "high": 1.0, "default": 0.5}}
CODE = """
import numpy as np

def train(params, context):
    for epoch in range(2):
        context.keep({"x": np.full(2, params["x"] + SHIFT)})
        yield {"val_loss": (params["x"] - 0.3) ** 2, "train_loss": 0.1}
"""
STUDY = """
name = "s"
trainer = {use = "./f.py:train", epochs = 2, executor = "inline"}
search = {sampler = "random", pruner = "none"}
budget = {trials = 3}
[space.x]
type = "float"
low = 0.0
high = 1.0
default = 0.5
"""


def train(params: dict[str, Any], context: Any) -> Iterator[dict[str, float]]:
    context.keep({"x": np.full(2, params["x"])})
    yield {"val_loss": (params["x"] - 0.3) ** 2, "train_loss": 0.1}


def started(name: str, storage: str | None = None, *, trials: int = 1, seed: int = 0) -> tuner.Study:
    return tuner.start(
        trainer=train, space=SPACE, name=name, trials=trials, storage=storage, seed=seed,
        settings={"search.sampler": "random"},
    )  # fmt: skip


def project(folder: Path, shift: float = 0.0) -> Path:
    """A project with a study of 3 trials, the best and the default kept."""
    folder.mkdir(parents=True)
    (folder / "f.py").write_text(CODE.replace("SHIFT", str(shift)))
    (folder / "s.toml").write_text(STUDY)
    tuner.start(str(folder / "s.toml"), storage=url(folder))
    return folder


def url(folder: Path) -> str:
    return f"sqlite:///{folder}/tuner.db"


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, but for what SQLite writes beside a database that is read."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in files
        if not path.name.endswith(("-wal", "-shm")) and "__pycache__" not in path.parts
    }


def home_of(study: tuner.Study) -> Path:
    """The folder of a study's files."""
    path = study.trial(0).model_path
    assert path is not None
    return path.parent


def kept(study: tuner.Study) -> list[int]:
    return [record.number for record in study.records if record.model_path is not None]


def spoil(folder: Path, statement: str, *values: Any) -> None:
    with closing(sqlite3.connect(folder / "tuner.db")) as connection, connection:
        connection.execute(statement, values)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working folder with files of the user's own, in which every example starts its study."""
    folder = tmp_path_factory.mktemp("home") / "work"
    folder.mkdir()
    (folder.parent / "above.txt").write_text("mine")
    (folder / "mine.txt").write_text("mine")
    (folder / "tuner_models").mkdir()
    (folder / "tuner_models" / "mine.txt").write_text("mine")
    before = Path.cwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


names = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=200)


@given(names)
@example("超参数搜索" * 6)
@example("\N{GRINNING FACE}" * 200)
@example("x~confirm/../../b%2e ")
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_study_of_any_name_is_created_resumed_exported_and_deleted_and_nothing_else_changes(
    home: Path, name: str
) -> None:
    def others() -> dict[str, bytes]:
        return {k: v for k, v in contents(home.parent).items() if not k.endswith("tuner.db")}

    before = others()
    study = started(name)
    assert kept(study) == [0]
    tuner.resume(name, trials=2, trainer=train)
    assert study.trial(0).model()["x"].tolist() == [0.5, 0.5]
    exported = home.parent / "exported"
    tuner.export(name, exported, trial=1)
    assert tuner.load_model(exported).description["number"] == 1
    shutil.rmtree(exported)
    assert verify().findings == []
    assert {**others(), **before} == others(), "a file of the user's is another one"
    tuner.delete(name)
    assert others() == before
    assert [path.name for path in (home / "tuner_models").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("name", ["..", "."])
def test_deleting_a_study_that_is_called_like_a_folder_removes_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    home = tmp_path / "work"
    (home / "tuner_models").mkdir(parents=True)
    for place in (tmp_path, home, home / "tuner_models"):
        (place / "mine.txt").write_text("mine")
    monkeypatch.chdir(home)
    before = contents(tmp_path)
    started(name)
    tuner.delete(name)
    assert {k: v for k, v in contents(tmp_path).items() if not k.endswith("tuner.db")} == before


@pytest.mark.parametrize("name", ["a\nb", "a\x00", "\x1b[31m", "\x85"])
def test_a_name_with_control_characters_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError, match="holds the control character"):
        started(name)
    assert not list(tmp_path.iterdir())


def test_names_that_differ_only_in_case_share_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    one, other = started("Digits"), started("digits")
    folders = {str(each.trial(0).model_path).lower() for each in (one, other)}
    assert len(folders) == 2


def test_two_databases_in_one_folder_share_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    a, b = (f"sqlite:///{name}.db" for name in "ab")
    one, _ = started("s", a, trials=3, seed=1), started("s", b, trials=3, seed=2)
    models = [one.trial(number).model()["x"][0] for number in kept(one)]
    assert models == [one.trial(number).params["x"] for number in kept(one)]
    tuner.delete("s", storage=b)
    assert [one.trial(number).model()["x"][0] for number in kept(one)] == models
    assert verify(storage=a).is_sound


def test_a_copied_project_leaves_its_original_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = project(tmp_path / "a"), tmp_path / "b"
    monkeypatch.chdir(tmp_path)
    before = contents(a)
    shutil.copytree(a, b)
    (b / "f.py").write_text(CODE.replace("SHIFT", "10"))
    copy = tuner.resume("s", storage=url(b), trials=5)
    assert all(str(record.model_path).startswith(str(b)) for record in copy.records if record.model_path)
    late = [number for number in kept(copy) if number > 2]
    assert late, "none of the new trials is among the best"
    assert all(copy.trial(n).model()["x"][0] > 10 for n in late), "it trained by its original's code"
    tuner.confirm("s", storage=url(b), top=1, repeats=3)
    tuner.delete("s", storage=url(b))
    assert contents(a) == before
    assert verify(storage=url(a)).is_sound
    assert [path.name for path in (b / "tuner_models").iterdir()] == []


def test_a_moved_project_has_its_models_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project(tmp_path / "a")
    b = tmp_path / "elsewhere" / "b"
    b.parent.mkdir()
    (tmp_path / "a").rename(b)
    monkeypatch.chdir(tmp_path)
    study = tuner.load("s", storage=url(b))
    assert [study.trial(n).model()["x"][0] for n in kept(study)] == [
        study.trial(n).params["x"] for n in kept(study)
    ]
    assert verify(storage=url(b)).findings == []
    tuner.export("s", tmp_path / "out", storage=url(b))
    gone_on = tuner.resume("s", storage=url(b), trials=5)
    assert gone_on.summary.counts["finished"] == 5
    assert gone_on.specs[-1].changes == (
        "budget.trials: 3 -> 5",
        f"moved: {tmp_path / 'a'} -> {b}",
    )


def test_a_database_that_was_moved_alone_says_where_its_models_should_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = project(tmp_path / "a"), tmp_path / "b"
    monkeypatch.chdir(tmp_path)
    b.mkdir()
    (a / "tuner.db").rename(b / "tuner.db")
    [folder] = (a / "tuner_models").iterdir()
    expected = f"its model is not in {b / 'tuner_models' / folder.name / '0'}"
    assert expected in [finding.what for finding in verify(storage=url(b)).findings]
    shutil.move(a / "tuner_models", b / "tuner_models")
    assert verify(storage=url(b)).is_sound


def test_a_copy_of_a_database_beside_its_original_only_reads_its_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = project(tmp_path / "a")
    monkeypatch.chdir(a)
    shutil.copy("tuner.db", "copy.db")
    before = contents(a / "tuner_models")
    copy = tuner.load("s", storage="sqlite:///copy.db")
    assert copy.trial(0).model()["x"].tolist() == [0.5, 0.5]
    for change in (
        lambda: tuner.resume("s", storage="sqlite:///copy.db", trials=5),
        lambda: tuner.delete("s", storage="sqlite:///copy.db"),
    ):
        with pytest.raises(StoreError, match=r"belong to the database .*folder of their own"):
            change()
    assert contents(a / "tuner_models") == before
    assert copy.summary.counts["finished"] == 3
    # What was moved, and not copied, takes its files along.
    (a / "tuner.db").rename(a / "original.db")
    tuner.delete("s", storage="sqlite:///original.db")


# Only places below the test's own folder: code with this fault removes what is named here.
@pytest.mark.parametrize(
    "place",
    ["{outside}", "../outside", "..", "", "tuner_models/../../outside", "tuner_models", "~", "a\0b", b"\xff"],
)
def test_a_database_from_somebody_else_removes_nothing_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str | bytes
) -> None:
    a, outside = project(tmp_path / "a"), tmp_path / "outside"
    shutil.copytree(next((a / "tuner_models").iterdir()), outside)
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    stored = place.format(outside=outside) if isinstance(place, str) else place
    spoil(a, "UPDATE tuner_studies SET models = ?", stored)
    before = contents(tmp_path)
    with pytest.raises(StoreError, match="no folder that tuner makes"):
        tuner.delete("s", storage=url(a))
    with pytest.raises(TunerError, match="no folder that tuner makes"):
        tuner.load("s", storage=url(a)).trial(0).model()
    assert not verify(storage=url(a)).is_sound
    assert {k: v for k, v in contents(tmp_path).items() if not k.endswith(".db")} == {
        k: v for k, v in before.items() if not k.endswith(".db")
    }


def test_a_stored_model_path_leads_nowhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, outside = project(tmp_path / "a"), tmp_path / "outside"
    (outside / "0").mkdir(parents=True)
    (outside / "0" / "mine.txt").write_text("mine")
    monkeypatch.chdir(tmp_path)
    spoil(a, "UPDATE tuner_trials SET model_path = ?", str(outside / "0"))
    study = tuner.load("s", storage=url(a))
    assert study.trial(0).model_path != outside / "0"
    assert "instead of its number" in verify(storage=url(a)).findings[0].what
    tuner.delete("s", storage=url(a))
    assert (outside / "0" / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("what", ["study", "model", "weights"])
def test_links_out_of_a_studys_folder_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    a, outside = project(tmp_path / "a"), tmp_path / "outside"
    monkeypatch.chdir(tmp_path)
    [folder] = (a / "tuner_models").iterdir()
    path = {"study": folder, "model": folder / "0", "weights": folder / "0" / "model.safetensors"}[what]
    path.rename(outside)
    path.symlink_to(outside)
    before = contents(outside) if outside.is_dir() else {"": outside.read_bytes()}
    with pytest.raises(TunerError, match="is a link"):
        tuner.export("s", tmp_path / "out", storage=url(a), trial=0)
    assert not verify(storage=url(a)).is_sound
    if what == "study":
        with pytest.raises(StoreError, match="is a link"):
            tuner.delete("s", storage=url(a))
    else:
        tuner.delete("s", storage=url(a))
        assert not folder.exists()
    assert (contents(outside) if outside.is_dir() else {"": outside.read_bytes()}) == before


def test_a_model_of_another_study_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = project(tmp_path / "a"), project(tmp_path / "b", shift=1.0)
    monkeypatch.chdir(tmp_path)
    [mine], [theirs] = ((each / "tuner_models").iterdir() for each in (a, b))
    shutil.rmtree(mine / "0")
    shutil.copytree(theirs / "0", mine / "0")
    study = tuner.load("s", storage=url(a))
    for use in (lambda: study.trial(0).model(), lambda: tuner.export("s", "out", trial=0, storage=url(a))):
        with pytest.raises(TrialError, match="is of another study"):
            use()
    assert not (tmp_path / "out").exists()
    [fault] = verify(storage=url(a)).findings
    assert "is of another study" in fault.what
    # The same of the whole folder, under this study's name.
    shutil.rmtree(mine)
    shutil.copytree(theirs, mine)
    with pytest.raises(StoreError, match="files of another study"):
        tuner.delete("s", storage=url(a))
    with pytest.raises(StoreError, match="files of another study"):
        tuner.resume("s", storage=url(a), trials=5)
    assert (mine / "0" / "model.json").exists()


@pytest.fixture
def shelf() -> Iterator[Path]:
    """A project that another user may enter, which the folder of all tests is not."""
    folder = Path(tempfile.mkdtemp())
    project(folder / "a")
    yield folder / "a"
    if os.getuid() == 0:
        os.seteuid(0)
    for path in (folder, folder / "a", *(folder / "a").rglob("*")):
        path.chmod(0o777)
    shutil.rmtree(folder)


@pytest.mark.parametrize("what", [".", "s", "s/0", "s/0/model.json", "s/0/model.safetensors", "s/study.json"])
def test_files_that_cannot_be_read_are_told_by_every_command_and_nothing_is_lost(
    shelf: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    [folder] = (shelf / "tuner_models").iterdir()
    for path in (shelf.parent, *shelf.parent.rglob("*")):
        path.chmod(0o777)
    (folder.parent / what.replace("s", folder.name, 1) if what[0] == "s" else folder.parent).chmod(0)
    monkeypatch.chdir(shelf)
    if os.getuid() == 0:
        os.seteuid(65534)
    with pytest.raises(TunerError):
        tuner.load("s").trial(0).model()
    with pytest.raises(TunerError, match="read"):
        tuner.export("s", "out", trial=0)
    verify()
    for change in (lambda: tuner.resume("s", trials=4), lambda: tuner.delete("s")):
        with suppress(TunerError):
            change()


def test_what_is_exported_from_media_that_cannot_be_written_can_be(
    shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (*shelf.rglob("*"), shelf):
        path.chmod(0o555 if path.is_dir() else 0o444)
    shelf.parent.chmod(0o777)
    monkeypatch.chdir(shelf.parent)
    if os.getuid() == 0:
        os.seteuid(65534)
    tuner.export("s", "out", trial=0, storage=url(shelf))
    assert tuner.load_model("out").description["number"] == 0
    shutil.rmtree("out")


@pytest.mark.parametrize("driver", ["sqlite", "sqlite+pysqlite"])
def test_models_lie_beside_the_file_however_its_url_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, driver: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    study = started("s", f"{driver}:///sub/t.db?timeout=9")
    assert home_of(study).parent == tmp_path / "sub" / "tuner_models"
    assert {path.name for path in tmp_path.iterdir()} == {"sub"}


def test_a_confirmation_is_known_by_its_facts_and_not_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    mine, study = started("foo~confirm"), started("foo", trials=2)
    tuner.confirm("foo", top=1, repeats=3, trainer=train)
    study.refresh()
    assert study.confirmation is not None
    assert study.confirmation.confirmed_by == "foo~confirm-2"
    assert set(tuner.studies()["name"]) == {"foo", "foo~confirm"}
    again = tuner.confirm("foo", top=1, repeats=3, trainer=train, reopen=True)
    assert again.confirmed_by == "foo~confirm2"
    tuner.delete("foo")
    assert tuner.studies()["name"].tolist() == ["foo~confirm"]
    assert mine.trial(0).model()["x"].tolist() == [0.5, 0.5]
    assert len(list((tmp_path / "tuner_models").iterdir())) == 1


def test_a_study_of_the_longest_name_is_confirmed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("x" * 200, "x" * 199):
        started(name, trials=2)
        assert tuner.confirm(name, top=1, repeats=3, trainer=train).model_path is not None


def test_the_confirmation_of_a_study_that_optuna_deleted_is_not_its_namesakes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import optuna

    monkeypatch.chdir(tmp_path)
    started("foo", trials=2)
    before = tuner.confirm("foo", top=1, repeats=3, trainer=train)
    optuna.delete_study(study_name="foo", storage="sqlite:///tuner.db")
    orphan = [f for f in verify().findings if "is not here any more" in f.what]
    assert len(orphan) == 1
    assert orphan[0].to_do.startswith("if they are not needed: rm -r ")
    started("foo", trials=2, seed=9)
    after = tuner.confirm("foo", top=1, repeats=3, trainer=train)
    assert after.confirmed_by != before.confirmed_by


def test_what_cannot_be_removed_is_named_and_deleting_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    study = started("s")
    folder = Path(str(study.trial(0).model_path))
    remove = shutil.rmtree

    def refuse(path: Any, *args: Any, **options: Any) -> None:
        if Path(path) == folder:
            raise PermissionError(13, "Permission denied", str(folder / "model.json"))
        remove(path, *args, **options)

    monkeypatch.setattr(shutil, "rmtree", refuse)
    with pytest.raises(StoreError, match=r"could not remove .*model\.json \(Permission denied\)"):
        tuner.delete("s")
    assert study.refresh().summary.counts["finished"] == 1
    assert not study.summary.is_driven
    assert kept(study) == []
    monkeypatch.setattr(shutil, "rmtree", remove)
    tuner.delete("s")
    with pytest.raises(StudyNotFound):
        tuner.load("s")
    assert not folder.parent.exists()


def test_what_a_user_put_into_a_studys_folder_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = home_of(started("s"))
    (folder / "notes.txt").write_text("mine")
    assert verify().findings == []
    tuner.resume("s", trials=2, trainer=train)
    tuner.delete("s")
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("way", ["option", "key", "variable"])
def test_the_root_of_models_that_was_said_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUNER_MODELS", "big" if way == "variable" else "another")
    said: dict[str, Any] = {"models": "big"} if way == "option" else {}
    said["settings"] = {"search.sampler": "random", **({"trainer.models": "big"} if way == "key" else {})}
    study = tuner.start(trainer=train, space=SPACE, name="s", trials=2, **said)
    monkeypatch.delenv("TUNER_MODELS")
    assert home_of(study).parent == tmp_path / "big"
    assert json.loads((home_of(study) / "study.json").read_text())["study"] == "s"
    confirmation = tuner.confirm("s", top=1, repeats=3, trainer=train)
    assert Path(str(confirmation.model_path)).parents[1] == tmp_path / "big", "not beside those of its study"
    tuner.export("s", "out")
    assert verify().findings == []
    tuner.delete("s")
    assert list((tmp_path / "big").iterdir()) == []
    assert not {"another", "tuner_models"} & {path.name for path in tmp_path.iterdir()}


class Notes:
    """Takes down what is said when a study begins or goes on."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def begin(self, spec: Any, notes: Any) -> None:
        self.notes += [note for note in notes if note.startswith("models: ")]

    def turn(self, status: Any) -> None: ...


def test_models_that_were_moved_are_found_where_they_are_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    study = started("s", trials=2)
    weights = study.trial(0).model()["x"].tolist()
    shutil.move("tuner_models", "big")
    with pytest.raises(TrialError, match="its model is not in"):
        study.trial(0).model()
    with pytest.raises(TrialError):
        tuner.export("s", "out", trial=0)
    tuner.export("s", "out", trial=0, models="big")
    assert tuner.load("s", models="big").trial(0).model()["x"].tolist() == weights
    said = Notes()
    tuner.resume("s", trials=3, trainer=train, models="big", observer=said)
    assert said.notes == [
        f"models: in {tmp_path / 'big'} from now on, no longer in {tmp_path / 'tuner_models'}"
    ]
    assert study.refresh().trial(0).model()["x"].tolist() == weights, "it does not remember where they are"
    said = Notes()
    tuner.resume("s", trials=4, trainer=train, models="else", observer=said)
    assert said.notes == [
        f"models: stay in {tmp_path / 'big'}, where the study has them, not in {tmp_path / 'else'}"
    ]
    shutil.move("big", "bigger")
    said = Notes()
    tuner.resume("s", trials=5, trainer=train, observer=said)
    [folder] = (tmp_path / "bigger").iterdir()
    assert said.notes == [
        f"models: those kept so far are not in {tmp_path / 'big'}; put {folder.name} there, or say where it "
        "is: --models"
    ]
    assert sum(study.refresh().summary.counts.values()) == 5
    shutil.rmtree("big")
    tuner.delete("s", models="bigger")
    assert list((tmp_path / "bigger").iterdir()) == []


def test_what_is_no_folder_for_models_is_refused_before_anything_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("f.txt").write_text("mine")
    for options in ({"models": "f.txt"}, {"settings": {"trainer.models": "f.txt"}}):
        with pytest.raises(SpecError, match=r"f\.txt: is a file"):
            tuner.start(trainer=train, space=SPACE, name="s", **options)
    assert tuner.studies().empty


@pytest.mark.parametrize("together", [False, True])
def test_no_checkpoint_of_another_databases_study_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, together: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    # A suite that runs in the background of a shell is born deaf to it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    step, end = 1.0, 4

    def counts(params: dict[str, Any], context: Any) -> Iterator[dict[str, Any]]:
        total = (context.resume() or {"total": 0.0})["total"]
        while True:
            total += step
            if total == end * step:
                os.kill(os.getpid(), signal.SIGINT)
            yield {"val_loss": total, "train_loss": total, "state": {"total": total}}

    def begun(storage: str) -> None:
        with pytest.raises(KeyboardInterrupt):
            tuner.start(
                trainer=counts, space=SPACE, name="s", trials=1, storage=storage,
                settings={"trainer.epochs": 9, "search.pruner": "none"},
            )  # fmt: skip

    begun("sqlite:///a.db")
    epochs = tuner.load("s", storage="sqlite:///a.db").records[0].epochs
    # Twice, so that in one folder the other's checkpoints would be replaced, the last one at its epoch.
    step, end = 100.0, 3
    begun("sqlite:///b.db")
    end = 4
    with pytest.raises(KeyboardInterrupt):
        tuner.resume("s", storage="sqlite:///b.db", trainer=counts)
    if together:
        # Somebody puts the files of both into one folder.
        one, other = (next((tmp_path / "tuner_models").glob("s*")) for _ in "ab")
        for path in (*one.rglob("0.*"), *other.rglob("0.*")):
            for folder in (tmp_path / "tuner_models").glob("s*/checkpoints"):
                if folder != path.parent:
                    shutil.copy(path, folder)
    step, end = 1.0, 0
    study = tuner.resume("s", storage="sqlite:///a.db", trainer=counts)
    assert epochs >= 2
    assert study.curves["train_loss"].tolist() == [float(n) for n in range(1, 10)]


def killed_at(count: int, part: str, work: Any) -> bool:
    """Do something in a process that is killed at its n-th file operation below a folder.

    Returns:
        Whether it was; else it was done before.
    """
    child = os.fork()
    if child == 0:
        left = count

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal left
            if event in ("open", "os.remove", "os.rename", "os.rmdir", "os.mkdir") and any(
                part in str(each) for each in arguments
            ):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        try:
            work()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def test_deleting_that_is_killed_at_any_point_is_finished_by_repeating_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = project(tmp_path / "whole")
    tuner.confirm("s", top=1, repeats=3, storage=url(whole))
    monkeypatch.chdir(tmp_path)
    for count in range(1, 99, 4):
        copy = tmp_path / f"copy{count}"
        shutil.copytree(whole, copy)
        was_killed = killed_at(count, "tuner_models", partial(tuner.delete, "s", storage=url(copy)))
        assert [f.what for f in verify(storage=url(copy)).findings if f.is_fault] == []
        if was_killed:
            tuner.delete("s", storage=url(copy))
        assert list((copy / "tuner_models").iterdir()) == []
        assert tuner.studies(storage=url(copy)).empty
        if not was_killed:
            break
    assert count > 3


def test_exporting_that_is_killed_at_any_point_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = project(tmp_path / "home")
    monkeypatch.chdir(tmp_path)
    tuner.export("s", "expected", storage=url(home))
    for count in range(1, 99, 7):
        out = tmp_path / f"out{count}"
        if count % 2:
            out.mkdir()
        was_killed = killed_at(count, out.name, partial(tuner.export, "s", out, storage=url(home)))
        if was_killed:
            tuner.export("s", out, storage=url(home))
        assert contents(out) == contents(tmp_path / "expected")
        if not was_killed:
            break
    assert count > 3


@pytest.mark.parametrize("place", ["", "7", "0/x", "new/out"])
def test_nothing_is_exported_into_a_studys_own_folder_which_would_go_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    home = project(tmp_path / "home")
    monkeypatch.chdir(home)
    [folder] = Path("tuner_models").iterdir()
    before = contents(home)
    with pytest.raises(SpecError, match=r"lies in .*name another folder"):
        tuner.export("s", folder / place)
    with pytest.raises(SpecError, match="name another folder"):
        tuner.export("s", "a\0b")
    assert contents(home) == before
    tuner.export("s", "tuner_models/out")


def test_what_a_user_put_beside_a_cut_off_export_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = project(tmp_path / "home")
    monkeypatch.chdir(tmp_path)
    assert killed_at(8, "out", lambda: tuner.export("s", "out", storage=url(home)))
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(SpecError, match="out: is not empty; name a new folder"):
        tuner.export("s", "out", storage=url(home))
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"
