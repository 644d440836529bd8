from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import honesty


def line(kind: str = "generated", seed: int = 0, **keys: Any) -> dict[str, Any]:
    truths = {
        "0": {"loss": [0.5, 0.51, 0.49], "score": [0.8] * 3},
        "3": {"loss": [0.4] * 3, "score": [0.9] * 3},
    }
    test = {"loss": [0.3, 0.4, 0.6], "score": [0.85, 0.88, 0.89]}
    given = {"naive": 3, "promised": 0.35, "recommended": 3, "clear": True, "by_row": True, "redrawn": True}
    return {"kind": kind, "seed": seed, **given, "test": test, "truths": truths, **keys}


def test_the_table_counts_what_is_covered_and_what_is_kept() -> None:
    told = honesty.rows([line(), line(recommended=0)])
    assert told["interval covers the true loss (93 to 97 %)"] == "100.0%"
    assert told["interval covers the true score (93 to 97 %)"] == "0.0%"
    assert told["gain over the default, as a share of best of N's"] == "50%"
    assert told["not the default is recommended"] == "50.0%"
    assert told["recommended is worse than the default (at most 1 %)"] == "0.0%"


def test_the_noise_of_the_truth_moves_the_ends_outwards() -> None:
    assert not honesty.covers([0.4, 0.5, 0.6], [0.61, 0.61, 0.61])
    assert honesty.covers([0.4, 0.5, 0.6], [0.5, 0.61, 0.72])


def test_configurations_worse_beyond_the_noise_are_told() -> None:
    better, worse = {"loss": [0.4, 0.42, 0.41]}, {"loss": [0.5, 0.53, 0.51]}
    assert honesty.worse(worse, better)
    assert not honesty.worse(better, worse)
    assert not honesty.worse(better, better)


@pytest.mark.slow
def test_studies_that_are_there_are_not_run_again_and_equal_ones_are_equal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "studies.jsonl"
    monkeypatch.setattr(sys, "argv", ["", "--smoke", "--only", "equal-fixed", "--out", str(out)])
    honesty.main()
    first = out.read_text()
    assert len(first.splitlines()) == 2
    assert '"by_row": true, "redrawn": false' in first
    honesty.main()
    assert out.read_text() == first
    assert "| something is called clear |" in capsys.readouterr().out
