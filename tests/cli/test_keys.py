from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import BaseModel

from tests.cli.program import Tune
from tuner.cli.keys import documented, markdown
from tuner.core.baseline import BaselinesSpec
from tuner.core.budget import Budget
from tuner.core.column_spec import ColumnSpec
from tuner.core.data_spec import DataSpec
from tuner.core.objectives import ObjectiveSpec
from tuner.core.sections import ConfirmSpec, NotifySpec, StopSpec
from tuner.core.space import Choice, Float, Int
from tuner.core.space.section import SpaceSpec
from tuner.core.spec import SearchSpec, TrackingSpec, TrainerSpec

SECTIONS: dict[str, tuple[type[BaseModel], ...]] = {
    "[data]": (DataSpec,),
    "[trainer]": (TrainerSpec,),
    "[data.columns.<name>]": (ColumnSpec,),
    "[objective]": (ObjectiveSpec,),
    "[search]": (SearchSpec,),
    "[budget]": (Budget,),
    "[stop]": (StopSpec,),
    "[confirm]": (ConfirmSpec,),
    "[baselines]": (BaselinesSpec,),
    "[tracking]": (TrackingSpec,),
    "[notify]": (NotifySpec,),
    "[space]": (SpaceSpec,),
    "[space.<name>]": (Float, Int, Choice),
}


def checked_keys() -> Iterator[tuple[str, str]]:
    for section, models in SECTIONS.items():
        for model in models:
            for name in model.model_fields:
                if (section, name) != ("[space]", "parameters"):
                    yield section, name


def test_every_key_that_is_checked_is_documented_once() -> None:
    keys = [(key.section, key.name) for key in documented()]
    assert set(keys) == {("", "name"), ("", "description"), ("", "durability"), *checked_keys()}
    assert len(keys) == len(set(keys))


def test_every_key_has_a_meaning() -> None:
    assert not [key for key in documented() if not key.meaning.strip(": ")]


def test_names_to_choose_from_are_part_of_the_meaning() -> None:
    meanings = {(key.section, key.name): key.meaning for key in documented()}
    assert "group" in meanings["[data]", "split"]
    assert "huber" in meanings["[trainer]", "loss"]
    assert meanings["[space.<name>]", "type"] == "float | int | choice"
    assert meanings["[space.<name>]", "log"].startswith("float, int: ")


def test_defaults_are_written_as_in_a_study_file() -> None:
    defaults = {(key.section, key.name): key.default for key in documented()}
    assert defaults["[data]", "source"] == "required"
    assert defaults["[data]", "scaling"] == '"standard"'
    assert defaults["[search]", "presets"] == "true"
    assert defaults["[stop]", "patience"] == ""


def test_the_markdown_table_has_a_row_of_four_cells_for_each_key() -> None:
    rows = markdown(documented()).splitlines()
    assert len(rows) == len(documented()) + 2
    assert {row.replace("\\|", "").count("|") for row in rows} == {5}


@pytest.mark.parametrize("options", [("--keys",), ("--keys", "--markdown")])
def test_check_prints_the_keys_without_reading_a_study(tune: Tune, options: tuple[str, ...]) -> None:
    ended = tune("check", "no-such-study", *options)
    assert ended.code == 0
    assert "patience" in ended.out
    assert "[space.<name>]" in ended.out
