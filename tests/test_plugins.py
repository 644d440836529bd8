from __future__ import annotations

from pathlib import Path

import pytest

from tuner import plugins
from tuner.errors import PluginError


def test_module_reference_gives_the_object() -> None:
    from tuner.core.seeds import derive

    assert plugins.load("tuner.core.seeds:derive") is derive


def test_file_reference_is_relative_to_the_folder_and_loaded_once(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("class Inner:\n    value = 7\n")
    first = plugins.load("./mine.py:Inner", folder=tmp_path)
    assert first.value == 7
    assert plugins.load("./mine.py:Inner", folder=tmp_path) is first
    assert plugins.load("./mine.py:Inner.value", folder=tmp_path) == 7


def test_built_in_trainers_and_callbacks_are_entry_points_like_any_other() -> None:
    assert {"torch", "sklearn"} <= set(plugins.registered("tuner.trainers"))
    assert {"divergence", "patience", "pruner"} <= set(plugins.registered("tuner.callbacks"))


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("troch", "did you mean 'torch'"),
        ("no_such_package:thing", "cannot be imported: ModuleNotFoundError"),
        ("tuner.core.seeds:derve", "did you mean 'derive'"),
        ("./nothing.py:thing", "no such file"),
        ("./broken.py:thing", "cannot be run: ZeroDivisionError"),
        ("./broken.txt:thing", "cannot be imported"),
    ],
)
def test_reference_that_leads_nowhere_says_what_is_missing(
    tmp_path: Path, reference: str, sentence: str
) -> None:
    (tmp_path / "broken.py").write_text("1 / 0\n")
    with pytest.raises(PluginError, match=sentence):
        plugins.load(reference, "tuner.trainers", tmp_path)
