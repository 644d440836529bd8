from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tuner.web import pages
from tuner.web.route import Route, address, numbers


def written(folder: Path, name: str, text: str) -> None:
    (folder / "dashboards").mkdir(exist_ok=True)
    (folder / "dashboards" / f"{name}.toml").write_text(text)


def test_shipped_pages_have_no_fault_and_stand_in_order() -> None:
    found = pages.load()
    assert found.faults == []
    names = ["overview", "convergence", "over-fitting", "parameters", "trials", "trial", "compare"]
    assert [page.name for page in found.pages] == names
    assert found.find(None).name == "overview"


def test_own_pages_are_added_and_replace_shipped_ones(tmp_path: Path) -> None:
    written(tmp_path, "mine", 'title = "Mine"\norder = 0\n')
    written(tmp_path, "overview", 'title = "My overview"\n[[figures]]\nuse = "rungs"\n')
    found = pages.load(tmp_path)
    assert found.pages[0].name == "mine"
    assert found.named["overview"].file.title == "My overview"
    assert [card.key for card in found.named["overview"].cards] == ["rungs"]


def test_every_fault_of_a_file_is_told_and_other_pages_stay(tmp_path: Path) -> None:
    written(tmp_path, "bad", 'titel = "Bad"\n[[figures]]\nuse = "rungs"\nwidth = "huge"\nheight = 10\n')
    written(tmp_path, "worse", "title = \n")
    written(tmp_path, "unknown", 'title = "U"\nparts = ["bst"]\n[[figures]]\nuse = "rngs"\n')
    found = pages.load(tmp_path)
    assert len(found.named["bad"].faults) == 4
    assert "did you mean 'title'?" in " ".join(found.named["bad"].faults)
    assert "is not TOML" in found.named["worse"].faults[0]
    assert [("did you mean" in fault) for fault in found.named["unknown"].faults] == [True, True]
    assert found.named["overview"].faults == ()


def test_the_same_figure_twice_has_two_names(tmp_path: Path) -> None:
    written(tmp_path, "twice", 'title = "Twice"\n' + 2 * '[[figures]]\nuse = "curves"\n')
    assert [card.key for card in pages.load(tmp_path).named["twice"].cards] == ["curves", "curves-2"]


NONSENSE: list[Any] = [
    None,
    3,
    [],
    {"study": 7, "trial": "x", "sel": "9-3,a,4", "options": {"a": 1, "b.c": [1]}, "theme": "no"},
]


@pytest.mark.parametrize("given", NONSENSE)
def test_anything_the_browser_sends_becomes_a_route(given: Any) -> None:
    route = Route.read(given)
    assert route.study is None
    assert route.trial is None
    assert route.selection <= {4}
    assert route.options == {}


def test_selections_are_read_as_ranges_and_have_an_end() -> None:
    assert list(numbers("3,5-7")) == [3, 5, 6, 7]
    assert len(list(numbers("0-999999999,5"))) == 20_000


def test_addresses_keep_any_name() -> None:
    assert address("a&b=<c>", "trial", 3) == "/?study=a%26b%3D%3Cc%3E&page=trial&trial=3"
