"""What the benchmark of networks compares is the same network on both sides."""

from __future__ import annotations

import sys

import pytest

from benchmarks import networks
from benchmarks.networks import SUBJECTS, made
from tuner.core.trial import Trial
from tuner.trainers.torch.context import context_of
from tuner.trainers.torch.networks import build


@pytest.mark.parametrize("name", SUBJECTS)
def test_both_sides_have_as_many_parameters(name: str) -> None:
    subject = SUBJECTS[name]
    data = made(subject.kind, 40)
    width = subject.widths[0]
    params = {**subject.params, "width": width}
    mine = build(subject.model, params, context_of(Trial(0, params, 0), data, 4))
    plain = subject.plain(width)
    unused = 0 if subject.model not in ("conv1d",) else plain.get_parameter("embedding.weight").numel()
    assert sum(p.numel() for p in mine.parameters()) == sum(p.numel() for p in plain.parameters()) - unused


def test_it_prints_a_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["", "--smoke", "--only", "batch norm", "--rows", "2"])
    networks.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("| batch norm | 16 | ")
    assert lines[-1].endswith(" | 15 |")
