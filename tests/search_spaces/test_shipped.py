from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tests.trainers.torch.plain import images, texts
from tuner import content
from tuner.core.space import Float, Int
from tuner.core.space.section import parse_space
from tuner.core.spec import StudySpec
from tuner.data import load
from tuner.testing.trainer import blobs, line
from tuner.trainers import resolve
from tuner.trainers.torch import TorchTrainer
from tuner.trainers.torch.shipped import SHIPPED

SPACES = sorted(path.stem for path in content.shipped("space").glob("*.toml"))
STUDIES = sorted(path.stem for path in content.shipped("study").glob("*.toml"))

OF_A_NETWORK = {
    "attention": ["transformer"],
    "convolution": ["cnn", "conv1d"],
    "recurrence": ["rnn"],
    "residual": ["cnn"],
    "tokens": ["bag", "conv1d", "rnn"],
}
"""Spaces of some networks only, `mlp` not among them."""


def spec_of(table: dict[str, object]) -> StudySpec:
    return StudySpec.parse(table, find_space=space)


def space(name: str) -> dict[str, object]:
    return parse_space(content.read(content.find("space", name)), name)


def test_every_topic_has_its_space() -> None:
    assert set(SPACES) >= {
        "architecture",
        "batch",
        "images",
        "initialization",
        "optimization",
        "preprocessing",
        "regularization",
    }


@pytest.mark.parametrize("name", SPACES)
def test_every_parameter_is_documented_in_one_line(name: str) -> None:
    for parameter, table in space(name).items():
        assert isinstance(table, dict)
        assert table.get("doc", "").strip(), parameter
        assert len(table["doc"]) <= 80, parameter
        assert "\n" not in table["doc"], parameter


@pytest.mark.parametrize("count", [1, 2, len(SPACES)])
def test_spaces_compose_in_every_pair_and_all_together(count: int) -> None:
    for use in itertools.combinations(SPACES, count):
        spec = spec_of({"space": {"use": list(use)}})
        searched = spec.search_space()
        assert searched.faults(searched.defaults()) == []
        for data in (blobs(), line()):
            faults = list(TorchTrainer().validate(spec, data))
            known = ("mlp has no such parameter; it is one of", "there is no teacher")
            assert all(any(words in fault for words in known) for fault in faults)
            assert bool(faults) is bool(set(use) & {*OF_A_NETWORK, "compression", "weight_pruning"})


@pytest.mark.parametrize("name", OF_A_NETWORK)
def test_space_of_a_network_is_without_faults_there(name: str) -> None:
    for model in OF_A_NETWORK[name]:
        spec = spec_of({"trainer": {"model": model}, "space": {"use": ["optimization", name]}})
        data = next(data for data in (images(), texts()) if data.kind in SHIPPED[model].kinds)
        assert list(TorchTrainer().validate(spec, data)) == []


def test_batch_size_reaches_from_sixteen_to_the_full_batch() -> None:
    table = space("batch")["batch_size"]
    assert isinstance(table, dict)
    assert table["choices"] == [16, 32, 64, 128, 256, 512, "full"]


@pytest.mark.parametrize("name", STUDIES)
def test_shipped_study_is_complete_and_without_faults(name: str) -> None:
    table = content.read(content.find("study", name))
    spec = spec_of(table)
    assert spec.name == name
    assert spec.description
    assert spec.data is not None
    data = load(spec.data, Path.cwd())
    assert list(resolve(spec.trainer.use).validate(spec, data)) == []


@pytest.mark.parametrize("name", ["breast_cancer", "diabetes"])
def test_shipped_tables_reach_a_plain_linear_model(name: str) -> None:
    searched = spec_of(content.read(content.find("study", name))).search_space().parameters
    depth, l1 = searched["depth"], searched["l1"]
    assert isinstance(depth, Int)
    assert isinstance(l1, Float)
    assert (depth.low, l1.high) == (0, 0.1)
