"""No two choices of a shipped space train the same network."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.trainers.torch.plain import series, texts
from tuner import content
from tuner.api.planning import prepare
from tuner.api.specify import compose
from tuner.core.dataset import Dataset, Split
from tuner.core.job import Job
from tuner.core.space import Choice, SearchSpace
from tuner.core.space.section import parse_space
from tuner.core.spec import SearchSpec, StudySpec
from tuner.core.training import TrialBatch
from tuner.core.trial import Objective, Params, Reading, Trial
from tuner.search import OptunaSearcher
from tuner.trainers import open_batch, resolve

STUDIES = sorted(path.stem for path in content.shipped("study").glob("*.toml"))
SPACES = sorted(path.stem for path in content.shipped("space").glob("*.toml"))
OTHERS = {"attention", "convolution", "recurrence", "residual", "tokens", "embedding"}
OTHERS |= {"compression", "weight_pruning"}
"""Spaces that are not for `mlp` on images, and those that need a teacher."""
EPOCHS = 2
ROWS = 520
NARROW = {"type": "int", "low": 4, "high": 12}
"""Many channels are no other choices, and train for seconds."""
ALIKE = {"constant", "plateau"}
"""What cannot be told apart in so few epochs: a rate does not fall before its patience is over."""

Curve = list[tuple[float, ...]]


def studies() -> Iterator[Any]:
    """Every shipped study, and one that searches all shipped spaces at once."""
    yield from STUDIES
    yield {
        "name": "all",
        "data": {"source": "sklearn:digits-images"},
        "trainer": {"model": "mlp"},
        "space": {"use": [name for name in SPACES if name not in OTHERS]},
    }
    yield {
        "name": "images",
        "data": {"source": "sklearn:digits-images"},
        "trainer": {"model": "cnn"},
        "space": {"use": ["architecture", "convolution", "residual", "normalization"], "width": NARROW},
    }


@pytest.mark.parametrize(
    "study", list(studies()), ids=lambda each: each["name"] if isinstance(each, dict) else each
)
def test_no_two_choices_of_a_shipped_space_train_the_same_network(study: Any) -> None:
    spec, _ = compose(study, settings={"trainer.epochs": EPOCHS, "trainer.device": "cpu"})
    plan = prepare(spec)
    assert plan.data is not None
    space = plan.spec.search_space()
    # An epoch must have several batches, of any size, for some to be accumulated.
    job = Job(plan.spec, plan.data if "accumulation" in space.parameters else few(plan.data), rows=1)
    check(open_batch(resolve(plan.spec.trainer.use), job), space)


@pytest.mark.parametrize(
    ("model", "data", "use"),
    [
        ("rnn", texts(), ("architecture.layer_norm", "recurrence", "tokens", "convolution.dense_units")),
        ("conv1d", series(), ("architecture", "convolution")),
        ("transformer", series(), ("attention",)),
        ("bag", texts(), ("architecture", "tokens", "normalization")),
    ],
    ids=["rnn", "conv1d", "transformer", "bag"],
)
def test_no_two_choices_train_the_same_network_of_sequences(
    model: str, data: Dataset, use: tuple[str, ...]
) -> None:
    table: dict[str, Any] = {}
    for name in use:
        topic, _, only = name.partition(".")
        found = parse_space(content.read(content.find("space", topic)), topic)
        table |= {only: found[only]} if only else found
    spec = StudySpec.parse({"trainer": {"model": model, "epochs": EPOCHS}, "space": table})
    assert list(resolve("torch").validate(spec, data)) == []
    check(open_batch(resolve("torch"), Job(spec, data, rows=1)), spec.search_space())


def few(data: Dataset) -> Dataset:
    """The data with no more rows than the largest batch that has a number needs."""
    if len(data.train) <= ROWS:
        return data
    return replace(
        data,
        train=Split(data.train.x[:ROWS], data.train.y[:ROWS]),
        validation=Split(data.validation.x[:100], data.validation.y[:100]),
        resampling=None,
    )


def check(batch: TrialBatch, space: SearchSpace) -> None:
    """Train every choice of a space beside the others."""
    sampled = OptunaSearcher(space, SearchSpec(sampler="random", presets=False), Objective()).ask(2)
    choices = [(name, parameter) for name, parameter in space if isinstance(parameter, Choice)]
    assert choices
    known: dict[str, Curve] = {}  # what a parameter is anyway need not be trained again for each of them

    def curve_of(params: Params) -> Curve:
        key = repr(sorted(params.items()))
        if key not in known:
            known[key] = curve(batch, params)
        return known[key]

    for number, base in enumerate([{}, sampled[1].params]):
        for name, parameter in choices:
            curves = {value: curve_of(space.defaults({**base, name: value})) for value in parameter.choices}
            for one, other in itertools.combinations(curves, 2):
                if {one, other} != ALIKE:
                    assert curves[one] != curves[other], f"{name}: {one} and {other}, trial {number}"


def curve(batch: TrialBatch, params: Params) -> Curve:
    """What two epochs came to, to the last bit; where it is the same, the weights are."""
    batch.place(0, Trial(0, params, 0))
    readings = [batch.advance()[0] for _ in range(EPOCHS)]
    batch.clear(0)
    return [(r.train_loss, r.val_loss, r.grad_norm) for r in readings if isinstance(r, Reading)]


def test_a_study_made_for_few_rows_has_no_two_batch_sizes_that_are_all_of_them(tmp_path: Path) -> None:
    table = tmp_path / "few.csv"
    table.write_text("a,b,y\n" + "".join(f"{i},{i * i % 7},{'ab'[i % 2]}\n" for i in range(100)))
    spec, _ = compose(table, target="y")
    data = prepare(spec).data
    assert data is not None
    sizes = spec.search_space().parameters["batch_size"].grid(9)
    assert sizes == (16, 32, "full")
    assert all(size == "full" or int(size) < len(data.train) for size in sizes)


def test_no_two_sizes_of_embeddings_train_the_same_network(tmp_path: Path) -> None:
    table = tmp_path / "zips.csv"
    table.write_text("zip,b,y\n" + "".join(f"Z{i % 50},{i * i % 7},{i * i % 11}\n" for i in range(400)))
    spec, _ = compose(table, target="y", settings={"trainer.epochs": EPOCHS, "data.task": "regression"})
    batch = open_batch(resolve("torch"), Job(spec, prepare(spec).data))
    sizes = spec.search_space().parameters["embedding_size"].grid(9)
    curves = [curve(batch, spec.search_space().given({"embedding_size": size})) for size in sizes]
    assert all(one != other for one, other in itertools.combinations(curves, 2))
