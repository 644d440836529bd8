"""Networks that share weights train as one network in every engine, and are kept whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.trainers.torch.plain import images
from tests.trainers.torch.test_stacked import BASE, agree, batches, reading, train
from tuner.core.job import Job
from tuner.core.training import Failure, Outcome, TrialBatch
from tuner.core.trial import Params, Trial
from tuner.errors import TrialError
from tuner.testing.trainer import blobs, study, written_and_read
from tuner.trainers import load_model, open_batch
from tuner.trainers.torch import NetworkContext, TorchTrainer
from tuner.trainers.torch.stacked import StackedBatch


class Tied(nn.Module):
    """A hidden layer that is used again, under another name."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(inputs, inputs), nn.Linear(inputs, inputs)
        self.head = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(torch.tanh(self.second(torch.tanh(self.first(x)))))
        return found


class Shifted(Tied):
    """One buffer under two names, one that is a view of it, one that is wider than its memory."""

    shift: Tensor
    part: Tensor
    wide: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        shift = torch.linspace(-1.0, 1.0, inputs)
        self.register_buffer("shift", shift)
        self.head.register_buffer("again", shift)
        self.register_buffer("part", shift[:1])
        self.register_buffer("wide", torch.full((1,), 0.5).expand(inputs))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x * self.wide + self.shift + self.part + self.head.get_buffer("again"))


class Transposed(nn.Module):
    """An autoencoder whose decoder is its encoder, transposed, and a head on what it makes."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.encoder = nn.Linear(inputs, 3)
        self.decoder = nn.Parameter(torch.zeros(inputs))
        self.head = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        inner = torch.tanh(self.encoder(x))
        found: Tensor = self.head(functional.linear(inner, self.encoder.weight.t(), self.decoder))
        return found


def tied(params: Params, context: NetworkContext) -> nn.Module:
    network = Tied(context.input_shape[0], context.outputs)
    network.second.weight = network.first.weight
    return network


def whole_layer(params: Params, context: NetworkContext) -> nn.Module:
    network = Tied(context.input_shape[0], context.outputs)
    network.second = network.first
    return network


def by_data(params: Params, context: NetworkContext) -> nn.Module:
    network = Tied(context.input_shape[0], context.outputs)
    network.second.weight.data = network.first.weight.data
    return network


def transposed(params: Params, context: NetworkContext) -> nn.Module:
    return Transposed(context.input_shape[0], context.outputs)


def buffers(params: Params, context: NetworkContext) -> nn.Module:
    return Shifted(context.input_shape[0], context.outputs)


def kernels(params: Params, context: NetworkContext) -> nn.Module:
    """Of images: two convolutions with one kernel."""
    network = nn.Sequential(
        nn.Conv2d(1, 1, 3, padding=1),
        nn.SiLU(),
        nn.Conv2d(1, 1, 3, padding=1),
        nn.Flatten(),
        nn.Linear(64, context.outputs),
    )
    network.get_submodule("2").weight = network.get_submodule("0").weight
    return network


def views(params: Params, context: NetworkContext) -> nn.Module:
    """Two parameters of one memory, one the other's transpose."""
    network = Tied(context.input_shape[0], context.outputs)
    network.second.weight = nn.Parameter(network.first.weight.data.t())
    return network


NETWORKS = (tied, whole_layer, by_data, transposed, buffers)


def named(network: Callable[..., Any]) -> str:
    return f"{__name__}:{network.__name__}"


def outcome(batch: TrialBatch, row: int) -> Outcome:
    return batch.advance()[row]


@pytest.mark.parametrize("optimizer", ["adamw", "momentum"])
@pytest.mark.parametrize("network", NETWORKS)
def test_shared_weights_train_side_by_side_as_they_do_alone(
    network: Callable[..., Any], optimizer: str
) -> None:
    one, four = batches(blobs(), model=named(network))
    assert TorchTrainer().why_unfused(study(model=named(network)), blobs(), "cpu") is None
    trial = Trial(4, {**BASE, "optimizer": optimizer, "weight_decay": 0.1, "dropout": 0.0}, 0)
    four.place(0, Trial(5, BASE, 0))
    agree(train(one, trial), train(four, trial, 2))


def test_shared_kernels_train_side_by_side_as_they_do_alone() -> None:
    one, four = batches(images(), model=named(kernels))
    trial = Trial(4, BASE, 0)
    agree(train(one, trial), train(four, trial, 2))


def test_shared_weights_get_the_gradients_of_all_their_uses() -> None:
    """A step of plain gradient descent, by hand."""
    data = blobs()
    one, four = batches(data, model=named(tied))
    params: Params = {"optimizer": "sgd", "learning_rate": 0.1, "batch_size": "full", "scaling": "none"}
    trial = Trial(0, {**params, "init": "orthogonal"}, 0)
    for batch in (one, four):
        batch.place(0, trial)
        start = batch.snapshot(0)
        reading(batch.advance()[0])
        end = batch.snapshot(0)
        assert start is not None
        assert end is not None
        before, after = (weights(snapshot.arrays) for snapshot in (start, end))
        network = tied({}, NetworkContext((5,), 3, data.task, data.classes))
        network.load_state_dict(before)
        loss = functional.cross_entropy(network(torch.tensor(data.train.x)), torch.tensor(data.train.y))
        loss.backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            for parameter in network.parameters():
                assert parameter.grad is not None
                parameter.sub_(parameter.grad, alpha=0.1)
        for name, tensor in network.state_dict().items():
            torch.testing.assert_close(after[name], tensor, atol=1e-5, rtol=1e-4)


def weights(arrays: Any) -> dict[str, Tensor]:
    """The network's state in a snapshot of the reference, or of a stack."""
    named = {n.removeprefix("module/"): torch.tensor(a) for n, a in arrays.items() if n.startswith("module/")}
    if named:
        return named
    network = tied({}, NetworkContext((5,), 3, blobs().task))
    flat, found, place = torch.tensor(arrays["flats"][0]), {}, 0
    for name, parameter in network.named_parameters():
        found[name] = flat[place : place + parameter.numel()].reshape(parameter.shape)
        place += -(-parameter.numel() // 16) * 16
    return found | {"second.weight": found["first.weight"]}


@pytest.mark.parametrize("engine", ["alone", "stacked", "repeated"])
@pytest.mark.parametrize("network", NETWORKS)
def test_kept_model_of_shared_weights_predicts_as_it_was_measured(
    tmp_path: Path, network: Callable[..., Any], engine: str
) -> None:
    data = blobs()
    batch, folder = populate(named(network), engine), tmp_path
    batch.place(0, Trial(4, BASE, 0))
    curve = [reading(outcome(batch, 0)) for _ in range(3)]
    assert batch.save(0, tmp_path)
    if engine == "repeated":
        curve, folder = [], tmp_path / "members" / "1"
    model = load_model(folder)
    assert shared(model.module.network, network)
    outputs = model.module(torch.tensor(data.validation.x)).detach()
    loss = float(functional.cross_entropy(outputs, torch.tensor(data.validation.y)))
    told = min((each.val_loss for each in curve), default=model.description["best"]["val_loss"])
    assert loss == pytest.approx(told, rel=1e-5)
    names = np.take(data.classes, data.validation.y)
    assert model.losses(data.validation.x, names).mean() == pytest.approx(told, rel=1e-4)


def populate(model: str, engine: str) -> TrialBatch:
    spec = study(epochs=3, model=model, repeats=2 if engine == "repeated" else 1)
    batch = open_batch(TorchTrainer(), Job(spec, blobs(), rows=1 if engine == "alone" else 2))
    assert isinstance(batch, StackedBatch) is (engine == "stacked")
    return batch


def shared(module: nn.Module, network: Callable[..., Any]) -> bool:
    if network not in (tied, whole_layer, by_data):
        return True
    return bool(module.get_parameter("first.weight") is module.get_parameter("second.weight"))


@pytest.mark.parametrize("engine", ["alone", "stacked"])
@pytest.mark.parametrize("network", NETWORKS)
def test_snapshot_of_shared_weights_goes_on_bit_for_bit(
    tmp_path: Path, network: Callable[..., Any], engine: str
) -> None:
    whole, broken = (populate(named(network), engine) for _ in range(2))
    trial = Trial(4, BASE, 0)
    whole.place(0, trial)
    reading(outcome(whole, 0))
    snapshot = whole.snapshot(0)
    assert snapshot is not None
    broken.place(0, trial, written_and_read(snapshot))
    for one, two in [(outcome(whole, 0), outcome(broken, 0)) for _ in range(2)]:
        assert reading(one).val_loss == reading(two).val_loss
    for name, batch in (("whole", whole), ("broken", broken)):
        (tmp_path / name).mkdir()
        assert batch.save(0, tmp_path / name)
    first, second = (load_model(tmp_path / name).module.state_dict() for name in ("whole", "broken"))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_weights_that_would_be_parted_in_silence_are_refused_in_words() -> None:
    for engine in ("alone", "stacked"):
        rows = 1 if engine == "alone" else 2
        batch = open_batch(TorchTrainer(), Job(study(epochs=3, model=named(views)), blobs(), rows=rows))
        batch.place(0, Trial(4, BASE, 0))
        failed = outcome(batch, 0)
        assert isinstance(failed, Failure)
        assert "first.weight and second.weight share memory" in failed.error
        assert "decoder.weight = encoder.weight" in failed.error


class Told(Tied):
    """Has a state that is no tensor."""

    def get_extra_state(self) -> Any:
        return {"steps": 3}

    def set_extra_state(self, state: Any) -> None:
        pass


def told(params: Params, context: NetworkContext) -> nn.Module:
    return Told(context.input_shape[0], context.outputs)


def test_network_whose_state_is_no_tensor_trains_alone_and_is_not_kept_as_if_it_were_whole(
    tmp_path: Path,
) -> None:
    assert "state_dict" in (TorchTrainer().why_unfused(study(model=named(told)), blobs(), "cpu") or "")
    batch = open_batch(TorchTrainer(), Job(study(model=named(told)), blobs(), rows=2))
    batch.place(0, Trial(4, BASE, 0))
    reading(outcome(batch, 0))
    with pytest.raises(TrialError, match="_extra_state in the network's state_dict is no tensor"):
        batch.save(0, tmp_path)
