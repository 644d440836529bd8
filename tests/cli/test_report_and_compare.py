from __future__ import annotations

from pathlib import Path

from tests.cli.program import Tune


def test_report_writes_a_page_and_prints_where(stored: Tune, folder: Path) -> None:
    ended = stored("report", "study", "-o", "out.html")
    assert (ended.code, ended.out, ended.err) == (0, "out.html\n", "")
    assert "Beside the default, in the search" in (folder / "out.html").read_text(encoding="utf-8")


def test_report_of_an_unknown_study_names_the_known_ones(stored: Tune, folder: Path) -> None:
    ended = stored("report", "stody")
    assert ended.code == 2
    assert "did you mean 'study'?" in ended.err
    assert not (folder / "report.html").exists()


def test_compare_prints_a_table_and_a_sentence(stored: Tune) -> None:
    assert stored("start", "study.toml", "--name", "other", "--seed", "3", "--quiet").code == 0
    ended = stored("compare", "study", "other")
    assert ended.code == 0
    assert "best validation loss" in ended.out
    assert "is unknown whether" in ended.out
    assert "search.seed" in ended.out


def test_compare_as_json_has_the_same_names_as_in_python(stored: Tune, folder: Path) -> None:
    assert stored("start", "study.toml", "--name", "other", "--seed", "3", "--quiet").code == 0
    table = stored("compare", "study", "other", "--json", "--html", "both.html").json
    assert list(table) == ["metric", "minimize", "sides", "pairs", "is_same_data", "data", "differences"]
    assert [side["study"] for side in table["sides"]] == ["study", "other"]
    assert table["sides"][0]["estimate"]["interval"] is None
    assert table["pairs"][0]["is_clear"] is None
    assert table["differences"]["search.seed"] == ["0", "3"]
    assert "Side by side" in (folder / "both.html").read_text(encoding="utf-8")


def test_compare_needs_two_studies(stored: Tune) -> None:
    ended = stored("compare", "study")
    assert (ended.code, ended.out) == (2, "")
    assert "at least two studies are needed, found: study" in ended.err
