from __future__ import annotations

import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest

from tuner import registry
from tuner.core.data_spec import DataSpec
from tuner.data import load
from tuner.errors import DataError, PluginError


def test_module_reference_gives_the_object() -> None:
    from tuner.core.seeds import derive

    assert registry.load("tuner.core.seeds:derive") is derive


def test_file_reference_is_relative_to_the_folder_and_loaded_once(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("class Inner:\n    value = 7\n")
    first = registry.load("./mine.py:Inner", folder=tmp_path)
    assert first.value == 7
    assert registry.load("./mine.py:Inner", folder=tmp_path) is first
    assert registry.load("./mine.py:Inner.value", folder=tmp_path) == 7


def test_built_in_trainers_and_callbacks_are_entry_points_like_any_other() -> None:
    assert {"torch", "sklearn"} <= set(registry.registered("tuner.trainers"))
    assert {"divergence", "patience", "pruner"} <= set(registry.registered("tuner.callbacks"))


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
        registry.load(reference, "tuner.trainers", tmp_path)


def test_file_imports_what_lies_beside_it_and_each_folder_its_own(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "blocks.py").write_text(f"NAME = {name!r}\n")
        (tmp_path / name / "net.py").write_text("import blocks\nNAME = blocks.NAME\n")
    before = list(sys.path)
    for name in ("one", "two", "one"):
        assert registry.load("./net.py:NAME", folder=tmp_path / name) == name
    assert registry.neighbors(tmp_path / "two") == [tmp_path / "two/blocks.py"]
    assert sys.path == before


def test_package_is_found_by_the_names_it_registers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine-1.dist-info").mkdir()
    (tmp_path / "mine-1.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1\n")
    (tmp_path / "mine-1.dist-info/entry_points.txt").write_text("[tuner.scores]\nshare = mine_scores:share\n")
    (tmp_path / "mine_scores.py").write_text("def share(y, output): return 0.5\n")
    assert "known: accuracy" in (registry.unknown("share", "tuner.scores") or "")
    monkeypatch.syspath_prepend(tmp_path)
    assert registry.unknown("share", "tuner.scores") is None
    assert registry.load("share", "tuner.scores")(None, None) == 0.5


def test_everything_that_is_registered_can_be_loaded() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    for group, points in project["entry-points"].items():
        assert set(points) == set(registry.registered(group)), "install tuner again"
        # Programs that are too large for tests alone; their trackers are tested where they are installed.
        absent = {
            name for name in ("wandb", "trackio") if group == "tuner.trackers" and find_spec(name) is None
        }
        assert all(registry.load(name, group) is not None for name in points.keys() - absent)


def test_source_of_a_package_is_read_by_what_stands_before_its_colon_or_by_its_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine-1.dist-info").mkdir()
    (tmp_path / "mine-1.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1\n")
    (tmp_path / "mine-1.dist-info/entry_points.txt").write_text(
        "[tuner.sources]\nmoons = mine_sources:moons\nrows = mine_sources:rows\n"
    )
    (tmp_path / "mine_sources.py").write_text(
        "from sklearn.datasets import make_moons\n"
        "import pandas as pd\n"
        "def moons(spec, folder):\n"
        "    return make_moons(int(spec.source.partition(':')[2]), random_state=0)\n"
        "def rows(spec, folder):\n"
        "    return pd.read_json(folder / spec.source)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert len(load(DataSpec(source="moons:50", test=0.0), tmp_path).train) == 40
    frame = pd.DataFrame({"x": range(20), "y": [0, 1] * 10})
    frame.to_json(tmp_path / "a.rows")
    assert len(load(DataSpec(source="a.rows", target="y", test=0.0), tmp_path).train) == 16
    with pytest.raises(DataError, match=r"gone\.rows: no such file"):
        load(DataSpec(source="gone.rows", target="y"), tmp_path)
