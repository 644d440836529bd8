from __future__ import annotations

from pathlib import Path

import pytest

from tuner import content
from tuner.errors import SpecError


def test_own_file_comes_before_the_shipped_one_of_the_same_name(tmp_path: Path) -> None:
    assert content.find("study", "digits", tmp_path).parent == content.shipped("study")
    (tmp_path / "studies").mkdir()
    own = tmp_path / "studies" / "digits.toml"
    own.write_text("")
    assert content.find("study", "digits", tmp_path) == own


def test_path_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("")
    assert content.find("study", "x.toml", tmp_path) == tmp_path / "x.toml"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("digit", "did you mean 'digits'"), ("gone.toml", "no such file"), ("../x", "no study")],
)
def test_missing_content_says_where_it_looked(tmp_path: Path, name: str, sentence: str) -> None:
    with pytest.raises(SpecError, match=sentence):
        content.find("study", name, tmp_path)


@pytest.mark.parametrize(("text", "sentence"), [(b"a = ", "is not TOML"), (b"\xff\xfe", "is not UTF-8")])
def test_unreadable_file_is_named(tmp_path: Path, text: bytes, sentence: str) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(text)
    with pytest.raises(SpecError, match=sentence):
        content.read(path)
    with pytest.raises(SpecError, match="cannot be read"):
        content.read(tmp_path)


def test_the_folder_for_models_is_what_was_asked_for_or_what_the_variable_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TUNER_MODELS", raising=False)
    assert content.models_root() is None
    monkeypatch.setenv("TUNER_MODELS", "big")
    assert content.models_root() == tmp_path / "big"
    assert content.models_root("a/../b") == tmp_path / "b"
    assert content.models_root("b", tmp_path / "x") == tmp_path / "x" / "b"
    monkeypatch.setenv("HOME", str(tmp_path / "anna"))
    assert content.models_root("~/b") == tmp_path / "anna" / "b"


@pytest.mark.parametrize("named", ["f.txt", "a\x00b", "~nobody-of-this-name/x", "x" * 300])
def test_what_can_be_no_folder_for_models_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f.txt").write_text("mine")
    with pytest.raises(SpecError, match="name another place"):
        content.models_root(named)


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text('name = "ö"\n', encoding="utf-8-sig")
    assert content.read(tmp_path / "study.toml") == {"name": "ö"}
