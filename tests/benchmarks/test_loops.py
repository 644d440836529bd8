"""The benchmark of loops runs, and counts changed lines as a diff does."""

from __future__ import annotations

import sys

import pytest

from benchmarks import loops
from benchmarks.loops import changed
from benchmarks.peers.framework_scripts import SCRIPTS


def test_changed_lines_are_those_that_are_new() -> None:
    assert changed("a\nb\n", "a\nb\n") == 0
    assert changed("a\nb\n", "c\na\nB\n") == 2


def test_it_prints_a_row(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["", "--smoke", "--only", "a function: tuner"])
    loops.main()
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("| a function: tuner | ")
    assert last.endswith(" | 0 | 0 |")


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_of_frameworks_are_python_and_change_fewer_lines_with_tuner(name: str) -> None:
    plain, mine, peers = SCRIPTS[name]
    for text in SCRIPTS[name]:
        compile(text, name, "exec")
    assert changed(plain, mine) < changed(plain, peers)
