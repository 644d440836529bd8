from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tuner import registry
from tuner.artifacts import MODEL, Artifacts
from tuner.core.job import Job, Resources
from tuner.core.spec import StudySpec
from tuner.core.training import Exhausted, Failure, Snapshot, Trainer, TrialBatch
from tuner.core.trial import Params, Reading, Trial
from tuner.errors import TrialError
from tuner.testing.trainer import TrainerContract, blobs, study, written_and_read
from tuner.trainers import load_model, open_batch
from tuner.trainers.blocking import TrialOver
from tuner.trainers.context import TrialContext
from tuner.trainers.function import FunctionTrainer
from tuner.trainers.scratch import ScratchFolder


def softmax_regression(params: dict[str, Any], context: TrialContext) -> Iterator[dict[str, float]]:
    """Plain gradient descent with the global generators' noise in it."""
    data = context.data
    assert data is not None
    classes = np.eye(data.outputs)
    weights = np.random.normal(size=(data.train.x.shape[1], data.outputs)) * 0.01
    center, spread = data.train.x.mean(0), data.train.x.std(0)

    def probabilities(x: Any) -> Any:
        scores = (x - center) / spread @ weights
        scores = np.exp(scores - scores.max(1, keepdims=True))
        return scores / scores.sum(1, keepdims=True)

    def loss(split: Any) -> float:
        return float(-np.log(probabilities(split.x)[np.arange(len(split)), split.y]).mean())

    def score(split: Any) -> float:
        return float(np.mean(probabilities(split.x).argmax(1) == split.y))

    while True:
        if params.get("broken"):
            raise ValueError("no such\nsetting")
        error = probabilities(data.train.x) - classes[data.train.y]
        step = params["learning_rate"] * (1 + 0.1 * random.random())
        weights -= step * ((data.train.x - center) / spread).T @ error / len(data.train)
        context.keep({"weights": weights})
        yield {
            "train_loss": loss(data.train) if not params.get("diverging") else float("inf"),
            "val_loss": loss(data.validation),
            "train_score": score(data.train),
            "val_score": score(data.validation),
            "norm": float(np.linalg.norm(weights)),
        }


class TestFunctionTrainer(TrainerContract):
    predicts = False

    def trainer(self) -> Trainer:
        return FunctionTrainer(softmax_regression)

    def job(self) -> Job:
        return Job(study(epochs=3), blobs(), rows=2)

    def params(self, number: int) -> Params:
        return {"learning_rate": 0.1 * (number + 1)}

    def broken_params(self) -> Params:
        return {"learning_rate": 0.1, "broken": True}

    def diverging_params(self) -> Params:
        return {"learning_rate": 0.1, "diverging": True}


def outcome(function: Any, metric: str = "val_loss", epochs: int = 1) -> Any:
    """What the last of some epochs has to say."""
    return outcomes(function, metric, epochs)[-1]


def outcomes(function: Any, metric: str = "val_loss", epochs: int = 1) -> list[Any]:
    batch = open_batch(FunctionTrainer(function), Job(custom(metric), None))
    batch.place(0, Trial(7, {"learning_rate": 0.5}, 3))
    return [batch.advance()[0] for _ in range(epochs)]


def custom(metric: str = "val_loss") -> StudySpec:
    table = study(epochs=5).to_table()
    return StudySpec.parse({**table, "objective": {"metric": metric, "direction": "minimize"}})


def yielding(*values: Any) -> Any:
    def train(params: Any, context: Any) -> Iterator[Any]:
        yield from values

    return train


def returning(value: Any) -> Any:
    return lambda params, context: value


def numbers(reading: Any) -> dict[str, float]:
    """The numbers of a reading that were measured."""
    assert isinstance(reading, Reading), reading
    names = ("train_loss", "val_loss", "train_score", "val_score", "learning_rate", "grad_norm")
    return {n: reading.get(n) for n in names if not math.isnan(reading.get(n))} | dict(reading.extras)


@pytest.mark.parametrize("make", [yielding, returning])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"train_loss": 1, "val_loss": 2.5}, {"train_loss": 1.0, "val_loss": 2.5}),
        ({"val_loss": 2.5}, {"val_loss": 2.5}),
        (2.5, {"val_loss": 2.5}),
        (3, {"val_loss": 3.0}),
        (np.float32(2.5), {"val_loss": 2.5}),
        (torch.tensor(2.5, requires_grad=True), {"val_loss": 2.5}),
        ({"val_loss": np.array([2.5]), "depth": 3}, {"val_loss": 2.5, "depth": 3.0}),
        ({"val_loss": 2.5, "epoch": 99, "gap": 7}, {"val_loss": 2.5}),
        ({"val_loss": math.inf}, {"val_loss": math.inf}),
        ({"val_loss": math.nan, "val_score": 0.5}, {"val_score": 0.5}),
    ],
)
def test_a_reading_is_a_mapping_or_the_objectives_number(
    make: Any, value: Any, expected: dict[str, float]
) -> None:
    reading = outcome(make(value))
    assert numbers(reading) == expected
    assert reading.epoch == 1


def test_a_number_stands_for_the_objective_whatever_it_is() -> None:
    assert numbers(outcome(yielding(0.5), metric="latency")) == {"latency": 0.5}
    assert numbers(outcome(yielding(0.5), metric="val_score")) == {"val_score": 0.5}


def test_seconds_are_measured_unless_they_are_given() -> None:
    assert outcome(yielding(0.5)).seconds >= 0
    assert outcome(yielding({"val_loss": 1.0, "seconds": 12.0})).seconds == 12.0


def test_a_function_that_ends_early_is_exhausted_and_not_failed() -> None:
    first, second, third = outcomes(yielding(0.5, 0.4), epochs=3)
    assert (first.epoch, second.epoch, third) == (1, 2, Exhausted())
    assert outcome(returning(0.5), epochs=2) == Exhausted()


@pytest.mark.parametrize(
    ("function", "metric", "message"),
    [
        (yielding(None), "val_loss", "gave NoneType None in epoch 1; yield or report one reading per epoch"),
        (yielding(0.5, "done"), "val_loss", "gave str 'done' in epoch 2"),
        (yielding(True), "val_loss", "gave bool True in epoch 1"),
        (yielding([0.5, 0.4]), "val_loss", "gave list [0.5, 0.4] in epoch 1"),
        (yielding(), "val_loss", "yielded nothing; yield or report one reading per epoch"),
        (returning(None), "val_loss", "gave NoneType None in epoch 1"),
        (returning("x" * 99), "val_loss", "gave str 'xxx"),
        (yielding({"val_loss": "low"}), "val_loss", "gave 'val_loss': str 'low' in epoch 1"),
        (yielding({"val_loss": 1.0, "mask": [1]}), "val_loss", "gave 'mask': list [1]"),
        (yielding({"val_loss": 1.0, 3: 1.0}), "val_loss", "names are text, values are numbers"),
        (yielding({"val_loss": np.zeros(2)}), "val_loss", "gave 'val_loss': ndarray"),
        (yielding({}), "val_loss", "the objective needs val_loss, but epoch 1 has only: nothing"),
        (yielding({"loss": 1}), "val_loss", "needs val_loss, but epoch 1 has only: loss"),
        (yielding({"val_loss": 1}), "gap", "needs train_loss and val_loss, but epoch 1 has only: val_loss"),
    ],
)
def test_what_is_no_reading_is_told(function: Any, metric: str, message: str) -> None:
    failure = outcome(function, metric, epochs=2 if "epoch 2" in message else 1)
    assert isinstance(failure, Failure)
    assert message in failure.error
    assert "\n" not in failure.error


def raising(error: BaseException) -> Any:
    def train(params: Any, context: Any) -> Iterator[float]:
        yield 0.5
        raise error

    return train


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("one\ntwo"), "ValueError: one"),
        (SystemExit(3), "SystemExit: 3"),
        (StopIteration(), "RuntimeError: generator raised StopIteration"),
        (KeyError(), "KeyError"),
    ],
)
def test_what_is_raised_keeps_its_traceback(error: BaseException, told: str) -> None:
    failure = outcome(raising(error), epochs=2)
    assert isinstance(failure, Failure)
    assert failure.error == told
    assert "in train" in failure.traceback


def test_ctrl_c_is_not_swallowed_and_the_generators_are_put_back() -> None:
    random.seed(5)
    before = random.getstate()
    with pytest.raises(KeyboardInterrupt):
        outcomes(raising(KeyboardInterrupt()), epochs=2)
    assert random.getstate() == before


def test_stopping_closes_the_generator_and_runs_its_cleanup() -> None:
    done: list[str] = []

    def train(params: Any, context: Any) -> Iterator[float]:
        try:
            while True:
                yield 0.5
        finally:
            done.append("cleaned up")

    batch = open_batch(FunctionTrainer(train), Job(custom(), None))
    batch.place(0, Trial(0, {}, 0))
    batch.clear(0)
    assert done == []
    batch.place(0, Trial(1, {}, 0))
    batch.advance()
    batch.clear(0)
    assert done == ["cleaned up"]
    assert batch.advance() == {}


def test_a_generator_that_raises_while_it_is_closed_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def train(params: Any, context: Any) -> Iterator[float]:
        while True:
            try:
                yield 0.5
            except GeneratorExit:
                raise OSError("disk full") from None

    batch = open_batch(FunctionTrainer(train), Job(custom(), None))
    batch.place(0, Trial(4, {}, 0))
    batch.advance()
    batch.clear(0)
    assert "trial 4: raised while it was closed" in caplog.text


def test_global_generators_are_seeded_per_trial_and_put_back() -> None:
    def train(params: Any, context: Any) -> Iterator[dict[str, float]]:
        while True:
            yield {
                "val_loss": random.random(),
                "numpy": float(np.random.random()),
                "torch": float(torch.rand(())),
            }

    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    expected = random.Random(1).random(), np.random.RandomState(1).random()
    drawn = [numbers(reading) for reading in outcomes(train, epochs=3)]
    assert [numbers(reading) for reading in outcomes(train, epochs=3)] == drawn
    assert len({tuple(d.values()) for d in drawn}) == 3
    assert (random.random(), np.random.random()) == expected
    assert torch.rand(()) == torch.rand((), generator=torch.Generator().manual_seed(1))


def test_a_function_that_imports_torch_by_itself_finds_it_seeded() -> None:
    code = """
from tuner.testing.trainer import study
from tuner.core.job import Job
from tuner.core.trial import Trial
from tuner.trainers import open_batch
from tuner.trainers.function import FunctionTrainer

def train(params, context):
    def inner():
        from torch import nn
        return float(nn.Linear(1, 1).weight)
    yield inner()

batch = open_batch(FunctionTrainer(train), Job(study(), None))
for number in (0, 1, 0):
    batch.place(0, Trial(number, {}, 0))
    print(batch.advance()[0].val_loss)
    batch.clear(0)
"""
    # The suite's own module imports torch, so the function is alone in a module that does not.
    code = code.replace("from tuner.testing.trainer import study\n", SPEC)
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout
    first, second, third = told.split()
    assert first == third != second


SPEC = """
from tuner.core.spec import StudySpec

def study():
    return StudySpec.parse({"space": {"x": {"type": "float", "low": 0.0, "high": 1.0, "default": 0.5}}})
"""


def test_context_says_what_the_trial_may_use() -> None:
    seen: list[TrialContext] = []

    def train(params: Any, context: TrialContext) -> float:
        seen.append(context)
        params["learning_rate"] = None
        return 0.5

    spec = StudySpec.parse({**study(epochs=4, settings={"depth": 2}).to_table()})
    batch = open_batch(FunctionTrainer(train), Job(spec, None, resources=Resources(("cpu",))))
    trial = Trial(9, {"learning_rate": 0.5}, 3)
    batch.place(0, trial)
    batch.advance()
    context = seen[0]
    assert (context.epochs, context.number, context.device) == (4, 9, "cpu")
    assert (context.data, context.settings) == (None, {"depth": 2})
    assert 0 <= context.seed < 2**32
    assert trial.params == {"learning_rate": 0.5}
    with pytest.raises(AttributeError):
        context.seed = 3  # type: ignore[misc]


def kept(tmp_path: Path, hand: Any, values: Any = (0.5, 0.4, 0.9)) -> Any:
    """The model that is saved after some epochs, each with its value and what is handed over."""

    def train(params: Any, context: TrialContext) -> Iterator[float]:
        for epoch, value in enumerate(values, 1):
            model = hand(epoch)
            if model is not None:
                context.keep(model)
            yield value

    batch = open_batch(FunctionTrainer(train), Job(custom(), None))
    batch.place(0, Trial(2, {"learning_rate": 0.5}, 3))
    for _ in values:
        assert isinstance(batch.advance()[0], Reading)
    if not batch.save(0, tmp_path):
        return None
    return load_model(tmp_path)


@pytest.mark.parametrize(
    ("hand", "expected"),
    [
        (lambda epoch: {"w": np.full(2, epoch)}, {"w": [2, 2]}),
        (lambda epoch: np.full(2, epoch)[::-1], {"weights": [2, 2]}),
        (lambda epoch: {"a": {"b": torch.full((2,), epoch), "c": 1.5}}, {"a.b": [2, 2], "a.c": 1.5}),
        (lambda epoch: [np.full(1, epoch), np.zeros(1)], {"0": [2], "1": [0]}),
        (lambda epoch: torch.full((2,), epoch, dtype=torch.bfloat16), {"weights": [2, 2]}),
    ],
)
def test_the_best_epochs_weights_are_kept(tmp_path: Path, hand: Any, expected: Any) -> None:
    model = kept(tmp_path, hand)
    assert {name: value.tolist() for name, value in model.module.items()} == expected
    assert model.description["best"]["epoch"] == 2
    assert model.description["params"] == {"learning_rate": 0.5}
    with pytest.raises(TrialError, match="knows the network of these weights"):
        model.predict([[1.0]])


def test_a_module_that_is_trained_in_place_is_handed_over_once(tmp_path: Path) -> None:
    network = torch.nn.Linear(1, 1, bias=False)

    def hand(epoch: int) -> Any:
        torch.nn.init.constant_(network.weight, epoch)
        return network if epoch == 1 else None

    assert kept(tmp_path, hand).module["weight"].tolist() == [[2.0]]


def test_a_module_that_shares_weights_is_kept_and_goes_into_its_like(tmp_path: Path) -> None:
    def tied() -> torch.nn.Sequential:
        network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
        network[1].weight = network[0].weight
        network.register_buffer("shift", torch.ones(1).expand(3))
        network[0].register_buffer("part", network.get_buffer("shift")[:1])
        return network

    network = tied()
    found = kept(tmp_path, lambda epoch: network).module
    assert found.pop("shift").tolist() == [1.0, 1.0, 1.0]
    other = tied()
    other.load_state_dict(found, strict=False)
    assert other[1].weight is other[0].weight
    assert torch.equal(other(torch.ones(3, 2)), network(torch.ones(3, 2)))


def test_weights_are_copied_before_the_function_goes_on(tmp_path: Path) -> None:
    shared = np.zeros(1)

    def hand(epoch: int) -> Any:
        shared[:] = epoch
        return {"w": shared}

    assert kept(tmp_path, hand).module["w"].tolist() == [2.0]


def test_without_weights_or_without_a_best_epoch_there_is_no_model(tmp_path: Path) -> None:
    assert kept(tmp_path, lambda epoch: None) is None
    assert kept(tmp_path, lambda epoch: np.ones(1), values=(math.nan, math.inf)) is None
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_kept_is_told_when_it_is_to_be_written(tmp_path: Path) -> None:
    with pytest.raises(TrialError, match="name: a str cannot be kept; give arrays, tensors or a module"):
        kept(tmp_path, lambda epoch: {"name": "resnet"})
    assert kept(tmp_path, lambda epoch: {"w": np.ones(1)} if epoch == 2 else {"w": "none"}) is not None


async def asynchronous(params: Any, context: Any) -> float:
    return 0.5


@pytest.mark.parametrize(
    ("function", "fault"),
    [
        (lambda params: 0.5, "takes (params); write def train(params, context)"),
        (lambda params, context, *, more: 0.5, "takes (params, context, *, more)"),
        (asynchronous, "an async function; write def train(params, context)"),
    ],
)
def test_a_wrong_signature_is_a_fault(function: Any, fault: str) -> None:
    assert fault in FunctionTrainer(function).validate(custom(), None)[0]


def stateful(params: Any, context: TrialContext) -> Iterator[dict[str, Any]]:
    """A network with momentum and two streams, that goes on where it was."""
    network = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(network.parameters(), params["learning_rate"], momentum=0.9)
    own = np.random.default_rng(context.seed)
    mean, epochs = np.zeros(2), 0
    if state := context.resume():
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        own.bit_generator.state = state["own"]
        mean, epochs = state["mean"], state["epochs"]
    context.keep(network)
    while True:
        x = torch.randn(8, 2) + torch.tensor(own.normal(size=2)).float()
        mean += own.normal(size=2)
        loss = ((network(x)[:, 0] - x.sum(1) * random.random()) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        epochs += 1
        yield {
            "train_loss": loss.item(),
            "val_loss": loss.item() + abs(float(mean.sum())),
            "count": epochs,
            "state": {
                "network": network,
                "optimizer": optimizer,
                "own": own.bit_generator.state,
                "mean": mean,
                "epochs": epochs,
            },
        }


class TestFunctionWithState(TrainerContract):
    predicts = False

    def trainer(self) -> Trainer:
        return FunctionTrainer(stateful)

    def job(self) -> Job:
        return Job(study(epochs=4), None)

    def params(self, number: int) -> Params:
        return {"learning_rate": 0.1 / (number + 1)}


def test_the_state_is_no_number_of_a_reading() -> None:
    assert numbers(outcome(yielding({"val_loss": 0.5, "state": {"step": 3}}))) == {"val_loss": 0.5}


def placed(function: Any, snapshot: Snapshot | None = None) -> TrialBatch:
    batch = open_batch(FunctionTrainer(function), Job(custom(), None))
    batch.place(0, Trial(4, {"learning_rate": 0.5}, 3), snapshot)
    return batch


@pytest.mark.parametrize(
    "function",
    [
        yielding(0.5, 0.4),
        yielding({"val_loss": 0.5}),
        lambda params, context: {"val_loss": 0.5, "state": {"step": 1}},
    ],
)
def test_without_a_state_or_a_generator_there_is_no_snapshot(function: Any) -> None:
    batch = placed(function)
    batch.advance()
    assert batch.snapshot(0) is None


def test_a_state_belongs_to_the_epoch_that_it_was_yielded_with() -> None:
    batch = placed(yielding({"val_loss": 0.5, "state": 1}, {"val_loss": 0.4}, {"val_loss": 0.3, "state": 2}))
    found = []
    for _ in range(3):
        batch.advance()
        snapshot = batch.snapshot(0)
        found.append(snapshot and snapshot.epoch)
    assert found == [1, None, 3]


def test_a_trial_starts_without_a_state_and_goes_on_with_its_own() -> None:
    seen: list[Any] = []

    def train(params: Any, context: TrialContext) -> Iterator[Any]:
        seen.append(context.resume())
        for step in range(4):
            yield {"val_loss": 0.5, "state": {"step": step, "weights": (np.full(2, step), None)}}

    batch = placed(train)
    batch.advance()
    batch.advance()
    snapshot = batch.snapshot(0)
    assert snapshot is not None
    reading = placed(train, written_and_read(snapshot)).advance()[0]
    assert isinstance(reading, Reading)
    assert reading.epoch == 3
    assert seen[0] is None
    assert seen[1]["step"] == 1
    weights, nothing = seen[1]["weights"]
    assert (weights.tolist(), nothing) == ([1, 1], None)


def test_a_state_that_cannot_be_kept_fails_the_trial_at_once() -> None:
    failure = outcome(yielding({"val_loss": 0.5, "state": {"log": [object()]}}))
    assert isinstance(failure, Failure)
    assert "the state of epoch 1: log/0: a object cannot be kept" in failure.error


def test_a_later_state_that_cannot_be_kept_is_told(caplog: pytest.LogCaptureFixture) -> None:
    batch = placed(yielding({"val_loss": 0.5, "state": 1}, {"val_loss": 0.4, "state": object()}))
    batch.advance()
    batch.advance()
    assert batch.snapshot(0) is None
    assert "trial 4: its state cannot be kept" in caplog.text


def test_a_damaged_snapshot_fails_the_trial() -> None:
    batch = placed(stateful, Snapshot(2, {}, {"table": []}))
    assert isinstance(batch.advance()[0], Failure)


def test_a_function_that_yields_its_state_but_starts_over_fails_its_trial() -> None:
    train = yielding({"val_loss": 0.5, "state": 1}, {"val_loss": 0.4, "state": 2})
    batch = placed(train)
    batch.advance()
    failure = placed(train, batch.snapshot(0)).advance()[0]
    assert isinstance(failure, Failure)
    assert "goes on after epoch 1, but did not ask context.resume() for its state" in failure.error


def test_what_is_drawn_before_resuming_is_what_was_drawn_at_the_start() -> None:
    drawn: list[float] = []

    def train(params: Any, context: TrialContext) -> Iterator[Any]:
        drawn.append(random.random())
        context.resume()
        while True:
            yield {"val_loss": random.random(), "state": 1}

    batch = placed(train)
    batch.advance()
    snapshot = batch.snapshot(0)
    one, two = batch.advance()[0], placed(train, snapshot).advance()[0]
    assert isinstance(one, Reading)
    assert isinstance(two, Reading)
    assert one.val_loss == two.val_loss
    assert drawn[0] == drawn[1]


def reporting(params: dict[str, Any], context: TrialContext) -> None:
    """The same as `stateful`, from a function that runs to its end."""
    for reading in stateful(params, context):
        context.report(**reading)


class TestReportingFunction(TrainerContract):
    predicts = False

    def trainer(self) -> Trainer:
        return FunctionTrainer(reporting)

    def job(self) -> Job:
        return Job(study(epochs=4), None)

    def params(self, number: int) -> Params:
        return {"learning_rate": 0.1 / (number + 1)}


def test_a_function_that_reports_gives_the_numbers_of_one_that_yields() -> None:
    curves = [[numbers(each) for each in outcomes(train, epochs=4)] for train in (stateful, reporting)]
    assert curves[0] == curves[1]


def test_a_function_that_has_reported_all_is_exhausted_whatever_it_returns() -> None:
    def train(params: Any, context: TrialContext) -> float:
        for loss in (0.5, np.float32(0.25)):
            context.report(val_loss=loss, depth=3)
        return 0.125

    first, second, third = outcomes(train, epochs=3)
    assert numbers(first) == {"val_loss": 0.5, "depth": 3.0}
    assert numbers(second) == {"val_loss": 0.25, "depth": 3.0}
    assert (first.epoch, second.epoch, third) == (1, 2, Exhausted())


def test_stopping_a_function_that_reports_passes_its_except_exception_and_runs_its_cleanup() -> None:
    done: list[str] = []

    def train(params: Any, context: TrialContext) -> None:
        try:
            while True:
                try:
                    context.report(val_loss=0.5)
                except Exception:  # noqa: BLE001
                    done.append("swallowed")
        finally:
            done.append("cleaned up")

    batch = placed(train)
    batch.advance()
    batch.advance()
    assert done == []
    batch.clear(0)
    assert done == ["cleaned up"]


def test_a_function_that_swallows_even_its_end_is_left_where_it_is(caplog: pytest.LogCaptureFixture) -> None:
    swallowed: list[BaseException] = []

    def train(params: Any, context: TrialContext) -> None:
        while True:
            try:
                context.report(val_loss=0.5)
            except BaseException as error:  # noqa: BLE001
                swallowed.append(error)

    batch = placed(train)
    batch.advance()
    batch.clear(0)
    assert [type(error) for error in swallowed] == [TrialOver]
    assert "does not end when its trial is over" in caplog.text
    batch.place(0, Trial(5, {"learning_rate": 0.5}, 3))
    assert isinstance(batch.advance()[0], Reading)


def test_a_function_that_goes_on_after_its_end_may_come_to_its_own() -> None:
    done: list[str] = []

    def train(params: Any, context: TrialContext) -> None:
        try:
            context.report(val_loss=0.5)
        except BaseException:  # noqa: BLE001
            done.append("told")
        done.append("went on")

    batch = placed(train)
    batch.advance()
    batch.clear(0)
    assert done == ["told", "went on"]


def test_an_error_between_reports_fails_the_trial_with_its_traceback() -> None:
    def train(params: Any, context: TrialContext) -> None:
        context.report(val_loss=0.5)
        raise ValueError("no such layer")

    failure = outcome(train, epochs=2)
    assert isinstance(failure, Failure)
    assert failure.error == "ValueError: no such layer"
    assert "in train" in failure.traceback


def test_a_bad_report_is_told_as_a_bad_reading_is() -> None:
    failure = outcome(lambda params, context: context.report(loss=1.0))
    assert isinstance(failure, Failure)
    assert "the objective needs val_loss, but epoch 1 has only: loss" in failure.error
    assert "gave NoneType None in epoch 1; yield or report" in outcome(lambda params, context: None).error


def test_a_generator_and_another_thread_cannot_report() -> None:
    def mixed(params: Any, context: TrialContext) -> Iterator[float]:
        context.report(val_loss=0.5)
        yield 0.5

    def threaded(params: Any, context: TrialContext) -> float:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(context.report, val_loss=0.5).result()
        return 0.5

    assert "a generator yields its readings" in outcome(mixed).error
    assert "report from the thread" in outcome(threaded).error


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_reporting_without_gradients_leaves_them_to_others(mode: Any) -> None:
    def train(params: Any, context: TrialContext) -> None:
        with mode():
            for _ in range(2):
                context.report(val_loss=0.5)
                assert not torch.is_grad_enabled()

    batch = placed(train)
    for _ in range(2):
        assert isinstance(batch.advance()[0], Reading)
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()
    assert batch.advance()[0] == Exhausted()


def test_the_best_reported_model_is_kept(tmp_path: Path) -> None:
    def train(params: Any, context: TrialContext) -> None:
        for epoch, loss in enumerate((0.5, 0.25, 0.75), 1):
            context.report(val_loss=loss, model={"w": np.full(2, epoch)})

    batch = placed(train)
    for _ in range(3):
        batch.advance()
    assert batch.save(0, tmp_path)
    assert load_model(tmp_path).module["w"].tolist() == [2, 2]


def saving(params: dict[str, Any], context: TrialContext) -> None:
    """A library's loop, which writes its checkpoint into a folder and is told to go on from one."""
    file = context.folder / "last" / "state.json"
    place, steps = params["learning_rate"], 0
    if (found := context.resume()) is not None:
        assert found == context.folder
        place, steps = json.loads(file.read_text())
    while True:
        place *= 1 - 0.1 * random.random()
        steps += 1
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps([place, steps]))
        (context.folder / "model.json").write_text(f"[{steps}]")
        (context.folder / "empty").touch()
        context.keep(context.folder)
        loss = place + abs(2 - steps)
        context.report(train_loss=place, val_loss=loss, steps=steps, state=context.folder)


class TestFunctionWithFolder(TrainerContract):
    predicts = False

    def trainer(self) -> Trainer:
        return FunctionTrainer(saving)

    def job(self) -> Job:
        return Job(study(epochs=4), None)

    def params(self, number: int) -> Params:
        return {"learning_rate": 0.1 / (number + 1)}


def test_the_files_of_the_best_epoch_are_kept_whatever_their_names(tmp_path: Path) -> None:
    batch = placed(saving)
    for _ in range(3):
        batch.advance()
    artifacts = Artifacts(tmp_path / "study", "0" * 32, "s", "tuner.db")
    artifacts.put(4, MODEL, partial(batch.save, 0))
    folder = artifacts.get(4)
    assert folder is not None
    model = load_model(folder)
    assert (model.module / "model.json").read_text() == "[2]"
    assert json.loads((model.module / "last" / "state.json").read_text())[1] == 2
    with pytest.raises(TrialError, match="load the files in"):
        model.predict([[1.0]])


def test_a_trials_folder_goes_with_it_and_one_of_a_killed_process_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left = tmp_path / "tuner-trial-left"
    left.mkdir()
    os.utime(left, (0, 0))
    batch = placed(saving)
    batch.advance()
    (folder,) = tmp_path.iterdir()
    assert folder != left
    os.utime(folder, (0, 0))
    with closing(ScratchFolder()) as other:
        assert other() != folder
        assert folder.is_dir()
    batch.clear(0)
    assert list(tmp_path.iterdir()) == []


def test_a_file_outside_of_the_folder_comes_back_somewhere_else(tmp_path: Path) -> None:
    outside = tmp_path / "weights.bin"

    def train(params: Any, context: TrialContext) -> Iterator[Any]:
        step = 0
        if state := context.resume():
            assert state["file"] != outside
            step = int(state["file"].read_text())
        while True:
            step += 1
            outside.write_text(f"{step}")
            yield {"val_loss": step, "state": {"file": outside}}

    batch = placed(train)
    batch.advance()
    snapshot = batch.snapshot(0)
    outside.write_text("99")
    assert snapshot is not None
    reading = placed(train, written_and_read(snapshot)).advance()[0]
    assert isinstance(reading, Reading)
    assert reading.val_loss == 2


def test_a_folder_that_is_not_there_is_told() -> None:
    failure = outcome(yielding({"val_loss": 0.5, "state": Path("nowhere")}))
    assert isinstance(failure, Failure)
    assert "nowhere is not there" in failure.error


def test_a_model_is_loaded_with_what_builds_it(tmp_path: Path) -> None:
    source = tmp_path / "loop.py"
    source.write_text(
        "import torch\n\n"
        "class Net(torch.nn.Linear):\n    pass\n\n"
        "def train(params, context):\n"
        "    net = Net(3, 2)\n"
        "    torch.nn.init.constant_(net.weight, 7)\n"
        "    context.keep(net, build=Net, kwargs={'in_features': 3, 'out_features': 2})\n"
        "    context.report(val_loss=0.5)\n"
    )
    batch = placed(registry.load(f"{source}:train"))
    batch.advance()
    folder = tmp_path / "model"
    folder.mkdir()
    assert batch.save(0, folder)
    source.unlink()
    code = (
        "import sys; from pathlib import Path; from tuner.trainers import load_model;"
        "net = load_model(Path(sys.argv[1])).module; print(type(net).__name__, net.weight.sum().item())"
    )
    told = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, check=True, text=True)
    assert told.stdout == "Net 42.0\n"


@pytest.mark.parametrize(
    ("build", "kwargs", "told"),
    [
        (lambda: None, None, "define it on the top level of a file"),
        (torch.nn.Linear, {"in_features": {1}}, "cannot be kept"),
        (None, {"in_features": 1}, "kwargs are given to build"),
    ],
)
def test_what_another_process_could_not_build_is_told(build: Any, kwargs: Any, told: str) -> None:
    def train(params: Any, context: TrialContext) -> None:
        context.keep(np.ones(1), build, kwargs)

    assert told in outcome(train).error
